//! From text files or a dataset to a vocabulary and examples.

use super::Startup;
use crate::config::{Config, ConfigError};
use crate::corpus::{self, ExampleOptions, Examples, Sample, Statistics, Tokenizer, VocabularyOptions};
use crate::dataset::{Dataset, DatasetError};
use crate::files::{hex, sha256};
use crate::history::TextFacts;
use crate::task::TaskError;
use crate::text::{ReadError, read_documents};
use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a text cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The files.
    #[error(transparent)]
    Input(#[from] ReadError),
    /// The text, or the tokenizer.
    #[error(transparent)]
    Text(#[from] corpus::Error),
    /// Labelled data.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A run of text where one of labelled data is meant.
    #[error("[task] is missing in the settings, expected what labelled data is read")]
    NotLabelled,
    /// Settings that do not go with the text.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A text that is gone once it was read.
    #[error(
        "--text - cannot be read again when the run goes on: leyden prepare - --out DIR first, then train --data DIR"
    )]
    StandardInput,
    /// Two places to read from.
    #[error("data.text and data.dataset are both set: expected one of them")]
    Both,
    /// A path that cannot be kept in config.toml.
    #[error("{} {}: {reason}", flag, path.display())]
    Path {
        /// Where it was given.
        flag: &'static str,
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A dataset of another length than was asked for.
    #[error(
        "--length {asked}: {} has examples of up to {found} tokens; leave it out, or prepare the text again",
        folder.display()
    )]
    Length {
        /// The dataset.
        folder: PathBuf,
        /// The length asked for.
        asked: usize,
        /// The dataset's.
        found: usize,
    },
    /// A dataset of other words than the model to start from.
    #[error(
        "{}: another vocabulary than the model's; prepare the text with --tokenizer and the model's folder",
        folder.display()
    )]
    Vocabulary {
        /// The dataset.
        folder: PathBuf,
    },
    /// A run's tokenizer with more words than its model.
    #[error("{}: the tokenizer has {found} words, config.toml says {expected}", folder.display())]
    Words {
        /// The run.
        folder: PathBuf,
        /// Words of the tokenizer.
        found: usize,
        /// Words of the model.
        expected: usize,
    },
    /// Another dataset lies where the run's was.
    #[error(
        "{}: another vocabulary or length than the run in {} began with; put that dataset back",
        data.display(), folder.display()
    )]
    Changed {
        /// The dataset.
        data: PathBuf,
        /// The run.
        folder: PathBuf,
    },
    /// Nothing to evaluate on.
    #[error("{}: nothing is held out to evaluate on; prepare it with --held-out", folder.display())]
    NothingHeldOut {
        /// The dataset.
        folder: PathBuf,
    },
}

impl PrepareError {
    /// Whether what was asked for is to blame, not the machine.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Dataset(error) if !error.is_input())
    }
}

/// Text that is ready to train on.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Where the text is from, for people.
    pub name: String,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// To train on.
    pub training: Arc<Examples>,
    /// Held out.
    pub held_out: Arc<Examples>,
    /// Of the training text.
    pub statistics: Statistics,
    /// Documents of both parts.
    pub documents: usize,
    /// Tells examples from others.
    pub fingerprint: String,
    /// How runs of earlier versions tell them, where that was otherwise.
    pub former_fingerprint: Option<String>,
}

impl Prepared {
    /// What the run's folder keeps of the text.
    pub fn facts(&self) -> TextFacts {
        let Statistics { tokens, unigram_entropy, .. } = self.statistics;
        TextFacts { documents: self.documents as u64, tokens, unigram_entropy }
    }
}

