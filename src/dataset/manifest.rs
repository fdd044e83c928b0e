//! What a dataset says of itself: `manifest.json`.

use super::DatasetError;
use crate::corpus::Tokenizer;
use crate::corpus::{Changes, ExampleOptions, SpecialTokens, Statistics};
use crate::files::sha256;
use crate::text::{DocumentRule, FileReport, Report, TextEncoding};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The manifest's file name.
pub const FILE: &str = "manifest.json";
/// The version of the layout that this program writes and reads.
pub const VERSION: u64 = 1;
const FORMAT: &str = "leyden dataset";
/// Stands for the checksum while it is computed.
const NO_CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Everything known about a dataset without opening a shard. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u64,
    /// How it was made.
    pub settings: Settings,
    /// What it was made of, in order.
    pub sources: Vec<SourceEntry>,
    /// Documents that were left out because they had been there before.
    #[serde(default)]
    pub repeated: u64,
    /// The vocabulary.
    pub tokenizer: TokenizerEntry,
    /// What is trained on.
    pub training: PartEntry,
    /// What is evaluated on.
    pub held_out: PartEntry,
    /// Counts over the training part.
    pub statistics: StatisticsEntry,
    /// What the tokenizer's normalizer did to a sample of the text; unknown in datasets of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// SHA-256 of this file with 64 zeros in this place, so that a changed manifest is noticed.
    checksum: String,
}

/// The settings of `leyden prepare`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// L, the most tokens of an example.
    pub length: usize,
    /// Fraction of the documents that are held out.
    pub held_out: f64,
    /// Decides what is held out, and segment and length draws.
    pub seed: u64,
    /// The field of JSON, or the column of a table or parquet file.
    pub field: String,
    /// Whether a record that cannot be read is refused.
    pub strict: bool,
    /// What a document is in plain text.
    #[serde(default)]
    pub documents: DocumentRule,
    /// The encoding of text without a byte-order mark.
    #[serde(default)]
    pub encoding: TextEncoding,
    /// Whether repeated documents are left out.
    #[serde(default)]
    pub dedup: bool,
    /// Pieces asked for, where the vocabulary was trained on this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary_size: Option<usize>,
    /// Whether it keeps case, where it was trained on this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cased: Option<bool>,
    /// Whether it drops accents and other marks, where it was trained on this text. Where `cased` says something and this does not,
    /// it is its opposite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_accents: Option<bool>,
}

impl Settings {
    /// What decides the examples.
    pub fn examples(&self) -> ExampleOptions {
        ExampleOptions { length: self.length, held_out: self.held_out, seed: self.seed }
    }
}

/// A file of text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    /// Its path as it was given or found; `-` for standard input.
    pub name: String,
    /// Documents in it.
    pub documents: u64,
    /// Their bytes as text.
    pub bytes: u64,
    /// Records that could not be read and were left out. (Of datasets made before November 2026: lines that are not UTF-8.)
    #[serde(alias = "invalid")]
    pub skipped: u64,
}

impl From<&FileReport> for SourceEntry {
    fn from(file: &FileReport) -> Self {
        let FileReport { name, documents, bytes, skipped } = file.clone();
        Self { name, documents, bytes, skipped }
    }
}

/// A file of the dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    /// The entry of a file with this content.
    pub(super) fn of(file: &str, content: &[u8]) -> Self {
        Self { file: file.into(), bytes: content.len() as u64, sha256: sha256(content) }
    }

    /// Whether the name is of a file in the folder itself.
    fn is_inside(&self) -> bool {
        let mut parts = Path::new(&self.file).components();
        matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None))
    }
}

/// The tokenizer's files and ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerEntry {
    /// Number of ids: every token is below it.
    pub vocabulary: usize,
    /// Id of `[PAD]`.
    pub pad: u32,
    /// Id of `[UNK]`.
    pub unk: u32,
    /// Id of `[CLS]`.
    pub cls: u32,
    /// Id of `[SEP]`.
    pub sep: u32,
    /// Id of `[MASK]`.
    pub mask: u32,
    /// The files `transformers` loads.
    pub files: Vec<FileEntry>,
}

impl TokenizerEntry {
    /// The ids of the special tokens.
    pub fn special(&self) -> SpecialTokens {
        SpecialTokens { pad: self.pad, unk: self.unk, cls: self.cls, sep: self.sep, mask: self.mask }
    }
}

/// Numbers of a shard or of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Documents, or parts of documents.
    pub documents: u64,
    /// Their bytes as text.
    pub bytes: u64,
    /// Examples.
    pub examples: u64,
    /// Tokens, without `[CLS]` and `[SEP]`.
    pub tokens: u64,
    /// Tokens among them that are `[UNK]`.
    pub unknown: u64,
    /// Tokens cut off at the ends of examples, which are in no shard.
    pub dropped: u64,
    /// Tokens as stored, `[CLS]` and `[SEP]` among them.
    pub stored: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.documents = self.documents.saturating_add(more.documents);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.examples = self.examples.saturating_add(more.examples);
        self.tokens = self.tokens.saturating_add(more.tokens);
        self.unknown = self.unknown.saturating_add(more.unknown);
        self.dropped = self.dropped.saturating_add(more.dropped);
        self.stored = self.stored.saturating_add(more.stored);
    }
}

