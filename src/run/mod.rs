//! A run on disk.
//!
//! ```text
//! run/
//!   config.toml              every setting, defaults included
//!   tokenizer.json           and vocab.txt, tokenizer_config.json, special_tokens_map.json
//!   metrics.jsonl            a line an interval, and one for each evaluation of the held-out text
//!   samples.jsonl            held-out sentences: original, what the generator made of it, the discriminator's verdicts
//!   checkpoints/step-001000/ generator/ and discriminator/, two folders that transformers loads
//! ```
//!
//! Files are written beside and renamed, and a checkpoint's folder gets its name when all of it is there.

mod error;

pub use error::RunError;

use crate::corpus::Tokenizer;
use crate::electra::{Config, Half, Model, checkpoint};
use serde::Serialize;
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

/// The name of the folder of checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";

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
        let open = |name: &str| {
            let path = folder.join(name);
            OpenOptions::new().create(true).append(true).open(&path).map_err(|e| RunError::file(&path, e))
        };
        Ok(Self { metrics: open("metrics.jsonl")?, samples: open("samples.jsonl")?, folder: folder.into() })
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
        append(&mut self.metrics, &self.folder.join("metrics.jsonl"), line)
    }

    /// Appends a line to samples.jsonl.
    ///
    /// # Errors
    /// [`RunError::File`] if the disk does not take it.
    pub fn log_sample(&mut self, line: &impl Serialize) -> Result<(), RunError> {
        append(&mut self.samples, &self.folder.join("samples.jsonl"), line)
    }

    /// Writes both halves' weights as of `step` and returns the checkpoint's folder.
    ///
    /// # Errors
    /// [`RunError`] for a file that cannot be written; an earlier checkpoint is untouched.
    pub fn checkpoint(
        &self,
        step: u64,
        config: &Config,
        model: &Model,
        tokenizer: &Tokenizer,
        bank: &[f32],
    ) -> Result<PathBuf, RunError> {
        let all = self.folder.join(CHECKPOINTS);
        let name = format!("step-{step:06}");
        let (partial, folder) = (all.join(format!("{name}.partial")), all.join(name));
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|e| RunError::file(&partial, e))?;
        }
        for half in [Half::Generator, Half::Discriminator] {
            let to = partial.join(half.name());
            fs::create_dir_all(&to).map_err(|e| RunError::file(&to, e))?;
            let weights = checkpoint::to_bytes(model, half, bank)?;
            write(&to.join("model.safetensors"), &weights)?;
            write(&to.join("config.json"), checkpoint::config_json(config, half).as_bytes())?;
            tokenizer.save(&to, config.model.positions)?;
        }
        fs::rename(&partial, &folder).map_err(|e| RunError::file(&folder, e))?;
        Ok(folder)
    }
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
