//! `leyden probe`.

mod lines;
mod show;

use super::Failure;
use super::output::{grouped, print, remark};
use super::style::Style;
use crate::electra::Half;
use crate::plan::EngineError;
use crate::probe::{Guess, Guessed, Guesser, Judge, Judged, Mask, Pretrained, ProbeError};
use crate::session::{Device, open};
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
  leyden probe google-electra-small --json - < sentences.txt | jq .p_replaced
  leyden probe run --mask \"Paris is the [MASK] of France.\"")]
pub(crate) struct ProbeArguments {
    /// A run, one of its checkpoints, or a folder in which transformers saved an ELECTRA discriminator (generator for --mask)
    ///
    /// Of a run, its discriminator/ is taken or else the newest of checkpoints/step-N/discriminator/; with --mask it is
    /// generator/. Other folders hold config.json, model.safetensors and tokenizer.json or vocab.txt.
    dir: PathBuf,
    /// Sentences; without any, or for a single -, the lines of standard input
    ///
    /// What is longer than the model's positions is cut.
    #[arg(value_name = "SENTENCE")]
    sentences: Vec<String>,
    /// Show what the generator would put for every [MASK] in the sentences
    #[arg(long)]
    mask: bool,
    /// Guesses a [MASK]
    #[arg(long, value_name = "N", default_value_t = 5, requires = "mask")]
    top: usize,
    /// Print a JSON object a sentence: text, tokens, ids and p_replaced, or with --mask masks
    #[arg(long)]
    json: bool,
    /// auto, cpu, or a part of a GPU's name as `leyden devices` lists it
    #[arg(long, default_value = "auto")]
    device: Device,
}

/// Runs the command.
pub(crate) fn run(arguments: ProbeArguments) -> Result<(), Failure> {
    let half = if arguments.mask { Half::Generator } else { Half::Discriminator };
    let pretrained = Pretrained::load(&arguments.dir, half).map_err(failure)?;
    pretrained.notes.iter().for_each(|note| remark(note));
    let about = (pretrained.folder.display().to_string(), pretrained.model.table.count() as u64);
    let (engine, target) = open(&arguments.device, pretrained.model.table.len()).map_err(|e| failure(e.into()))?;
    let network = match half {
        Half::Generator => Network::Guesser(Guesser::new(pretrained, engine, target).map_err(failure)?),
        Half::Discriminator => Network::Judge(Judge::new(pretrained, engine, target).map_err(failure)?),
    };
    let style = Style::stdout();
    let mut talk = Talk { network, top: arguments.top.max(1), json: arguments.json, style };
    if !arguments.json {
        let heading = format!("{}, {} parameters, on {}", about.0, grouped(about.1), talk.device());
        let legend = if arguments.mask { show::mask_legend() } else { show::legend(style) };
        if !print(&format!("{}\n{legend}\n", style.dim(&heading)))? {
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

/// Who answers.
enum Network {
    Judge(Judge),
    Guesser(Guesser),
}

struct Talk {
    network: Network,
    /// Guesses a mask.
    top: usize,
    json: bool,
    style: Style,
}

impl Talk {
    fn device(&self) -> String {
        match &self.network {
            Network::Judge(judge) => judge.device(),
            Network::Guesser(guesser) => guesser.device(),
        }
    }

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
        match &mut self.network {
            Network::Judge(judge) => {
                let judged = judge.judge(sentences).map_err(failure)?;
                let all = sentences.iter().zip(&judged);
                let text: String = match self.json {
                    true => all.map(|(sentence, judged)| json_line(sentence.as_ref(), judged)).collect(),
                    false => all
                        .map(|(_, judged)| {
                            format!("\n{}", show::sentence(judged, self.style, show::terminal_columns()))
                        })
                        .collect(),
                };
                print(&text)
            }
            Network::Guesser(guesser) => {
                // One by one, so that those before a sentence without a mask are answered.
                for sentence in sentences {
                    let sentence = sentence.as_ref();
                    let guessed = guesser.guess(sentence, self.top).map_err(failure)?;
                    let text = match self.json {
                        true => mask_json_line(sentence, &guessed),
                        false => format!("\n{}", show::guesses(&guessed, self.style, show::terminal_columns())),
                    };
                    if !print(&text)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

fn json_line(text: &str, judged: &Judged) -> String {
    let Judged { ids, tokens, p_replaced, .. } = judged;
    format!("{}\n", json!({ "text": text, "tokens": tokens, "ids": ids, "p_replaced": p_replaced }))
}

fn mask_json_line(text: &str, guessed: &Guessed) -> String {
    let Guessed { ids, tokens, masks, .. } = guessed;
    let guess = |g: &Guess| json!({ "token": g.token, "id": g.id, "p": g.p });
    let mask = |m: &Mask| json!({ "position": m.position, "guesses": m.guesses.iter().map(guess).collect::<Vec<_>>() });
    let masks: Vec<_> = masks.iter().map(mask).collect();
    format!("{}\n", json!({ "text": text, "tokens": tokens, "ids": ids, "masks": masks }))
}
