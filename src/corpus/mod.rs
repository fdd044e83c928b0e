//! Text to documents, a vocabulary, and examples of a fixed length.
//!
//! ```text
//! text ─> documents ─> sentences ─ Tokenizer ─> Examples (training, held-out) + Statistics
//! ```
//!
//! Nothing here depends on the order of a hash map: the same text gives the same vocabulary and the same examples, byte for
//! byte, in every process.

mod build;
mod changed;
mod error;
mod examples;
mod files;
mod ids;
mod mapped;
mod pretrained;
mod sample;
mod saved;
mod spaceless;
mod statistics;
mod stories;
mod text;
mod tokenizer;
mod wordpiece;
mod words;

pub use build::{Corpus, ExampleOptions, build};
pub(crate) use build::{Maker, Part, Split};
pub(crate) use changed::ChangeCounts;
pub use changed::{ChangedWord, Changes};
pub use error::Error;
pub(crate) use examples::IdSlice;
pub use examples::{Examples, MAXIMUM_LENGTH, MINIMUM_LENGTH};
pub(crate) use mapped::{LENGTH, MappedShard, TENSORS};
pub use sample::{SAMPLE, Sample};
pub use statistics::Statistics;
pub(crate) use statistics::TokenCounts;
pub(crate) use text::{DOCUMENT_BYTES, has_paragraphs};
pub use text::{documents, sentences};
pub(crate) use tokenizer::MOST_WORDS;
pub use tokenizer::{SPECIAL_TOKENS, SpecialTokens, Tokenizer};
pub use wordpiece::{MINIMUM_VOCABULARY, VocabularyOptions};
pub(crate) use words::{Encoder, REMEMBERED_WORDS, WordCounts, words_of};
