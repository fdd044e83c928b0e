//! Words between white space: counted for training, and encoded once each.

use super::spaceless::{clusters, has_spaceless, may_be_cut};
use super::tokenizer::{Tokenizer, encode_error};
use super::wordpiece::VocabularyOptions;
use super::{Error, sentences};
use foldhash::fast::FixedState;
use rayon::prelude::*;
use std::collections::HashMap;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

/// A map that is looked into for every word of a corpus. Its order decides nothing.
type Words<K, V> = HashMap<K, V, FixedState>;

/// Encodes text after text and remembers the words it has seen: many times faster on a corpus than
/// [`Tokenizer::encode`], with the same ids.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    /// Where the ids of a word are in `ids`.
    words: Words<Box<str>, (u32, u32)>,
    ids: Vec<u32>,
    /// Words remembered at most, so that memory does not grow with the corpus.
    most: usize,
    lower: String,
}

/// A number of words to remember where nothing else decides it; each takes about 100 bytes.
pub(crate) const REMEMBERED_WORDS: usize = 1 << 19;
/// Longer words are not remembered: they hardly come again, and without spaces they are whole sentences.
const REMEMBERED_BYTES: usize = 48;

impl<'a> Encoder<'a> {
    /// One that remembers the ids of so many words.
    pub(crate) fn new(tokenizer: &'a Tokenizer, remembered_words: usize) -> Self {
        Self { tokenizer, words: Words::default(), ids: Vec::new(), most: remembered_words, lower: String::new() }
    }

    /// Appends the ids of `text`, without special tokens.
    pub(crate) fn encode_into(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<(), Error> {
        if !self.tokenizer.is_separable() {
            ids.extend(self.tokenizer.encode(text)?);
            return Ok(());
        }
        let plain = self.tokenizer.plain_words();
        let mut lower = std::mem::take(&mut self.lower);
        for word in words_of(text) {
            match plain {
                Some(plain) if plain.contains(word) => {
                    plain.parts(word, &mut lower).try_for_each(|part| self.encode_word(part, ids))?;
                }
                Some(plain) if plain.spaceless && has_spaceless(word) && may_be_cut(word) => {
                    clusters(word).try_for_each(|part| self.encode_word(part, ids))?;
                }
                Some(plain) if plain.ideographs => {
                    around_ideographs(word).try_for_each(|part| self.encode_word(part, ids))?;
                }
                _ => self.encode_word(word, ids)?,
            }
        }
        self.lower = lower;
        Ok(())
    }

    fn encode_word(&mut self, word: &str, ids: &mut Vec<u32>) -> Result<(), Error> {
        if let Some(&(start, end)) = self.words.get(word) {
            ids.extend_from_slice(&self.ids[start as usize..end as usize]);
            return Ok(());
        }
        let found = self.tokenizer.encode(word)?;
        ids.extend_from_slice(&found);
        if word.len() <= REMEMBERED_BYTES && self.words.len() < self.most {
            let start = self.ids.len() as u32;
            self.ids.extend_from_slice(&found);
            self.words.insert(word.into(), (start, self.ids.len() as u32));
        }
        Ok(())
    }
}

/// The words between white space. Vertical tab, form feed and next line are white space to Unicode but control characters
/// to BERT, which removes them and so joins what they stand between.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() && !matches!(c, '\u{b}' | '\u{c}' | '\u{85}'))
        .filter(|word| !word.is_empty())
}

/// A word cut before and behind every Chinese character, as BERT does unless it is told not to.
fn around_ideographs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        // Their first bytes are among the highest.
        let first = match rest.bytes().any(|byte| byte >= 0xe3) {
            true => rest.find(is_ideograph),
            false => None,
        };
        let length = match first {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(length) => length,
            None => rest.len(),
        };
        let (part, after) = rest.split_at(length);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Most of the Chinese characters that BERT separates.
fn is_ideograph(c: char) -> bool {
    matches!(c as u32, 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x2_a6df)
}

/// What BERT makes of most words of most texts: of printable ASCII it changes nothing but the case, and every punctuation mark is
/// a word of its own.
#[derive(Clone, Debug)]
pub(super) struct PlainWords {
    lowercase: bool,
    /// Chinese characters are words of their own.
    ideographs: bool,
    /// Scripts without spaces are split into clusters.
    spaceless: bool,
    /// By byte: whether a word with it may be handled so.
    allowed: [bool; 256],
}

