//! What is known of labels without reading a text.

use crate::task::{Label, TaskData};
use serde::{Deserialize, Serialize};

/// What the labels to learn are like: what one who reads nothing can reach.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// Of classes: the share of examples (of tags, of words) that has the commonest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub majority: Option<f64>,
    /// The mean of numbers; 0 of none.
    pub mean: f32,
    /// Their variance, which is the squared error of always saying the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<f64>,
}

impl Facts {
    /// Of records as they were read.
    pub fn of(data: &TaskData) -> Self {
        let labels = || data.records.iter().filter_map(|record| record.label.as_ref());
        let values: Vec<f64> =
            labels().filter_map(|l| if let Label::Value(value) = l { Some(*value) } else { None }).collect();
        let one_of = labels().all(|label| matches!(label, Label::Class(_) | Label::Tags(_)));
        let counts = data.label_counts();
        let all: u64 = counts.iter().sum();
        let most = counts.iter().max().filter(|_| one_of && all > 0);
        let mean = |values: &mut dyn Iterator<Item = f64>, of: usize| values.sum::<f64>() / of.max(1) as f64;
        let center = mean(&mut values.iter().copied(), values.len());
        let squares = &mut values.iter().map(|value| (value - center) * (value - center));
        let variance = mean(squares, values.len());
        Self {
            majority: most.map(|&most| most as f64 / all as f64),
            mean: center as f32,
            variance: (!values.is_empty()).then_some(variance),
        }
    }

    /// Units in which numbers are neither large nor small: the power of two that is nearest to two standard deviations; 1 where there
    /// are none, or all are the same.
    pub fn scale(&self) -> f32 {
        let spread = 2.0 * self.variance.unwrap_or_default().sqrt();
        if spread > 0.0 { (spread.log2().round().clamp(-60.0, 60.0) as f32).exp2() } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Input, LabelNames, Record, Report};

    fn data(labels: Vec<Label>, names: &[&str]) -> TaskData {
        let input = Input::Text { text: "a".into(), pair: None };
        let record = |label| Record { id: "0".into(), line: 1, input: input.clone(), label: Some(label) };
        let records = labels.into_iter().map(record).collect();
        TaskData { records, labels: LabelNames::new(names.iter().copied()), report: Report::default() }
    }

    #[test]
    fn facts_are_those_of_the_labels() {
        let classes = data(vec![Label::Class(1), Label::Class(0), Label::Class(1), Label::Class(1)], &["a", "b", "c"]);
        assert_eq!(Facts::of(&classes), Facts { majority: Some(0.75), mean: 0.0, variance: None });
        let tags = data(vec![Label::Tags(vec![0, 0, 1]), Label::Tags(vec![0])], &["O", "B-X"]);
        assert_eq!(Facts::of(&tags).majority, Some(0.75));
        let numbers = data([1.0, 2.0, 6.0].map(Label::Value).into(), &[]);
        assert_eq!(Facts::of(&numbers), Facts { majority: None, mean: 3.0, variance: Some(14.0 / 3.0) });
        assert_eq!([Facts::of(&numbers).scale(), Facts::default().scale()], [4.0, 1.0]);
        let labels = data(vec![Label::Classes(vec![0, 1])], &["a", "b"]);
        assert_eq!(Facts::of(&labels), Facts::default());
        assert_eq!(Facts::of(&data(Vec::new(), &["a"])), Facts::default());
    }
}
