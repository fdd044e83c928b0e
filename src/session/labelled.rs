//! From labelled files to rows that a network learns from, and what follows from them for a run's settings.

use super::{PrepareError, Startup};
use crate::batch::Source as _;
use crate::config::{Config, TaskConfig};
use crate::corpus::Tokenizer;
use crate::files::sha256;
use crate::history::TextFacts;
use crate::numbers::{counted, grouped};
use crate::objective::{LOSS, ObjectiveConfig, Scorer};
use crate::random::Random;
use crate::task::evaluation::Facts;
use crate::task::features::{FeatureOptions, Features};
use crate::task::labelled::{TargetOptions, swapped};
use crate::task::objective::outputs::LOGITS;
use crate::task::sample;
use crate::task::split::hold_out;
use crate::task::{DevScorer, LabelNames, Labelled, Part, Record, ScoredOutputs, Task, TaskData};
use crate::train::Data;
use std::path::Path;
use std::sync::Arc;

/// The stream of random numbers that a part of the records is drawn from.
const STREAM: u64 = 0x6c_6162_656c;
/// Held-out records that are kept to be shown.
const SHOWN: usize = 64;

/// Labelled data that is ready to learn from.
#[derive(Debug, Clone)]
pub struct PreparedTask {
    /// The file to learn from, for people.
    pub name: String,
    /// What it is measured by, for people.
    pub dev_name: String,
    /// The words of the model.
    pub tokenizer: Tokenizer,
    /// What the labels are called.
    pub labels: LabelNames,
    /// To learn from.
    pub training: Arc<Labelled>,
    /// To measure by.
    pub held_out: Arc<Labelled>,
    /// Records to measure by from all over the file, to be shown.
    pub shown: Vec<Record>,
    /// Tells rows from others.
    pub fingerprint: String,
    scorer: Arc<dyn Scorer>,
}

impl PreparedTask {
    /// What the run's folder keeps of the data.
    pub fn facts(&self) -> TextFacts {
        let documents = (self.training.records() + self.held_out.records()) as u64;
        TextFacts { documents, tokens: self.training.total_tokens() as u64, unigram_entropy: 0.0 }
    }

    /// What the trainer reads.
    pub(super) fn data(&self) -> Data {
        let scorer = Some(self.scorer.clone());
        Data { training: self.training.clone(), held_out: self.held_out.clone(), scorer }
    }

    /// What it is, in a line.
    pub fn in_words(&self) -> String {
        let count = |labelled: &Labelled| {
            let (records, rows) = (labelled.records() as u64, labelled.examples() as u64);
            let rows = if records == rows { String::new() } else { format!(" in {} rows", grouped(rows)) };
            format!("{}{rows}", counted(records, "example"))
        };
        let (learnt, measured) = (count(&self.training), count(&self.held_out));
        format!("{}: {learnt} to learn from; {}: {measured} to measure by", self.name, self.dev_name)
    }
}

