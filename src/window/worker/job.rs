//! What a trainer's thread is started with, and how it gets from there to a session.

use super::look::look;
use super::networks::Networks;
use super::training::train;
use super::{Command, Demonstrates, Heard, Inbox, News, Outbox};
use crate::config::Config;
use crate::corpus::VocabularyOptions;
use crate::dataset::{self, Phase, Preparation, Vocabulary};
use crate::files::free;
use crate::measure::Measures;
use crate::model::Model;
use crate::run::Run;
use crate::session::{self, Adaptation, Asked, Change, Material, Opened, Reopened, Session, SessionOptions, Startup};
use crate::train::MicroBatches;
use crate::window::state::Track;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use web_time::Instant;

/// What the thread is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Job {
    /// Begin a new run.
    Start {
        /// Its folder; the first free one of its settings' name if `None`.
        folder: Option<PathBuf>,
        /// Its settings.
        config: Box<Config>,
        /// The examples' length, where it was asked for.
        length: Option<usize>,
        /// Files and folders to make a dataset of first; the settings say what is read otherwise.
        files: Vec<PathBuf>,
        /// The device and more.
        how: SessionOptions,
    },
    /// Begin a run that fine-tunes a model on labelled data.
    FineTune {
        /// Its folder.
        folder: PathBuf,
        /// Its settings but for what follows from the data.
        config: Box<Config>,
        /// What else would follow from the model.
        asked: Asked,
        /// What wins over what follows, `section.key=value` each.
        settings: Vec<String>,
        /// The device and more.
        how: SessionOptions,
    },
    /// Go on with a run.
    GoOn {
        /// Its folder.
        folder: PathBuf,
        /// What is to be another.
        change: Change,
        /// The device and more.
        how: SessionOptions,
    },
    /// Load a run's newest networks, or the best that it fine-tuned, to be asked.
    Look {
        /// Its folder.
        folder: PathBuf,
    },
}

/// How far a dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrepareProgress {
    /// What is being done.
    pub phase: Phase,
    /// How much of this phase is behind, where it is known.
    pub fraction: Option<f64>,
    /// Bytes of text a second in this phase.
    pub rate: f64,
    /// Seconds left in this phase, where that is known.
    pub left: Option<f64>,
}

/// What is known once training can begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The run's folder.
    pub folder: PathBuf,
    /// Its settings.
    pub config: Config,
    /// The device, in words; `None` where the networks are only asked.
    pub device: Option<String>,
    /// Where the text is from, for people.
    pub text: String,
    /// What is measured; `None` where the networks are only asked.
    pub measures: Option<Measures>,
    /// Parameters of its networks.
    pub parameters: u64,
    /// The parts that a step's batch is worked through in.
    pub micro_batches: Option<MicroBatches>,
    /// Bytes of the device's memory that training takes.
    pub memory: u64,
    /// Floating-point operations of a step by kind of operation.
    pub flops_by_op: Vec<(String, u64)>,
    /// Steps done; where the networks are only asked, by them.
    pub step: u64,
    /// The step of the newest checkpoint, if there is one.
    pub saved: Option<u64>,
    /// What the run's folder has recorded of them; `None` for a run that begins.
    pub recorded: Option<Track>,
    /// What its networks can be asked.
    pub demonstrates: Demonstrates,
}

/// The thread.
pub(super) async fn run(job: Job, inbox: &Inbox, outbox: &Outbox) {
    let looks = matches!(job, Job::Look { .. });
    if let Err(reason) = work(job, inbox, outbox).await {
        outbox.tell(if looks { News::NoNetworks(reason) } else { News::Failed(reason) });
    }
}

