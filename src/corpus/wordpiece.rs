//! Learning a WordPiece vocabulary.
//!
//! The algorithm is byte-pair encoding's (Sennrich et al. 2016, arXiv 1508.07909) on `##`-prefixed pieces, as the `tokenizers`
//! library trains WordPiece: start from characters, join the most frequent neighbouring pair again and again, and let every
//! joined piece into the vocabulary. It is done here and not by that library's trainer because the latter numbers pieces
//! in the order of a randomly seeded hash map, so that ties fall differently in every process, and counts pairs in 32 bits.

use super::Error;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use tokenizers::normalizers::BertNormalizer;

/// The smallest vocabulary that can be asked for, special tokens included.
pub const MINIMUM_VOCABULARY: usize = 32;
/// Longer words become `[UNK]` when they are encoded, so nothing is learnt from them.
pub(super) const MAXIMUM_WORD_CHARACTERS: usize = 100;
/// What marks a piece that continues a word.
pub(super) const CONTINUATION: &str = "##";

/// What a vocabulary should be like.
#[derive(Clone, Debug, PartialEq)]
pub struct VocabularyOptions {
    /// Pieces wanted, special tokens included. A small text may give fewer.
    pub size: usize,
    /// Keep case. Otherwise the text is lower-cased.
    pub cased: bool,
    /// Drop accents and other marks above and below letters, as BERT uncased does. In many scripts they are vowels.
    pub strip_accents: bool,
    /// Characters and pairs seen fewer times are left out.
    pub minimum_frequency: u64,
}

impl Default for VocabularyOptions {
    /// 4,096 pieces, lower case with all marks, seen at least twice.
    fn default() -> Self {
        Self { size: 4_096, cased: false, strip_accents: false, minimum_frequency: 2 }
    }
}

impl VocabularyOptions {
    /// Whether the size is in range.
    ///
    /// # Errors
    /// [`Error::VocabularySize`].
    pub fn check(&self) -> Result<(), Error> {
        if self.size < MINIMUM_VOCABULARY {
            return Err(Error::VocabularySize { found: self.size, minimum: MINIMUM_VOCABULARY });
        }
        Ok(())
    }

    /// What is done to a text before it is split into words.
    pub(super) fn normalizer(&self) -> BertNormalizer {
        BertNormalizer::new(true, true, Some(self.strip_accents), !self.cased)
    }
}

/// A word as pieces, with how often it occurs.
struct Word {
    pieces: Vec<u32>,
    count: u64,
}

type Pair = (u32, u32);

