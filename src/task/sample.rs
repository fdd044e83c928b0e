//! Labelled sentences inside the program, so that fine-tuning can be seen without a file: when was it said? `assets/README.md` says
//! where they are from.

use super::rows::Rows;
use super::table::{Columns, LabelKind, read_rows};
use super::{LabelNames, Part, TaskData, TaskError};

/// The task that it is for.
pub const TASK: &str = "classify";
/// What it is called.
pub const NAME: &str = "sample (sentences of State of the Union addresses, and when they were said)";

const TRAIN: &str = include_str!("../../assets/eras/train.tsv");
const DEV: &str = include_str!("../../assets/eras/dev.tsv");

fn read(text: &str, known: Option<&LabelNames>, part: Part) -> Result<TaskData, TaskError> {
    let columns = Columns { text: "text".into(), label: Some("label".into()), ..Columns::default() };
    read_rows(Rows::of_table("sample", text)?, &columns, LabelKind::Class, known, part)
}

/// The sentences to learn from.
///
/// # Errors
/// None, but in a program that was put together wrongly.
pub fn training() -> Result<TaskData, TaskError> {
    read(TRAIN, None, Part::Train)
}

/// Sentences of other addresses, to measure by.
///
/// # Errors
/// As [`training`].
pub fn dev() -> Result<TaskData, TaskError> {
    read(DEV, Some(&training()?.labels), Part::Dev)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Input;
    use std::collections::HashSet;

    #[test]
    fn every_era_is_there_alike_and_no_sentence_twice() {
        let (training, dev) = (training().unwrap(), dev().unwrap());
        assert_eq!(training.labels, dev.labels);
        assert_eq!((training.records.len(), dev.records.len()), (2_400, 600));
        assert!(training.report.remarks().is_empty() && dev.report.remarks().is_empty());
        for data in [&training, &dev] {
            let (counts, all) = (data.label_counts(), data.records.len() as u64);
            assert!(counts.iter().all(|&count| count * counts.len() as u64 == all), "{counts:?}");
        }
        let mut known = HashSet::new();
        for record in training.records.iter().chain(&dev.records) {
            let Input::Text { text, pair: None } = &record.input else { panic!("{record:?}") };
            assert!(known.insert(text.clone()), "{text}");
            // No sentence names its year.
            let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(digits < Some(4), "{text}");
        }
    }
}
