//! Tagged words to rows.

use super::{Row, check};
use crate::corpus::Tokenizer;
use crate::task::{Input, Label, Record, TaskError};
use std::collections::HashMap;

/// A row of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRow {
    /// What is read.
    pub row: Row,
    /// Where the row asks for a tag: a word's first piece, by its place in the row, and the word, by its place in the sentence. Every
    /// word is asked for in one row.
    pub asked: Vec<(usize, usize)>,
    /// The tags of `asked`, where they are known.
    pub tags: Option<Vec<usize>>,
}

/// What became of sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordReport {
    /// Sentences that are longer than a row and were cut into windows.
    pub windowed: u64,
    /// Sentences in all.
    pub of: u64,
    /// Words that the tokenizer makes nothing of, as of a control character; they stand as `[UNK]`.
    pub unknown: u64,
    /// Words that alone are longer than a row, and were cut.
    pub cut: u64,
}

/// Rows for each record of words, of at most `length` ids (at least 3). Words are encoded one by one. A sentence that does not
/// fit becomes windows that overlap by half, and each word is asked for in the one that shows the most around it.
///
/// # Errors
/// [`TaskError::Length`], [`TaskError::Tokenizer`].
pub fn words(records: &[Record], tokenizer: &Tokenizer, length: usize) -> Result<(Vec<TagRow>, WordReport), TaskError> {
    check(length, 3)?;
    // Most words come many times.
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut different: Vec<&str> = Vec::new();
    for record in records {
        let Input::Words(words) = &record.input else { continue };
        for word in words {
            places.entry(word).or_insert_with(|| {
                different.push(word);
                different.len() - 1
            });
        }
    }
    let special = tokenizer.special();
    let room = length - 2;
    let mut report = WordReport::default();
    let unknown = [special.unk];
    let encodings = tokenizer.encode_batch_fast(&different)?;
    let mut rows = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let Input::Words(words) = &record.input else { continue };
        report.of += 1;
        let pieces: Vec<&[u32]> = words
            .iter()
            .map(|word| {
                let ids = places.get(word.as_str()).map_or(&[][..], |&place| encodings[place].get_ids());
                report.unknown += u64::from(ids.is_empty());
                report.cut += u64::from(ids.len() > room);
                if ids.is_empty() { &unknown[..] } else { &ids[..ids.len().min(room)] }
            })
            .collect();
        let windows = windows(&pieces.iter().map(|ids| ids.len()).collect::<Vec<_>>(), room);
        report.windowed += u64::from(windows.len() > 1);
        for window in windows {
            let mut ids = vec![special.cls];
            let mut asked = Vec::new();
            for word in window.words.clone() {
                if window.asked.contains(&word) {
                    asked.push((ids.len(), word));
                }
                ids.extend_from_slice(pieces[word]);
            }
            ids.push(special.sep);
            let tags = match &record.label {
                Some(Label::Tags(tags)) => Some(asked.iter().map(|&(_, word)| tags[word]).collect()),
                _ => None,
            };
            let types = vec![0; ids.len()];
            rows.push(TagRow { row: Row { record: at, ids, types }, asked, tags });
        }
    }
    Ok((rows, report))
}

/// Words that fit in a row, and those of them that it is asked for.
#[derive(Debug)]
struct Span {
    words: std::ops::Range<usize>,
    asked: std::ops::Range<usize>,
}

/// Cuts words of these numbers of pieces, none above `room`, into windows.
fn windows(sizes: &[usize], room: usize) -> Vec<Span> {
    let mut windows: Vec<Span> = Vec::new();
    let mut start = 0;
    loop {
        let (mut end, mut pieces) = (start, 0);
        while end < sizes.len() && pieces + sizes[end] <= room {
            pieces += sizes[end];
            end += 1;
        }
        // What two windows share is asked for half in the one, half in the other.
        let from = windows.last_mut().map_or(start, |before| {
            let middle = (start + (before.words.end - start) / 2).max(before.asked.start);
            before.asked.end = middle;
            middle
        });
        windows.push(Span { words: start..end, asked: from..end });
        if end >= sizes.len() {
            return windows;
        }
        // The next one begins in the middle of this one, or as early as lets it go further.
        let mut next = end;
        let mut overlap = 0;
        while next > start + 1
            && overlap + sizes[next - 1] <= room / 2
            && overlap + sizes[next - 1] + sizes[end] <= room
        {
            next -= 1;
            overlap += sizes[next];
        }
        start = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tokenizer;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_is_asked_for_at_its_first_piece() {
        let tokenizer = tokenizer();
        let words_of = ["The", "zyxwv-utsr", "\u{200b}", "peace"].map(String::from);
        let label = Some(Label::Tags(vec![3, 1, 2, 0]));
        let record = Record { id: "0".into(), line: 1, input: Input::Words(words_of.into()), label };
        let (rows, report) = words(std::slice::from_ref(&record), &tokenizer, 64).unwrap();
        let ids = &rows[0].row.ids;
        let piece = tokenizer.encode("zyxwv-utsr").unwrap();
        assert!(piece.len() > 2);
        let expected: Vec<(usize, usize)> = vec![(1, 0), (2, 1), (2 + piece.len(), 2), (3 + piece.len(), 3)];
        assert_eq!(rows[0].asked, expected);
        assert_eq!(ids[2..2 + piece.len()], piece);
        assert_eq!(ids[2 + piece.len()], tokenizer.special().unk);
        assert_eq!(rows[0].tags, Some(vec![3, 1, 2, 0]));
        assert_eq!(report, WordReport { windowed: 0, of: 1, unknown: 1, cut: 0 });
        let (rows, report) = words(&[record], &tokenizer, 4).unwrap();
        assert!(rows.len() > 1 && rows.iter().all(|row| row.row.ids.len() <= 4));
        assert_eq!((report.windowed, report.cut), (1, 1));
        let asked: Vec<usize> = rows.iter().flat_map(|row| row.asked.iter().map(|asked| asked.1)).collect();
        assert_eq!(asked, [0, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn every_word_is_asked_for_once(sizes in prop::collection::vec(1usize..6, 0..80), room in 5usize..30) {
            let windows = windows(&sizes, room);
            let asked: Vec<usize> = windows.iter().flat_map(|window| window.asked.clone()).collect();
            prop_assert_eq!(asked, (0..sizes.len()).collect::<Vec<_>>());
            for window in &windows {
                prop_assert!(window.words.start <= window.asked.start && window.asked.end <= window.words.end);
                prop_assert!(sizes[window.words.clone()].iter().sum::<usize>() <= room);
            }
            prop_assert!(windows.len() <= 1 + sizes.len());
        }
    }
}
