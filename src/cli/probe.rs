//! `leyden probe`.

mod show;

use super::Failure;
use super::inference::InferenceArguments;
use super::lines::{Line, Tally, standard_input};
use super::output::{grouped, print, remark};
use super::style::Style;
use crate::model::Architecture;
use crate::plan::EngineError;
use crate::probe::{Guess, Guessed, Guesser, Judge, Judged, Mask, ProbeError};
use crate::transformers::{FolderError, Pretrained};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

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
    /// A run, one of its checkpoints, or a folder in which transformers saved an ELECTRA discriminator (for --mask a masked language model)
    ///
    /// Of a run, its discriminator/ is taken or else the newest of checkpoints/step-N/discriminator/; with --mask it is
    /// generator/, or encoder/ where masked language modelling was the objective. Other folders hold config.json, model.safetensors (or its shards, or
    /// pytorch_model.bin) and tokenizer.json or vocab.txt.
    dir: PathBuf,
    /// Sentences; without any, or for a single -, the lines of standard input
    ///
    /// What is longer than the model's positions is cut. [MASK] is the mask; other special tokens that are written in a sentence,
    /// such as [SEP], are plain text, as they were in training. A line that cannot be answered, since it is not UTF-8 or has no
    /// [MASK] with --mask, is named on standard error; the others are answered, and the exit code is 2.
    #[arg(value_name = "SENTENCE")]
    sentences: Vec<String>,
    /// Show what the generator, or an encoder that guesses words, would put for every [MASK] in the sentences
    #[arg(long)]
    mask: bool,
    /// Guesses a [MASK]
    #[arg(long, value_name = "N", default_value_t = 5, requires = "mask")]
    top: usize,
    /// Print a JSON object a sentence: text, tokens, ids, cut and p_replaced, or with --mask masks; line and error for a line
    /// that cannot be answered
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    on: InferenceArguments,
}

/// Runs the command.
pub(crate) fn run(arguments: ProbeArguments) -> Result<(), Failure> {
    let architecture = if arguments.mask { Architecture::MaskedLm } else { Architecture::PreTraining };
    let load = |folder: &Path| Pretrained::load(folder, architecture).map_err(|e| failure(e.into()));
    let mut pretrained = load(&arguments.dir)?;
    // Beside a generator, an encoder saw its words in training and never a mask.
    let generator = pretrained.folder.with_file_name(Architecture::MaskedLm.network());
    if arguments.mask && pretrained.folder != arguments.dir && generator.is_dir() {
        pretrained = load(&generator)?;
    }
    pretrained.tokenizer.notes().iter().for_each(|text| remark(text));
    pretrained.notes.iter().for_each(|note| remark(note));
    let guesser = pretrained.network().name;
    let about = (pretrained.folder.display().to_string(), pretrained.model.table.count() as u64);
    let (engine, target, precision) = arguments.on.open(pretrained.model.table.len())?;
    let network = if arguments.mask {
        Network::Guesser(Guesser::new(pretrained, engine, target).map_err(failure)?.in_precision(precision))
    } else {
        Network::Judge(Judge::new(pretrained, engine, target).map_err(failure)?.in_precision(precision))
    };
    let style = Style::stdout();
    let mut probe = Probe { network, top: arguments.top.max(1), json: arguments.json, style };
    if !arguments.json {
        let heading = format!("{}, {} parameters, on {}", about.0, grouped(about.1), probe.device());
        let legend = if arguments.mask { show::mask_legend(guesser) } else { show::legend(style) };
        if !print(&format!("{}\n{legend}\n", style.dim(&heading)))? {
            return Ok(());
        }
    }
    if arguments.sentences.is_empty() || arguments.sentences == ["-"] {
        return probe.answer_lines();
    }
    let sentences: Vec<Line> =
        (1..).zip(arguments.sentences).map(|(number, text)| Line { number, text: Ok(text) }).collect();
    let mut tally = Tally { of: "sentence", ..Tally::default() };
    if let [one] = &sentences[..] {
        tally.alone = true;
        probe.answer(std::slice::from_ref(one), &mut tally)?;
        return tally.end();
    }
    for sentences in sentences.chunks(BATCH) {
        if !probe.answer(sentences, &mut tally)? {
            return Ok(());
        }
    }
    tally.end()
}

