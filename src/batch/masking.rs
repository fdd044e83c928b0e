//! Which tokens are asked for, and what stands in their place.

use crate::corpus::SpecialTokens;
use crate::random::Random;

/// How positions are selected and masked.
///
/// Of an example of n tokens, k = max(1, min(K, round(fraction * n))) positions are selected, K being
/// [`slots`](Self::slots), never those of `[CLS]`, `[SEP]`, `[MASK]` or `[PAD]`. They are selected **without replacement**,
/// so they are k different ones (fewer only where an example has fewer candidates). ELECTRA's reference implementation
/// (`pretrain_helpers.py`) draws with replacement and averages what falls on the same position; that is a quirk of its code
/// and not part of the method. A selected position becomes `[MASK]` with `mask_probability`, a random word with
/// `random_probability`, and keeps its token with what is left. With the same random numbers the same positions are selected,
/// whatever becomes of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// Fraction of an example's tokens that is selected, special tokens counted.
    pub fraction: f64,
    /// Probability that a selected position becomes `[MASK]`.
    pub mask_probability: f64,
    /// Probability that it becomes a word of the vocabulary at random, special tokens left out.
    pub random_probability: f64,
}

impl Default for Masking {
    /// ELECTRA-Small's: 15 % selected, 85 % of them masked.
    fn default() -> Self {
        Self { fraction: 0.15, mask_probability: 0.85, random_probability: 0.0 }
    }
}

impl Masking {
    /// K, the most positions selected in an example of at most `length` tokens: int((fraction + 0.005) * length), at least 1.
    pub fn slots(&self, length: usize) -> usize {
        (((self.fraction + 0.005) * length as f64) as usize).clamp(1, length.max(1))
    }

    /// Selects positions of an example, ascending, and masks them in `masked`, a copy of its ids; random words are some of `words`.
    pub(crate) fn draw(
        &self,
        masked: &mut [u32],
        maximum: usize,
        (special, words): (SpecialTokens, &[u32]),
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
        let mut replaced = Vec::new();
        for &position in &positions {
            let u = random.unit();
            if u < self.mask_probability {
                masked[position as usize] = special.mask;
            } else if u < self.mask_probability + self.random_probability {
                replaced.push(position);
            }
        }
        // Behind all the others, so that those are the same without it.
        for position in replaced {
            if let Some(&word) = words.get(random.below(words.len() as u64) as usize) {
                masked[position as usize] = word;
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
            let selected = masking.draw(&mut ids, 19, (SPECIAL, &[]), &mut Random::new(0, 0, 0));
            assert_eq!(selected.len(), k, "length {length}");
        }
    }

    #[test]
    fn masks_85_percent_and_selects_every_position_alike() {
        let masking = Masking::default();
        let mut selected = [0u32; 20];
        let mut masked = 0;
        for row in 0..20_000 {
            let mut ids = [7; 20];
            for position in masking.draw(&mut ids, 3, (SPECIAL, &[]), &mut Random::new(5, 0, row)) {
                selected[position as usize] += 1;
                masked += u32::from(ids[position as usize] == SPECIAL.mask);
            }
        }
        assert_eq!(selected.iter().sum::<u32>(), 60_000);
        // Standard deviations 87 and 50.
        assert!(masked.abs_diff(51_000) < 440, "{masked}");
        assert!(selected.iter().all(|count| count.abs_diff(3_000) < 300), "{selected:?}");
    }

    #[test]
    fn berts_are_eighty_ten_ten_at_the_same_positions() {
        let bert = Masking { mask_probability: 0.8, random_probability: 0.1, ..Masking::default() };
        let every: Vec<u32> = (5..50).collect();
        let (mut masked, mut other, mut words) = (0u32, 0u32, [0u32; 50]);
        for row in 0..20_000 {
            let random = || Random::new(5, 0, row);
            let (mut ids, mut alone) = ([7; 20], [7; 20]);
            let positions = bert.draw(&mut ids, 3, (SPECIAL, &every), &mut random());
            assert_eq!(positions, Masking::default().draw(&mut alone, 3, (SPECIAL, &every), &mut random()));
            for position in positions {
                let id = ids[position as usize];
                masked += u32::from(id == SPECIAL.mask);
                if id != SPECIAL.mask && id != 7 {
                    other += 1;
                    words[id as usize] += 1;
                }
            }
        }
        // Of 60,000: standard deviations 98 and 73. One in 45 random words is the token itself.
        assert!(masked.abs_diff(48_000) < 400, "{masked}");
        assert!(other.abs_diff(6_000 * 44 / 45) < 300, "{other}");
        let possible = |id: usize| id > 4 && id != 7;
        assert!((0..50).all(|id| (words[id] > 60) == possible(id) && words[id] < 220), "{words:?}");
    }

    proptest! {
        #[test]
        fn never_masks_special_tokens(ids in prop::collection::vec(0u32..9, 0..60), seed: u64, maximum in 1usize..10) {
            let mut masked = ids.clone();
            let selected = Masking::default().draw(&mut masked, maximum, (SPECIAL, &[]), &mut Random::new(seed, 0, 0));
            let candidates = ids.iter().filter(|&&id| id == 1 || id > 4).count();
            let wanted = (0.15 * ids.len() as f64).round_ties_even() as usize;
            prop_assert_eq!(selected.len(), wanted.min(maximum).max(1).min(candidates));
            prop_assert!(selected.windows(2).all(|pair| pair[0] < pair[1]));
            for (position, (&id, &now)) in ids.iter().zip(&masked).enumerate() {
                if selected.contains(&(position as u32)) {
                    prop_assert!(id == 1 || id > 4);
                    prop_assert!(now == id || now == 4);
                } else {
                    prop_assert_eq!(id, now);
                }
            }
        }
    }
}
