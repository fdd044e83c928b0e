//! `leyden probe`.

mod lines;
mod show;

use super::output::{grouped, print};
use super::style::Style;
use super::{Device, Failure, open};
use crate::plan::EngineError;
use crate::probe::{Discriminator, Judged, Probe, ProbeError};
use clap::Args;
use lines::Lines;
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Sentences that are judged together.
const BATCH: usize = 16;

/// Arguments of `leyden probe`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden probe run \"The cat sat on the jar.\"
  leyden probe run/checkpoints/step-000500 < sentences.txt
  leyden probe google-electra-small --json - < sentences.txt | jq .p_replaced")]
pub(crate) struct ProbeArguments {
    /// A run, one of its checkpoints, or a folder in which transformers saved an ELECTRA discriminator
    ///
    /// Of a run, its discriminator/ is taken or else the newest of checkpoints/step-N/discriminator/. Other folders hold
    /// config.json, model.safetensors and tokenizer.json or vocab.txt.
    dir: PathBuf,
    /// Sentences; without any, or for a single -, the lines of standard input
    ///
    /// What is longer than the model's positions is cut.
    #[arg(value_name = "SENTENCE")]
    sentences: Vec<String>,
    /// Print a JSON object a sentence: text, tokens, ids, p_replaced
    #[arg(long)]
    json: bool,
    /// auto, cpu, or a part of a GPU's name as `leyden devices` lists it
    #[arg(long, default_value = "auto")]
    device: Device,
}

/// Runs the command.
pub(crate) fn run(arguments: ProbeArguments) -> Result<(), Failure> {
    let discriminator = Discriminator::load(&arguments.dir).map_err(failure)?;
    let about = (discriminator.folder.display().to_string(), discriminator.model.table.count() as u64);
    let bank = discriminator.model.table.len();
    let (engine, target) = open(&arguments.device, bank).map_err(|e| failure(e.into()))?;
    let probe = Probe::new(discriminator, engine, target).map_err(|e| failure(e.into()))?;
    let style = Style::stdout();
    let mut talk = Talk { probe, json: arguments.json, style };
    if !arguments.json {
        let heading = format!("{}, {} parameters, on {}", about.0, grouped(about.1), talk.probe.device());
        if !print(&format!("{}\n{}\n", style.dim(&heading), show::legend(style)))? {
            return Ok(());
        }
    }
    if arguments.sentences.is_empty() || arguments.sentences == ["-"] {
        return talk.answer_lines();
    }
    for sentences in arguments.sentences.chunks(BATCH) {
        if !talk.answer(sentences)? {
            break;
        }
    }
    Ok(())
}

/// What the person named is wrong (2), or the device failed (1).
fn failure(error: ProbeError) -> Failure {
    match error {
        ProbeError::Engine(EngineError::NoAdapter { .. }) => Failure::input(error),
        ProbeError::Engine(_) | ProbeError::Graph(_) => Failure::work(error),
        _ => Failure::input(error),
    }
}

struct Talk {
    probe: Probe,
    json: bool,
    style: Style,
}

impl Talk {
    /// Standard input, a line a sentence, answered as lines arrive.
    fn answer_lines(&mut self) -> Result<(), Failure> {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            eprintln!("{}", Style::stderr().dim("One sentence a line; end with Ctrl-D (Ctrl-Z and Enter on Windows)."));
        }
        let mut lines = Lines::new(stdin.lock());
        loop {
            let (sentences, end) = lines.next(BATCH);
            if !sentences.is_empty() && !self.answer(&sentences)? {
                return Ok(());
            }
            match end {
                None => {}
                Some(Ok(())) => return Ok(()),
                Some(Err(message)) => return Err(Failure::Input(message)),
            }
        }
    }

    /// `false` once nobody reads the answers.
    fn answer<S: AsRef<str>>(&mut self, sentences: &[S]) -> Result<bool, Failure> {
        let judged = self.probe.judge(sentences).map_err(failure)?;
        let mut text = String::new();
        for (sentence, judged) in sentences.iter().zip(&judged) {
            if self.json {
                text += &json_line(sentence.as_ref(), judged);
            } else {
                text += "\n";
                text += &show::sentence(judged, self.style, show::terminal_columns());
            }
        }
        print(&text)
    }
}

fn json_line(text: &str, judged: &Judged) -> String {
    let Judged { ids, tokens, p_replaced, .. } = judged;
    format!("{}\n", json!({ "text": text, "tokens": tokens, "ids": ids, "p_replaced": p_replaced }))
}