/// What the person named is wrong (2), or the device failed (1).
fn failure(error: ProbeError) -> Failure {
    match error {
        ProbeError::Engine(EngineError::NoAdapter { .. }) => Failure::input(error),
        ProbeError::Folder(FolderError::OtherNetwork { expected: Architecture::PreTraining, .. }) => {
            Failure::Input(format!("{error}; or use --mask, and write [MASK] where a word is to be guessed"))
        }
        ProbeError::Folder(FolderError::NoModel { other: Some(_), network: Architecture::PreTraining, .. }) => {
            Failure::Input(format!("{error}: --mask asks it, with [MASK] where a word is to be guessed"))
        }
        ProbeError::Folder(FolderError::NoModel { other: Some(_), network: Architecture::MaskedLm, .. }) => {
            Failure::Input(format!("{error}: without --mask it is asked"))
        }
        ProbeError::Engine(_) | ProbeError::Graph(_) => Failure::work(error),
        _ => Failure::input(error),
    }
}

/// Who answers.
enum Network {
    Judge(Judge),
    Guesser(Guesser),
}

impl Network {
    fn most_bytes(&self) -> usize {
        match self {
            Self::Judge(judge) => judge.most_bytes(),
            Self::Guesser(guesser) => guesser.most_bytes(),
        }
    }
}

struct Probe {
    network: Network,
    /// Guesses a mask.
    top: usize,
    json: bool,
    style: Style,
}

impl Probe {
    fn device(&self) -> String {
        match &self.network {
            Network::Judge(judge) => judge.device(),
            Network::Guesser(guesser) => guesser.device(),
        }
    }

    /// Standard input, a line a sentence, answered as lines arrive.
    fn answer_lines(&mut self) -> Result<(), Failure> {
        let mut tally = Tally { of: "line", ..Tally::default() };
        let whole =
            standard_input("sentence", (self.network.most_bytes(), BATCH), |lines| self.answer(lines, &mut tally))?;
        if whole { tally.end() } else { Ok(()) }
    }

    /// `false` once nobody reads the answers.
    fn answer(&mut self, sentences: &[Line], tally: &mut Tally) -> Result<bool, Failure> {
        tally.all += sentences.len();
        let (style, json) = (self.style, self.json);
        let columns = show::terminal_columns();
        match &mut self.network {
            Network::Judge(judge) => {
                let texts: Vec<&str> = sentences.iter().filter_map(|line| line.text.as_deref().ok()).collect();
                let mut judged = judge.judge(&texts).map_err(failure)?.into_iter();
                let mut all = String::new();
                for line in sentences {
                    all += &match &line.text {
                        Ok(text) => judged.next().map_or_else(String::new, |judged| match json {
                            true => json_line(text, &judged),
                            false => format!("\n{}", show::sentence(&judged, style, columns)),
                        }),
                        Err(reason) => tally.refuse(line.number, reason, json)?,
                    };
                }
                print(&all)
            }
            Network::Guesser(guesser) => {
                // One by one, so that answers come as they are ready.
                for line in sentences {
                    let guessed = match &line.text {
                        Err(reason) => Err(reason.clone()),
                        Ok(text) => match guesser.guess(text, self.top) {
                            Ok(guessed) => Ok((text, guessed)),
                            Err(error @ ProbeError::NoMask { .. }) => Err(error.to_string()),
                            Err(error) => return Err(failure(error)),
                        },
                    };
                    let text = match guessed {
                        Ok((text, guessed)) if json => mask_json_line(text, &guessed),
                        Ok((_, guessed)) => format!("\n{}", show::guesses(&guessed, style, columns)),
                        Err(reason) => tally.refuse(line.number, &reason, json)?,
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
    let Judged { ids, tokens, p_replaced, cut } = judged;
    format!("{}\n", json!({ "text": text, "tokens": tokens, "ids": ids, "p_replaced": p_replaced, "cut": cut }))
}

fn mask_json_line(text: &str, guessed: &Guessed) -> String {
    let Guessed { ids, tokens, masks, cut } = guessed;
    let guess = |g: &Guess| json!({ "token": g.token, "id": g.id, "p": g.p });
    let mask = |m: &Mask| json!({ "position": m.position, "guesses": m.guesses.iter().map(guess).collect::<Vec<_>>() });
    let masks: Vec<_> = masks.iter().map(mask).collect();
    format!("{}\n", json!({ "text": text, "tokens": tokens, "ids": ids, "masks": masks, "cut": cut }))
}
