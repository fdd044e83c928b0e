//! Training and dev data out of one file, by seed.

use super::{Input, Label, Record, TaskError};
use crate::numbers::counted;
use crate::random::Random;
use std::collections::{BTreeMap, HashMap};

/// The share that is held out where there is no dev file.
pub const SHARE: f64 = 0.1;

/// The stream of random numbers that splits draw from.
const STREAM: u64 = 0x73_706c_6974;

/// Which records are for what, by their places, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<usize>,
    /// To measure by.
    pub dev: Vec<usize>,
}

/// Holds out a share of the records, at least one of them: the same ones for the same records, share and seed.
///
/// Of each class about the share is held out, and never its last example. Questions to one text stay together, so that no text is
/// learnt from and measured by.
///
/// # Errors
/// [`TaskError::TooFew`] for fewer than two records, or questions to one text only.
pub fn hold_out(records: &[Record], share: f64, seed: u64) -> Result<Split, TaskError> {
    let share = share.clamp(0.0, 1.0);
    let total = records.len();
    // A split must leave something on both sides.
    let wanted = ((total as f64 * share).round() as usize).clamp(1, total.saturating_sub(1).max(1));
    let mut held = vec![false; total];
    if matches!(records.first().map(|record| &record.input), Some(Input::Question { .. })) {
        let groups = by_context(records);
        if groups.len() < 2 {
            return Err(TaskError::TooFew { found: format!("questions to {}", counted(groups.len() as u64, "text")) });
        }
        let mut order: Vec<usize> = (0..groups.len()).collect();
        Random::new(seed, STREAM, 0).shuffle(&mut order);
        let mut taken = 0;
        for &group in order.iter().take(groups.len() - 1) {
            if taken >= wanted {
                break;
            }
            taken += groups[group].len();
            groups[group].iter().for_each(|&at| held[at] = true);
        }
    } else {
        if total < 2 {
            return Err(TaskError::TooFew { found: counted(total as u64, "record") });
        }
        by_class(records, wanted, seed).into_iter().for_each(|at| held[at] = true);
    }
    let (dev, train) = (0..total).partition(|&at| held[at]);
    Ok(Split { train, dev })
}

/// Questions by the text they are about, in the order of the texts.
fn by_context(records: &[Record]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (at, record) in records.iter().enumerate() {
        let Input::Question { context, .. } = &record.input else { continue };
        let group = *known.entry(context).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(at);
    }
    groups
}

/// So many records, each class giving its share; what has no class is one class.
fn by_class(records: &[Record], wanted: usize, seed: u64) -> Vec<usize> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        let class = match record.label {
            Some(Label::Class(class)) => class,
            _ => usize::MAX,
        };
        classes.entry(class).or_default().push(at);
    }
    // Each class gives the whole part of its share, and those with the largest remainders one more (Hamilton's method).
    let share = wanted as f64 / records.len() as f64;
    let most = |size: usize| size - 1;
    let mut given: Vec<(usize, f64, usize)> = classes
        .iter()
        .map(|(&class, members)| {
            let part = members.len() as f64 * share;
            let whole = (part as usize).min(most(members.len()));
            (class, part - whole as f64, whole)
        })
        .collect();
    let mut missing = wanted - given.iter().map(|(_, _, whole)| whole).sum::<usize>().min(wanted);
    given.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    while missing > 0 {
        let before = missing;
        for (class, _, whole) in &mut given {
            if missing > 0 && *whole < most(classes[class].len()) {
                *whole += 1;
                missing -= 1;
            }
        }
        if missing == before {
            break;
        }
    }
    let mut held = Vec::with_capacity(wanted);
    for (class, _, count) in given {
        let members = classes.entry(class).or_default();
        Random::new(seed, STREAM, class as u64).shuffle(members);
        held.extend_from_slice(&members[..count]);
    }
    // Where every class has one example, none can spare it.
    if held.is_empty() {
        held.push(Random::new(seed, STREAM, 0).below(records.len() as u64) as usize);
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(label: Option<Label>) -> Record {
        Record { id: String::new(), line: 1, input: Input::Text { text: "x".into(), pair: None }, label }
    }

    fn question(context: usize) -> Record {
        let input = Input::Question { question: "?".into(), context: format!("text {context}").into() };
        Record { id: String::new(), line: 1, input, label: None }
    }

    #[test]
    fn a_split_never_changes() {
        let records: Vec<Record> = (0..30).map(|at| record(Some(Label::Class(at % 3)))).collect();
        let split = hold_out(&records, SHARE, 7).unwrap();
        assert_eq!(split.dev, DEV);
        assert_ne!(hold_out(&records, SHARE, 8).unwrap(), split);
    }
    const DEV: [usize; 3] = [4, 17, 18];

    #[test]
    fn one_record_or_text_cannot_be_cut() {
        let said = |records: &[Record]| hold_out(records, SHARE, 1).unwrap_err().to_string();
        assert!(said(&[record(None)]).starts_with("1 record cannot be cut"));
        assert!(said(&[question(0), question(0)]).starts_with("questions to 1 text cannot be cut"));
        assert!(said(&[]).starts_with("0 records"));
        assert_eq!(hold_out(&[record(None), record(None)], 1.0, 1).unwrap().dev.len(), 1);
    }

    proptest! {
        #[test]
        fn classes_keep_their_shares(sizes in prop::collection::vec(1usize..60, 1..5), seed: u64) {
            let records: Vec<Record> = sizes.iter().enumerate()
                .flat_map(|(class, &size)| (0..size).map(move |_| record(Some(Label::Class(class))))).collect();
            prop_assume!(records.len() >= 2);
            let split = hold_out(&records, SHARE, seed).unwrap();
            prop_assert_eq!(split.train.len() + split.dev.len(), records.len());
            let mut all: Vec<usize> = split.train.iter().chain(&split.dev).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..records.len()).collect::<Vec<_>>());
            prop_assert!(!split.dev.is_empty() && !split.train.is_empty());
            for (class, &size) in sizes.iter().enumerate() {
                let held = split.dev.iter().filter(|&&at| records[at].label == Some(Label::Class(class))).count();
                let part = size as f64 * split.dev.len() as f64 / records.len() as f64;
                // One more where another class has nothing to give.
                prop_assert!((held as f64 - part).abs() < 2.0, "{} of {}, {:?}", held, size, sizes);
            }
        }

        #[test]
        fn texts_are_on_one_side(contexts in prop::collection::vec(0usize..6, 2..60), seed: u64) {
            let records: Vec<Record> = contexts.iter().map(|&context| question(context)).collect();
            prop_assume!(contexts.iter().any(|&context| context != contexts[0]));
            let split = hold_out(&records, SHARE, seed).unwrap();
            prop_assert!(!split.dev.is_empty() && !split.train.is_empty());
            for &at in &split.dev {
                prop_assert!(split.train.iter().all(|&other| contexts[other] != contexts[at]));
            }
        }
    }
}
