//! Which positions the generator has to fill in.

use crate::corpus::SpecialTokens;
use crate::random::Random;

/// How positions are selected and masked.
///
/// Of an example of n tokens, k = max(1, min(K, round(fraction * n))) positions are selected, K being
/// [`slots`](Self::slots), never those of `[CLS]`, `[SEP]`, `[MASK]` or `[PAD]`. They are selected **without replacement**,
/// so they are k different ones (fewer only where an example has fewer candidates). ELECTRA's reference implementation
/// (`pretrain_helpers.py`) draws with replacement and averages what falls on the same position; that is a quirk of its code
/// and not part of the method. A selected position becomes `[MASK]` with `mask_probability`, else it keeps its token; never does
/// it become a random one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// Fraction of an example's tokens that is selected, special tokens counted.
    pub fraction: f64,
    /// Probability that a selected position becomes `[MASK]`.
    pub mask_probability: f64,
}

impl Default for Masking {
    /// ELECTRA-Small's: 15 % selected, 85 % of them masked.
    fn default() -> Self {
        Self { fraction: 0.15, mask_probability: 0.85 }
    }
}

impl Masking {
    /// K, the most positions selected in an example of at most `length` tokens: int((fraction + 0.005) * length), at least 1.
    pub fn slots(&self, length: usize) -> usize {
        (((self.fraction + 0.005) * length as f64) as usize).clamp(1, length.max(1))
    }

    /// Draws the positions of an example, ascending, and masks them in `masked`, a copy of `ids`.
    pub(crate) fn draw(
        &self,
        masked: &mut [u32],
        maximum: usize,
        special: SpecialTokens,
        random: &mut Random,
    ) -> Vec<u32> {
        let never = [special.cls, special.sep, special.mask, special.pad];
        let mut positions: Vec<u32> =
            (0..masked.len() as u32).filter(|&position| !never.contains(&masked[position as usize])).collect();
        // Ties to even, as in the reference.
        let wanted = (self.fraction * masked.len() as f64).round_ties_even() as usize;
        let k = wanted.min(maximum).max(1).min(positions.len());
        // The first k places of a Fisher-Yates shuffle are a draw without replacement.
        for place in 0..k {
            let other = place + random.below((positions.len() - place) as u64) as usize;
            positions.swap(place, other);
        }
        positions.truncate(k);
        positions.sort_unstable();
        for &position in &positions {
            if random.chance(self.mask_probability) {
                masked[position as usize] = special.mask;
            }
        }
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };

    #[test]
    fn small_has_19_predictions() {
        let masking = Masking::default();
        assert_eq!(masking.slots(128), 19);
        assert_eq!(masking.slots(512), 79);
        assert_eq!(masking.slots(8), 1);
        assert_eq!(masking.slots(1), 1);
    }

    #[test]
    fn k_follows_the_length() {
        let masking = Masking::default();
        // 0.15 * 10 = 1.5 rounds to 2 and 0.15 * 30 = 4.5 to 4: ties to even.
        for (length, k) in [(3, 1), (9, 1), (10, 2), (30, 4), (126, 19), (128, 19), (0, 0), (2, 0)] {
            let mut ids = vec![9; length];
            for end in [0, length.saturating_sub(1)] {
                if let Some(id) = ids.get_mut(end) {
                    *id = SPECIAL.cls;
                }
            }
            let drawn = masking.draw(&mut ids, 19, SPECIAL, &mut Random::new(0, 0, 0));
            assert_eq!(drawn.len(), k, "length {length}");
        }
    }

    #[test]
    fn masks_85_percent_and_draws_every_position_alike() {
        let masking = Masking::default();
        let mut drawn = [0u32; 20];
        let mut masked = 0;
        for row in 0..20_000 {
            let mut ids = [7; 20];
            for position in masking.draw(&mut ids, 3, SPECIAL, &mut Random::new(5, 0, row)) {
                drawn[position as usize] += 1;
                masked += u32::from(ids[position as usize] == SPECIAL.mask);
            }
        }
        assert_eq!(drawn.iter().sum::<u32>(), 60_000);
        // Standard deviations 87 and 50.
        assert!(masked.abs_diff(51_000) < 440, "{masked}");
        assert!(drawn.iter().all(|count| count.abs_diff(3_000) < 300), "{drawn:?}");
    }

    proptest! {
        #[test]
        fn never_masks_special_tokens(ids in prop::collection::vec(0u32..9, 0..60), seed: u64, maximum in 1usize..10) {
            let mut masked = ids.clone();
            let drawn = Masking::default().draw(&mut masked, maximum, SPECIAL, &mut Random::new(seed, 0, 0));
            let candidates = ids.iter().filter(|&&id| id == 1 || id > 4).count();
            let wanted = (0.15 * ids.len() as f64).round_ties_even() as usize;
            prop_assert_eq!(drawn.len(), wanted.min(maximum).max(1).min(candidates));
            prop_assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
            for (position, (&id, &now)) in ids.iter().zip(&masked).enumerate() {
                if drawn.contains(&(position as u32)) {
                    prop_assert!(id == 1 || id > 4);
                    prop_assert!(now == id || now == 4);
                } else {
                    prop_assert_eq!(id, now);
                }
            }
        }
    }
}