async fn work(job: Job, inbox: &Inbox, outbox: &Outbox) -> Result<(), String> {
    let mut watch = |stage: Startup<'_>| {
        match stage {
            Startup::Note(text) => outbox.tell(News::Note(text.into())),
            Startup::Remark(text) => outbox.tell(News::Complaint(text.into())),
            Startup::Ready { .. } => outbox.tell(News::Note("making the networks…".into())),
            Startup::Extended(_) => true,
        };
    };
    let words = |e: &dyn std::fmt::Display| e.to_string();
    #[cfg(target_family = "wasm")]
    let chooses = matches!(&job, Job::Start { how, .. } | Job::GoOn { how, .. } if how.device == session::Device::Auto);
    let opened = match job {
        Job::Start { folder, mut config, length, files, how } => {
            let folder = folder.unwrap_or_else(|| Run::free_folder(&config.run_name()));
            if cfg!(target_family = "wasm") {
                // What fits into a tab needs no dataset.
                config.data.text = files;
            } else if !files.is_empty() {
                // What takes a moment to find wrong comes before what may take hours.
                Run::check_free(&folder).map_err(|e| words(&e))?;
                session::open_async(&how.device, Model::new(&config).table.len()).await.map_err(|e| words(&e))?;
                let Some(dataset) = prepare(&config, files, inbox, outbox)? else { return Ok(()) };
                outbox.tell(News::Dataset(dataset.clone()));
                (config.data.dataset, config.data.text) = (Some(dataset), Vec::new());
            }
            session::start_async(&folder, *config, length, how, &mut watch).await.map_err(|e| words(&e))?
        }
        Job::FineTune { folder, config, asked, settings, how } => {
            session::fine_tune_async(&folder, *config, asked, &settings, how, &mut watch)
                .await
                .map_err(|e| words(&e))?
        }
        Job::GoOn { folder, change, how } => {
            match session::reopen_async(&folder, &change, how, &mut watch).await.map_err(|e| words(&e))? {
                Reopened::Opened(opened) => *opened,
                Reopened::Done { .. } => return look(&folder, inbox, outbox).await,
            }
        }
        Job::Look { folder } => return look(&folder, inbox, outbox).await,
    };
    let Opened { session, material } = &opened;
    let model = session.trainer().model().clone();
    let networks = Networks::new(model, &session.config().objective, material.tokenizer());
    #[cfg(target_family = "wasm")]
    if chooses && session.trainer().target() == crate::plan::Target::Cpu {
        outbox.tell(News::Complaint(crate::web::why_cpu().into()));
    }
    outbox.tell(News::Begun(Box::new(begun(session, material))));
    train(opened, networks, inbox, outbox).await.map_err(|e| e.to_string())
}

/// Numbers by the names of operations.
pub(super) fn named<N>(by_op: Vec<(&'static str, N)>) -> Vec<(String, N)> {
    by_op.into_iter().map(|(op, number)| (op.into(), number)).collect()
}

fn begun(session: &Session, material: &Material) -> Begun {
    let trainer = session.trainer();
    let folder = session.run().folder();
    Begun {
        folder: folder.into(),
        config: session.config().clone(),
        device: Some(trainer.device()),
        text: material.name().into(),
        measures: Some(session.measures().clone()),
        parameters: trainer.model().table.count() as u64,
        micro_batches: Some(trainer.micro_batches()),
        memory: trainer.allocated() as u64,
        flops_by_op: named(trainer.flops_by_op()),
        step: session.step(),
        saved: (session.step() > 0).then_some(session.step()),
        recorded: (session.step() > 0).then(|| Track::read(folder).ok()).flatten(),
        demonstrates: Demonstrates::of(session.config(), material),
    }
}

/// Makes a dataset of `files` in a free folder beside the runs; `None` if that was stopped.
fn prepare(config: &Config, files: Vec<PathBuf>, inbox: &Inbox, outbox: &Outbox) -> Result<Option<PathBuf>, String> {
    let stem = files.first().and_then(|file| file.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    let out = free(Path::new("datasets"), &stem.unwrap_or_else(|| "text".into()));
    let options = VocabularyOptions {
        size: config.model.vocabulary,
        cased: config.data.cased,
        strip_accents: config.data.strips_accents(),
        ..VocabularyOptions::default()
    };
    let from = config.training.init_from.as_deref();
    let vocabulary =
        match from.map(|folder| Adaptation::load(folder, &config.objective)).transpose().map_err(|e| e.to_string())? {
            Some(found) if found.tokenizer().is_some() => Vocabulary::Load(found.tokenizer_folder()),
            _ => Vocabulary::Train(options),
        };
    let preparation = Preparation {
        inputs: files,
        out: out.clone(),
        vocabulary,
        length: config.data.length,
        held_out: config.data.held_out,
        seed: config.seed,
        reading: config.data.reading.clone(),
    };
    let (mut phase, mut began) = (None, Instant::now());
    let mut stopped = false;
    let made = dataset::prepare(&preparation, &mut |progress| {
        if phase != Some(progress.phase) {
            (phase, began) = (Some(progress.phase), Instant::now());
        }
        let fraction = progress.total.filter(|&total| total > 0).map(|total| progress.read as f64 / total as f64);
        let spent = began.elapsed().as_secs_f64();
        let rate = progress.text as f64 / spent.max(1e-3);
        let left = fraction.filter(|&f| f > 0.0).map(|f| spent * (1.0 - f) / f);
        let heard = outbox.tell(News::Preparing(PrepareProgress { phase: progress.phase, fraction, rate, left }));
        stopped |= !heard || matches!(inbox.look(), Heard::Command(Command::Stop) | Heard::Gone);
        !stopped
    });
    match made {
        Ok(made) => {
            for remark in made.report.remarks() {
                outbox.tell(News::Complaint(remark));
            }
            Ok(Some(std::path::absolute(&out).map_err(|e| e.to_string())?))
        }
        Err(_) if stopped => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