/// A file of examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// The file.
    pub entry: FileEntry,
    /// What is in it.
    pub counts: Counts,
}

/// The training or the held-out part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// Over all shards.
    pub counts: Counts,
    /// Its files, in order.
    pub shards: Vec<ShardEntry>,
}

/// What the training part looks like, as [`Statistics`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsEntry {
    /// Tokens, without `[CLS]` and `[SEP]`.
    pub tokens: u64,
    /// Tokens among them that are `[UNK]`.
    pub unknown: u64,
    /// Different tokens that occur.
    pub distinct: usize,
    /// Entropy of the token frequencies in nats.
    pub unigram_entropy: f64,
}

impl From<Statistics> for StatisticsEntry {
    fn from(s: Statistics) -> Self {
        Self { tokens: s.tokens, unknown: s.unknown, distinct: s.distinct, unigram_entropy: s.unigram_entropy }
    }
}

impl From<&StatisticsEntry> for Statistics {
    fn from(s: &StatisticsEntry) -> Self {
        Self { tokens: s.tokens, unknown: s.unknown, distinct: s.distinct, unigram_entropy: s.unigram_entropy }
    }
}

impl Manifest {
    pub(super) fn new(
        settings: Settings,
        report: &Report,
        tokenizer: TokenizerEntry,
        training: PartEntry,
        held_out: PartEntry,
        statistics: StatisticsEntry,
        changes: Changes,
    ) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            settings,
            sources: report.files.iter().map(SourceEntry::from).collect(),
            repeated: report.repeated,
            tokenizer,
            training,
            held_out,
            statistics,
            changes: Some(changes),
            checksum: NO_CHECKSUM.into(),
        }
    }

    /// Tells the words of `tokenizer` and the examples from others.
    pub(super) fn fingerprint(&self, tokenizer: &Tokenizer) -> String {
        let words: String =
            (0..tokenizer.size() as u32).map(|id| tokenizer.token(id).unwrap_or_default() + "\n").collect();
        let shards =
            |part: &PartEntry| part.shards.iter().map(|shard| shard.entry.sha256.clone()).collect::<Vec<_>>().join(" ");
        sha256([sha256(words.as_bytes()), shards(&self.training), shards(&self.held_out)].join("\n").as_bytes())
    }

    /// Over both parts.
    pub fn counts(&self) -> Counts {
        let mut counts = self.training.counts;
        counts += self.held_out.counts;
        counts
    }

    /// Records of all sources that were left out.
    pub fn skipped(&self) -> u64 {
        self.sources.iter().map(|source| source.skipped).sum()
    }

    /// The file's content, with its checksum.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let blank = Self { checksum: NO_CHECKSUM.into(), ..self.clone() };
        let text = serde_json::to_string_pretty(&blank)? + "\n";
        let checksum = sha256(text.as_bytes());
        Ok(text.replace(NO_CHECKSUM, &checksum).into_bytes())
    }

    /// Reads a manifest's content; `path` names it in errors.
    ///
    /// # Errors
    /// [`DatasetError::Version`] for another version, [`DatasetError::Damaged`] for anything that was not written so.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, DatasetError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let damaged = |reason: &str| DatasetError::damaged(path, reason);
        let head: Head =
            serde_json::from_slice(bytes).map_err(|e| damaged(&format!("no manifest of a dataset ({e})")))?;
        if head.format != FORMAT {
            return Err(damaged(&format!("its format is {:?}, expected {FORMAT:?}", head.format)));
        }
        if head.version != VERSION {
            return Err(DatasetError::Version { path: path.into(), found: head.version });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| damaged(&e.to_string()))?;
        let text = std::str::from_utf8(bytes).map_err(|e| damaged(&e.to_string()))?;
        let blank = text.replace(&manifest.checksum, NO_CHECKSUM);
        if manifest.checksum.len() != NO_CHECKSUM.len() || sha256(blank.as_bytes()) != manifest.checksum {
            return Err(damaged("its checksum does not match: it was changed"));
        }
        manifest.check().map_err(|reason| damaged(&reason))?;
        Ok(manifest)
    }

    /// Whether the numbers go together.
    fn check(&self) -> Result<(), String> {
        self.settings.examples().check().map_err(|e| e.to_string())?;
        for (name, part) in [("training", &self.training), ("held_out", &self.held_out)] {
            let mut sum = Counts::default();
            part.shards.iter().for_each(|shard| sum += shard.counts);
            if sum != part.counts {
                return Err(format!("the counts of {name} are not those of its shards"));
            }
        }
        let shards = self.training.shards.iter().chain(&self.held_out.shards).map(|shard| &shard.entry);
        match shards.chain(&self.tokenizer.files).find(|entry| !entry.is_inside()) {
            Some(entry) => Err(format!("{:?} is no name of a file in the folder", entry.file)),
            None => Ok(()),
        }
    }
}