/// The pieces under construction: strings by id, ids by string.
struct Pieces {
    strings: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Pieces {
    fn add(&mut self, piece: String) -> u32 {
        if let Some(&id) = self.ids.get(&piece) {
            return id;
        }
        let id = self.strings.len() as u32;
        self.ids.insert(piece.clone(), id);
        self.strings.push(piece);
        id
    }

    /// The string of two neighbours joined: `ab` and `##c` give `abc`.
    fn joined(&self, (left, right): Pair) -> String {
        let right = &self.strings[right as usize];
        let right = right.strip_prefix(CONTINUATION).unwrap_or(right);
        format!("{}{right}", self.strings[left as usize])
    }
}

/// Learns the pieces of a vocabulary from counted words, best first after the `special` tokens and the alphabet.
///
/// Words are taken as they are: normalised and split by the caller. Ties are broken by piece ids, which follow the order of
/// code points, so the result depends on the counts alone.
///
/// # Errors
/// [`Error::VocabularySize`] below [`MINIMUM_VOCABULARY`], [`Error::NoWords`] when no character is frequent enough.
pub(super) fn learn(
    words: impl IntoIterator<Item = (String, u64)>,
    special: &[&str],
    options: &VocabularyOptions,
) -> Result<Vec<String>, Error> {
    options.check()?;
    let mut words: Vec<(String, u64)> =
        words.into_iter().filter(|(word, _)| word.chars().count() <= MAXIMUM_WORD_CHARACTERS).collect();
    words.sort_unstable();

    let mut pieces = Pieces { strings: Vec::with_capacity(options.size), ids: HashMap::with_capacity(options.size) };
    for token in special {
        pieces.add((*token).to_owned());
    }
    let alphabet = alphabet(&words, (options.size - special.len()) / 2, options.minimum_frequency);
    if alphabet.is_empty() {
        return Err(Error::NoWords);
    }
    for character in alphabet {
        pieces.add(character);
    }
    let mut words: Vec<Word> = words
        .into_iter()
        .filter_map(|(word, count)| {
            // A word with a character outside the alphabet is [UNK] as a whole, so it teaches nothing.
            let pieces: Option<Vec<u32>> =
                word.char_indices().map(|(index, c)| pieces.ids.get(&character_piece(c, index > 0)).copied()).collect();
            pieces.map(|pieces| Word { pieces, count })
        })
        .collect();
    join_pairs(&mut words, &mut pieces, options);
    Ok(pieces.strings)
}

fn character_piece(c: char, continues: bool) -> String {
    if continues { format!("{CONTINUATION}{c}") } else { c.to_string() }
}

/// The characters to start from, as pieces: first those that start words, then those that continue them, each in the order
/// of code points.
///
/// A script with thousands of characters must not leave a vocabulary without words: the most frequent characters that make
/// at most `room` pieces are kept.
fn alphabet(words: &[(String, u64)], room: usize, minimum_frequency: u64) -> Vec<String> {
    let mut counts: HashMap<char, (u64, bool)> = HashMap::new();
    for (word, count) in words {
        for (index, c) in word.char_indices() {
            let (total, continues) = counts.entry(c).or_default();
            *total += count;
            *continues |= index > 0;
        }
    }
    let mut kept: Vec<(Reverse<u64>, char, bool)> = counts
        .into_iter()
        .filter(|(_, (total, _))| *total >= minimum_frequency)
        .map(|(c, (total, continues))| (Reverse(total), c, continues))
        .collect();
    kept.sort_unstable();
    let mut used = 0;
    let fitting = kept
        .iter()
        .take_while(|(_, _, continues)| {
            used += 1 + usize::from(*continues);
            used <= room
        })
        .count();
    kept.truncate(fitting);
    kept.sort_unstable_by_key(|(_, c, _)| *c);
    let starts = kept.iter().map(|(_, c, _)| character_piece(*c, false));
    let continues = kept.iter().filter(|(_, _, continues)| *continues).map(|(_, c, _)| character_piece(*c, true));
    starts.chain(continues).collect()
}

/// Joins the most frequent pair until the vocabulary is full or no pair is frequent enough.
fn join_pairs(words: &mut [Word], pieces: &mut Pieces, options: &VocabularyOptions) {
    let mut counts: HashMap<Pair, u64> = HashMap::new();
    // Words in which a pair stands or once stood: checked when the pair is joined.
    let mut places: HashMap<Pair, Vec<u32>> = HashMap::new();
    for (index, word) in words.iter().enumerate() {
        for pair in pairs(&word.pieces) {
            *counts.entry(pair).or_default() += word.count;
            places.entry(pair).or_default().push(index as u32);
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        counts.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();

    while pieces.strings.len() < options.size {
        let Some((queued, Reverse(pair))) = queue.pop() else {
            break;
        };
        let count = counts.get(&pair).copied().unwrap_or(0);
        if count != queued {
            // A count that fell since it was queued goes back to its place; one that rose was queued again when it did.
            if count > 0 && count < queued {
                queue.push((count, Reverse(pair)));
            }
            continue;
        }
        if count < options.minimum_frequency.max(1) {
            break;
        }
        let joined = pieces.add(pieces.joined(pair));
        let mut places_of_pair = places.remove(&pair).unwrap_or_default();
        places_of_pair.sort_unstable();
        places_of_pair.dedup();
        let mut risen = Vec::new();
        for index in places_of_pair {
            let word = &mut words[index as usize];
            for old in pairs(&word.pieces) {
                if let Some(count) = counts.get_mut(&old) {
                    *count -= word.count;
                }
            }
            join(&mut word.pieces, pair, joined);
            for new in pairs(&word.pieces) {
                *counts.entry(new).or_default() += word.count;
                if new.0 == joined || new.1 == joined {
                    places.entry(new).or_default().push(index);
                    risen.push(new);
                }
            }
        }
        counts.remove(&pair);
        risen.sort_unstable();
        risen.dedup();
        queue.extend(risen.into_iter().map(|pair| (counts[&pair], Reverse(pair))));
    }
}

fn pairs(pieces: &[u32]) -> impl Iterator<Item = Pair> {
    pieces.windows(2).map(|pair| (pair[0], pair[1]))
}

/// Replaces every `pair` of neighbours, from the left, by `joined`.
fn join(pieces: &mut Vec<u32>, pair: Pair, joined: u32) {
    let mut kept = 0;
    let mut next = 0;
    while next < pieces.len() {
        if next + 1 < pieces.len() && (pieces[next], pieces[next + 1]) == pair {
            pieces[kept] = joined;
            next += 2;
        } else {
            pieces[kept] = pieces[next];
            next += 1;
        }
        kept += 1;
    }
    pieces.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(words: &[(&str, u64)]) -> HashMap<String, u64> {
        words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
    }

    fn options(size: usize) -> VocabularyOptions {
        VocabularyOptions { size, ..VocabularyOptions::default() }
    }

    #[test]
    fn joins_the_most_frequent_pair_first() {
        let words = counted(&[("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)]);
        let learnt = learn(words, &["[PAD]"], &options(40)).unwrap();
        let alphabet = ["d", "e", "i", "l", "n", "o", "r", "s", "t", "w"];
        assert_eq!(learnt[0], "[PAD]");
        assert_eq!(learnt[1..11], alphabet);
        // `l` and `n` only start words.
        assert_eq!(learnt[11..19], ["##d", "##e", "##i", "##o", "##r", "##s", "##t", "##w"]);
        // es and st both 9: es has the lower ids. Then est 9; then lo and low, 7; then ne, new, newest, 6.
        assert_eq!(learnt[19..22], ["##es", "##est", "lo"]);
        assert_eq!(learnt[22], "low");
        assert!(learnt.contains(&"newest".to_owned()));
        assert!(learnt.contains(&"widest".to_owned()));
        assert!(learnt.contains(&"lower".to_owned()));
    }

    #[test]
    fn repeated_letters_are_joined_from_the_left() {
        let mut pieces = vec![1, 2, 2, 2, 2, 2];
        join(&mut pieces, (2, 2), 9);
        assert_eq!(pieces, [1, 9, 9, 2]);
        let learnt = learn(counted(&[("aaaaaaaa", 4), ("aaa", 3)]), &[], &options(32)).unwrap();
        assert!(learnt.contains(&"aaaaaaaa".to_owned()), "{learnt:?}");
    }

    #[test]
    fn rare_characters_and_long_words_are_left_out() {
        let long = "z".repeat(MAXIMUM_WORD_CHARACTERS + 1);
        let learnt = learn(counted(&[("aab", 3), ("aq", 1), (&long, 9)]), &[], &options(32)).unwrap();
        assert_eq!(learnt, ["a", "b", "##a", "##b", "aa", "aab"]);
    }

    #[test]
    fn a_large_script_leaves_room_for_words() {
        let mut words: HashMap<String, u64> =
            (0..500).map(|i| (char::from_u32(0x4e00 + i).unwrap().to_string(), 10)).collect();
        words.insert("word".to_owned(), 100);
        let learnt = learn(words, &["[UNK]"], &options(64)).unwrap();
        let characters = learnt.iter().filter(|piece| piece.trim_start_matches('#').chars().count() == 1);
        assert_eq!(characters.count(), 31);
        assert!(learnt.contains(&"word".to_owned()));
    }

    #[test]
    fn too_small_is_refused() {
        let refused = learn(counted(&[("a", 9)]), &[], &options(31));
        assert!(matches!(refused, Err(Error::VocabularySize { found: 31, minimum: 32 })));
        assert!(matches!(learn(HashMap::new(), &[], &options(32)), Err(Error::NoWords)));
    }
}
