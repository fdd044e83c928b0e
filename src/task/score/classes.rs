//! One class an example.

use super::{f1, ratio};

/// How often each class was called each: C x C counts for C classes.
///
/// ```
/// use leyden::task::score::Confusion;
///
/// let mut confusion = Confusion::new(2);
/// for (truth, predicted) in [(1, 1), (1, 0), (0, 0), (0, 0), (1, 1), (0, 1)] {
///     confusion.add(truth, predicted);
/// }
/// assert_eq!(confusion.accuracy(), 4.0 / 6.0);
/// assert_eq!(confusion.f1(1), 2.0 / 3.0);
/// assert!((confusion.matthews() - 1.0 / 3.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// [truth, predicted].
    counts: Vec<u64>,
}

impl Confusion {
    /// Of nothing yet.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts an example. Both are below the number of classes.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.counts[truth * self.classes + predicted] += 1;
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many of a class were called this.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// Examples in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Examples of a class.
    pub fn of(&self, class: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// Examples that were called this class.
    pub fn called(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, class)).sum()
    }

    /// The share that was called rightly; NaN of none.
    pub fn accuracy(&self) -> f64 {
        if self.total() == 0 { f64::NAN } else { ratio(self.right(), self.total()) }
    }

    fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Of those called this class, the share that is; 0 where none is called so.
    pub fn precision(&self, class: usize) -> f64 {
        ratio(self.count(class, class), self.called(class))
    }

    /// Of this class, the share that is called so; 0 where there is none.
    pub fn recall(&self, class: usize) -> f64 {
        ratio(self.count(class, class), self.of(class))
    }

    /// F1 of a class; 0 where it neither is there nor is said. GLUE's F1 is that of class 1.
    pub fn f1(&self, class: usize) -> f64 {
        f1(self.count(class, class), self.of(class), self.called(class))
    }

    /// The mean of the F1 of the classes that are there or are said, each counting alike; NaN of none.
    pub fn macro_f1(&self) -> f64 {
        let met: Vec<usize> = (0..self.classes).filter(|&class| self.of(class) + self.called(class) > 0).collect();
        met.iter().map(|&class| self.f1(class)).sum::<f64>() / met.len() as f64
    }

    /// Matthews' correlation, of any number of classes (Gorodkin 2004); 0 where all are or are called one class, NaN of none.
    pub fn matthews(&self) -> f64 {
        if self.total() == 0 {
            return f64::NAN;
        }
        let total = i128::from(self.total());
        let sum = |of: fn(&Self, usize) -> u64, and: fn(&Self, usize) -> u64| -> i128 {
            (0..self.classes).map(|class| i128::from(of(self, class)) * i128::from(and(self, class))).sum()
        };
        let covariance = i128::from(self.right()) * total - sum(Self::of, Self::called);
        let of_truth = total * total - sum(Self::of, Self::of);
        let of_predicted = total * total - sum(Self::called, Self::called);
        if of_truth == 0 || of_predicted == 0 {
            return 0.0;
        }
        covariance as f64 / (of_truth as f64).sqrt() / (of_predicted as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{assert_close, golden};
    use super::*;

    #[test]
    fn scores_are_those_of_scikit_learn() {
        for case in golden("classes") {
            let classes = case["classes"].as_u64().unwrap() as usize;
            let ids = |name: &str| -> Vec<usize> { serde_json::from_value(case[name].clone()).unwrap() };
            let mut confusion = Confusion::new(classes);
            for (truth, predicted) in ids("truth").into_iter().zip(ids("predicted")) {
                confusion.add(truth, predicted);
            }
            let name = case["name"].as_str().unwrap();
            assert_close(confusion.accuracy(), &case["accuracy"], name);
            assert_close(confusion.macro_f1(), &case["macro_f1"], name);
            assert_close(confusion.matthews(), &case["matthews"], name);
            for class in 0..classes {
                assert_close(confusion.f1(class), &case["f1"][class], name);
            }
        }
    }

    #[test]
    fn nothing_has_no_score() {
        let none = Confusion::new(2);
        assert!(none.accuracy().is_nan() && none.macro_f1().is_nan() && none.matthews().is_nan());
        assert_eq!((none.f1(1), none.precision(1), none.recall(1)), (0.0, 0.0, 0.0));
    }
}
