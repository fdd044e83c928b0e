//! From files of text to a dataset.

use super::manifest::{Counts, Manifest, PartEntry, Settings, TokenizerEntry};
use super::stream::{Chunk, Portion, for_each_portion};
use super::writer::{Folder, Shards};
use super::{DatasetError, manifest};
use crate::corpus::{
    ChangeCounts, Examples, MOST_WORDS, Maker, Part, REMEMBERED_WORDS, Split, TokenCounts, Tokenizer,
    VocabularyOptions, WordCounts,
};
use crate::text::{self, Found, Reading, Report};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

/// What to make a dataset of, and how.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Files and folders; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// The dataset's folder, which must not be there or be empty.
    pub out: PathBuf,
    /// Where the vocabulary is from.
    pub vocabulary: Vocabulary,
    /// L, the most tokens of an example.
    pub length: usize,
    /// Fraction of the documents that are held out, from 0 to 0.5.
    pub held_out: f64,
    /// Decides what is held out, and segment and length draws.
    pub seed: u64,
    /// How documents are found in the files.
    pub reading: Reading,
}

/// Where a vocabulary is from.
#[derive(Clone, Debug)]
pub enum Vocabulary {
    /// A tokenizer's file or folder.
    Load(PathBuf),
    /// The same, but case is kept, whatever the files say.
    LoadCased(PathBuf),
    /// It is learnt from the text.
    Train(VocabularyOptions),
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The text is read for its words.
    Counting,
    /// The vocabulary is made of them.
    Learning,
    /// Examples are made and written.
    Writing,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes of the inputs read in this phase, as they lie on disk.
    pub read: u64,
    /// Of so many; unknown for standard input.
    pub total: Option<u64>,
    /// Bytes of text so far in this phase.
    pub text: u64,
}

/// A dataset that was made.
#[derive(Clone, Debug)]
pub struct PreparedDataset {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What reading the inputs came to.
    pub report: Report,
    /// What to know of the tokenizer that was loaded.
    pub notes: Vec<String>,
}

/// Makes a dataset. Memory does not grow with the text, all cores work, and the same text and settings give the same bytes
/// on any number of threads.
///
/// `watch` is told how far it is and may end it by returning `false`. Nothing is left then, or after an error.
///
/// # Errors
/// [`DatasetError`] for inputs that cannot be used and files that cannot be written.
pub fn prepare(
    preparation: &Preparation,
    watch: &mut dyn FnMut(Progress) -> bool,
) -> Result<PreparedDataset, DatasetError> {
    let mut settings = Settings {
        length: preparation.length,
        held_out: preparation.held_out,
        seed: preparation.seed,
        field: preparation.reading.field.clone(),
        strict: preparation.reading.strict,
        documents: preparation.reading.documents,
        encoding: preparation.reading.encoding,
        dedup: preparation.reading.dedup,
        vocabulary_size: None,
        cased: None,
        strip_accents: None,
    };
    settings.examples().check()?;
    let mut found = text::find(&preparation.inputs)?;
    let folder = Folder::create(&preparation.out)?;
    let reading = &preparation.reading;
    let mut job = Job { folder: &folder, reading, counter: Arc::default(), total: None, watch };
    let tokenizer = match &preparation.vocabulary {
        Vocabulary::Load(path) => Tokenizer::load(path)?,
        Vocabulary::LoadCased(path) => Tokenizer::load_cased(path)?,
        Vocabulary::Train(options) => {
            options.check()?;
            (settings.vocabulary_size, settings.cased) = (Some(options.size), Some(options.cased));
            settings.strip_accents = Some(options.strip_accents);
            job.keep_standard_input(&mut found)?;
            job.train(&found, options)?
        }
    };
    let mut sample = ChangeCounts::default();
    let (parts, counts, report) = job.write(&found, &tokenizer, &settings, &mut sample)?;
    let [training, held_out] = parts;
    let documents = report.documents();
    if documents == 0 {
        return Err(DatasetError::Empty);
    }
    let examples = (training.counts.examples, held_out.counts.examples);
    if examples.0 == 0 || (settings.held_out > 0.0 && examples.1 == 0) {
        return Err(DatasetError::TooSmall { documents, training: examples.0, held_out: examples.1 });
    }
    job.forget_standard_input()?;
    let entry = tokenizer_entry(&folder, &tokenizer, settings.length)?;
    let statistics = counts.statistics(tokenizer.special()).into();
    let changes = sample.changes(&tokenizer);
    let manifest = Manifest::new(settings, &report, entry, training, held_out, statistics, changes);
    let content = manifest.to_bytes().map_err(|e| DatasetError::write(folder.path(), io::Error::other(e)))?;
    folder.write(manifest::FILE, &content)?;
    let manifest = Manifest::from_bytes(&content, &folder.path().join(manifest::FILE))?;
    folder.finish()?;
    Ok(PreparedDataset { manifest, report, notes: tokenizer.notes().to_vec() })
}

