//! leyden's side: a classifier of two classes that learns, and answers.

use super::super::{BenchArguments, on_device, open};
use super::{DROPOUT, LENGTH, Work};
use crate::bench::Machine;
use crate::cli::output::remark;
use crate::cli::{Failure, memory};
use crate::config::{Precision, fine_tuning};
use crate::corpus::Tokenizer;
use crate::objective::ObjectiveConfig;
use crate::plan::Engine;
use crate::session::{self, Adaptation, Device};
use crate::task::features::{FeatureOptions, Features};
use crate::task::labelled::TargetOptions;
use crate::task::{Input, Label, Labelled, Part, Predictor, Record, Task, TaskKind};
use crate::train::{Data, Recipe, Trainer};
use crate::transformers::Pretrained;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A classifier on a device, which learns from texts.
pub(super) struct Classifier {
    trainer: Trainer,
    records: Vec<Record>,
    tokenizer: Tokenizer,
    /// Where the encoder is.
    pub folder: PathBuf,
    /// Where its tokenizer is.
    pub home: PathBuf,
    /// Tokens of the longest row.
    pub length: usize,
    pub on_gpu: bool,
    pub precision: Precision,
}

impl Classifier {
    /// The encoder in `model` with a head on it, and `texts` in batches of `batch`.
    pub(super) fn new(
        arguments: &BenchArguments,
        model: &Path,
        texts: &[String],
        batch: usize,
    ) -> Result<Self, Failure> {
        let task = Task::named("classify").map_err(Failure::work)?;
        let mut config = fine_tuning(&task);
        let found = Adaptation::load(model, &config.objective).map_err(Failure::input)?;
        found.notes().iter().for_each(|note| remark(note));
        found.resize(&mut config);
        let positions = config.model.positions;
        let length = arguments.settings.length.unwrap_or(LENGTH.min(positions));
        if length > positions {
            return Err(Failure::Input(format!("--length {length}: the model reads at most {positions} tokens")));
        }
        config.data.length = length;
        if let ObjectiveConfig::Classification(objective) = &mut config.objective {
            objective.labels = vec!["0".into(), "1".into()];
        }
        (config.model.dropout, config.model.attention_dropout) = (DROPOUT, DROPOUT);
        config.training.batch = batch;
        config.training.precision = on_device(arguments, arguments.settings.precision.unwrap_or_default())?;
        config.seed = arguments.settings.seed.unwrap_or(config.seed);
        config.check().map_err(Failure::input)?;
        // Nothing but steps: no end, and no interval before a round's.
        (config.training.steps, config.training.log_every) = (1 << 40, 1 << 40);
        let record = |(at, text): (usize, &String)| Record {
            id: at.to_string(),
            line: at as u64 + 1,
            input: Input::Text { text: text.clone(), pair: None },
            label: Some(Label::Class(at % 2)),
        };
        let records: Vec<Record> = texts.iter().enumerate().map(record).collect();
        let (tokenizer, kind) = (found.encoder().1.clone(), config.objective.task_kind());
        let kind = kind.unwrap_or(TaskKind::Classification(crate::model::Problem::SingleLabel));
        let features = Features::of(&records, &tokenizer, &FeatureOptions::of_length(length), kind);
        let features = features.map_err(Failure::input)?;
        let options = TargetOptions { part: Part::Train, labels: 2, places: &[0, 1], scale: 1.0, balanced: false };
        let source = Arc::new(Labelled::new(&records, &features, tokenizer.special(), &options));
        let mut recipe = Recipe::new(&config);
        recipe.shape.length = crate::batch::Source::length(&*source);
        let resources = arguments.memory.resources()?;
        let machine = open(arguments, &recipe, resources)?;
        let (target, on_gpu) = (machine.target(), matches!(machine, Machine::Gpu(_)));
        let engine: Box<dyn Engine> = match machine {
            Machine::Cpu(cpu) => cpu,
            Machine::Gpu(gpu) => gpu,
        };
        let weights = found.weights(&config, &recipe.model);
        let data = Data { training: source.clone(), held_out: source, scorer: None };
        let mut trainer = Trainer::new(engine, target, recipe, data, resources).map_err(memory::failure)?;
        trainer.start_from(&weights).map_err(Failure::work)?;
        let (folder, home) = (found.folder(), found.tokenizer_folder());
        let precision = config.training.precision;
        Ok(Self { trainer, records, tokenizer, folder, home, length, on_gpu, precision })
    }

    /// The device, in words.
    pub(super) fn device(&self) -> String {
        self.trainer.device()
    }

    /// Takes so many steps after one that is not counted: their tokens without padding.
    pub(super) fn train(&mut self, steps: usize) -> Result<Work, Failure> {
        self.steps(1)?;
        self.steps(steps)
    }

    fn steps(&mut self, count: usize) -> Result<Work, Failure> {
        let start = Instant::now();
        for _ in 0..count {
            self.trainer.advance().map_err(Failure::work)?;
        }
        self.trainer.finish().map_err(Failure::work)?;
        let seconds = start.elapsed().as_secs_f64();
        let tokens = self.trainer.close_interval().map_or(0, |interval| interval.tokens);
        Ok(Work { amount: tokens as f64, seconds })
    }

    /// Seconds spent on each kind of operation so far.
    pub(super) fn seconds_by_op(&self) -> Vec<(&'static str, f64)> {
        self.trainer.seconds_by_op()
    }

    /// Those since then, the longest first.
    pub(super) fn seconds_since(&self, before: &[(&'static str, f64)]) -> Vec<(&'static str, f64)> {
        let known = |op: &str| before.iter().find(|(name, _)| *name == op).map_or(0.0, |(_, seconds)| *seconds);
        let mut by_op = self.seconds_by_op();
        by_op.iter_mut().for_each(|(op, seconds)| *seconds -= known(op));
        by_op.sort_by(|a, b| b.1.total_cmp(&a.1));
        by_op
    }

    /// What it has learnt so far, on the device as `leyden predict` has it.
    pub(super) fn predictor(&mut self, device: &Device, precision: Precision) -> Result<Answers, Failure> {
        let found = Pretrained {
            folder: self.folder.clone(),
            weights: self.trainer.weights().map_err(Failure::work)?,
            model: self.trainer.model().clone(),
            notes: Vec::new(),
            tokenizer: self.tokenizer.clone(),
            home: self.home.clone(),
        };
        let (engine, target) = session::open(device, found.model.table.len()).map_err(Failure::work)?;
        let predictor = Predictor::new(found, engine, target).map_err(Failure::work)?.in_precision(precision);
        Ok(Answers { predictor, records: self.records.clone() })
    }
}

/// A predictor and what it is asked.
pub(super) struct Answers {
    predictor: Predictor,
    records: Vec<Record>,
}

impl Answers {
    /// Answers all texts so many times: texts.
    pub(super) fn predict(&mut self, times: usize) -> Result<Work, Failure> {
        let start = Instant::now();
        for _ in 0..times {
            self.predictor.predict(&self.records).map_err(Failure::work)?;
        }
        Ok(Work { amount: (times * self.records.len()) as f64, seconds: start.elapsed().as_secs_f64() })
    }
}
