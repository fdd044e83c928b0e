//! A run on disk.
//!
//! ```text
//! run/
//!   config.toml              every setting, defaults included, and a checksum
//!   tokenizer.json           and tokenizer_config.json, special_tokens_map.json, mostly vocab.txt
//!   text.json                how many documents and tokens the training text had, and its unigram entropy
//!   kernels.json             on a GPU: the kernels it is trained with, and a checksum
//!   measures.json            what is measured: names, units, and what it is held against
//!   metrics.jsonl            a line an interval, and one for each evaluation of the held-out text
//!   samples.jsonl            held-out sentences: original, and what the networks made of it
//!   events.jsonl             when the run was started, continued, stopped, rolled back, and what it was warned of
//!   checkpoints/step-001000/ a folder for each network, such as generator/ and discriminator/, that transformers loads;
//!                            rest.safetensors, where a model has parameters that are in none; optimizer.safetensors, the moments by parameter; and
//!                            state.json, with which the run goes on and which holds a checksum of every file
//!   lock                     held by the process that trains
//! ```
//!
//! Files are written beside and renamed, and a checkpoint's folder gets its name when all of it is there. config.toml is
//! the last file of a new run: what was cut off before is no run, and what is cut off later begins again at its newest
//! checkpoint, or at step 0, whose state is a function of the settings.

mod checkpoint;
mod error;
mod kernels;
mod lock;
mod named;
mod seeds;
mod settings;
mod state;
mod zipped;

pub use checkpoint::{Identity, RunStatus};
pub use error::RunError;
pub(crate) use error::new_run;
pub use seeds::SEEDS;
pub(crate) use seeds::best_seed;
#[cfg(not(target_family = "wasm"))]
pub(crate) use seeds::every_seed;
pub use state::{State, settings_fingerprint};
pub use zipped::{unzip, zip};

use crate::config::Config;
use crate::corpus::Tokenizer;
use crate::fs::{self, File, OpenOptions};
use crate::history::{TextFacts, step_of};
use crate::measure::Measures;
use crate::model::Model;
use crate::train::Snapshot;
use crate::tune::KernelChoices;
pub(crate) use lock::Lock;
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use web_time::{SystemTime, UNIX_EPOCH};

/// An open run. No other process can open it meanwhile.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    metrics: File,
    samples: File,
    events: File,
    _lock: Lock,
}

/// The folder that runs are kept in, unless another is named.
pub const RUNS: &str = "runs";
/// The name of the folder of checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
pub(crate) const METRICS: &str = "metrics.jsonl";
const SAMPLES: &str = "samples.jsonl";
const EVENTS: &str = "events.jsonl";

impl Run {
    /// The first free folder among `runs/<name>`, `runs/<name>-2`, ...
    pub fn free_folder(name: &str) -> PathBuf {
        crate::files::free(Path::new(RUNS), name)
    }

