//! `leyden fine-tune`: from a pre-trained encoder and labelled texts to a network that answers.

mod seeds;

use super::Failure;
use super::kernels::KernelArguments;
use super::labelled::ColumnArguments;
use super::memory::Memory;
use super::train::{Stop, continue_run, failure, show, sitting};
use crate::config::{Config, Precision, TaskConfig, fine_tuning, learning_rate};
use crate::model::ClassifierKind;
use crate::objective::ObjectiveConfig;
use crate::run::{CHECKPOINTS, Run};
use crate::session::{self, Asked, Change, Device, Extension, Opened, SessionOptions};
use crate::task::Task;
use crate::tune::BUDGET;
use crate::window::{self, Job, Opening};
use clap::{Args, Parser, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Arguments of `leyden fine-tune`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden fine-tune                                        # the sample, on the newest run in runs/
  leyden fine-tune runs/small --task sst2 --train train.tsv --dev dev.tsv --out runs/sst2
  leyden fine-tune runs/small --task classify --train reviews.csv --text review --label stars
  leyden fine-tune google/electra-small --task squad1 --train train-v1.1.json --dev dev-v1.1.json
  leyden fine-tune --out runs/sst2                        # a run that is there goes on

Tasks: cola sst2 mrpc stsb qqp mnli qnli rte, with GLUE's own files; squad1 squad2; chunk and ner, spans in columns of words
and BIO tags; tag, any tags; classify, regress and multi-label, on a table of one's own: csv, tsv, jsonl or parquet.")]
pub(crate) struct FineTuneArguments {
    /// A run, a checkpoint, or a folder of any ELECTRA that transformers loads; without it, the newest pre-training run in runs/
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Folder for the run's files; runs/TASK if not given. A run that is there already goes on
    #[arg(long, visible_alias = "run", value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
    /// Train so many times with seeds of their own, in folders of their own, and say how much the results differ
    #[arg(long, value_name = "N", conflicts_with_all = ["window", "stop_after"])]
    seeds: Option<u64>,
    /// End this sitting after so many steps, saved; the schedule stays
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<u64>,
    /// Show it in a window: the curves, and what it says of a text
    #[arg(long)]
    window: bool,
}

/// What is learnt, from what, and how; shared by `fine-tune`, `score` and `compare`.
#[derive(Debug, Clone, Args)]
pub(super) struct Tuning {
    /// What is learnt; see below
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// The labelled file to learn from; without it, the sample inside the program
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// The labelled file to measure by; without it, a tenth of the other is held out, drawn by the seed
    #[arg(long, value_name = "FILE")]
    dev: Option<PathBuf>,
    #[command(flatten)]
    columns: ColumnArguments,
    /// What stands between several labels in a cell [default: ,]
    #[arg(long, value_name = "CHARACTER")]
    separator: Option<char>,
    /// Learn from at most so many of the records, drawn by the seed
    #[arg(long, value_name = "N")]
    examples: Option<usize>,
    /// Times through the data [default: 3; 10 for rte and stsb, 2 for squad1 and squad2]
    #[arg(long, conflicts_with = "steps", allow_negative_numbers = true)]
    epochs: Option<f64>,
    /// Training steps in place of epochs. For a run that goes on: its new end
    #[arg(long)]
    steps: Option<u64>,
    /// Examples a step [default: 32]
    #[arg(long)]
    batch: Option<usize>,
    /// The longest row in tokens [default: 128, of words 256, of questions 512, or what the model reads]
    #[arg(long)]
    length: Option<usize>,
    /// Peak learning rate [default: 3e-4, and 6e-4 for layers narrower than 256]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// How much slower each layer learns than the one above it; 1 for all alike [default: 0.8]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    layer_decay: Option<f64>,
    /// End where so many evaluations in a row were no better
    #[arg(long, value_name = "EVALUATIONS")]
    patience: Option<u64>,
    /// Rare classes weigh more: every class as much as any other
    #[arg(long)]
    balanced: bool,
    /// Begin with random weights: of the model, its sizes and words alone
    #[arg(long)]
    from_scratch: bool,
    /// dense: transformers' own; linear: the reference's, one layer on [CLS], which transformers cannot load
    #[arg(long, default_value = "dense", value_name = "dense|linear")]
    head: HeadKind,
    /// Decides the head's first weights, batches, dropout and what is held out [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// auto: whatever is fastest of what learns the same; f32; or mixed: on a GPU with f16 activations and the weights of matrix
    /// products in 16 bits, on a CPU with AMX or AVX512-BF16 matrix products of 16 bits, which is bf16, elsewhere f32
    #[arg(long, value_name = "auto|f32|mixed|bf16")]
    precision: Option<Precision>,
    /// One setting of the run's config.toml, as in model.dropout=0; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// auto (the best GPU, else the CPU), cpu, or part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    #[command(flatten)]
    kernels: KernelArguments,
    #[command(flatten)]
    memory: Memory,
}

/// [`Tuning`]'s flags by themselves.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Alone {
    #[command(flatten)]
    tuning: Tuning,
}

