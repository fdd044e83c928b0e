//! What a network gives for rows, as what it says of records.

use super::{AnswerOptions, Features, Rows, n_best};
use crate::task::prediction::best;
use crate::task::score::answers::Version;
use crate::task::{Input, Prediction, Record};

impl Features {
    /// What a network with C `outputs` says of each of the `records` that these are the features of. `logits` are what it gives for
    /// each row, in their order: C of a text; C a token of words; and 2 a token, start and end, of a question's window, those of
    /// padding included or not. A row with none was not shown to the network, and nothing is said of its record.
    pub fn decode<L: AsRef<[f32]>>(&self, records: &[Record], outputs: usize, logits: &[L]) -> Vec<Prediction> {
        let mut found = vec![Prediction::None; records.len()];
        match &self.rows {
            Rows::Texts(rows, _, problem) => {
                for (row, logits) in rows.iter().zip(logits).filter(|(_, logits)| !logits.as_ref().is_empty()) {
                    found[row.record] = Prediction::of_text(*problem, logits.as_ref());
                }
            }
            Rows::Words(rows, _) => {
                for (at, rows, logits) in by_record(rows, logits, |row| row.row.record) {
                    let Input::Words(words) = &records[at].input else { continue };
                    let mut tags = vec![0; words.len()];
                    for (row, logits) in rows.iter().zip(logits) {
                        for &(place, word) in &row.asked {
                            tags[word] = best(&logits[place * outputs..][..outputs]);
                        }
                    }
                    found[at] = Prediction::Tags(tags);
                }
            }
            Rows::Questions(windows, _, version) => {
                let options = AnswerOptions { null: *version == Version::Two, ..AnswerOptions::default() };
                let column =
                    |logits: &[f32], at: usize| logits.iter().skip(at).step_by(2).copied().collect::<Vec<f32>>();
                for (at, windows, logits) in by_record(windows, logits, |window| window.row.record) {
                    let Input::Question { context, .. } = &records[at].input else { continue };
                    let ends: Vec<_> = logits.iter().map(|logits| (column(logits, 0), column(logits, 1))).collect();
                    let ends: Vec<_> = ends.iter().map(|(start, end)| (&start[..], &end[..])).collect();
                    found[at] = Prediction::Answer(n_best(windows, &ends, context, &options));
                }
            }
        }
        found
    }
}

/// Each record with its rows, which follow each other, and their logits. Records of which a row was not shown are left out.
fn by_record<'a, R, L: AsRef<[f32]>>(
    rows: &'a [R],
    logits: &'a [L],
    record: fn(&R) -> usize,
) -> impl Iterator<Item = (usize, &'a [R], Vec<&'a [f32]>)> {
    let mut left = logits.iter().map(AsRef::as_ref);
    rows.chunk_by(move |a, b| record(a) == record(b)).filter_map(move |rows| {
        let logits: Vec<&[f32]> = left.by_ref().take(rows.len()).collect();
        let whole = logits.len() == rows.len() && logits.iter().all(|logits| !logits.is_empty());
        whole.then(|| (record(&rows[0]), rows, logits))
    })
}