/// Reads the labelled files that `config` names and makes rows of them in `tokenizer`'s words. Where the run `begins`, its objective
/// gets the labels and its schedule the steps that follow; else those are as they were.
pub(super) fn prepare(
    config: &mut Config,
    tokenizer: &Tokenizer,
    begins: bool,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<PreparedTask, PrepareError> {
    let Some(settings) = config.task.clone() else { return Err(PrepareError::NotLabelled) };
    let task = Task::of(&settings)?;
    let known = if begins { None } else { known_labels(config) };
    watch(Startup::Note("reading the labelled data…"));
    let (mut training, name) = read(&task, settings.train.as_deref(), &settings, known.as_ref(), Part::Train)?;
    training.report.remarks().iter().for_each(|text| watch(Startup::Remark(text)));
    let (held_out, dev_name) = match &settings.dev {
        Some(path) => {
            let dev = task.read(path, &settings.columns(), Some(&training.labels), Part::Dev)?;
            dev.report.remarks().iter().for_each(|text| watch(Startup::Remark(text)));
            (dev, path.display().to_string())
        }
        None if settings.train.is_none() => {
            let dev = sample::read(Part::Dev)?;
            (dev, "the sample's other part".into())
        }
        None => {
            let held_out = split(&mut training, config.data.held_out, config.seed)?;
            let share = 100.0 * config.data.held_out;
            (held_out, format!("{share:.0} % of it, held out by the seed"))
        }
    };
    if let Some(most) = settings.examples {
        draw(&mut training.records, most, config.seed);
    }
    if begins {
        learn_labels(config, &training);
    }
    watch(Startup::Note("making rows of it…"));
    let special = tokenizer.special();
    let kind = config.objective.task_kind().ok_or(PrepareError::NotLabelled)?;
    let query = settings.query.min(config.data.length / 2);
    let options = FeatureOptions { length: config.data.length, stride: settings.stride, query };
    let labels = training.labels.clone();
    let places: Vec<usize> = (0..labels.len()).collect();
    let scale = match &config.objective {
        ObjectiveConfig::Classification(objective) => objective.scale,
        _ => 1.0,
    };
    let targets = |part| TargetOptions {
        part,
        labels: labels.len(),
        places: &places,
        scale: scale.into(),
        balanced: settings.balanced && part == Part::Train,
    };
    let records = if settings.swapped { swapped(training.records) } else { training.records };
    let features = Features::of(&records, tokenizer, &options, kind)?;
    features.remarks().iter().for_each(|text| watch(Startup::Remark(&format!("{name}: {text}"))));
    let training = Labelled::new(&records, &features, special, &targets(Part::Train));
    drop((records, features));
    let features = Features::of(&held_out.records, tokenizer, &options, kind)?;
    features.remarks().iter().for_each(|text| watch(Startup::Remark(&format!("{dev_name}: {text}"))));
    let measured = Labelled::new(&held_out.records, &features, special, &targets(Part::Dev));
    if begins {
        config.schedule(training.examples());
    }
    let shown = spread(&held_out.records);
    let names = labels.names().to_vec();
    let outputs = ScoredOutputs { logits: LOGITS, loss: LOSS, scale };
    let scorer = Arc::new(DevScorer::new((held_out.records, features), (names, places), outputs));
    Ok(PreparedTask {
        name,
        dev_name,
        tokenizer: tokenizer.clone(),
        labels,
        fingerprint: sha256(format!("{}{}", training.fingerprint(), measured.fingerprint()).as_bytes()),
        training: Arc::new(training),
        held_out: Arc::new(measured),
        shown,
        scorer,
    })
}

/// The records of a file, or of the sample, and what that is called.
fn read(
    task: &Task,
    path: Option<&Path>,
    settings: &TaskConfig,
    known: Option<&LabelNames>,
    part: Part,
) -> Result<(TaskData, String), PrepareError> {
    match path {
        Some(path) => Ok((task.read(path, &settings.columns(), known, part)?, path.display().to_string())),
        None => Ok((sample::read(part)?, format!("sample ({})", sample::SOURCE))),
    }
}

/// The labels that a run's settings name.
fn known_labels(config: &Config) -> Option<LabelNames> {
    let labels = config.objective.labels();
    (!labels.is_empty()).then(|| LabelNames::new(labels))
}

/// Records from all over a file, few enough to be shown.
fn spread(records: &[Record]) -> Vec<Record> {
    let stride = (records.len() / SHOWN).max(1);
    records.iter().step_by(stride).take(SHOWN).cloned().collect()
}

/// The records that a run of `config` is measured by, as many as are shown of them ([`PreparedTask::shown`]), without the others that
/// training would need.
///
/// # Errors
/// [`PrepareError`] where the file is gone, or is another one.
pub fn held_out_records(config: &Config) -> Result<Vec<Record>, PrepareError> {
    let Some(settings) = &config.task else { return Err(PrepareError::NotLabelled) };
    let task = Task::of(settings)?;
    let known = known_labels(config);
    let held_out = match (&settings.dev, &settings.train) {
        (Some(path), _) => task.read(path, &settings.columns(), known.as_ref(), Part::Dev)?,
        (None, None) => sample::read(Part::Dev)?,
        (None, Some(path)) => {
            let mut all = task.read(path, &settings.columns(), known.as_ref(), Part::Train)?;
            split(&mut all, config.data.held_out, config.seed)?
        }
    };
    Ok(spread(&held_out.records))
}

/// Takes a share of the records away to measure by.
fn split(training: &mut TaskData, share: f64, seed: u64) -> Result<TaskData, PrepareError> {
    let split = hold_out(&training.records, share, seed)?;
    let of = |places: &[usize]| places.iter().map(|&at| training.records[at].clone()).collect::<Vec<Record>>();
    let (kept, records) = (of(&split.train), of(&split.dev));
    let held_out = TaskData { records, labels: training.labels.clone(), report: training.report.clone() };
    training.records = kept;
    Ok(held_out)
}

/// Keeps so many of the records, drawn by the seed, in their order.
fn draw(records: &mut Vec<Record>, most: usize, seed: u64) {
    if records.len() > most {
        let mut places: Vec<usize> = (0..records.len()).collect();
        Random::new(seed, STREAM, 0).shuffle(&mut places);
        places.truncate(most);
        places.sort_unstable();
        let mut kept = places.into_iter().peekable();
        let mut at = 0;
        records.retain(|_| {
            let keeps = kept.next_if_eq(&at).is_some();
            at += 1;
            keeps
        });
    }
}

/// Gives the objective what training's labels are.
fn learn_labels(config: &mut Config, training: &TaskData) {
    let facts = Facts::of(training);
    let names = training.labels.names().to_vec();
    match &mut config.objective {
        ObjectiveConfig::Classification(objective) => {
            if objective.problem == crate::model::Problem::Regression {
                objective.scale = facts.scale();
                objective.labels = vec![config.task.as_ref().map_or("value", |task| &task.label).to_string()];
            } else {
                objective.labels = names;
            }
            objective.facts = facts;
        }
        ObjectiveConfig::Tagging(objective) => (objective.labels, objective.facts) = (names, facts),
        _ => {}
    }
}
