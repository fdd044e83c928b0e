//! What can be wrong with a text or a tokenizer.

use std::io;
use std::path::PathBuf;

/// An error of the text side: a file, a tokenizer or a corpus that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path does not exist.
    #[error("{} does not exist: give a tokenizer.json, a vocab.txt or a folder with one of them", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not UTF-8.
    #[error("{} is not UTF-8: byte {offset}, on line {line}, is not text; convert the file to UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first bad byte, from 1.
        line: usize,
        /// Offset of the first bad byte from the start of the file.
        offset: usize,
    },
    /// The text has no words to learn a vocabulary from.
    #[error("the text holds no word to learn a vocabulary from")]
    NoWords,
    /// A vocabulary too small to be one was asked for.
    #[error("a vocabulary of {found} pieces is too small: ask for at least {minimum}")]
    VocabularySize {
        /// Pieces asked for.
        found: usize,
        /// The fewest allowed.
        minimum: usize,
    },
    /// A folder has neither `tokenizer.json` nor `vocab.txt`.
    #[error("{} holds no tokenizer: expected tokenizer.json or vocab.txt", path.display())]
    NoTokenizer {
        /// The folder.
        path: PathBuf,
    },
    /// A tokenizer file cannot be understood.
    #[error("{} is not a tokenizer that can be used: {message}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What the parser found.
        message: String,
    },
    /// A tokenizer of a class that works otherwise than BERT's.
    #[error(
        "{} says {class}: leyden reads BertTokenizer, ElectraTokenizer and PreTrainedTokenizerFast; where that class has a \
         tokenizer.json that says all, put the file alone into a folder",
        path.display()
    )]
    TokenizerClass {
        /// The file that says so.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// The vocabulary lacks a special token.
    #[error(
        "the vocabulary has no {token}: ELECTRA needs [PAD], [UNK], [CLS], [SEP] and [MASK]; tokenizer_config.json may give \
         them other names (pad_token, unk_token, cls_token, sep_token, mask_token)"
    )]
    MissingSpecial {
        /// The first one missing.
        token: String,
    },
    /// One token stands for two special ones.
    #[error("the special tokens {names} are not five different ones: ELECTRA needs each of them")]
    SpecialTwice {
        /// Their names.
        names: String,
    },
    /// The tokenizer failed on a text.
    #[error("the tokenizer failed: {message}")]
    Encode {
        /// What it said.
        message: String,
    },
    /// The example length is out of range.
    #[error("examples of {found} tokens: the length must be from {minimum} to {maximum}")]
    Length {
        /// Tokens asked for.
        found: usize,
        /// The fewest allowed.
        minimum: usize,
        /// The most allowed.
        maximum: usize,
    },
    /// The held-out fraction is out of range.
    #[error("a held-out fraction of {found}: it must be at least 0 and at most 0.5")]
    HeldOut {
        /// The fraction asked for.
        found: f64,
    },
    /// The text is too small to train on.
    #[error(
        "the text is too small: {sentences} sentences make {training} training and {held_out} held-out examples, \
         and at least one of each is needed; give more text or a smaller --length"
    )]
    TooSmall {
        /// Sentences found.
        sentences: usize,
        /// Training examples they make.
        training: usize,
        /// Held-out examples they make.
        held_out: usize,
    },
}