fn tokenizer_entry(folder: &Folder, tokenizer: &Tokenizer, length: usize) -> Result<TokenizerEntry, DatasetError> {
    let files = tokenizer.files(length)?;
    let files = files.iter().map(|(name, content)| folder.write(name, content.as_bytes()));
    let files = files.collect::<Result<_, DatasetError>>()?;
    let special = tokenizer.special();
    Ok(TokenizerEntry {
        vocabulary: tokenizer.size(),
        pad: special.pad,
        unk: special.unk,
        cls: special.cls,
        sep: special.sep,
        mask: special.mask,
        files,
    })
}

/// Chunks whose words are counted together.
const COUNTED_CHUNKS: usize = 16;
/// Where standard input is kept while it is needed twice.
const STANDARD_INPUT: &str = "standard-input";

struct Job<'a> {
    folder: &'a Folder,
    reading: &'a Reading,
    /// Bytes read from disk so far.
    counter: Arc<AtomicU64>,
    total: Option<u64>,
    watch: &'a mut dyn FnMut(Progress) -> bool,
}

/// What a chunk became: examples and counts of the training and the held-out part.
type Made = [(Examples, Counts); 2];

impl Job<'_> {
    fn tell(&mut self, phase: Phase, read: u64, text: u64) -> Result<(), DatasetError> {
        let go_on = (self.watch)(Progress { phase, read, total: self.total, text });
        if go_on { Ok(()) } else { Err(DatasetError::Interrupted) }
    }

    fn each(
        &mut self,
        phase: Phase,
        found: &Found,
        mut work: impl FnMut(Portion) -> Result<(), DatasetError>,
    ) -> Result<Report, DatasetError> {
        self.total = found.sources.iter().map(|source| source.bytes).sum();
        let (reading, counter) = (self.reading, self.counter.clone());
        let mut text = 0;
        self.tell(phase, 0, 0)?;
        for_each_portion(found, reading, &counter, |portion| {
            let read = portion.read;
            text += portion.bytes as u64;
            work(portion)?;
            self.tell(phase, read, text)
        })
    }

    /// Standard input can be read only once: it is kept in a file where it is needed twice.
    fn keep_standard_input(&self, found: &mut Found) -> Result<(), DatasetError> {
        for source in found.sources.iter_mut().filter(|source| source.path.is_none()) {
            let path = self.folder.path().join(STANDARD_INPUT);
            let copy = File::create(&path).and_then(|mut file| io::copy(&mut io::stdin(), &mut file));
            source.bytes = Some(copy.map_err(|e| DatasetError::write(&path, e))?);
            source.path = Some(path);
        }
        Ok(())
    }

    fn forget_standard_input(&self) -> Result<(), DatasetError> {
        let path = self.folder.path().join(STANDARD_INPUT);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(DatasetError::write(&path, e)),
            _ => Ok(()),
        }
    }

    fn train(&mut self, found: &Found, options: &VocabularyOptions) -> Result<Tokenizer, DatasetError> {
        let mut counts = WordCounts::new(options, MOST_WORDS);
        let mut bytes = 0;
        self.each(Phase::Counting, found, |portion| {
            bytes += portion.bytes;
            // A text of nothing but rare words must not fill the memory: they are forgotten now and then.
            for chunks in portion.chunks.chunks(COUNTED_CHUNKS) {
                let documents: Vec<&str> = chunks.iter().flat_map(Chunk::documents).collect();
                counts.add(&documents)?;
            }
            Ok(())
        })?;
        if bytes == 0 {
            return Err(DatasetError::Empty);
        }
        self.tell(Phase::Learning, 0, 0)?;
        Ok(Tokenizer::learn(counts, options)?)
    }

    fn write(
        &mut self,
        found: &Found,
        tokenizer: &Tokenizer,
        settings: &Settings,
        sample: &mut ChangeCounts,
    ) -> Result<([PartEntry; 2], TokenCounts, Report), DatasetError> {
        let options = settings.examples();
        let threads = rayon::current_num_threads();
        // All threads together remember as many words as one would.
        let remembered = (REMEMBERED_WORDS / threads).max(1 << 14);
        let maker = |_| Mutex::new(Maker::new(tokenizer, &options, remembered));
        let makers: Vec<Mutex<Maker<'_>>> = (0..threads).map(maker).collect();
        let mut shards = [Shards::new("training", options.length), Shards::new("held-out", options.length)];
        let mut counts = TokenCounts::default();
        let mut split = None;
        let folder = self.folder;
        let special = tokenizer.special();
        let report = self.each(Phase::Writing, found, |portion| {
            sample.add(portion.chunks.iter().flat_map(Chunk::documents));
            // The first portion is split by its documents' lengths, as a text in memory is; later documents by chance alone.
            let split = split.get_or_insert_with(|| {
                let documents = portion.chunks.iter().flat_map(Chunk::documents);
                Split::draw(&documents.map(str::len).collect::<Vec<_>>(), &options)
            });
            let make = |chunk: &Chunk| -> Result<Made, DatasetError> {
                let maker = &makers[rayon::current_thread_index().unwrap_or(0) % makers.len()];
                let mut maker = maker.lock().unwrap_or_else(PoisonError::into_inner);
                let mut made = [0, 1].map(|_| (Examples::new(options.length), Counts::default()));
                for (index, document) in (chunk.first..).zip(chunk.documents()) {
                    let (training, held_out) = split.parts(index as usize, document, &options);
                    let texts = [(Part::Training, training), (Part::HeldOut, held_out)];
                    for ((part, text), (examples, counts)) in texts.into_iter().zip(&mut made) {
                        if !text.is_empty() {
                            counts.documents += 1;
                            counts.bytes += text.len() as u64;
                            counts.dropped += maker.add(text, index, part, examples)?;
                        }
                    }
                }
                for (examples, counts) in &mut made {
                    let mut tokens = TokenCounts::default();
                    tokens.add(examples);
                    let statistics = tokens.statistics(special);
                    counts.examples = examples.len() as u64;
                    counts.stored = examples.tokens() as u64;
                    (counts.tokens, counts.unknown) = (statistics.tokens, statistics.unknown);
                }
                Ok(made)
            };
            let made: Result<Vec<Made>, DatasetError> = portion.chunks.par_iter().map(make).collect();
            for made in made? {
                counts.add(&made[0].0);
                for (shards, (examples, counts)) in shards.iter_mut().zip(made) {
                    shards.add(folder, &examples, counts)?;
                }
            }
            Ok(())
        })?;
        let [training, held_out] = shards;
        Ok(([training.finish(folder)?, held_out.finish(folder)?], counts, report))
    }
}