impl Prepared {
    /// Sentences from all over the held-out text, of so many tokens (without `[CLS]` and `[SEP]`), as ids of an example each:
    /// at most `count`, and if there is none the start of an example.
    pub fn sentences(&self, count: usize, tokens: RangeInclusive<usize>) -> Vec<Vec<u32>> {
        let special = self.tokenizer.special();
        let ends: Vec<u32> = [".", "!", "?"].iter().filter_map(|s| self.tokenizer.id(s)).collect();
        let mut row = vec![0; self.held_out.length()];
        let mut found = Vec::new();
        let stride = (self.held_out.len() / (4 * count.max(1))).max(1);
        for index in (0..self.held_out.len()).step_by(stride) {
            let (length, boundary) = self.held_out.copy(index, &mut row);
            // Segment A starts behind [CLS] at the start of a sentence.
            let segment = &row[1..boundary.clamp(1, length)];
            let Some(end) = segment.iter().position(|id| ends.contains(id)) else { continue };
            if tokens.contains(&(end + 1)) && end + 3 <= row.len() {
                let sentence = segment[..=end].iter().copied();
                found.push([special.cls].into_iter().chain(sentence).chain([special.sep]).collect());
            }
            if found.len() == count {
                break;
            }
        }
        if found.is_empty() && !self.held_out.is_empty() {
            let (_, boundary) = self.held_out.copy(0, &mut row);
            found.push(row[..boundary].to_vec());
        }
        found
    }

    /// The same as text, for a person to ask about.
    pub fn texts(&self, count: usize, tokens: RangeInclusive<usize>) -> Vec<String> {
        let decode = |ids: Vec<u32>| self.tokenizer.decode(&ids[1..ids.len().saturating_sub(1).max(1)]).ok();
        self.sentences(count, tokens).into_iter().filter_map(decode).collect()
    }
}

/// Sets where the text is from: the flags, else what `config` says already. Paths become absolute, since a run that goes on may
/// be started elsewhere.
///
/// # Errors
/// [`PrepareError::Both`] and [`PrepareError::Path`].
pub fn choose(config: &mut Config, text: &[PathBuf], data: Option<&Path>) -> Result<(), PrepareError> {
    if !text.is_empty() {
        (config.data.text, config.data.dataset, config.data.sample) = (text.to_vec(), None, Sample::default());
    }
    if let Some(data) = data {
        (config.data.text, config.data.dataset, config.data.sample) =
            (Vec::new(), Some(data.into()), Sample::default());
    }
    if !config.data.text.is_empty() && config.data.dataset.is_some() {
        return Err(PrepareError::Both);
    }
    for path in config.data.text.iter_mut() {
        if path.as_os_str() == "-" {
            return Err(PrepareError::StandardInput);
        }
        *path = absolute(path, "--text")?;
    }
    if let Some(path) = &mut config.data.dataset {
        *path = absolute(path, "--data")?;
    }
    Ok(())
}

/// `path` from the root, as config.toml keeps it; `flag` names where it was given.
///
/// # Errors
/// [`PrepareError::Path`].
pub fn absolute(path: &Path, flag: &'static str) -> Result<PathBuf, PrepareError> {
    let bad = |reason: &str| PrepareError::Path { flag, path: path.into(), reason: reason.into() };
    let absolute = std::path::absolute(path).map_err(|e| bad(&e.to_string()))?;
    // It goes into config.toml, which is UTF-8.
    if absolute.to_str().is_none() { Err(bad("the name is not UTF-8; rename it")) } else { Ok(absolute) }
}