/// `--head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HeadKind {
    Dense,
    Linear,
}

/// Runs the command.
pub(crate) fn run(arguments: FineTuneArguments) -> Result<(), Failure> {
    if let Some(count) = arguments.seeds {
        return seeds::run(&arguments, count);
    }
    let folder = arguments.folder()?;
    if arguments.window {
        return arguments.show_window(folder);
    }
    let FineTuneArguments { model, tuning, stop_after, .. } = &arguments;
    tuning.sit(model.as_deref(), &folder, (tuning.seed, *stop_after), &Stop::on_interrupt()).map(drop)
}

impl FineTuneArguments {
    /// The run's folder.
    fn folder(&self) -> Result<PathBuf, Failure> {
        match &self.out {
            Some(folder) => Ok(folder.clone()),
            None => Ok(Run::free_folder(self.tuning.name()?)),
        }
    }

    fn show_window(&self, folder: PathBuf) -> Result<(), Failure> {
        let (model, tuning) = (self.model.as_deref(), &self.tuning);
        let how = tuning.how(self.stop_after)?;
        let job = if Run::config(&folder).map_err(Failure::input)?.is_some() {
            tuning.refuse_fixed(model, &folder)?;
            Job::GoOn { folder, change: tuning.change(), how }
        } else {
            Run::check_free(&folder).map_err(Failure::input)?;
            let config = Box::new(tuning.config(model, tuning.seed)?);
            Job::FineTune { folder, config, asked: tuning.asked(), settings: tuning.set.clone(), how }
        };
        window::open(Opening { job: Some(job), runs: Vec::new(), turns: None }).map_err(Failure::work)
    }
}

impl Tuning {
    /// From its flags, as where a command makes them.
    pub(super) fn from_flags(flags: &[String]) -> Result<Self, Failure> {
        Alone::try_parse_from(flags).map(|alone| alone.tuning).map_err(Failure::input)
    }

    /// Begins a run on `model` in `folder`, or goes on with the one that is there; whether its schedule is at its end.
    pub(super) fn sit(
        &self,
        model: Option<&Path>,
        folder: &Path,
        (seed, stop_after): (Option<u64>, Option<u64>),
        stop: &Stop,
    ) -> Result<bool, Failure> {
        if Run::config(folder).map_err(Failure::input)?.is_some() {
            self.refuse_fixed(model, folder)?;
            return continue_run(folder, &self.change(), self.how(stop_after)?, stop);
        }
        let config = self.config(model, seed)?;
        let mut said = Ok(());
        let opened = session::fine_tune(folder, config, self.asked(), &self.set, self.how(stop_after)?, &mut |stage| {
            said = std::mem::replace(&mut said, Ok(())).and_then(|()| show(stage));
        });
        said?;
        let Opened { session, material } = opened.map_err(failure)?;
        sitting(session, &material, stop)
    }

