//! What single steps measured: the newest exactly, those before thinned to their extremes.

use crate::measure::Values;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Steps done with it.
    pub step: u64,
    /// Seconds of training by then.
    pub seconds: f64,
    /// Its losses.
    pub values: Values,
}

/// The newest steps that are kept as they are.
const EXACT: usize = 8_192;
/// Steps of which the extremes are kept when they are no longer among the newest.
const BLOCK: usize = 32;
/// Most thinned samples; beyond that they are thinned again.
const MOST: usize = 32_768;

/// What every step of a sitting measured, in bounded memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    old: Vec<Sample>,
    recent: VecDeque<Sample>,
}

impl Trace {
    /// Takes in the next step.
    pub fn push(&mut self, sample: Sample) {
        self.recent.push_back(sample);
        if self.recent.len() >= EXACT + BLOCK {
            let block: Vec<Sample> = self.recent.drain(..BLOCK).collect();
            extremes(&block, &mut self.old);
        }
        if self.old.len() > MOST {
            let all = std::mem::take(&mut self.old);
            for block in all.chunks(BLOCK) {
                extremes(block, &mut self.old);
            }
        }
    }

    /// Forgets what is later than `step`, as when a run was sent back.
    pub fn rewind(&mut self, step: u64) {
        self.old.retain(|sample| sample.step <= step);
        self.recent.retain(|sample| sample.step <= step);
    }

    /// Every sample there is, oldest first.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.old.iter().chain(&self.recent)
    }

    /// Whether steps have this measure.
    pub fn has(&self, name: &str) -> bool {
        self.samples().next().is_some_and(|sample| sample.values.get(name).is_some())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.old.len() + self.recent.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keeps of a block the samples with the lowest and highest of each measure, in order, and any that is no number.
fn extremes(block: &[Sample], to: &mut Vec<Sample>) {
    let mut kept: Vec<usize> = Vec::new();
    for (name, _) in block.iter().take(1).flat_map(|sample| sample.values.iter()) {
        let values = || block.iter().map(|s| s.values.or_nan(name)).enumerate();
        let finite = || values().filter(|(_, x)| x.is_finite());
        kept.extend(finite().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i));
        kept.extend(finite().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i));
        kept.extend(values().filter(|(_, x)| !x.is_finite()).map(|(i, _)| i));
    }
    kept.sort_unstable();
    kept.dedup();
    to.extend(kept.into_iter().map(|i| block[i].clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(step: u64) -> Sample {
        let noise = (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1u64 << 24) as f64;
        Sample { step, seconds: step as f64, values: [("a", 5.0 + noise), ("b", 0.3 + noise * 0.1)].into() }
    }

    #[test]
    fn memory_is_bounded_and_extremes_and_the_newest_stay() {
        let mut trace = Trace::default();
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for step in 1..=1_000_000 {
            trace.push(sample(step));
            low = low.min(sample(step).values.or_nan("a"));
            high = high.max(sample(step).values.or_nan("a"));
        }
        assert!(trace.len() <= MOST + EXACT + BLOCK, "{}", trace.len());
        let all: Vec<&Sample> = trace.samples().collect();
        assert!(all.is_sorted_by(|a, b| a.step < b.step));
        let newest: Vec<u64> = all[all.len() - EXACT..].iter().map(|s| s.step).collect();
        assert_eq!(newest, (1_000_000 - EXACT as u64 + 1..=1_000_000).collect::<Vec<_>>());
        assert_eq!(all.iter().map(|s| s.values.or_nan("a")).fold(f64::MAX, f64::min), low);
        assert_eq!(all.iter().map(|s| s.values.or_nan("a")).fold(f64::MIN, f64::max), high);
    }

    #[test]
    fn what_is_no_number_stays_and_what_is_later_goes() {
        let mut trace = Trace::default();
        assert!(trace.is_empty());
        for step in 0..20_000 {
            let broken = Sample { values: [("a", f64::NAN), ("b", 0.3)].into(), ..sample(7) };
            trace.push(if step == 7 { broken } else { sample(step) });
        }
        assert!(trace.samples().any(|s| s.values.or_nan("a").is_nan()));
        trace.rewind(100);
        assert!(trace.samples().all(|s| s.step <= 100));
    }
}
