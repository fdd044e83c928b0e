//! How well logits tell tokens of two kinds apart, exactly, over several steps.

/// (logit, positive) of every token, as runs that are sorted by logit. Sorting an interval's millions in one go would keep the
/// caller busy for longer than a fast GPU has steps waiting, so each step's are sorted when they come, and runs are merged when
/// they are of a size: O(n log n) in all. A histogram would be faster, and its AUC no longer exact.
#[derive(Debug, Clone, Default)]
pub struct Ranking(Vec<Vec<(f32, bool)>>);

/// What a [`Ranking`] comes to. A logit above 0 calls a token positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Tokens that are positive, as a share; 0 of none.
    pub rate: f64,
    /// Tokens that are called rightly, as a share; 0 of none.
    pub accuracy: f64,
    /// Of those called positive, those that are; NaN if none is called so.
    pub precision: f64,
    /// Of the positive, those called so; NaN if there are none.
    pub recall: f64,
    /// Area under the receiver operating characteristic; NaN without tokens of both kinds.
    pub auc: f64,
}

impl Ranking {
    /// Takes in a step's tokens.
    pub fn add(&mut self, mut tokens: Vec<(f32, bool)>) {
        tokens.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.0.push(tokens);
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

    /// What all steps came to.
    pub fn finish(self) -> Ranked {
        let tokens = self.sorted();
        let count = |of: fn(&(f32, bool)) -> bool| tokens.iter().filter(|t| of(t)).count() as f64;
        let (all, positive, called) = (tokens.len() as f64, count(|t| t.1), count(|t| t.0 > 0.0));
        let (hits, right) = (count(|t| t.1 && t.0 > 0.0), count(|t| t.1 == (t.0 > 0.0)));
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let some = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { f64::NAN };
        Ranked {
            rate: share(positive, all),
            accuracy: share(right, all),
            precision: some(hits, called),
            recall: some(hits, positive),
            auc: auc(&tokens).unwrap_or(f64::NAN),
        }
    }
}

/// The probability that a positive token has a higher logit than another, ties counted half (Mann and
/// Whitney's U): exact, by ranks. The tokens are sorted by logit.
fn auc(tokens: &[(f32, bool)]) -> Option<f64> {
    let positives = tokens.iter().filter(|v| v.1).count() as f64;
    let negatives = tokens.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut wins) = (0.0, 0.0);
    for ties in tokens.chunk_by(|a, b| a.0 == b.0) {
        let positive = ties.iter().filter(|v| v.1).count() as f64;
        let negative = ties.len() as f64 - positive;
        wins += positive * (below + negative / 2.0);
        below += negative;
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
    fn tokens_that_come_step_by_step_are_sorted_together() {
        let mut ranking = Ranking::default();
        let mut all = Vec::new();
        for step in 0..11u32 {
            let some = (0..7 + step % 3).map(|i| (((i * 37 + step * 11) % 23) as f32 - 9.5, (i + step) % 4 == 0));
            all.extend(some.clone());
            ranking.add(some.collect());
            // Fewer runs than steps, and none so short that many would pile up.
            assert!(ranking.0.len() <= 4, "{} runs after {} steps", ranking.0.len(), step + 1);
        }
        let sorted = ranking.sorted();
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