    /// As [`Tuning::sit`] with one of several runs that one command makes, which may have been cut off: what is there goes on if it is
    /// what the command would begin.
    pub(super) fn sit_again(
        &self,
        model: Option<&Path>,
        folder: &Path,
        seed: u64,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        let Some(found) = Run::config(folder).map_err(Failure::input)? else {
            return self.sit(model, folder, (Some(seed), None), stop);
        };
        let wanted = self.config(model, Some(seed))?;
        let same = found.task == wanted.task
            && found.seed == wanted.seed
            && found.training.init_from == wanted.training.init_from
            && found.training.batch == wanted.training.batch
            && found.optimizer.layer_decay == wanted.optimizer.layer_decay
            && self.precision_is(found.training.precision)?;
        let rate = found.optimizer.learning_rate;
        let asked = self.learning_rate.unwrap_or(learning_rate(found.model.hidden));
        if same && rate != asked {
            return Err(Failure::Input(format!(
                "{} holds a run of other settings than these, a learning rate of {rate}, not {asked}; choose another --out, \
                 or go on with --learning-rate {rate}",
                folder.display()
            )));
        }
        if !same {
            let place = folder.display();
            return Err(Failure::Input(format!(
                "{place} holds a run of other settings than these; choose another --out"
            )));
        }
        continue_run(folder, &Change::default(), self.how(None)?, stop)
    }

    /// What would follow from the model otherwise.
    fn asked(&self) -> Asked {
        Asked { length: self.length, learning_rate: self.learning_rate }
    }

    /// Whether that is what was asked for on the device; where nothing was, whatever it is.
    fn precision_is(&self, found: Precision) -> Result<bool, Failure> {
        let Some(asked) = self.precision.filter(|&asked| asked != Precision::Auto) else { return Ok(true) };
        let on_gpu = self.device.adapter().map_err(Failure::input)?.is_some();
        Ok(found == asked.beginning(on_gpu).map_err(Failure::input)?)
    }

