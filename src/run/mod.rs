//! A run on disk.
//!
//! ```text
//! run/
//!   config.toml              every setting, defaults included
//!   tokenizer.json           and vocab.txt, tokenizer_config.json, special_tokens_map.json
//!   text.json                how many documents and tokens the training text had, and its unigram entropy
//!   metrics.jsonl            a line an interval, and one for each evaluation of the held-out text
//!   samples.jsonl            held-out sentences: original, what the generator made of it, the discriminator's verdicts
//!   checkpoints/step-001000/ generator/ and discriminator/, two folders that transformers loads; optimizer.safetensors
//!                            and state.json, with which the run goes on
//! ```
//!
//! Files are written beside and renamed, and a checkpoint's folder gets its name when all of it is there.

mod checkpoint;
mod error;

pub use error::RunError;

use crate::corpus::Tokenizer;
use crate::electra::{Config, Model};
use crate::history::TextFacts;
use crate::train::{Measures, Snapshot};
use serde::{Deserialize as _, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// An open run.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    metrics: File,
    samples: File,
}

/// Where a run began and ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History {
    /// The held-out text before the first step.
    pub before: Option<Measures>,
    /// The first interval.
    pub first: Option<Measures>,
    /// The last interval.
    pub last: Option<Measures>,
}

/// The name of the folder of checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
pub(crate) const METRICS: &str = "metrics.jsonl";

impl Run {
    /// The first free folder among `runs/<name>`, `runs/<name>-2`, ...
    pub fn free_folder(name: &str) -> PathBuf {
        let mut folder = Path::new("runs").join(name);
        let mut number = 2;
        while folder.exists() {
            folder = Path::new("runs").join(format!("{name}-{number}"));
            number += 1;
        }
        folder
    }

    /// Whether `folder` is free for a new run: not there, or empty.
    ///
    /// # Errors
    /// [`RunError::Occupied`] if it holds anything, [`RunError::File`] if it cannot be looked into.
    pub fn check_free(folder: &Path) -> Result<(), RunError> {
        match fs::read_dir(folder) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(RunError::Occupied { folder: folder.into() }),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(RunError::file(folder, e)),
        }
    }

    /// Starts a run in `folder`, which must be free.
    ///
    /// # Errors
    /// Those of [`Run::check_free`], and [`RunError`] for a file that cannot be written.
    pub fn create(folder: &Path, config: &Config, tokenizer: &Tokenizer) -> Result<Self, RunError> {
        Self::check_free(folder)?;
        fs::create_dir_all(folder).map_err(|e| RunError::file(folder, e))?;
        write(&folder.join("config.toml"), config.to_toml().as_bytes())?;
        tokenizer.save(folder, config.model.positions)?;
        Self::files(folder)
    }

    fn files(folder: &Path) -> Result<Self, RunError> {
        let open = |name: &str| {
            let path = folder.join(name);
            OpenOptions::new().create(true).append(true).open(&path).map_err(|e| RunError::file(&path, e))
        };
        Ok(Self { metrics: open(METRICS)?, samples: open("samples.jsonl")?, folder: folder.into() })
    }

    /// Notes what the training text was, for whoever looks at the run later.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn note_text(&self, facts: &TextFacts) -> Result<(), RunError> {
        let path = self.folder.join(TextFacts::FILE);
        let json = serde_json::to_vec_pretty(facts).map_err(|e| RunError::file(&path, e.into()))?;
        write(&path, &json)
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
        append(&mut self.samples, &self.folder.join("samples.jsonl"), line)
    }

    /// Opens a run that was started before, at its newest checkpoint, and takes back the lines of metrics.jsonl that
    /// are of later steps: the run will write them again.
    ///
    /// # Errors
    /// [`RunError::NoCheckpoint`] if it was never saved, [`RunError::Damaged`] for a file that cannot be used,
    /// [`RunError::File`] for one that cannot be read or written.
    pub fn open(folder: &Path, model: &Model) -> Result<(Self, Snapshot), RunError> {
        let saved = checkpoint::list(&folder.join(CHECKPOINTS))?;
        let Some((_, newest)) = saved.last() else { return Err(RunError::NoCheckpoint { folder: folder.into() }) };
        let snapshot = checkpoint::load(newest, model)?;
        let path = folder.join(METRICS);
        let metrics = match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|e| RunError::file(&path, e))?,
        };
        write(&path, &lines_up_to(&metrics, snapshot.step))?;
        Ok((Self::files(folder)?, snapshot))
    }

    /// The configuration of the run in `folder`; `None` if there is no run.
    ///
    /// # Errors
    /// [`RunError::Damaged`] for a config.toml that cannot be used.
    pub fn config(folder: &Path) -> Result<Option<Config>, RunError> {
        let path = folder.join("config.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(RunError::Damaged { path, reason: e.to_string() }),
        };
        let config = Config::from_toml(&text, &path.display().to_string());
        config.map(Some).map_err(|e| RunError::Damaged { path, reason: e.to_string() })
    }

    /// Replaces config.toml, as when a run is extended.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn rewrite_config(&self, config: &Config) -> Result<(), RunError> {
        write(&self.folder.join("config.toml"), config.to_toml().as_bytes())
    }

    /// What metrics.jsonl says of the run's start and end.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be read.
    pub fn history(&self) -> Result<History, RunError> {
        let path = self.folder.join(METRICS);
        let text = fs::read_to_string(&path).map_err(|e| RunError::file(&path, e))?;
        let lines: Vec<serde_json::Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let measures = |value: &serde_json::Value| Measures::deserialize(value).ok();
        let before = lines.iter().find_map(|l| l.get("held_out")).and_then(measures);
        let mut intervals = lines.iter().filter(|l| l.get("held_out").is_none());
        let first = intervals.next();
        let last = intervals.next_back().or(first);
        Ok(History { before, first: first.and_then(measures), last: last.and_then(measures) })
    }

    /// Writes a checkpoint, removes the oldest beyond `config`'s number, and returns the new one's folder.
    ///
    /// # Errors
    /// [`RunError`] for a file that cannot be written; earlier checkpoints are untouched then.
    pub fn checkpoint(
        &self,
        snapshot: &Snapshot,
        config: &Config,
        model: &Model,
        tokenizer: &Tokenizer,
    ) -> Result<PathBuf, RunError> {
        let all = self.folder.join(CHECKPOINTS);
        let folder = checkpoint::save(&all, snapshot, config, model, tokenizer)?;
        checkpoint::prune(&all, config.training.keep_checkpoints)?;
        Ok(folder)
    }
}

/// The whole lines of metrics that are of no later step than `step`; a torn last line is dropped.
fn lines_up_to(metrics: &[u8], step: u64) -> Vec<u8> {
    let early = |line: &&[u8]| {
        let line: Option<serde_json::Value> = serde_json::from_slice(line).ok();
        line.is_some_and(|line| line["step"].as_u64().is_some_and(|s| s <= step))
    };
    metrics.split_inclusive(|&b| b == b'\n').filter(early).flatten().copied().collect()
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
