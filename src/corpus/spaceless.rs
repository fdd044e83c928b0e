//! Scripts that are written without spaces between words: Thai, Lao, Burmese, Khmer and their neighbours (Unicode's line
//! breaking class SA). BERT takes a whole line of them for one word, and a word of more than 100 characters for `[UNK]`.
//!
//! A vocabulary that is learnt from such a text splits them into clusters: a consonant with what is written above, below and
//! around it, and in Burmese the consonant that closes the syllable. `tokenizer.json` says so with a regular expression, which
//! `transformers` follows; here it is done by hand, many times faster. A test holds the two against each other.

use super::Error;
use super::tokenizer::encode_error;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

/// Letters that a cluster starts with. Digits and punctuation are none.
const BASES: &[(u32, u32)] = &[
    (0x0e01, 0x0e2f), // Thai
    (0x0e46, 0x0e46),
    (0x0e81, 0x0eaf), // Lao
    (0x0ebd, 0x0ebd),
    (0x0ec6, 0x0ec6),
    (0x0edc, 0x0edf),
    (0x1000, 0x102a), // Burmese
    (0x103f, 0x103f),
    (0x1050, 0x1055),
    (0x105a, 0x105d),
    (0x1061, 0x1061),
    (0x1065, 0x1066),
    (0x106e, 0x1070),
    (0x1075, 0x1081),
    (0x108e, 0x108e),
    (0xa9e0, 0xa9e4),
    (0xa9e6, 0xa9ef),
    (0xa9fa, 0xa9fe),
    (0xaa60, 0xaa7a),
    (0xaa7e, 0xaa7f),
    (0x1780, 0x17b3), // Khmer
    (0x17d7, 0x17d7),
    (0x17dc, 0x17dc),
    (0x1950, 0x1974), // Tai Le
    (0x1980, 0x19af), // New Tai Lue
    (0x1a20, 0x1a54), // Tai Tham
    (0xaa80, 0xaaaf), // Tai Viet
    (0xaab5, 0xaab6),
    (0xaab9, 0xaabd),
    (0xaac0, 0xaac0),
    (0xaadb, 0xaadd),
];
/// Vowels that are written before the consonant that they follow in speech.
const LEADING: &[(u32, u32)] = &[(0x0e40, 0x0e44), (0x0ec0, 0x0ec4)];
/// Vowels, tones and other signs that belong to what stands before them.
const SIGNS: &[(u32, u32)] = &[
    (0x0e30, 0x0e3a),
    (0x0e45, 0x0e45),
    (0x0e47, 0x0e4e),
    (0x0eb0, 0x0ebc),
    (0x0ec8, 0x0ece),
    (0x102b, 0x103e),
    (0x1056, 0x1059),
    (0x105e, 0x1060),
    (0x1062, 0x1064),
    (0x1067, 0x106d),
    (0x1071, 0x1074),
    (0x1082, 0x108d),
    (0x108f, 0x108f),
    (0x109a, 0x109d),
    (0xa9e5, 0xa9e5),
    (0xaa7b, 0xaa7d),
    (0x17b4, 0x17d3),
    (0x17dd, 0x17dd),
    (0x19b0, 0x19c9),
    (0x1a55, 0x1a7f),
    (0xaab0, 0xaab4),
    (0xaab7, 0xaab8),
    (0xaabe, 0xaabf),
    (0xaac1, 0xaac2),
];
/// Signs that put the next letter under this one; they are in [`SIGNS`] too.
const STACKERS: &[(u32, u32)] = &[(0x1039, 0x1039), (0x17d2, 0x17d2), (0x1a60, 0x1a60)];
/// Burmese consonants; one with a visible killer closes the syllable before it.
const BURMESE: (u32, u32) = (0x1000, 0x1021);
const KILLER: char = '\u{103a}';
/// A tone that may stand between a consonant and its killer.
const DOT_BELOW: char = '\u{1037}';

fn among(ranges: &[(u32, u32)], c: char) -> bool {
    ranges.iter().any(|&(first, last)| (first..=last).contains(&u32::from(c)))
}

/// Whether a character is of one of these scripts.
pub(super) fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c), 0x0e01..=0x0edf | 0x1000..=0x109f | 0x1780..=0x17dd | 0x1950..=0x19c9 | 0x1a20..=0x1a7f | 0xa9e0..=0xa9fe | 0xaa60..=0xaadd)
        && (among(BASES, c) || among(LEADING, c) || among(SIGNS, c))
}

/// Whether a text has a character of one of these scripts.
pub(super) fn has_spaceless(text: &str) -> bool {
    // The first bytes of the three of each of them.
    text.bytes().any(|byte| matches!(byte, 0xe0 | 0xe1 | 0xea)) && text.chars().any(is_spaceless)
}

/// Whether a raw word may be cut into clusters before it is normalised: nothing in it is removed or changes what its neighbours
/// belong to.
pub(super) fn may_be_cut(word: &str) -> bool {
    let plain = |c: char| matches!(c, '!'..='~' | '\u{c0}'..='\u{24f}' | '\u{2010}'..='\u{2027}');
    let own = |c: char| matches!(c, '\u{e3f}' | '\u{e4f}'..='\u{e5b}' | '\u{ed0}'..='\u{ed9}' | '\u{1040}'..='\u{104b}' | '\u{17d4}'..='\u{17d6}' | '\u{17e0}'..='\u{17e9}');
    word.chars().all(|c| plain(c) || is_spaceless(c) || own(c))
}