    /// What runs of it are called.
    pub(super) fn name(&self) -> Result<&'static str, Failure> {
        Ok(if self.train.is_some() { self.task()?.name() } else { crate::task::sample::NAME })
    }

    /// The same from random weights.
    pub(super) fn with_random_weights(&self) -> Self {
        Self { from_scratch: true, ..self.clone() }
    }

    /// The seed of the first run.
    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    /// The task that was asked for: the sample's where nothing was.
    fn task(&self) -> Result<Task, Failure> {
        let name = match (&self.task, &self.train) {
            (Some(name), _) => name,
            (None, None) => "classify",
            (None, Some(_)) => {
                let known: Vec<&str> = Task::all().map(|task| task.name()).collect();
                let known = known.join(", ");
                return Err(Failure::Input(format!("--train needs --task with it, one of {known}")));
            }
        };
        let task = Task::named(name).map_err(Failure::input)?;
        if self.train.is_none() && (self.task.is_some() || self.dev.is_some()) {
            return Err(Failure::Input(format!("--task {name} needs the file to learn from: --train FILE")));
        }
        Ok(task)
    }

    /// The settings but for what follows from the data.
    fn config(&self, model: Option<&Path>, seed: Option<u64>) -> Result<Config, Failure> {
        let task = self.task()?;
        let mut config = fine_tuning(&task);
        let model = model.map_or_else(newest_run, |model| Ok(model.into()))?;
        let absolute = |path: &Path, flag| session::absolute(path, flag).map_err(Failure::input);
        config.training.init_from = Some(absolute(&model, "MODEL")?);
        if let Some(settings) = &mut config.task {
            self.fill(settings)?;
        }
        config.seed = seed.unwrap_or(config.seed);
        config.training.batch = self.batch.unwrap_or(config.training.batch);
        config.training.steps = self.steps.unwrap_or(config.training.steps);
        config.training.patience = self.patience;
        config.training.precision = self.precision.unwrap_or_default();
        config.optimizer.layer_decay = self.layer_decay.or(config.optimizer.layer_decay);
        match &mut config.objective {
            ObjectiveConfig::Classification(objective) if self.head == HeadKind::Linear => {
                objective.head = ClassifierKind::Linear;
                super::output::remark(
                    "a head of one layer, as the reference has it: transformers cannot load the folder",
                );
            }
            _ if self.head == HeadKind::Linear => {
                return Err(Failure::Input("--head linear is for classes and numbers of texts".into()));
            }
            _ => {}
        }
        Ok(config)
    }

    fn fill(&self, task: &mut TaskConfig) -> Result<(), Failure> {
        let absolute = |path: &Option<PathBuf>, flag| {
            path.as_deref().map(|path| session::absolute(path, flag).map_err(Failure::input)).transpose()
        };
        (task.train, task.dev) = (absolute(&self.train, "--train")?, absolute(&self.dev, "--dev")?);
        if let Some(epochs) = self.epochs.filter(|epochs| !(*epochs > 0.0 && *epochs <= 10_000.0)) {
            return Err(Failure::Input(format!("--epochs is {epochs}, expected more than 0 and at most 10,000")));
        }
        task.epochs = if self.steps.is_some() { None } else { self.epochs.or(task.epochs) };
        task.text = self.columns.text.clone().unwrap_or_else(|| std::mem::take(&mut task.text));
        task.label = self.columns.label.clone().unwrap_or_else(|| std::mem::take(&mut task.label));
        task.pair.clone_from(&self.columns.pair);
        task.separator = self.separator.unwrap_or(task.separator);
        (task.examples, task.balanced, task.from_scratch) = (self.examples, self.balanced, self.from_scratch);
        Ok(())
    }

    fn how(&self, stop_after: Option<u64>) -> Result<SessionOptions, Failure> {
        Ok(SessionOptions {
            device: self.device.clone(),
            kernels: self.kernels.kernels,
            tuning: self.kernels.budget(BUDGET),
            resources: self.memory.resources()?,
            rollback: false,
            stop_after,
        })
    }

    fn change(&self) -> Change {
        let (train, dev) = (self.train.clone(), self.dev.clone());
        Change { longer: self.steps.map(Extension::Steps), train, dev, ..Change::default() }
    }

    /// A run that goes on has settings of its own.
    fn refuse_fixed(&self, model: Option<&Path>, folder: &Path) -> Result<(), Failure> {
        let known = Run::config(folder).map_err(Failure::input)?.and_then(|config| config.training.init_from);
        let other = |model| session::absolute(model, "MODEL").ok() != known;
        let given = [
            (model.is_some_and(other), "MODEL"),
            (self.task.is_some(), "--task"),
            (self.columns.text.is_some(), "--text"),
            (self.columns.pair.is_some(), "--pair"),
            (self.columns.label.is_some(), "--label"),
            (self.separator.is_some(), "--separator"),
            (self.examples.is_some(), "--examples"),
            (self.epochs.is_some(), "--epochs"),
            (self.batch.is_some(), "--batch"),
            (self.length.is_some(), "--length"),
            (self.learning_rate.is_some(), "--learning-rate"),
            (self.layer_decay.is_some(), "--layer-decay"),
            (self.balanced, "--balanced"),
            (self.from_scratch, "--from-scratch"),
            (self.head != HeadKind::Dense, "--head"),
            (self.seed.is_some(), "--seed"),
            (self.precision.is_some(), "--precision"),
            (self.patience.is_some(), "--patience"),
            (!self.set.is_empty(), "--set"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, flag)) => Err(Failure::Input(format!(
                "{} holds a run with settings of its own: leave {flag} out to go on, or choose another --out",
                folder.display()
            ))),
            None => Ok(()),
        }
    }
}

/// The pre-training run in runs/ that was saved last.
fn newest_run() -> Result<PathBuf, Failure> {
    let saved = |entry: std::fs::DirEntry| -> Option<(SystemTime, PathBuf)> {
        let folder = entry.path();
        if Run::config(&folder).ok().flatten()?.is_fine_tuning() {
            return None;
        }
        let when = std::fs::metadata(folder.join(CHECKPOINTS)).and_then(|folder| folder.modified()).ok()?;
        Some((when, folder))
    };
    let found = std::fs::read_dir("runs").into_iter().flatten().flatten().filter_map(saved).max();
    let found = found.map(|(_, folder)| folder);
    found.ok_or_else(|| {
        Failure::Input("which MODEL? There is no pre-training run in runs/; leyden train makes one in minutes".into())
    })
}
