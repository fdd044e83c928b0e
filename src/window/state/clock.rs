//! How long it takes, and how much of the paper's run that is.

use crate::config::preset;
use crate::train::{Recipe, flops_a_step};
use std::collections::VecDeque;
use std::sync::OnceLock;

/// Days that the paper's ELECTRA-Small took on one V100 (Clark et al. 2020, table 1).
const PAPER_DAYS: f64 = 4.0;

/// V100-days of the paper's ELECTRA-Small that so many floating-point operations of training are worth. The paper's run is
/// counted as leyden counts: a million steps of the preset `small`.
pub fn paper_days(flops: f64) -> f64 {
    static WHOLE: OnceLock<f64> = OnceLock::new();
    let whole = *WHOLE.get_or_init(|| {
        let small = preset("small").ok();
        let step = small.as_ref().and_then(|config| flops_a_step(&Recipe::new(config)).ok());
        step.zip(small.as_ref()).map_or(f64::NAN, |(flops, config)| flops as f64 * config.training.steps as f64)
    });
    PAPER_DAYS * flops / whole
}

/// Progress over the last half minute, from which the time left follows. Pauses are no time, since the seconds are those of
/// training.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    seen: VecDeque<(f64, f64)>,
}

/// Seconds that the pace is taken over.
const WINDOW: f64 = 30.0;

impl Pace {
    /// After so many seconds of training this share of the schedule was behind.
    pub fn note(&mut self, seconds: f64, progress: f64) {
        if self.seen.back().is_some_and(|last| seconds < last.0 || progress < last.1) {
            self.seen.clear();
        }
        self.seen.push_back((seconds, progress));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|first| seconds - first.0 > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Seconds left; `None` before there is a pace.
    pub fn left(&self) -> Option<f64> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let (time, way) = (last.0 - first.0, last.1 - first.1);
        (time > 0.0 && way > 0.0).then(|| (1.0 - last.1).max(0.0) * time / way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_run_is_four_days() {
        let small = preset("small").unwrap();
        let all = flops_a_step(&Recipe::new(&small)).unwrap() as f64 * 1e6;
        assert!((paper_days(all) - 4.0).abs() < 1e-9 && paper_days(0.0) == 0.0);
    }

    #[test]
    fn time_left_follows_the_last_half_minute() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(), None);
        pace.note(0.0, 0.0);
        assert_eq!(pace.left(), None);
        for second in 1..=100 {
            // Twice as fast from the middle on.
            let progress = if second <= 50 { 0.001 * second as f64 } else { 0.05 + 0.002 * (second - 50) as f64 };
            pace.note(second as f64, progress);
        }
        let left = pace.left().unwrap();
        assert!((left - 0.85 / 0.002).abs() < 1.0, "{left}");
        pace.note(101.0, 0.02);
        assert_eq!(pace.left(), None);
    }
}
