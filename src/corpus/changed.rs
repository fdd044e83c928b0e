//! What a tokenizer's normalizer does to the words of a text, so that nobody trains a week on words that lost their vowels.

use super::tokenizer::Tokenizer;
use super::words::words_of;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Text that is looked at: enough for the common words, and hardly any time.
const SAMPLE_BYTES: usize = 1 << 20;
/// A portion of the text gets one in so many of the bytes that are left, so that the sample reaches far into a long text.
const PORTION_SHARE: usize = 4;
/// Words that are kept.
const SHOWN: usize = 10;
/// Longer words are cut where they are shown.
const SHOWN_CHARACTERS: usize = 40;

/// What the normalizer did to a sample of the text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Words looked at, each as often as it occurs.
    pub words: u64,
    /// Those among them that were changed at all.
    pub changed: u64,
    /// Those that were changed otherwise than in case: they lost marks, or became other letters.
    pub altered: u64,
    /// The ten that were changed most: by characters other than in case, then in case, times how often they occur.
    pub most: Vec<ChangedWord>,
}

/// A word before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedWord {
    /// As the text has it.
    pub word: String,
    /// As it is looked up in the vocabulary.
    pub becomes: String,
    /// How often it occurs in the sample.
    pub count: u64,
}

/// Gathers the sample.
#[derive(Debug, Default)]
pub(crate) struct ChangeCounts {
    words: HashMap<String, u64>,
    bytes: usize,
}

impl ChangeCounts {
    /// Looks at the beginning of a portion of the text.
    pub(crate) fn add<'a>(&mut self, documents: impl Iterator<Item = &'a str>) {
        let mut room = (SAMPLE_BYTES - self.bytes) / PORTION_SHARE;
        for document in documents {
            if room == 0 {
                break;
            }
            let part = &document[..document.floor_char_boundary(room)];
            // The last word may be cut.
            let whole = if part.len() < document.len() { part.rfind(char::is_whitespace) } else { None };
            for word in words_of(&part[..whole.unwrap_or(part.len())]) {
                match self.words.get_mut(word) {
                    Some(count) => *count += 1,
                    None => drop(self.words.insert(word.to_owned(), 1)),
                }
            }
            let taken = part.len().max(1).min(room);
            room -= taken;
            self.bytes += taken;
        }
    }

    /// What `tokenizer` makes of it.
    pub(crate) fn changes(&self, tokenizer: &Tokenizer) -> Changes {
        let mut parts: HashMap<(&str, String), u64> = HashMap::new();
        for (word, count) in &self.words {
            for part in tokenizer.normalized(word) {
                *parts.entry(part).or_default() += count;
            }
        }
        let mut changes = Changes::default();
        let mut found = Vec::new();
        for ((word, becomes), count) in parts {
            changes.words += count;
            if word == becomes {
                continue;
            }
            // Spaces around ideographs, and the marks of where words start, separate words and change none.
            let letters = |text: &str| -> Vec<char> {
                text.chars()
                    .filter(|c| !c.is_whitespace() && !matches!(c, '▁' | '\u{200b}'..='\u{200f}' | '\u{feff}'))
                    .collect()
            };
            let (before, after) = (letters(word), letters(&becomes));
            if before == after {
                continue;
            }
            let lower = |text: &[char]| text.iter().flat_map(|c| c.to_lowercase()).collect::<Vec<_>>();
            let distance = distance(&lower(&before), &lower(&after));
            let in_case = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            changes.changed += count;
            changes.altered += if distance > 0 { count } else { 0 };
            found.push((Reverse((distance as u64 * count, in_case as u64 * count)), word, becomes, count));
        }
        found.sort();
        let cut = |text: &str| text.chars().take(SHOWN_CHARACTERS).collect::<String>();
        let shown = found.into_iter().take(SHOWN);
        changes.most = shown
            .map(|(_, word, becomes, count)| ChangedWord { word: cut(word), becomes: cut(&becomes), count })
            .collect();
        changes
    }
}

/// Characters to put in, take out or replace to make `b` of `a`; about so many where both are very long.
fn distance(a: &[char], b: &[char]) -> usize {
    if a.len() > 200 || b.len() > 200 {
        return a.len().abs_diff(b.len()).max(usize::from(a != b));
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::VocabularyOptions;

    #[test]
    fn the_words_that_lose_most_come_first() {
        let text = "कुल कुल कल Été Été Été NATO NATO plain 中文\n";
        let changes = |strip_accents: bool| {
            let options = VocabularyOptions { size: 64, strip_accents, minimum_frequency: 1, ..Default::default() };
            let tokenizer = Tokenizer::train([text], &options).unwrap();
            let mut counts = ChangeCounts::default();
            counts.add([text].into_iter());
            counts.changes(&tokenizer)
        };
        let kept = changes(false);
        let shown =
            |changes: &Changes| changes.most.iter().map(|w| format!("{}>{}", w.word, w.becomes)).collect::<Vec<_>>();
        assert_eq!((kept.words, kept.changed, kept.altered), (11, 5, 0));
        assert_eq!(shown(&kept), ["NATO>nato", "Été>été"]);
        let stripped = changes(true);
        assert_eq!((stripped.words, stripped.changed, stripped.altered), (11, 7, 5));
        assert_eq!(shown(&stripped), ["Été>ete", "कुल>कल", "NATO>nato"]);
    }

    #[test]
    fn distances_are_of_characters() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let between = |a: &str, b: &str| distance(&chars(a), &chars(b));
        assert_eq!([between("कुल", "कल"), between("été", "ete"), between("", "ab"), between("ab", "ab")], [1, 2, 2, 0]);
    }
}
