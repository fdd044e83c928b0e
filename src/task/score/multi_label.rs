//! Any number of labels an example.

use super::{f1, ratio};

/// What was there and what was said, label by label.
///
/// ```
/// use leyden::task::score::MultiLabel;
///
/// let mut counts = MultiLabel::new(3);
/// counts.add(&[true, false, true], &[true, true, true]);
/// counts.add(&[false, true, false], &[false, true, false]);
/// assert_eq!(counts.exact(), 0.5);
/// assert_eq!(counts.micro_f1(), 6.0 / 7.0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiLabel {
    /// Of each label: said rightly, there, said.
    counts: Vec<[u64; 3]>,
    exact: u64,
    examples: u64,
}

impl MultiLabel {
    /// Of nothing yet.
    pub fn new(labels: usize) -> Self {
        Self { counts: vec![[0; 3]; labels], exact: 0, examples: 0 }
    }

    /// Counts an example: which labels it has, and which were said.
    pub fn add(&mut self, truth: &[bool], predicted: &[bool]) {
        for ((count, &truth), &said) in self.counts.iter_mut().zip(truth).zip(predicted) {
            *count = [count[0] + u64::from(truth && said), count[1] + u64::from(truth), count[2] + u64::from(said)];
        }
        self.exact += u64::from(truth == predicted);
        self.examples += 1;
    }

    /// The share of examples of which every label was said rightly; NaN of none.
    pub fn exact(&self) -> f64 {
        if self.examples == 0 { f64::NAN } else { ratio(self.exact, self.examples) }
    }

    /// F1 of a label; 0 where it neither is there nor is said.
    pub fn f1(&self, label: usize) -> f64 {
        let [both, truth, said] = self.counts[label];
        f1(both, truth, said)
    }

    /// F1 over all labels together; NaN without examples.
    pub fn micro_f1(&self) -> f64 {
        let sum = |part: usize| self.counts.iter().map(|count| count[part]).sum();
        if self.examples == 0 { f64::NAN } else { f1(sum(0), sum(1), sum(2)) }
    }

    /// The mean of the F1 of all labels, those that are nowhere included; NaN without examples.
    pub fn macro_f1(&self) -> f64 {
        let sum: f64 = (0..self.counts.len()).map(|label| self.f1(label)).sum();
        if self.examples == 0 { f64::NAN } else { sum / self.counts.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{assert_close, golden};
    use super::*;

    #[test]
    fn scores_are_those_of_scikit_learn() {
        let case = &golden("multi_label")[0];
        let rows = |name: &str| -> Vec<Vec<bool>> {
            let numbers: Vec<Vec<u8>> = serde_json::from_value(case[name].clone()).unwrap();
            numbers.into_iter().map(|row| row.into_iter().map(|there| there == 1).collect()).collect()
        };
        let mut counts = MultiLabel::new(4);
        assert!(counts.exact().is_nan() && counts.micro_f1().is_nan() && counts.macro_f1().is_nan());
        for (truth, predicted) in rows("truth").iter().zip(rows("predicted")) {
            counts.add(truth, &predicted);
        }
        assert_close(counts.exact(), &case["exact"], "exact");
        assert_close(counts.micro_f1(), &case["micro_f1"], "micro F1");
        assert_close(counts.macro_f1(), &case["macro_f1"], "macro F1");
    }
}
