//! Round numbers along an axis.

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    Linear,
    /// By their logarithm.
    Log,
}

impl Scale {
    /// Where a value is along the axis.
    pub fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.log10(),
        }
    }

    /// The value at a place.
    pub fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => 10f64.powf(place),
        }
    }
}

/// At most about `most` round values from `low` to `high`, both finite, with the digits behind the point that tell them
/// apart. Steps are 1, 2, 2.5 or 5 times a power of ten; a logarithmic axis over more than two decades has powers of ten.
pub fn ticks(low: f64, high: f64, most: usize, scale: Scale) -> (Vec<f64>, usize) {
    if scale == Scale::Log && low > 0.0 && high / low > 100.0 {
        let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
        let stride = ((last - first) as usize / most.max(1) + 1).max(1);
        let powers: Vec<f64> = (first..=last).step_by(stride).map(|e| 10f64.powi(e)).collect();
        return (powers, (-first).max(0) as usize);
    }
    let range = high - low;
    if range.is_nan() || range <= 0.0 || most == 0 {
        return (vec![low + 0.0], 2);
    }
    let rough = range / most as f64;
    let power = rough.log10().floor();
    let unit = 10f64.powf(power);
    // Behind the point 2.5 times a unit has a digit more than the unit itself.
    let steps = [(1.0, 0), (2.0, 0), (2.5, 1), (5.0, 0), (10.0, 0)];
    let (factor, more) = steps.into_iter().find(|s| s.0 * unit >= rough * 0.999).unwrap_or((10.0, 0));
    let step = factor * unit;
    let digits = (-(power as i32) + more - i32::from(factor == 10.0)).max(0) as usize;
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    ((first..=last).map(|i| i as f64 * step).collect(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let (values, digits) = ticks(4.8, 9.1, 6, Scale::Linear);
        assert_eq!((values, digits), (vec![5.0, 6.0, 7.0, 8.0, 9.0], 0));
        let (values, digits) = ticks(0.0, 0.7, 7, Scale::Linear);
        assert_eq!(values.len(), 8);
        assert_eq!((format!("{:.digits$}", values[3]), digits), ("0.3".into(), 1));
        let (values, digits) = ticks(0.0, 1.0, 4, Scale::Linear);
        assert_eq!((values, digits), (vec![0.0, 0.25, 0.5, 0.75, 1.0], 2));
        let (values, digits) = ticks(0.0, 9.6, 10, Scale::Linear);
        assert_eq!((values.len(), digits), (10, 0));
        assert_eq!(ticks(0.0005, 20.0, 8, Scale::Log).0.len(), 5);
        assert_eq!(ticks(4.0, 9.0, 5, Scale::Log), ticks(4.0, 9.0, 5, Scale::Linear));
        assert_eq!(ticks(3.0, 3.0, 5, Scale::Linear).0, [3.0]);
    }
}
