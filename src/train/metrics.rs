//! What is measured of a step: the reference's measures, added up over several steps.

use super::step::Results;
use crate::batch::{Batch, LENGTHS, TARGETS, WEIGHTS};
use crate::config::ObjectiveConfig;
use crate::measure::Values;
use crate::objective::electra::measures::{BASE_RATE, entropy, joint};
use crate::objective::electra::outputs;

/// Adds up steps.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    drawn: f64,
    tokens: f64,
    generator_loss: f64,
    discriminator_loss: f64,
    best: f64,
    sampled: f64,
    verdicts: Verdicts,
}

/// (logit, replaced) of every token, as runs that are sorted by logit. Sorting an interval's millions of verdicts in one go
/// would keep the caller busy for longer than a fast GPU has steps waiting, so each step's are sorted when they come, and
/// runs are merged when they are of a size.
#[derive(Debug, Clone, Default)]
struct Verdicts(Vec<Vec<(f32, bool)>>);

impl Verdicts {
    fn add(&mut self, mut verdicts: Vec<(f32, bool)>) {
        verdicts.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.0.push(verdicts);
        self.merge(|before, last| before <= last);
    }

    /// Merges the last two runs as long as they are to be, by their lengths.
    fn merge(&mut self, wanted: impl Fn(usize, usize) -> bool) {
        while let [.., before, last] = &mut self.0[..] {
            if !wanted(before.len(), last.len()) {
                break;
            }
            before.append(last);
            // A stable sort finds the two runs and merges them.
            before.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.0.pop();
        }
    }

    /// All of them, sorted.
    fn sorted(mut self) -> Vec<(f32, bool)> {
        self.merge(|_, _| true);
        self.0.pop().unwrap_or_default()
    }
}

impl Tally {
    /// Takes in one step's outputs.
    pub fn add(&mut self, batch: &Batch, out: &Results) {
        let (selected, tokens) = (f64::from(batch.total(WEIGHTS.name)), batch.tokens() as f64);
        let mean = |name: &str| out.scalar(name).map_or(f64::NAN, f64::from);
        self.drawn += selected;
        self.tokens += tokens;
        self.generator_loss += mean(outputs::GENERATOR_LOSS) * selected;
        self.discriminator_loss += mean(outputs::DISCRIMINATOR_LOSS) * tokens;
        let hits = |name: &str| {
            let words = out.words(name).iter().zip(batch.column(TARGETS.name)).zip(batch.reals(WEIGHTS.name));
            words.filter(|((found, target), w)| **w > 0.0 && found == target).count() as f64
        };
        self.best += hits(outputs::BEST);
        self.sampled += hits(outputs::SAMPLED);
        let rows = out.reals(outputs::LOGITS).iter().zip(out.words(outputs::LABELS));
        let (length, lengths) = (batch.shape().length, batch.column(LENGTHS.name));
        let valid = |i: usize| i % length < lengths[i / length] as usize;
        let verdict = |(_, (&logit, &label)): (usize, (&f32, &u32))| (logit, label == 1);
        self.verdicts.add(rows.enumerate().filter(|&(i, _)| valid(i)).map(verdict).collect());
    }

    /// Whether no step was taken in since the start or the last [`Tally::finish`].
    pub fn is_empty(&self) -> bool {
        self.verdicts.0.iter().all(Vec::is_empty)
    }

    /// Tokens seen, padding not counted.
    pub fn tokens(&self) -> u64 {
        self.tokens as u64
    }

    /// What all steps since the start or the last call came to; empties the tally.
    pub fn finish(&mut self, objective: &ObjectiveConfig) -> Values {
        let tally = std::mem::take(self);
        // A loss of ln 1 is -0, which is 0.
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole + 0.0 } else { 0.0 };
        let verdicts = tally.verdicts.sorted();
        let replaced = verdicts.iter().filter(|v| v.1).count() as f64;
        let called = verdicts.iter().filter(|v| v.0 > 0.0).count() as f64;
        let hits = verdicts.iter().filter(|v| v.1 && v.0 > 0.0).count() as f64;
        let right = verdicts.iter().filter(|v| v.1 == (v.0 > 0.0)).count() as f64;
        let count = verdicts.len() as f64;
        let some = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { f64::NAN };
        let generator = share(tally.generator_loss, tally.drawn);
        let discriminator = share(tally.discriminator_loss, tally.tokens);
        let replaced_rate = share(replaced, count);
        let weights = [objective.generator_weight, objective.discriminator_weight];
        Values::from([
            (outputs::GENERATOR_LOSS, generator),
            (outputs::DISCRIMINATOR_LOSS, discriminator),
            ("generator_accuracy", share(tally.best, tally.drawn)),
            ("sampled_accuracy", share(tally.sampled, tally.drawn)),
            ("replaced_rate", replaced_rate),
            ("discriminator_accuracy", share(right, count)),
            ("precision", some(hits, called)),
            ("recall", some(hits, replaced)),
            ("auc", auc(&verdicts).unwrap_or(f64::NAN)),
            ("loss", joint(weights, generator, discriminator)),
            (BASE_RATE, entropy(replaced_rate)),
        ])
    }
}

/// The probability that a replaced token has a higher logit than an original one, ties counted half (Mann and
/// Whitney's U): exact, by ranks. The verdicts are sorted by logit.
fn auc(verdicts: &[(f32, bool)]) -> Option<f64> {
    let positives = verdicts.iter().filter(|v| v.1).count() as f64;
    let negatives = verdicts.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut wins) = (0.0, 0.0);
    for ties in verdicts.chunk_by(|a, b| a.0 == b.0) {
        let replaced = ties.iter().filter(|v| v.1).count() as f64;
        let original = ties.len() as f64 - replaced;
        wins += replaced * (below + original / 2.0);
        below += original;
    }
    Some(wins / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_is_the_share_of_ordered_pairs() {
        assert_eq!(auc(&[(0.1, false), (0.2, true), (0.4, false), (0.9, true)]), Some(0.75));
        assert_eq!(auc(&[(0.5, false), (0.5, true)]), Some(0.5));
        assert_eq!(auc(&[(0.5, true)]), None);
    }

    #[test]
    fn verdicts_that_come_step_by_step_are_sorted_together() {
        let mut verdicts = Verdicts::default();
        let mut all = Vec::new();
        for step in 0..11u32 {
            let some = (0..7 + step % 3).map(|i| (((i * 37 + step * 11) % 23) as f32 - 9.5, (i + step) % 4 == 0));
            all.extend(some.clone());
            verdicts.add(some.collect());
            // Fewer runs than steps, and none so short that many would pile up.
            assert!(verdicts.0.len() <= 4, "{} runs after {} steps", verdicts.0.len(), step + 1);
        }
        let sorted = verdicts.sorted();
        assert!(sorted.is_sorted_by(|a, b| a.0 <= b.0) && sorted.len() == all.len());
        let count = |of: &[(f32, bool)]| of.iter().filter(|v| v.1).map(|v| v.0).sum::<f32>();
        assert_eq!(count(&sorted), count(&all));
        // By all pairs.
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (a, _) in all.iter().filter(|v| v.1) {
            for (b, _) in all.iter().filter(|v| !v.1) {
                wins += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
                pairs += 1.0;
            }
        }
        assert_eq!(auc(&sorted), Some(wins / pairs));
    }
}