/// Reads the text, trains the vocabulary and builds examples; `config` gets the vocabulary's real size. Or opens the dataset;
/// `config` gets its length and vocabulary then, and `length` is what was asked for.
/// A `tokenizer` that is given already stands in for a trained one, and must be the dataset's.
pub(super) fn prepare(
    config: &mut Config,
    length: Option<usize>,
    tokenizer: Option<&Tokenizer>,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Prepared, PrepareError> {
    if let Some(folder) = config.data.dataset.clone() {
        watch(Startup::Note("checking the dataset…"));
        let dataset = Dataset::open(&folder)?;
        let found = dataset.manifest.settings.length;
        if let Some(asked) = length.filter(|&asked| asked != found) {
            return Err(PrepareError::Length { folder, asked, found });
        }
        config.data.length = found;
        config.data.held_out = dataset.manifest.settings.held_out;
        config.model.positions = config.model.positions.max(found);
        match tokenizer {
            Some(tokenizer) if !same_words(tokenizer, &dataset.tokenizer) => {
                return Err(PrepareError::Vocabulary { folder });
            }
            Some(_) => {}
            None => config.model.vocabulary = dataset.tokenizer.size(),
        }
        let prepared = from_dataset(&folder, dataset)?;
        config.check()?;
        return Ok(prepared);
    }
    if let Some(tokenizer) = tokenizer {
        watch(Startup::Note("reading the text…"));
        return examples(config, read(config, watch)?, tokenizer.clone());
    }
    watch(Startup::Note("reading the text and making a vocabulary…"));
    let text = read(config, watch)?;
    let options = VocabularyOptions {
        size: config.model.vocabulary,
        cased: config.data.cased,
        strip_accents: config.data.strips_accents(),
        ..Default::default()
    };
    let tokenizer = Tokenizer::train(&text.documents, &options)?;
    config.model.vocabulary = tokenizer.size();
    examples(config, text, tokenizer)
}

/// As [`prepare`] with the vocabulary that the run in `folder` has already.
pub(super) fn prepare_again(
    config: &Config,
    folder: &Path,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Prepared, PrepareError> {
    let tokenizer = Tokenizer::load_saved(folder)?;
    // A published model may have more embeddings than its tokenizer has words.
    if tokenizer.size() > config.model.vocabulary {
        let (found, expected) = (tokenizer.size(), config.model.vocabulary);
        return Err(PrepareError::Words { folder: folder.into(), found, expected });
    }
    let Some(data) = &config.data.dataset else {
        watch(Startup::Note("reading the text…"));
        return examples(config, read(config, watch)?, tokenizer);
    };
    watch(Startup::Note("checking the dataset…"));
    let dataset = Dataset::open(data)?;
    let found = dataset.manifest.settings.length;
    if !same_words(&tokenizer, &dataset.tokenizer) || found != config.data.length {
        return Err(PrepareError::Changed { data: data.clone(), folder: folder.into() });
    }
    from_dataset(data, dataset)
}

fn same_words(a: &Tokenizer, b: &Tokenizer) -> bool {
    a.size() == b.size() && (0..a.size() as u32).all(|id| a.token(id) == b.token(id))
}

fn from_dataset(folder: &Path, dataset: Dataset) -> Result<Prepared, PrepareError> {
    if dataset.held_out.is_empty() {
        return Err(PrepareError::NothingHeldOut { folder: folder.into() });
    }
    Ok(Prepared {
        fingerprint: dataset.fingerprint().to_string(),
        former_fingerprint: Some(dataset.former_fingerprint().to_string()),
        name: folder.display().to_string(),
        tokenizer: dataset.tokenizer,
        training: Arc::new(dataset.training),
        held_out: Arc::new(dataset.held_out),
        statistics: Statistics::from(&dataset.manifest.statistics),
        documents: dataset.manifest.counts().documents as usize,
    })
}

fn examples(config: &Config, text: Text, tokenizer: Tokenizer) -> Result<Prepared, PrepareError> {
    let d = &config.data;
    let options = ExampleOptions { length: d.length, held_out: d.held_out, seed: config.seed };
    let corpus = corpus::build(&text.documents, &tokenizer, &options)?;
    let parts = [&corpus.training, &corpus.held_out].map(|part| hex(&part.fingerprint()));
    Ok(Prepared {
        fingerprint: sha256(parts.concat().as_bytes()),
        former_fingerprint: None,
        name: text.name,
        tokenizer,
        training: Arc::new(corpus.training),
        held_out: Arc::new(corpus.held_out),
        statistics: corpus.statistics,
        documents: corpus.documents,
    })
}

/// Documents in memory.
struct Text {
    /// Where they are from, for people.
    name: String,
    documents: Vec<Cow<'static, str>>,
}

/// The sample, or the files that `config` names, read as it says.
fn read(config: &Config, watch: &mut dyn FnMut(Startup<'_>)) -> Result<Text, PrepareError> {
    let files = &config.data.text;
    let Some(first) = files.first() else {
        let sample = config.data.sample;
        let about = sample.about().split(',').next().unwrap_or_default();
        return Ok(Text { name: format!("sample ({about})"), documents: sample.documents() });
    };
    let name = match files.len() {
        1 => first.display().to_string(),
        n => format!("{} and {} more", first.display(), n - 1),
    };
    let read = read_documents(files, &config.data.reading)?;
    read.report.remarks().iter().for_each(|remark| watch(Startup::Remark(remark)));
    Ok(Text { name, documents: read.documents.into_iter().map(Cow::Owned).collect() })
}
