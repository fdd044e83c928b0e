//! Datasets: text made into examples once, in files that are mapped into memory.
//!
//! ```text
//! prepare:  files ─> documents ─> sentences ─> ids ─> examples ─> shards
//! open:     manifest, tokenizer, shards ─ all checked ─> Examples (training, held-out)
//! ```
//!
//! # The layout
//!
//! ```text
//! DIR/
//!   manifest.json                    settings, sources, counts, statistics, and the SHA-256 of every other file
//!   tokenizer.json                   and tokenizer_config.json, special_tokens_map.json, mostly vocab.txt
//!   training-00000.safetensors       examples that are trained on
//!   held-out-00000.safetensors       examples that are evaluated on
//! ```
//!
//! A shard is a safetensors file of three tensors. With N tokens and E examples:
//!
//! * `tokens`, u16 `[N]`, or u32 where an id needs it: the ids of all examples end to end, `[CLS] A [SEP] B [SEP]` each;
//! * `ends`, u64 `[E]`: where each example ends in `tokens`; it starts where the one before ends;
//! * `boundaries`, u16 `[E]`: where segment B starts, counted from the example's start; the example's length if there is none.
//!
//! The header's metadata says the `length`, the most tokens of an example. A document's examples follow each other, and lie in one
//! shard. A dataset is read in Python by
//!
//! ```python
//! from safetensors.numpy import load_file
//! shard = load_file("DIR/training-00000.safetensors")
//! examples = numpy.split(shard["tokens"], shard["ends"][:-1])
//! ```

mod error;
mod manifest;
mod prepare;
mod stream;
mod writer;

pub use error::DatasetError;
pub use manifest::{
    Counts, FileEntry, Manifest, PartEntry, Settings, ShardEntry, SourceEntry, StatisticsEntry, TokenizerEntry,
};
pub use prepare::{Phase, Preparation, PreparedDataset, Progress, Vocabulary, prepare};

use crate::corpus::{Examples, MappedShard, Tokenizer};
use crate::files::sha256;
use memmap2::Mmap;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// What is compared when a dataset is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Sizes, layouts, ranges, and the SHA-256 of every file.
    Everything,
    /// As [`Check::Everything`] without the SHA-256 of the shards.
    Layout,
}

/// A dataset that is open. Its shards are mapped: they must not be changed while it is.
#[derive(Debug)]
pub struct Dataset {
    /// What is trained on.
    pub training: Examples,
    /// What is evaluated on; empty if nothing is held out.
    pub held_out: Examples,
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// What it says of itself.
    pub manifest: Manifest,
    fingerprint: String,
    of_manifest: String,
}

impl Dataset {
    /// Opens a dataset and checks every byte of it.
    ///
    /// # Errors
    /// [`DatasetError::NoDataset`] for a folder without a manifest, [`DatasetError::Version`] for a layout of another version, and
    /// [`DatasetError::Damaged`] for a file that is missing, truncated, changed, or of another dataset.
    pub fn open(folder: &Path) -> Result<Self, DatasetError> {
        Self::open_with(folder, Check::Everything)
    }

    /// As [`open`](Self::open), with a choice of what is compared.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(folder: &Path, check: Check) -> Result<Self, DatasetError> {
        let path = folder.join(manifest::FILE);
        let content = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if !folder.exists() => {
                DatasetError::Missing { path: folder.into() }
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DatasetError::NoDataset { folder: folder.into() },
            _ => DatasetError::Read { path: path.clone(), source },
        })?;
        let manifest = Manifest::from_bytes(&content, &path)?;
        let tokenizer = open_tokenizer(folder, &manifest.tokenizer)?;
        Ok(Self {
            training: open_part(folder, &manifest, &manifest.training, check)?,
            held_out: open_part(folder, &manifest, &manifest.held_out, check)?,
            fingerprint: manifest.fingerprint(&tokenizer),
            tokenizer,
            of_manifest: sha256(&content),
            manifest,
        })
    }

    /// A SHA-256 over those of the vocabulary's words and of the shards, in hexadecimal: equal for equal examples, wherever their text
    /// lay when they were made.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What runs and comparisons of before 2026-12-01 keep in its place: the SHA-256 of the manifest, which names the text's files.
    pub fn former_fingerprint(&self) -> &str {
        &self.of_manifest
    }
}

fn open_tokenizer(folder: &Path, entry: &TokenizerEntry) -> Result<Tokenizer, DatasetError> {
    for file in &entry.files {
        let path = folder.join(&file.file);
        let content = fs::read(&path).map_err(|e| unreadable(&path, e))?;
        compare(&path, file, &content, Check::Everything)?;
    }
    let tokenizer = Tokenizer::load_saved(folder).map_err(|e| DatasetError::damaged(folder, e))?;
    if (tokenizer.size(), tokenizer.special()) != (entry.vocabulary, entry.special()) {
        return Err(DatasetError::damaged(folder, "the tokenizer is not the one that the manifest describes"));
    }
    Ok(tokenizer)
}

fn open_part(folder: &Path, manifest: &Manifest, part: &PartEntry, check: Check) -> Result<Examples, DatasetError> {
    let open = |shard: &ShardEntry| open_shard(folder, manifest, shard, check);
    let shards: Result<Vec<MappedShard>, DatasetError> = part.shards.par_iter().map(open).collect();
    Ok(Examples::mapped(manifest.settings.length, shards?))
}

fn open_shard(
    folder: &Path,
    manifest: &Manifest,
    shard: &ShardEntry,
    check: Check,
) -> Result<MappedShard, DatasetError> {
    let path = folder.join(&shard.entry.file);
    let file = File::open(&path).map_err(|e| unreadable(&path, e))?;
    // SAFETY: the file is only read, and its contents are checked below; that nobody changes it meanwhile is asked of the
    // user, as for any mapped file.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| unreadable(&path, e))?;
    compare(&path, &shard.entry, &map, check)?;
    let mapped = MappedShard::new(map, manifest.settings.length, manifest.tokenizer.vocabulary)
        .map_err(|reason| DatasetError::damaged(&path, reason))?;
    let view = mapped.view();
    let (found, said) = ((view.ends.len() as u64, view.ids.len() as u64), (shard.counts.examples, shard.counts.stored));
    if found != said {
        let reason = format!("{} examples of {} tokens, the manifest says {} of {}", found.0, found.1, said.0, said.1);
        return Err(DatasetError::damaged(&path, reason));
    }
    Ok(mapped)
}

fn unreadable(path: &Path, error: io::Error) -> DatasetError {
    match error.kind() {
        io::ErrorKind::NotFound => DatasetError::damaged(path, "the file is missing"),
        _ => DatasetError::Read { path: path.into(), source: error },
    }
}

fn compare(path: &Path, entry: &FileEntry, content: &[u8], check: Check) -> Result<(), DatasetError> {
    if content.len() as u64 != entry.bytes {
        let found = content.len();
        return Err(DatasetError::damaged(path, format!("{found} bytes, the manifest says {}", entry.bytes)));
    }
    if check == Check::Everything && sha256(content) != entry.sha256 {
        return Err(DatasetError::damaged(path, "its SHA-256 is not the one in the manifest"));
    }
    Ok(())
}
