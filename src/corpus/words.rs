//! Words between white space: counted for training, and encoded once each.

use super::Error;
use super::tokenizer::{Tokenizer, encode_error};
use std::collections::HashMap;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

/// Encodes text after text and remembers the words it has seen: many times faster on a corpus than
/// [`Tokenizer::encode`], with the same ids.
pub(super) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    words: HashMap<String, Box<[u32]>>,
}

/// Words remembered at most (about 100 bytes each), so that memory does not grow with the corpus.
const REMEMBERED_WORDS: usize = 1 << 19;
/// Longer words are not remembered: they hardly come again, and without spaces they are whole sentences.
const REMEMBERED_BYTES: usize = 48;

impl<'a> Encoder<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, words: HashMap::new() }
    }

    /// Appends the ids of `text`, without special tokens.
    pub(super) fn encode_into(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<(), Error> {
        if !self.tokenizer.is_separable() {
            ids.extend(self.tokenizer.encode(text)?);
            return Ok(());
        }
        for word in words_of(text) {
            if let Some(known) = self.words.get(word) {
                ids.extend_from_slice(known);
                continue;
            }
            let found = self.tokenizer.encode(word)?;
            ids.extend_from_slice(&found);
            if word.len() <= REMEMBERED_BYTES && self.words.len() < REMEMBERED_WORDS {
                self.words.insert(word.to_owned(), found.into());
            }
        }
        Ok(())
    }
}

/// The words between white space. Vertical tab, form feed and next line are white space to Unicode but control characters
/// to BERT, which removes them and so joins what they stand between.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() && !matches!(c, '\u{b}' | '\u{c}' | '\u{85}'))
        .filter(|word| !word.is_empty())
}

/// Counts words as the tokenizer will see them: normalised, and split at white space and punctuation.
pub(super) fn count<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
    normalizer: BertNormalizer,
) -> Result<HashMap<String, u64>, Error> {
    // Normalising is slow and words repeat: count the raw words first, then normalise each once.
    let mut raw: HashMap<String, u64> = HashMap::new();
    for text in texts {
        for word in words_of(text.as_ref()) {
            match raw.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    raw.insert(word.to_owned(), 1);
                }
            }
        }
    }
    let mut words = HashMap::new();
    for (word, count) in raw {
        let mut parts = PreTokenizedString::from(word);
        parts
            .normalize(|part| normalizer.normalize(part))
            .and_then(|()| BertPreTokenizer.pre_tokenize(&mut parts))
            .map_err(encode_error)?;
        for (part, ..) in parts.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            if !part.is_empty() {
                *words.entry(part.to_owned()).or_default() += count;
            }
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::VocabularyOptions;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static TOKENIZERS: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
        [false, true].map(|cased| {
            let options = VocabularyOptions { size: 300, cased, ..VocabularyOptions::default() };
            Tokenizer::train([crate::corpus::SAMPLE], &options).unwrap()
        })
    });

    fn encoded(encoder: &mut Encoder<'_>, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        encoder.encode_into(text, &mut ids).unwrap();
        ids
    }

    proptest! {
        #[test]
        fn the_encoder_gives_the_tokenizers_ids(
            parts in prop::collection::vec(
                prop_oneof![
                    4 => "[a-zA-Z0-9,.'-]{0,8}",
                    2 => "\\PC{0,4}",
                    1 => prop::sample::select(vec!["[MASK]", "x[SEP]y", "\u{c}", "\u{b}", "\u{85}", "\u{301}", "e\u{301}", "\u{200b}", "\0", "中", "\u{feff}"]).prop_map(str::to_owned),
                    3 => prop::sample::select(vec![" ", "\n", "\t", "\u{a0}", "\u{2003}", "\u{2028}", "\u{3000}", "\r\n"]).prop_map(str::to_owned),
                ],
                0..20,
            )
        ) {
            let text = parts.concat();
            for tokenizer in &*TOKENIZERS {
                assert!(tokenizer.is_separable());
                let mut encoder = Encoder::new(tokenizer);
                let expected = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(&encoded(&mut encoder, &text), &expected);
                // Now from memory.
                prop_assert_eq!(&encoded(&mut encoder, &text), &expected);
            }
        }
    }

    #[test]
    fn words_are_counted_as_the_tokenizer_sees_them() {
        let counts = |cased: bool| {
            let normalizer = BertNormalizer::new(true, true, None, !cased);
            let mut words: Vec<(String, u64)> = count(["Él él, 中文 él"], normalizer).unwrap().into_iter().collect();
            words.sort();
            words
        };
        let expect = |words: &[(&str, u64)]| -> Vec<(String, u64)> {
            words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
        };
        assert_eq!(counts(false), expect(&[(",", 1), ("el", 3), ("中", 1), ("文", 1)]));
        assert_eq!(counts(true), expect(&[(",", 1), ("Él", 1), ("él", 2), ("中", 1), ("文", 1)]));
    }

    #[test]
    fn continuations_are_known() {
        let tokenizer = &TOKENIZERS[0];
        let id = |token| tokenizer.id(token).unwrap();
        assert!(tokenizer.continues_word(id("##s")));
        assert!(!tokenizer.continues_word(id("s")));
        assert!(!tokenizer.continues_word(u32::MAX));
    }
}