    /// Whether `folder` is free for a new run: not there, empty, or with nothing in it but a start that was cut off.
    ///
    /// # Errors
    /// [`RunError::Occupied`] if it holds anything, [`RunError::File`] if it cannot be looked into.
    pub fn check_free(folder: &Path) -> Result<(), RunError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(RunError::of_folder(folder, || RunError::file(folder, e))),
        };
        let names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // The lock is the first file of a start, and these are all that can be there before config.toml.
        let start = |name: &String| {
            let name = name.strip_suffix(".partial").unwrap_or(name);
            name == lock::LOCK
                || name == settings::CONFIG
                || name == TextFacts::FILE
                || Tokenizer::FILES.contains(&name)
        };
        let cut_off = names.iter().any(|name| name == lock::LOCK) && names.iter().all(start);
        if names.iter().any(|name| name == CHECKPOINTS) && !fs::is_there(&folder.join(settings::CONFIG)) {
            return Err(RunError::Damaged { path: folder.join(settings::CONFIG), reason: "it is missing".into() });
        }
        match names.is_empty() || cut_off && !fs::is_there(&folder.join(settings::CONFIG)) {
            true => Ok(()),
            false => Err(RunError::Occupied { folder: folder.into() }),
        }
    }

    /// Starts a run in `folder`, which must be free.
    ///
    /// # Errors
    /// Those of [`Run::check_free`], [`RunError::Busy`], and [`RunError`] for a file that cannot be written.
    pub fn create(folder: &Path, config: &Config, tokenizer: &Tokenizer, text: &TextFacts) -> Result<Self, RunError> {
        Self::check_free(folder)?;
        fs::create_dir_all(folder).map_err(|e| RunError::file(folder, e))?;
        let lock = Lock::take(folder)?;
        tokenizer.save(folder, config.model.positions)?;
        let path = folder.join(TextFacts::FILE);
        write(&path, &serde_json::to_vec_pretty(text).map_err(|e| RunError::file(&path, e.into()))?)?;
        settings::write(folder, config)?;
        Self::files(folder, lock)
    }

    /// Opens a run that was started before.
    ///
    /// # Errors
    /// [`RunError::Busy`] if another process has it open, [`RunError::File`] for a file that cannot be written.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        let lock = Lock::take(folder)?;
        Self::files(folder, lock)
    }

    fn files(folder: &Path, lock: Lock) -> Result<Self, RunError> {
        Ok(Self {
            metrics: appending(&folder.join(METRICS))?,
            samples: appending(&folder.join(SAMPLES))?,
            events: appending(&folder.join(EVENTS))?,
            folder: folder.into(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends a line to metrics.jsonl.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn log(&mut self, line: &impl Serialize) -> Result<(), RunError> {
        append(&mut self.metrics, &self.folder.join(METRICS), line)
    }

    /// Appends a line to samples.jsonl.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn log_sample(&mut self, line: &impl Serialize) -> Result<(), RunError> {
        append(&mut self.samples, &self.folder.join(SAMPLES), line)
    }

    /// Appends a line to events.jsonl: what happened, at which step, and when.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn log_event(&mut self, step: u64, event: &str, detail: &str) -> Result<(), RunError> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let line = serde_json::json!({"time": time, "step": step, "event": event, "detail": detail});
        append(&mut self.events, &self.folder.join(EVENTS), &line)
    }

    /// The newest checkpoint, `None` if the run was never saved.
    ///
    /// # Errors
    /// [`RunError::Damaged`] for a file that cannot be used, [`RunError::Foreign`] for a checkpoint of another run.
    pub fn newest(&self, config: &Config, model: &Model) -> Result<Option<(Snapshot, State)>, RunError> {
        let saved = checkpoint::list(&self.folder.join(CHECKPOINTS))?;
        saved.last().map(|(_, newest)| checkpoint::load(newest, config, model)).transpose()
    }

    /// The folder of the newest checkpoint.
    pub fn newest_folder(&self) -> Option<PathBuf> {
        let saved = checkpoint::list(&self.folder.join(CHECKPOINTS)).ok()?;
        saved.into_iter().next_back().map(|(_, folder)| folder)
    }

    /// The step of the checkpoint that did best, and what the measure that chooses it was on the held-out text.
    ///
    /// # Errors
    /// [`RunError::File`] if the folder of checkpoints cannot be read.
    pub fn best(&self) -> Result<Option<(u64, f64)>, RunError> {
        Ok(checkpoint::best(&checkpoint::list(&self.folder.join(CHECKPOINTS))?))
    }

    /// The step of the newest checkpoint of the run in `folder`, which need not be open. `None` where there is none.
    pub fn newest_step(folder: &Path) -> Option<u64> {
        checkpoint::list(&folder.join(CHECKPOINTS)).ok()?.last().map(|(step, _)| *step)
    }

    /// The best checkpoint of the run in `folder`, which need not be open: its folder, its step and the measure that chose it.
    /// `None` where there is none, or where nothing was measured.
    pub fn best_of(folder: &Path) -> Option<(PathBuf, u64, f64)> {
        let saved = checkpoint::list(&folder.join(CHECKPOINTS)).ok()?;
        let (best, value) = checkpoint::best(&saved)?;
        saved.into_iter().find(|(step, _)| *step == best).map(|(step, folder)| (folder, step, value))
    }

    /// Takes back the lines of metrics.jsonl and samples.jsonl that are of later steps than `step`, since the run will
    /// write them again, and a last line that was cut off.
    ///
    /// # Errors
    /// [`RunError::Line`] for a line that is not a run's, [`RunError::File`] for a file that cannot be read or written.
    pub fn rewind(&mut self, step: u64, measures: &Measures) -> Result<(), RunError> {
        let step_of_metrics = |line: &[u8]| step_of(line, measures);
        let logs: [(&str, &mut File, StepOf<'_>); 2] =
            [(METRICS, &mut self.metrics, &step_of_metrics), (SAMPLES, &mut self.samples, &step_of_sample)];
        for (name, file, step_of) in logs {
            let path = self.folder.join(name);
            let all = fs::read(&path).map_err(|e| RunError::file(&path, e))?;
            let kept = lines_up_to(&all, step, step_of).map_err(|(line, reason)| RunError::Line {
                path: path.clone(),
                line,
                reason,
            })?;
            if kept.len() != all.len() {
                write(&path, &kept)?;
                *file = appending(&path)?;
            }
        }
        Ok(())
    }

    /// The configuration of the run in `folder`; `None` if there is no run.
    ///
    /// # Errors
    /// [`RunError::Damaged`] for a config.toml that cannot be used.
    pub fn config(folder: &Path) -> Result<Option<Config>, RunError> {
        settings::read(folder)
    }

    /// Replaces config.toml, as when a run is extended.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn rewrite_config(&self, config: &Config) -> Result<(), RunError> {
        settings::write(&self.folder, config)
    }

    /// What the run noted of its text; `None` where it did not, or where that cannot be read.
    pub fn text_facts(&self) -> Option<TextFacts> {
        serde_json::from_slice(&fs::read(self.folder.join(TextFacts::FILE)).ok()?).ok()
    }

    /// Keeps what the run measures.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn keep_measures(&self, measures: &Measures) -> Result<(), RunError> {
        let path = self.folder.join(Measures::FILE);
        write(&path, &measures.to_json().map_err(|e| RunError::file(&path, e.into()))?)
    }

    /// The kernels that the run is trained with; `None` where it has never been on a GPU.
    ///
    /// # Errors
    /// [`RunError::Kernels`] for a file that cannot be used.
    pub fn kernels(&self) -> Result<Option<KernelChoices>, RunError> {
        kernels::read(&self.folder)
    }

    /// Keeps the kernels that the run is trained with.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn keep_kernels(&self, choices: &KernelChoices) -> Result<(), RunError> {
        kernels::write(&self.folder, choices)
    }

    /// Whether metrics.jsonl has no line yet.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be looked at.
    pub fn is_unmeasured(&self) -> Result<bool, RunError> {
        let metadata = self.metrics.metadata().map_err(|e| RunError::file(&self.folder.join(METRICS), e))?;
        Ok(metadata.len() == 0)
    }

    /// Writes a checkpoint, removes the oldest beyond the settings' number (but not the one that did best on the held-out
    /// text), and returns the new one's folder.
    ///
    /// # Errors
    /// [`RunError`] for a file that cannot be written; earlier checkpoints are untouched then.
    pub fn checkpoint(
        &self,
        snapshot: &Snapshot,
        standing: &RunStatus,
        identity: Identity<'_>,
    ) -> Result<PathBuf, RunError> {
        let all = self.folder.join(CHECKPOINTS);
        let folder = checkpoint::save(&all, snapshot, standing, identity)?;
        checkpoint::prune(&all, identity.config.training.keep_checkpoints)?;
        Ok(folder)
    }
}

