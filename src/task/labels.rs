//! The names of classes and tags.

use super::{Label, TaskError};
use crate::text::listed;
use std::collections::{BTreeSet, HashMap};

/// Names of classes or tags, by their places from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelNames {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl LabelNames {
    /// Names in this order, each of them once.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut labels = Self::default();
        for name in names {
            let name = name.into();
            if !labels.places.contains_key(&name) {
                labels.places.insert(name.clone(), labels.names.len());
                labels.names.push(name);
            }
        }
        labels
    }

    /// Names that were met, in their order: by value where all are numbers, else by their letters.
    pub(super) fn sorted<'a>(met: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = met.into_iter().collect();
        let mut names: Vec<&str> = names.into_iter().collect();
        let numbers: Option<Vec<f64>> =
            names.iter().map(|name| name.parse().ok().filter(|n: &f64| n.is_finite())).collect();
        if let Some(numbers) = numbers {
            let mut order: Vec<(f64, &str)> = numbers.into_iter().zip(names).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            names = order.into_iter().map(|(_, name)| name).collect();
        }
        Self::new(names)
    }

    /// BIO tags of these kinds and `O`: each kind with its `B-` and its `I-`, whether or not both were met.
    pub(super) fn bio<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Self {
        let kinds: BTreeSet<&str> = kinds.into_iter().collect();
        let tags = kinds.into_iter().flat_map(|kind| [format!("B-{kind}"), format!("I-{kind}")]);
        Self::new(std::iter::once("O".to_owned()).chain(tags))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name at a place, which there is.
    pub fn name(&self, place: usize) -> &str {
        &self.names[place]
    }

    /// All of them in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// A label of them as a person would write it.
    pub fn describe(&self, label: &Label) -> String {
        let list = |places: &[usize], between: &str| {
            places.iter().map(|&place| self.name(place)).collect::<Vec<_>>().join(between)
        };
        match label {
            Label::Class(class) => self.name(*class).into(),
            Label::Classes(classes) if classes.is_empty() => "none".into(),
            Label::Classes(classes) => list(classes, ", "),
            Label::Value(value) => value.to_string(),
            Label::Tags(tags) => list(tags, " "),
            Label::Answers(answers) => answers.first().map_or("no answer".into(), |answer| answer.text.clone()),
        }
    }

    /// The place of a name, or an error that says where the name stands and which are known.
    pub(super) fn find(&self, name: &str, file: &str, line: u64, whose: &str) -> Result<usize, TaskError> {
        self.place(name).ok_or_else(|| TaskError::UnknownLabel {
            file: file.into(),
            place: format!("line {line}"),
            label: crate::numbers::shortened(name, 40),
            whose: whose.into(),
            known: listed(&self.names),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_an_order_of_their_own() {
        assert_eq!(LabelNames::sorted(["10", "9", "-1", "9"]).names(), ["-1", "9", "10"]);
        assert_eq!(LabelNames::sorted(["10", "9", "x"]).names(), ["10", "9", "x"]);
        assert_eq!(LabelNames::bio(["VP", "NP"]).names(), ["O", "B-NP", "I-NP", "B-VP", "I-VP"]);
        let labels = LabelNames::new(["b", "a", "b"]);
        assert_eq!((labels.len(), labels.place("a"), labels.place("c")), (2, Some(1), None));
        let said = labels.find("c", "x.tsv", 7, "those in training").unwrap_err().to_string();
        assert_eq!(said, "x.tsv: line 7: the label \"c\" is not one of those in training: b, a");
    }
}
