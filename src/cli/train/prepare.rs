//! From text files or a dataset to a vocabulary and examples.

use super::progress::note;
use crate::cli::Failure;
use crate::cli::prepare::failure;
use crate::corpus::{self, ExampleOptions, Examples, Statistics, Tokenizer, VocabularyOptions};
use crate::dataset::Dataset;
use crate::electra::Config;
use crate::files::{hex, sha256};
use crate::history::TextFacts;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text that is ready to train on.
pub(super) struct Prepared {
    /// Where the text is from, for people.
    pub name: String,
    pub tokenizer: Tokenizer,
    pub training: Arc<Examples>,
    pub held_out: Arc<Examples>,
    pub statistics: Statistics,
    pub documents: usize,
    /// Tells examples from others.
    pub fingerprint: String,
}

impl Prepared {
    /// What the run's folder keeps of the text.
    pub fn facts(&self) -> TextFacts {
        let Statistics { tokens, unigram_entropy, .. } = self.statistics;
        TextFacts { documents: self.documents as u64, tokens, unigram_entropy }
    }
}

/// Sets where the text is from: the flags, else what `config` says already. Paths become absolute, since a run that goes on may
/// be started elsewhere.
pub(super) fn choose(config: &mut Config, text: &[PathBuf], data: Option<&Path>) -> Result<(), Failure> {
    if !text.is_empty() {
        (config.data.text, config.data.dataset) = (text.to_vec(), None);
    }
    if let Some(data) = data {
        (config.data.text, config.data.dataset) = (Vec::new(), Some(data.into()));
    }
    if !config.data.text.is_empty() && config.data.dataset.is_some() {
        return Err(Failure::Input("data.text and data.dataset are both set: expected one of them".into()));
    }
    for path in config.data.text.iter_mut() {
        *path = absolute(path, "--text")?;
    }
    if let Some(path) = &mut config.data.dataset {
        *path = absolute(path, "--data")?;
    }
    Ok(())
}

pub(super) fn absolute(path: &Path, flag: &str) -> Result<PathBuf, Failure> {
    let bad = |reason: &str| Failure::Input(format!("{flag} {}: {reason}", path.display()));
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
) -> Result<Prepared, Failure> {
    if let Some(folder) = config.data.dataset.clone() {
        note("checking the dataset…");
        let dataset = Dataset::open(&folder).map_err(failure)?;
        let found = dataset.manifest.settings.length;
        if let Some(asked) = length.filter(|&asked| asked != found) {
            let place = folder.display();
            return Err(Failure::Input(format!(
                "--length {asked}: {place} has examples of up to {found} tokens; leave it out, or prepare the text again"
            )));
        }
        config.data.length = found;
        config.data.held_out = dataset.manifest.settings.held_out;
        config.model.positions = config.model.positions.max(found);
        match tokenizer {
            Some(tokenizer) if !same_words(tokenizer, &dataset.tokenizer) => {
                return Err(Failure::Input(format!(
                    "{}: another vocabulary than the model's; prepare the text with --tokenizer and the model's folder",
                    folder.display()
                )));
            }
            Some(_) => {}
            None => config.model.vocabulary = dataset.tokenizer.size(),
        }
        let prepared = from_dataset(&folder, dataset)?;
        config.check().map_err(Failure::input)?;
        return Ok(prepared);
    }
    if let Some(tokenizer) = tokenizer {
        note("reading the text…");
        let (name, text) = read(&config.data.text)?;
        return examples(config, name, &text, tokenizer.clone());
    }
    note("reading the text and making a vocabulary…");
    let (name, text) = read(&config.data.text)?;
    let options = VocabularyOptions { size: config.model.vocabulary, cased: config.data.cased, ..Default::default() };
    let tokenizer = Tokenizer::train(corpus::documents(&text), &options).map_err(Failure::input)?;
    config.model.vocabulary = tokenizer.size();
    examples(config, name, &text, tokenizer)
}

/// As [`prepare`] with the vocabulary that the run in `folder` has already.
pub(super) fn prepare_again(config: &Config, folder: &Path) -> Result<Prepared, Failure> {
    let tokenizer = Tokenizer::load(folder).map_err(Failure::input)?;
    let place = folder.display();
    // A published model may have more embeddings than its tokenizer has words.
    if tokenizer.size() > config.model.vocabulary {
        let (found, expected) = (tokenizer.size(), config.model.vocabulary);
        return Err(Failure::Input(format!("{place}: the tokenizer has {found} words, config.toml says {expected}")));
    }
    let Some(data) = &config.data.dataset else {
        note("reading the text…");
        let (name, text) = read(&config.data.text)?;
        return examples(config, name, &text, tokenizer);
    };
    note("checking the dataset…");
    let dataset = Dataset::open(data).map_err(failure)?;
    let found = dataset.manifest.settings.length;
    if !same_words(&tokenizer, &dataset.tokenizer) || found != config.data.length {
        let data = data.display();
        return Err(Failure::Input(format!(
            "{data}: another vocabulary or length than the run in {place} began with; put that dataset back"
        )));
    }
    from_dataset(data, dataset)
}

fn same_words(a: &Tokenizer, b: &Tokenizer) -> bool {
    a.size() == b.size() && (0..a.size() as u32).all(|id| a.token(id) == b.token(id))
}

fn from_dataset(folder: &Path, dataset: Dataset) -> Result<Prepared, Failure> {
    if dataset.held_out.is_empty() {
        let place = folder.display();
        return Err(Failure::Input(format!("{place}: nothing is held out to evaluate on; prepare it with --held-out")));
    }
    Ok(Prepared {
        fingerprint: dataset.fingerprint().to_string(),
        name: folder.display().to_string(),
        tokenizer: dataset.tokenizer,
        training: Arc::new(dataset.training),
        held_out: Arc::new(dataset.held_out),
        statistics: Statistics::from(&dataset.manifest.statistics),
        documents: dataset.manifest.counts().documents as usize,
    })
}

fn examples(config: &Config, name: String, text: &str, tokenizer: Tokenizer) -> Result<Prepared, Failure> {
    let d = &config.data;
    let options = ExampleOptions { length: d.length, held_out: d.held_out, seed: config.seed };
    let corpus = corpus::build(text, &tokenizer, &options).map_err(Failure::input)?;
    let parts = [&corpus.training, &corpus.held_out].map(|part| hex(&part.fingerprint()));
    Ok(Prepared {
        fingerprint: sha256(parts.concat().as_bytes()),
        name,
        tokenizer,
        training: Arc::new(corpus.training),
        held_out: Arc::new(corpus.held_out),
        statistics: corpus.statistics,
        documents: corpus.documents,
    })
}

fn read(files: &[PathBuf]) -> Result<(String, Cow<'static, str>), Failure> {
    let Some(first) = files.first() else {
        return Ok(("sample (State of the Union addresses)".into(), Cow::Borrowed(corpus::SAMPLE)));
    };
    let name = match files.len() {
        1 => first.display().to_string(),
        n => format!("{} and {} more", first.display(), n - 1),
    };
    let mut all = String::new();
    for file in files {
        all.push_str(&corpus::read_text(file).map_err(Failure::input)?);
        all.push_str("\n\n");
    }
    Ok((name, Cow::Owned(all)))
}
