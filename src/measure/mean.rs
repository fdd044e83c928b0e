//! Means over several steps.

/// A weighted mean that is added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    /// Takes in the mean of things of that weight together.
    pub fn add(&mut self, mean: f64, weight: f64) {
        self.add_sum(mean * weight, weight);
    }

    /// Takes in the sum of things of that weight together.
    pub fn add_sum(&mut self, sum: f64, weight: f64) {
        (self.sum, self.weight) = (self.sum + sum, self.weight + weight);
    }

    /// The mean; 0 of nothing.
    pub fn value(self) -> f64 {
        // A loss of ln 1 is -0, which is 0.
        if self.weight > 0.0 { self.sum / self.weight + 0.0 } else { 0.0 }
    }
}
