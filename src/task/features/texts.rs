//! A text or a pair to a row.

use super::{Cut, Row, check};
use crate::corpus::{Encoder, REMEMBERED_WORDS, Tokenizer};
use crate::task::{Input, Record, TaskError};

/// A row for each record that is a text or a pair (others have none), of at most `length` ids (at least 5). A pair that is too long
/// loses tokens from the end of whichever is longer, the second where both are alike, as in BERT.
///
/// # Errors
/// [`TaskError::Length`], [`TaskError::Tokenizer`].
pub fn texts(records: &[Record], tokenizer: &Tokenizer, length: usize) -> Result<(Vec<Row>, Cut), TaskError> {
    check(length, 5)?;
    let mut encoder = Encoder::new(tokenizer, REMEMBERED_WORDS);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let special = tokenizer.special();
    let mut cut = Cut::default();
    let mut rows = Vec::with_capacity(records.len());
    for (at, record) in records.iter().enumerate() {
        let Input::Text { text, pair } = &record.input else { continue };
        first.clear();
        second.clear();
        encoder.encode_into(text, &mut first)?;
        if let Some(pair) = pair {
            encoder.encode_into(pair, &mut second)?;
        }
        let room = length - 2 - usize::from(pair.is_some());
        let (a, b) = longest_first(first.len(), second.len(), room);
        cut.count(first.len() + second.len(), a + b);
        let mut ids = vec![special.cls];
        ids.extend_from_slice(&first[..a]);
        ids.push(special.sep);
        let mut types = vec![0; ids.len()];
        if pair.is_some() {
            ids.extend_from_slice(&second[..b]);
            ids.push(special.sep);
        }
        types.resize(ids.len(), 1);
        rows.push(Row { record: at, ids, types });
    }
    Ok((rows, cut))
}

/// How much is left of two texts when tokens are taken off one by one, always from the longer, until both fit.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    // First the longer comes down to the shorter, then they go in turns, the second ahead.
    let shorter = first.min(second);
    if 2 * shorter <= room {
        return if first > second { (room - second, second) } else { (first, room - first) };
    }
    (room - room / 2, room / 2)
}

#[cfg(test)]
mod tests {
    use super::super::tests::tokenizer;
    use super::*;
    use proptest::prelude::*;

    fn record(text: &str, pair: Option<&str>) -> Record {
        let input = Input::Text { text: text.into(), pair: pair.map(str::to_owned) };
        Record { id: String::new(), line: 1, input, label: None }
    }

    #[test]
    fn texts_and_pairs_are_rows() {
        let tokenizer = tokenizer();
        let s = tokenizer.special();
        let (a, b) = (tokenizer.encode("the house of peace").unwrap(), tokenizer.encode("[SEP] war").unwrap());
        let records =
            [record("the house of peace", None), record("the house of peace", Some("[SEP] war")), record("", None)];
        let (rows, cut) = texts(&records, &tokenizer, 128).unwrap();
        assert_eq!(rows[0].ids, [&[s.cls][..], &a, &[s.sep]].concat());
        assert_eq!(rows[1].ids, [&[s.cls][..], &a, &[s.sep], &b, &[s.sep]].concat());
        assert_eq!(rows[1].types, [vec![0; a.len() + 2], vec![1; b.len() + 1]].concat());
        assert_eq!((rows[2].record, &rows[2].ids[..]), (2, &[s.cls, s.sep][..]));
        assert_eq!(cut, Cut { texts: 0, of: 3, tokens: 0 });
        let (rows, cut) = texts(&records, &tokenizer, 5).unwrap();
        assert_eq!(rows[1].ids, [s.cls, a[0], s.sep, b[0], s.sep]);
        let gone = (a.len() + b.len() - 2 + a.len().saturating_sub(3)) as u64;
        assert_eq!((cut.of, cut.tokens), (3, gone));
        assert!(texts(&records, &tokenizer, 4).unwrap_err().to_string().contains("at least 5"));
    }

    proptest! {
        #[test]
        fn pairs_are_cut_as_in_bert(first in 0usize..40, second in 0usize..40, room in 0usize..50) {
            let (mut a, mut b) = (first, second);
            while a + b > room {
                if a > b { a -= 1 } else { b -= 1 }
            }
            prop_assert_eq!(longest_first(first, second, room), (a, b));
        }
    }
}
