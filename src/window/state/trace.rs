//! Losses of single steps: the newest exactly, those before thinned to their extremes.

use std::collections::VecDeque;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Steps done with it.
    pub step: u64,
    /// Seconds of training by then.
    pub seconds: f64,
    /// Nats a masked token.
    pub generator_loss: f32,
    /// Nats a token.
    pub discriminator_loss: f32,
}

/// The newest steps that are kept as they are.
const EXACT: usize = 8_192;
/// Steps of which the extremes are kept when they are no longer among the newest.
const BLOCK: usize = 32;
/// Most thinned samples; beyond that they are thinned again.
const MOST: usize = 32_768;

/// The losses of every step of a sitting, in bounded memory.
#[derive(Debug, Clone, PartialEq, Default)]
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.old.len() + self.recent.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keeps of a block the samples with the lowest and highest of both losses, in order, and any that is no number.
fn extremes(block: &[Sample], to: &mut Vec<Sample>) {
    let place = |by: fn(&Sample) -> f32| {
        let finite = || block.iter().enumerate().filter(move |(_, s)| by(s).is_finite());
        let low = finite().min_by(|a, b| by(a.1).total_cmp(&by(b.1))).map(|(i, _)| i);
        let high = finite().max_by(|a, b| by(a.1).total_cmp(&by(b.1))).map(|(i, _)| i);
        [low, high]
    };
    let kept = [place(|s| s.generator_loss), place(|s| s.discriminator_loss)].concat();
    let no_number = |s: &Sample| !s.generator_loss.is_finite() || !s.discriminator_loss.is_finite();
    to.extend(block.iter().enumerate().filter(|(i, s)| kept.contains(&Some(*i)) || no_number(s)).map(|(_, s)| *s));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(step: u64) -> Sample {
        let noise = (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1u64 << 24) as f32;
        Sample { step, seconds: step as f64, generator_loss: 5.0 + noise, discriminator_loss: 0.3 + noise * 0.1 }
    }

    #[test]
    fn memory_is_bounded_and_extremes_and_the_newest_stay() {
        let mut trace = Trace::default();
        let (mut low, mut high) = (f32::MAX, f32::MIN);
        for step in 1..=1_000_000 {
            trace.push(sample(step));
            low = low.min(sample(step).generator_loss);
            high = high.max(sample(step).generator_loss);
        }
        assert!(trace.len() <= MOST + EXACT + BLOCK, "{}", trace.len());
        let all: Vec<Sample> = trace.samples().copied().collect();
        assert!(all.is_sorted_by(|a, b| a.step < b.step));
        let newest: Vec<u64> = all[all.len() - EXACT..].iter().map(|s| s.step).collect();
        assert_eq!(newest, (1_000_000 - EXACT as u64 + 1..=1_000_000).collect::<Vec<_>>());
        assert_eq!(all.iter().map(|s| s.generator_loss).fold(f32::MAX, f32::min), low);
        assert_eq!(all.iter().map(|s| s.generator_loss).fold(f32::MIN, f32::max), high);
    }

    #[test]
    fn what_is_no_number_stays_and_what_is_later_goes() {
        let mut trace = Trace::default();
        assert!(trace.is_empty());
        for step in 0..20_000 {
            trace.push(if step == 7 { Sample { generator_loss: f32::NAN, ..sample(7) } } else { sample(step) });
        }
        assert!(trace.samples().any(|s| s.generator_loss.is_nan()));
        trace.rewind(100);
        assert!(trace.samples().all(|s| s.step <= 100));
    }
}
