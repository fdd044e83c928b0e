//! Fine-tuning and predicting, in PyTorch and transformers too where that is asked for, in turns with leyden.
//!
//! Both sides learn from the same texts, drawn from all over a file, in whole epochs: their steps differ in length, and an epoch's
//! are always the same ones. Speeds are tokens, of which padding is none, and texts over seconds.

mod classifier;

use super::print;
use super::python::Python;
use super::torch::{self, Comparison, Mode, ModeReport, Outcome, ROUNDS};
use super::{BenchArguments, Peer, on_device};
use crate::cli::Failure;
use crate::cli::output::{self, grouped};
use crate::cli::style::Style;
use crate::config::Precision;
use crate::task::{Input, Part, sample};
use classifier::Classifier;
use serde::Serialize;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};

/// Texts of a batch, tokens of the longest row and dropout where nothing else is asked for, as in fine-tuning.
const BATCH: usize = 32;
const LENGTH: usize = 128;
const DROPOUT: f32 = 0.1;
/// Batches of an epoch, enough that sorting leaves little padding, and seconds of a round at least, where no steps are asked for.
const BATCHES: usize = 32;
const ROUND: f64 = 3.0;
/// Epochs of a round at most: of a network that is nothing but overhead.
const MOST_EPOCHS: f64 = 50.0;

/// What was done, and the seconds that it took.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    /// Tokens or texts.
    amount: f64,
    seconds: f64,
}