impl PlainWords {
    /// For a tokenizer that recognises these tokens before anything else. `None` if they are beyond ASCII.
    pub(super) fn new<'t>(
        lowercase: bool,
        ideographs: bool,
        spaceless: bool,
        recognised: impl IntoIterator<Item = &'t str>,
    ) -> Option<Self> {
        let mut allowed = std::array::from_fn(|byte| (0x21..0x7f).contains(&byte));
        for token in recognised {
            let first = token.bytes().next().filter(|_| token.is_ascii())?;
            // Some are looked for in the lower-cased text.
            allowed[usize::from(first.to_ascii_lowercase())] = false;
            allowed[usize::from(first.to_ascii_uppercase())] = false;
        }
        Some(Self { lowercase, ideographs, spaceless, allowed })
    }

    /// Whether all is made lower case.
    pub(super) fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Whether a word is one of these.
    fn contains(&self, word: &str) -> bool {
        word.bytes().all(|byte| self.allowed[usize::from(byte)])
    }

    /// What a word is split into, in lower case if that is wanted.
    fn parts<'w>(&self, word: &'w str, lower: &'w mut String) -> impl Iterator<Item = &'w str> {
        let word = if self.lowercase && word.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower.clear();
            lower.push_str(word);
            lower.make_ascii_lowercase();
            lower.as_str()
        } else {
            word
        };
        ascii_parts(word)
    }
}

/// A word of printable ASCII, split before and behind every punctuation mark.
pub(super) fn ascii_parts(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let length = match rest.bytes().position(|byte| byte.is_ascii_punctuation()) {
            Some(0) => 1,
            Some(length) => length,
            None => rest.len(),
        };
        let (part, after) = rest.split_at(length);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Counts words as the tokenizer will see them: normalised, and split at white space and punctuation.
///
/// Memory is bounded: when there are more than `most` different words, the rarest are forgotten until half of them are left
/// (after Manku and Motwani 2002, "Approximate frequency counts over data streams"). What is forgotten depends on the counts
/// at the time alone, so the same texts in the same portions give the same counts on any number of threads.
///
/// Scripts without spaces are counted both ways, as what BERT takes for a word and in clusters, until all is counted and it shows
/// how much of the text is in them.
pub(crate) struct WordCounts {
    normalizer: BertNormalizer,
    plain: Option<PlainWords>,
    words: Words<String, u64>,
    clusters: Words<String, u64>,
    most: usize,
    /// Bytes of all words, and of those with a letter of a script without spaces.
    bytes: u64,
    spaceless: u64,
}

/// A text of which more than one byte in so many is in a script without spaces is split into clusters. A foreign name now and
/// then is no reason to leave BERT's own rules.
const SPACELESS_SHARE: u64 = 1_000;

/// Words that are normalised by one thread at a time.
const WORDS_AT_A_TIME: usize = 4_096;
/// Longer words are paragraphs without spaces, in which sentences are looked for.
const LONG_WORD: usize = 1_024;

impl WordCounts {
    /// Nothing counted yet.
    pub(crate) fn new(options: &VocabularyOptions, most: usize) -> Self {
        Self {
            normalizer: options.normalizer(),
            plain: PlainWords::new(!options.cased, true, false, []),
            words: Words::default(),
            clusters: Words::default(),
            most,
            bytes: 0,
            spaceless: 0,
        }
    }

    /// Counts a portion of texts on all threads. How words are split over the texts does not matter, as long as they are whole.
    pub(crate) fn add<T: AsRef<str> + Sync>(&mut self, texts: &[T]) -> Result<(), Error> {
        // Normalising is slow and words repeat: count the raw words first, then normalise each once.
        let raw: Words<&str, u64> = texts.par_iter().fold(Words::default, count_raw).reduce(Words::default, merge);
        let raw: Vec<(&str, u64)> = raw.into_iter().collect();
        let normalized: Result<Vec<_>, Error> =
            raw.par_chunks(WORDS_AT_A_TIME).map(|words| self.normalize(words)).collect();
        for (word, count) in normalized?.into_iter().flatten() {
            self.bytes += count * word.len() as u64;
            if has_spaceless(&word) {
                self.spaceless += count * word.len() as u64;
                for cluster in clusters(&word) {
                    *self.clusters.entry(cluster.to_owned()).or_default() += count;
                }
            }
            *self.words.entry(word).or_default() += count;
        }
        forget(&mut self.words, self.most);
        forget(&mut self.clusters, self.most);
        Ok(())
    }

    /// Whether the text is to be split into clusters where it has no spaces.
    pub(crate) fn is_spaceless(&self) -> bool {
        self.spaceless * SPACELESS_SHARE > self.bytes
    }

    fn normalize(&self, raw: &[(&str, u64)]) -> Result<Words<String, u64>, Error> {
        let mut words: Words<String, u64> = Words::default();
        let mut add = |part: &str, count| match words.get_mut(part) {
            Some(sum) => *sum += count,
            None => drop(words.insert(part.to_owned(), count)),
        };
        let mut lower = String::new();
        for &(word, count) in raw {
            if let Some(plain) = self.plain.as_ref().filter(|plain| plain.contains(word)) {
                plain.parts(word, &mut lower).for_each(|part| add(part, count));
                continue;
            }
            let mut parts = PreTokenizedString::from(word);
            parts
                .normalize(|part| self.normalizer.normalize(part))
                .and_then(|()| BertPreTokenizer.pre_tokenize(&mut parts))
                .map_err(encode_error)?;
            for (part, ..) in parts.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
                if !part.is_empty() {
                    add(part, count);
                }
            }
        }
        Ok(words)
    }

    /// The words and how often each occurs, as a tokenizer with or without clusters will see them.
    pub(crate) fn into_words(self) -> impl Iterator<Item = (String, u64)> {
        let spaceless = self.is_spaceless();
        let words = self.words.into_iter().filter(move |(word, _)| !spaceless || !has_spaceless(word));
        words.chain(self.clusters.into_iter().filter(move |_| spaceless))
    }
}

