//! The labelled sentences that are in the binary, so that fine-tuning can be seen without a file.
//!
//! Half of them have their words shuffled, the first one aside. They are of State of the Union addresses later than those of
//! [`SAMPLE`](crate::corpus::SAMPLE), so that whoever learnt from that text has never seen them. Counting words tells nothing here;
//! knowing which follow each other does, and that is what pre-training learns. assets/README.md says where they come from.

use super::rows::{Quotes, Rows};
use super::table::{Columns, LabelKind, of_rows};
use super::{LabelNames, Part, TaskData, TaskError};

/// Its name.
pub const NAME: &str = "order";
/// What is asked, in a line.
pub const ABOUT: &str = "is the sentence as it was said, or are its words shuffled?";
/// What is read of whom, in a line.
pub const SOURCE: &str = "sentences of State of the Union addresses, 1993 to 2021";
/// The classes in their order.
pub const LABELS: [&str; 2] = ["in order", "shuffled"];
/// The file to learn from: a table between tabs with a header, the columns `text`, `label` and `year`.
pub const TRAIN: &str = include_str!("../../assets/order/train.tsv");
/// The one to measure by, of other addresses.
pub const DEV: &str = include_str!("../../assets/order/dev.tsv");

/// The sentences to learn from, or for any other part those to measure by.
///
/// # Errors
/// Those of [`table::read`](super::table::read); none in a binary that passed its tests.
pub fn read(part: Part) -> Result<TaskData, TaskError> {
    let (file, text) = if part == Part::Train { ("order/train.tsv", TRAIN) } else { ("order/dev.tsv", DEV) };
    let columns = Columns { text: "text".into(), label: Some("label".into()), ..Columns::default() };
    let rows = Rows::in_memory(file, text, Quotes::Text)?;
    of_rows(&rows, &columns, LabelKind::Class, Some(&LabelNames::new(LABELS)), part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Input;
    use std::collections::{BTreeMap, BTreeSet};

    fn column(text: &'static str, at: usize) -> impl Iterator<Item = &'static str> {
        text.lines().skip(1).filter_map(move |line| line.split('\t').nth(at))
    }

    #[test]
    fn it_is_read_as_a_table() {
        for (part, rows) in [(Part::Train, 3_200), (Part::Dev, 800)] {
            let data = read(part).unwrap();
            assert_eq!(data.labels.names(), LABELS);
            assert_eq!((data.records.len(), data.report.left_out()), (rows, 0));
            assert!(data.report.oddities.is_empty(), "{:?}", data.report);
            assert_eq!(data.label_counts(), [rows as u64 / 2; 2]);
            let Input::Text { text, pair: None } = &data.records[0].input else { panic!("a text") };
            assert_eq!(Some(text.as_str()), column(if part == Part::Train { TRAIN } else { DEV }, 0).next());
        }
    }

    #[test]
    fn what_is_measured_by_was_never_learnt_from() {
        let years = |text| column(text, 2).collect::<BTreeSet<_>>();
        let (train, dev) = (years(TRAIN), years(DEV));
        assert_eq!((train.len(), dev.len()), (23, 6));
        assert!(train.is_disjoint(&dev));
        // The text of pre-training ends in 1992.
        assert!(train.iter().chain(&dev).all(|year| ("1993"..="2021").contains(year)));
        // No sentence twice, not even in another order.
        let mut seen = BTreeMap::new();
        for text in column(TRAIN, 0).chain(column(DEV, 0)) {
            let mut words: Vec<&str> = text.split(|c: char| c == ' ' || ",.!?".contains(c)).collect();
            words.sort_unstable();
            assert_eq!(seen.insert(words, text), None);
        }
    }
}