impl Work {
    fn rate(self) -> f64 {
        self.amount / self.seconds
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.amount += other.amount;
        self.seconds += other.seconds;
    }
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    /// The encoder's folder.
    model: PathBuf,
    texts: usize,
    /// Of fine-tuning.
    precision: Precision,
    /// Of predictions.
    predicts_in: Precision,
    batch: usize,
    /// Tokens of the longest row.
    length: usize,
    /// Steps of a round.
    steps: usize,
    /// Of all rounds of leyden's.
    tokens_per_second: f64,
    texts_per_second: f64,
    /// Seconds of training steps by kind of operation, the longest first; none on a GPU.
    seconds_by_op: Vec<(&'static str, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    torch: Option<Comparison<Speeds>>,
}

/// Both sides' speeds.
#[derive(Debug, Serialize)]
struct Speeds {
    /// Tokens/s.
    training: Pair,
    /// Texts/s; the pipeline is given the shortest first.
    prediction: Pair,
    /// Texts/s; the pipeline is given them as they come, in batches with as much padding as that takes.
    prediction_unsorted: Pair,
}

/// A speed of both sides.
#[derive(Debug, Serialize)]
struct Pair {
    /// PyTorch's, of all rounds together.
    torch: f64,
    /// leyden's in the same rounds.
    leyden: f64,
    /// leyden's over PyTorch's.
    ratio: f64,
    /// The same by round.
    rounds: Vec<f64>,
}

/// Runs the command.
pub(super) fn run(arguments: &BenchArguments, model: &Path) -> Result<(), Failure> {
    if arguments.against == Some(Peer::Burn) {
        return Err(Failure::Input(
            "--against burn: burn is held against in pre-training; expected --against torch".into(),
        ));
    }
    let batch = arguments.settings.batch.unwrap_or(BATCH);
    let steps = arguments.settings.steps.map(|steps| steps as usize);
    for (flag, value) in [("--batch", Some(batch)), ("--steps", steps)] {
        if value == Some(0) {
            return Err(Failure::Input(format!("{flag} 0: expected at least 1")));
        }
    }
    let (all, name) = texts(arguments.texts.as_deref())?;
    // The first step of a round is not counted.
    let batches = steps.map_or(BATCHES, |steps| steps + 1).min(all.len() / batch);
    if batches == 0 {
        let found = grouped(all.len() as u64);
        return Err(Failure::Input(format!("{name} has {found} texts, expected at least those of a batch, {batch}")));
    }
    let texts = spread(&all, batches * batch);
    let mut ours = Classifier::new(arguments, model, &texts, batch)?;
    output::note("warming up…");
    ours.train(batches - 1)?;
    let steps = match steps {
        Some(steps) => steps,
        None => {
            let epochs = (ROUND / ours.train(batches - 1)?.seconds).ceil().clamp(1.0, MOST_EPOCHS);
            (batches * epochs as usize - 1).max(1)
        }
    };
    // As `leyden predict` does without the flag.
    let predicts_in = on_device(arguments, arguments.settings.precision.unwrap_or(Precision::F32))?;
    let mut predictor = ours.predictor(&arguments.device, predicts_in)?;
    let times = (steps + 1).div_ceil(batches);
    predictor.predict(1)?;
    let by_op = ours.seconds_by_op();
    let (mut trained, mut predicted) = (Work::default(), Work::default());
    let torch = if arguments.against.is_some() {
        let file = TextFile::new(&texts)?;
        let on_gpu = ours.on_gpu;
        let modes = Mode::chosen(&arguments.torch_modes, on_gpu);
        let flags = [
            ("fine-tune", ours.folder.display().to_string()),
            ("tokenizer", ours.home.display().to_string()),
            ("texts", file.0.display().to_string()),
            ("batch", batch.to_string()),
            ("length", ours.length.to_string()),
            ("dropout", DROPOUT.to_string()),
            ("warmup", (batches - 1).to_string()),
        ];
        let peer = torch::Peer::new(arguments.python(), modes, on_gpu, flags);
        let compared = peer.compare(|process| {
            output::note("in turns with PyTorch…");
            let training = in_turns(&mut trained, || ours.train(steps), || train(process, steps))?;
            let training = match training {
                Ok(training) => training,
                Err(error) => return Ok(Err(error)),
            };
            let mut predicting = |order| {
                let theirs = || predict(process, order, texts.len(), times);
                in_turns(&mut predicted, || predictor.predict(times), theirs)
            };
            let prediction = match predicting("sorted")? {
                Ok(prediction) => prediction,
                Err(error) => return Ok(Err(error)),
            };
            let unsorted = predicting("unsorted")?;
            Ok(unsorted.map(|prediction_unsorted| Speeds { training, prediction, prediction_unsorted }))
        });
        Some(compared?)
    } else {
        for _ in 0..ROUNDS {
            trained += ours.train(steps)?;
            predicted += predictor.predict(times)?;
        }
        None
    };
    let report = Report {
        device: ours.device(),
        seconds_by_op: ours.seconds_since(&by_op),
        texts: texts.len(),
        precision: ours.precision,
        predicts_in,
        batch,
        length: ours.length,
        model: ours.folder,
        steps,
        tokens_per_second: trained.rate(),
        texts_per_second: predicted.rate(),
        torch,
    };
    if arguments.json {
        let line = serde_json::to_string(&report).map_err(Failure::work)?;
        output::print(&format!("{line}\n")).map(drop)
    } else {
        show(&report);
        Ok(())
    }
}

/// The texts, and where they are from.
fn texts(path: Option<&Path>) -> Result<(Vec<String>, String), Failure> {
    let Some(path) = path else {
        let records = sample::read(Part::Train).map_err(Failure::work)?.records;
        let text = |input| if let Input::Text { text, .. } = input { Some(text) } else { None };
        return Ok((records.into_iter().filter_map(|record| text(record.input)).collect(), "the sample".into()));
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::Input(format!("--texts {name}: {e}")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok((lines.map(str::to_string).collect(), format!("--texts {name}")))
}

/// So many of the texts, from all over them.
fn spread(all: &[String], count: usize) -> Vec<String> {
    (0..count).map(|place| all[place * all.len() / count].clone()).collect()
}

/// Texts as a file that goes with it.
struct TextFile(PathBuf);

impl TextFile {
    fn new(texts: &[String]) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("leyden-bench-{}.txt", std::process::id()));
        let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
        let written = crate::files::write(&path, text.as_bytes());
        written.map_err(|e| Failure::Work(format!("{}: {e}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The rounds of both sides, leyden's added to `all`.
fn in_turns(
    all: &mut Work,
    mut ours: impl FnMut() -> Result<Work, Failure>,
    mut theirs: impl FnMut() -> Result<Work, String>,
) -> Result<Result<Pair, String>, Failure> {
    let (mut all_ours, mut all_theirs, mut rounds) = (Work::default(), Work::default(), Vec::new());
    for _ in 0..ROUNDS {
        let our = ours()?;
        let their = match theirs() {
            Ok(work) => work,
            Err(error) => return Ok(Err(error)),
        };
        rounds.push(our.rate() / their.rate());
        all_ours += our;
        all_theirs += their;
    }
    *all += all_ours;
    let (leyden, torch) = (all_ours.rate(), all_theirs.rate());
    Ok(Ok(Pair { torch, leyden, ratio: leyden / torch, rounds }))
}

/// So many of PyTorch's steps, taken now: tokens.
fn train(process: &mut Python, count: usize) -> Result<Work, String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        steps: Vec<f64>,
        tokens: Vec<u64>,
    }
    let Answer { steps, tokens } = process.ask(&format!("go {count}"))?;
    let work = Work { amount: tokens.iter().sum::<u64>() as f64, seconds: steps.iter().sum() };
    let whole = steps.len() == count && tokens.len() == count && work.amount > 0.0;
    if whole && steps.iter().all(|&seconds| seconds > 0.0) {
        Ok(work)
    } else {
        Err(format!("expected the seconds and tokens of {count} steps, found {steps:?} and {tokens:?}"))
    }
}

/// PyTorch's answers to all texts in this order, so many times: texts.
fn predict(process: &mut Python, order: &str, texts: usize, times: usize) -> Result<Work, String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        texts: usize,
        seconds: f64,
    }
    let mut all = Work::default();
    for _ in 0..times {
        let Answer { texts: found, seconds } = process.ask(&format!("predict {order}"))?;
        if found != texts || seconds.is_nan() || seconds <= 0.0 {
            return Err(format!("expected the seconds of {texts} texts, found {seconds} of {found}"));
        }
        all += Work { amount: texts as f64, seconds };
    }
    Ok(all)
}

/// Prints everything that was measured.
fn show(r: &Report) {
    let style = Style::stdout();
    println!("{}", style.bold(&r.device));
    let (texts, steps) = (grouped(r.texts as u64), grouped(r.steps as u64));
    println!("  {}, {texts} texts in batches of {}, at most {} tokens", r.model.display(), r.batch, r.length);
    println!("  {}", style.dim(&format!("rounds of {steps} steps; tokens are counted without padding")));
    println!();
    let rate = style.bold(&print::number(r.tokens_per_second));
    print::row("fine-tuning", &format!("{rate} tokens/s{}", r.precision.in_words()));
    let texts = style.bold(&print::number(r.texts_per_second));
    print::row("predicting", &format!("{texts} texts/s{}", r.predicts_in.in_words()));
    let Some(torch) = &r.torch else { return };
    println!();
    println!("{}", style.bold(&format!("Against PyTorch {} on {}", torch.version, torch.device)));
    let part = |what: &str, unit: &str, pair: fn(&Speeds) -> &Pair| {
        print::turns_heading(what, unit, &style);
        for ModeReport { mode, outcome } in &torch.modes {
            match outcome {
                Outcome::Failed { error } => print::failed(*mode, error),
                Outcome::Measured(speeds) => {
                    let Pair { torch, leyden, ratio, rounds } = pair(speeds);
                    print::turns(*mode, [*torch, *leyden, *ratio], rounds, &style);
                }
            }
        }
        print::to_the_best(torch, |speeds| (pair(speeds).torch, pair(speeds).ratio), &style);
    };
    part("fine-tuning", "tokens", |speeds| &speeds.training);
    part("pipeline, sorted", "texts", |speeds| &speeds.prediction);
    part("as texts come", "texts", |speeds| &speeds.prediction_unsorted);
}