/// Forgets the words of the lowest counts where there are too many, all of a count or none, until at most half of what is allowed
/// is left.
fn forget(words: &mut Words<String, u64>, most: usize) {
    if words.len() > most {
        let mut counts: Vec<u64> = words.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let limit = counts[most / 2];
        words.retain(|_, count| *count > limit);
    }
}

fn count_raw<'a, T: AsRef<str>>(mut counts: Words<&'a str, u64>, text: &'a T) -> Words<&'a str, u64> {
    for word in words_of(text.as_ref()).flat_map(around_ideographs) {
        if word.len() <= LONG_WORD {
            *counts.entry(word).or_default() += 1;
        } else {
            // A sentence ends at punctuation, where the tokenizer would split it anyway.
            sentences(word).for_each(|part| *counts.entry(part).or_default() += 1);
        }
    }
    counts
}

fn merge<'a>(a: Words<&'a str, u64>, b: Words<&'a str, u64>) -> Words<&'a str, u64> {
    let (mut large, small) = if a.len() < b.len() { (b, a) } else { (a, b) };
    for (word, count) in small {
        *large.entry(word).or_default() += count;
    }
    large
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const THAI: &str = "ประเทศไทย น้ำ ภาษา";

    static TOKENIZERS: LazyLock<[Tokenizer; 5]> = LazyLock::new(|| {
        let kinds =
            [(false, false, ""), (true, false, ""), (false, true, ""), (false, false, THAI), (false, true, THAI)];
        kinds.map(|(cased, strip_accents, more)| {
            let options = VocabularyOptions { size: 300, cased, strip_accents, ..VocabularyOptions::default() };
            Tokenizer::train([crate::corpus::SAMPLE, &more.repeat(5_000)], &options).unwrap()
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
                    2 => "[ก-๛ກ-ໟက-႟ក-៿]{0,9}",
                    1 => prop::sample::select(vec!["[MASK]", "x[SEP]y", "[mask]", "Don't-STOP!", "U.S.A.", "~`|^", "\u{7f}", "\u{1}x", "##s", "\u{c}", "\u{b}", "\u{85}", "\u{301}", "e\u{301}", "\u{200b}", "\0", "中", "文\u{301}字", "x中É国[MASK]人", "\u{f900}\u{3099}", "か\u{3099}漢字", "\u{feff}", "ไทย\u{200b}น้ำ", "မ\u{1037}\u{200b}\u{103a}", "น้ำ…ไทย", "เ\u{301}ก", "กabcÉข2026"]).prop_map(str::to_owned),
                    3 => prop::sample::select(vec![" ", "\n", "\t", "\u{a0}", "\u{2003}", "\u{2028}", "\u{3000}", "\r\n"]).prop_map(str::to_owned),
                ],
                0..20,
            )
        ) {
            let text = parts.concat();
            for tokenizer in &*TOKENIZERS {
                assert!(tokenizer.is_separable());
                let mut encoder = Encoder::new(tokenizer, REMEMBERED_WORDS);
                let expected = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(&encoded(&mut encoder, &text), &expected);
                // Now from memory.
                prop_assert_eq!(&encoded(&mut encoder, &text), &expected);
            }
        }
    }

    #[test]
    fn words_are_counted_as_the_tokenizer_sees_them() {
        let counts = |cased: bool, strip_accents: bool| {
            let options = VocabularyOptions { cased, strip_accents, ..VocabularyOptions::default() };
            let mut counter = WordCounts::new(&options, 100);
            counter.add(&["Él él, 中文 él"]).unwrap();
            let mut words: Vec<(String, u64)> = counter.into_words().collect();
            words.sort();
            words
        };
        let expect = |words: &[(&str, u64)]| -> Vec<(String, u64)> {
            words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
        };
        assert_eq!(counts(false, false), expect(&[(",", 1), ("él", 3), ("中", 1), ("文", 1)]));
        assert_eq!(counts(false, true), expect(&[(",", 1), ("el", 3), ("中", 1), ("文", 1)]));
        assert_eq!(counts(true, false), expect(&[(",", 1), ("Él", 1), ("él", 2), ("中", 1), ("文", 1)]));
        assert_eq!(counts(true, true), expect(&[(",", 1), ("El", 1), ("el", 2), ("中", 1), ("文", 1)]));
    }

    proptest! {
        #[test]
        fn plain_words_are_counted_as_the_library_splits_them(words in prop::collection::vec("[!-~]{1,9}", 1..9)) {
            for cased in [false, true] {
                let count = |plain: bool| {
                    let options = VocabularyOptions { cased, ..VocabularyOptions::default() };
                    let mut counter = WordCounts::new(&options, 1_000);
                    counter.plain = counter.plain.filter(|_| plain);
                    counter.add(&words).unwrap();
                    let mut words: Vec<(String, u64)> = counter.into_words().collect();
                    words.sort();
                    words
                };
                prop_assert_eq!(count(true), count(false));
            }
        }
    }

    #[test]
    fn the_rarest_words_are_forgotten() {
        let mut counter = WordCounts::new(&VocabularyOptions { cased: true, ..VocabularyOptions::default() }, 6);
        counter.add(&["a a a a b b b c c d d e f"]).unwrap();
        assert_eq!(counter.words.len(), 6);
        counter.add(&["g"]).unwrap();
        // Three may stay, but c and d count the same as the fourth.
        let mut words: Vec<(String, u64)> = counter.into_words().collect();
        words.sort();
        assert_eq!(words, [("a".to_owned(), 4), ("b".to_owned(), 3)]);
    }

    #[test]
    fn scripts_without_spaces_are_counted_in_clusters() {
        let words = |text: &str| {
            let mut counter = WordCounts::new(&VocabularyOptions::default(), 10_000);
            counter.add(&[text]).unwrap();
            let spaceless = counter.is_spaceless();
            let mut words: Vec<String> = counter.into_words().map(|(word, _)| word).collect();
            words.sort();
            (spaceless, words.join(" "))
        };
        assert_eq!(words("น้ำไทย and"), (true, "and น้ำ ย ไท".into()));
        // One name in a long text: BERT's word.
        let (spaceless, found) = words(&("plain words ".repeat(2_000) + "น้ำไทย"));
        assert_eq!((spaceless, found.as_str()), (false, "plain words น้ำไทย"));
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