fn class(ranges: &[(u32, u32)]) -> String {
    ranges.iter().map(|(first, last)| format!("\\x{{{first:04x}}}-\\x{{{last:04x}}}")).collect()
}

/// What is a cluster, for the `tokenizers` library.
fn pattern() -> String {
    let [base, leading, sign, stacker, burmese] =
        [BASES, LEADING, SIGNS, STACKERS, &[BURMESE]].map(|ranges| format!("[{}]", class(ranges)));
    format!("{leading}?{base}(?:{stacker}{base}|{burmese}\\x{{1037}}?\\x{{103a}}|{sign})*")
}

/// BERT's words, and clusters of them in these scripts.
pub(super) fn pre_tokenizer() -> Result<PreTokenizerWrapper, Error> {
    let split = Split::new(SplitPattern::Regex(pattern()), SplitDelimiterBehavior::Isolated, false);
    let parts = [BertPreTokenizer.into(), split.map_err(encode_error)?.into()];
    Ok(Sequence::new(parts.into()).into())
}

/// Whether it is [`pre_tokenizer`].
pub(super) fn is_ours(found: &PreTokenizerWrapper) -> bool {
    matches!(found, PreTokenizerWrapper::Sequence(_)) && pre_tokenizer().is_ok_and(|ours| ours == *found)
}

/// The length of the cluster that a text starts with; 0 if it starts with none.
fn cluster(text: &str) -> usize {
    let mut rest = text;
    let next = |text: &str| text.chars().next();
    let take = |rest: &mut &str, is: &dyn Fn(char) -> bool| match next(rest) {
        Some(c) if is(c) => {
            *rest = &rest[c.len_utf8()..];
            true
        }
        _ => false,
    };
    take(&mut rest, &|c| among(LEADING, c));
    if !take(&mut rest, &|c| among(BASES, c)) {
        return 0;
    }
    loop {
        let mut ahead = rest;
        let stacked = take(&mut ahead, &|c| among(STACKERS, c)) && take(&mut ahead, &|c| among(BASES, c));
        if !stacked {
            ahead = rest;
            let closed = take(&mut ahead, &|c| among(&[BURMESE], c)) && {
                take(&mut ahead, &|c| c == DOT_BELOW);
                take(&mut ahead, &|c| c == KILLER)
            };
            if !closed {
                ahead = rest;
                if !take(&mut ahead, &|c| among(SIGNS, c)) {
                    return text.len() - rest.len();
                }
            }
        }
        rest = ahead;
    }
}

/// A word cut into its clusters and what lies between them.
pub(super) fn clusters(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let length = match cluster(rest) {
            0 => {
                let starts = rest.char_indices().map(|(index, _)| index).skip(1);
                starts.into_iter().find(|&index| cluster(&rest[index..]) > 0).unwrap_or(rest.len())
            }
            length => length,
        };
        let (part, after) = rest.split_at(length);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

    fn by_the_library(text: &str) -> Vec<String> {
        let mut parts = PreTokenizedString::from(text);
        pre_tokenizer().unwrap().pre_tokenize(&mut parts).unwrap();
        let splits = parts.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        splits.into_iter().map(|(part, ..)| part.to_owned()).collect()
    }

    #[test]
    fn clusters_are_what_readers_see() {
        let parts = |text| clusters(text).collect::<Vec<_>>().join("|");
        assert_eq!(parts("ประเทศไทยน้ำ"), "ป|ระ|เท|ศ|ไท|ย|น้ำ");
        assert_eq!(parts("ພາສາລາວ"), "ພາ|ສາ|ລາ|ວ");
        assert_eq!(parts("မြန်မာစာ"), "မြန်|မာ|စာ");
        assert_eq!(parts("ភាសាខ្មែរ"), "ភា|សា|ខ្មែ|រ");
        assert_eq!(parts("ปี2026แล้ว"), "ปี|2026|แล้|ว");
        assert_eq!(parts("plain"), "plain");
        assert!(is_ours(&pre_tokenizer().unwrap()));
        assert!(!is_ours(&BertPreTokenizer.into()));
    }

    proptest! {
        #[test]
        fn clusters_are_the_patterns(text in "[ก-๛ກ-ໟက-႟ក-៿ᥐ-᧟ᨠ-᪙ꧠ-ꧾꩠ-ꫝa1é्ि]{0,24}") {
            // The pattern knows nothing of punctuation, at which BERT splits before.
            let expected = by_the_library(&text);
            let mut bert = PreTokenizedString::from(text.as_str());
            BertPreTokenizer.pre_tokenize(&mut bert).unwrap();
            let words = bert.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
            let found: Vec<String> =
                words.into_iter().flat_map(|(word, ..)| clusters(word).map(str::to_owned).collect::<Vec<_>>()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