/// The checkpoints of the run in `folder`, which need not be open: their folders and states, oldest first; those whose state cannot be
/// read are left out.
///
/// # Errors
/// [`RunError::File`] if the folder of checkpoints cannot be read.
pub fn saved(folder: &Path) -> Result<Vec<(PathBuf, State)>, RunError> {
    let saved = checkpoint::list(&folder.join(CHECKPOINTS))?;
    Ok(saved.into_iter().filter_map(|(_, folder)| State::read(&folder).ok().map(|state| (folder, state))).collect())
}

/// The step of a log's line, or why it is none.
type StepOf<'a> = &'a dyn Fn(&[u8]) -> Result<u64, String>;

/// The step of a line of samples.jsonl, or what is wrong with it.
fn step_of_sample(line: &[u8]) -> Result<u64, String> {
    let line: serde_json::Value = serde_json::from_slice(line).map_err(|_| "is no JSON".to_string())?;
    let step = line["step"].as_u64().filter(|_| line["original"].is_array());
    step.ok_or_else(|| "has no step and original".into())
}

/// The lines of a log that are of no later step than `step`, without a last line that was cut off. The number of the
/// first line that is none as an error, and why: it is of something else, and not ours to drop.
fn lines_up_to(log: &[u8], step: u64, step_of: StepOf<'_>) -> Result<Vec<u8>, (usize, String)> {
    let mut kept = Vec::with_capacity(log.len());
    for (number, line) in log.split_inclusive(|&b| b == b'\n').enumerate() {
        let whole = line.ends_with(b"\n");
        match step_of(line) {
            Ok(of) if whole && of <= step => kept.extend_from_slice(line),
            Ok(_) => {}
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(reason) if whole => return Err((number + 1, reason)),
            Err(_) => {}
        }
    }
    Ok(kept)
}

fn appending(path: &Path) -> Result<File, RunError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|e| RunError::file(path, e))
}

fn append(file: &mut File, path: &Path, line: &impl Serialize) -> Result<(), RunError> {
    let mut line = serde_json::to_vec(line).map_err(|e| RunError::file(path, e.into()))?;
    line.push(b'\n');
    // One call, so that a reader never sees half a line of a run that goes on.
    file.write_all(&line).map_err(|e| RunError::file(path, e))
}

fn write(path: &Path, content: &[u8]) -> Result<(), RunError> {
    crate::files::write(path, content).map_err(|e| RunError::file(path, e))
}
