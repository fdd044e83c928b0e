//! From text files to a vocabulary and examples.

use crate::cli::Failure;
use crate::corpus::{self, ExampleOptions, Examples, Statistics, Tokenizer, VocabularyOptions};
use crate::electra::Config;
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
}

impl Prepared {
    /// What the run's folder keeps of the text.
    pub fn facts(&self) -> TextFacts {
        let Statistics { tokens, unigram_entropy, .. } = self.statistics;
        TextFacts { documents: self.documents as u64, tokens, unigram_entropy }
    }
}

/// Reads the text, trains the vocabulary and builds examples; `config` gets the vocabulary's real size.
pub(super) fn prepare(config: &mut Config) -> Result<Prepared, Failure> {
    let (name, text) = read(&config.data.text)?;
    let options = VocabularyOptions { size: config.model.vocabulary, cased: config.data.cased, ..Default::default() };
    let tokenizer = Tokenizer::train(corpus::documents(&text), &options).map_err(Failure::input)?;
    config.model.vocabulary = tokenizer.size();
    examples(config, name, &text, tokenizer)
}

/// As [`prepare`] with the vocabulary that the run in `folder` has already.
pub(super) fn prepare_again(config: &Config, folder: &Path) -> Result<Prepared, Failure> {
    let (name, text) = read(&config.data.text)?;
    let tokenizer = Tokenizer::load(folder).map_err(Failure::input)?;
    if tokenizer.size() != config.model.vocabulary {
        let (found, expected) = (tokenizer.size(), config.model.vocabulary);
        let place = folder.display();
        return Err(Failure::Input(format!("{place}: the tokenizer has {found} words, config.toml says {expected}")));
    }
    examples(config, name, &text, tokenizer)
}

fn examples(config: &Config, name: String, text: &str, tokenizer: Tokenizer) -> Result<Prepared, Failure> {
    let d = &config.data;
    let options = ExampleOptions { length: d.length, held_out: d.held_out, seed: config.seed };
    let corpus = corpus::build(text, &tokenizer, &options).map_err(Failure::input)?;
    Ok(Prepared {
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
