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
/// whatever becomes of them. Where whole words are asked for (`data.whole_words`), all pieces of a word are selected or none, and
/// there may be fewer than k, where no word fits into what is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// Fraction of an example's tokens that is selected, special tokens counted.
    pub fraction: f64,
    /// Probability that a selected position becomes `[MASK]`.
    pub mask_probability: f64,
    /// Probability that it becomes a word of the vocabulary at random, special tokens left out.
    pub random_probability: f64,
}

/// What is known of a vocabulary's ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexicon<'a> {
    /// The tokens that are no words.
    pub special: SpecialTokens,
    /// The ids that are words, of which random ones are drawn.
    pub words: &'a [u32],
    /// Whether each id goes on a word, as `##ing` does, where whole words are to be selected.
    pub continues: Option<&'a [bool]>,
}

impl Lexicon<'_> {
    fn continues(&self, id: u32) -> bool {
        self.continues.is_some_and(|continues| continues.get(id as usize).copied().unwrap_or(false))
    }
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

    /// Selects positions of an example, ascending, and masks them in `masked`, a copy of its ids.
    pub(crate) fn draw(
        &self,
        masked: &mut [u32],
        maximum: usize,
        lexicon: Lexicon<'_>,
        random: &mut Random,
    ) -> Vec<u32> {
        let Lexicon { special, words, .. } = lexicon;
        let never = [special.cls, special.sep, special.mask, special.pad];
        let mut positions: Vec<u32> =
            (0..masked.len() as u32).filter(|&position| !never.contains(&masked[position as usize])).collect();
        // Ties to even, as in the reference.
        let wanted = (self.fraction * masked.len() as f64).round_ties_even() as usize;
        let k = wanted.min(maximum).max(1).min(positions.len());
        if lexicon.continues.is_some() {
            let whole = positions.chunk_by(|&a, &b| b == a + 1 && lexicon.continues(masked[b as usize]));
            positions = whole_words(whole.collect(), k, random);
        } else {
            shuffle(&mut positions, k, random);
            positions.truncate(k);
        }
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

/// Puts a draw without replacement into the first `count` places: those of a Fisher-Yates shuffle.
fn shuffle<T>(all: &mut [T], count: usize, random: &mut Random) {
    for place in 0..count {
        let other = place + random.below((all.len() - place) as u64) as usize;
        all.swap(place, other);
    }
}

/// The positions of words that are drawn one after the other, `k` of them at most: as in BERT's code, what is too long for what is left is
/// passed over. Where each is longer than `k`, the first `k` pieces of one of them.
fn whole_words(mut words: Vec<&[u32]>, k: usize, random: &mut Random) -> Vec<u32> {
    let count = words.len();
    shuffle(&mut words, count, random);
    let mut selected = Vec::with_capacity(k);
    for word in &words {
        if selected.len() + word.len() <= k {
            selected.extend_from_slice(word);
        }
    }
    if selected.is_empty() {
        selected.extend(words.first().into_iter().flat_map(|word| word.iter().take(k)));
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };
    const ALONE: Lexicon<'_> = Lexicon { special: SPECIAL, words: &[], continues: None };

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
            let selected = masking.draw(&mut ids, 19, ALONE, &mut Random::new(0, 0, 0));
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
            for position in masking.draw(&mut ids, 3, ALONE, &mut Random::new(5, 0, row)) {
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
            let positions = bert.draw(&mut ids, 3, Lexicon { words: &every, ..ALONE }, &mut random());
            assert_eq!(
                positions,
                Masking::default().draw(&mut alone, 3, Lexicon { words: &every, ..ALONE }, &mut random())
            );
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

    #[test]
    fn words_are_selected_whole() {
        // 10 and above go on a word.
        let continues: Vec<bool> = (0..20).map(|id| id >= 10).collect();
        let lexicon = Lexicon { continues: Some(&continues), ..ALONE };
        let text = [2, 5, 6, 11, 12, 7, 13, 8, 5, 6, 7, 14, 3, 15, 9, 8, 7, 6, 5, 3];
        let (masking, mut counts) =
            (Masking { fraction: 0.2, mask_probability: 1.0, random_probability: 0.0 }, [0; 20]);
        for row in 0..4_000 {
            let mut ids = text;
            let positions = masking.draw(&mut ids, 9, lexicon, &mut Random::new(5, 0, row));
            assert!((1..=4).contains(&positions.len()));
            let masked = |position: usize| ids[position] == SPECIAL.mask;
            for word in [&[2usize, 3, 4][..], &[5, 6], &[10, 11]] {
                assert!(word.iter().all(|&p| masked(p) == masked(word[0])), "{positions:?}");
            }
            positions.iter().for_each(|&p| counts[p as usize] += 1);
        }
        // A piece behind a special token is a word of its own, and none is left out.
        assert!([1, 2, 5, 7, 13, 14].iter().all(|&p| counts[p] > 300), "{counts:?}");
        assert_eq!(counts[0] + counts[12] + counts[19], 0);
        // A word longer than what is wanted is masked as far as it goes.
        let mut ids = [2, 6, 11, 12, 3];
        assert_eq!(masking.draw(&mut ids, 9, lexicon, &mut Random::new(5, 0, 1)), [1]);
    }

    proptest! {
        #[test]
        fn never_masks_special_tokens(ids in prop::collection::vec(0u32..9, 0..60), seed: u64, maximum in 1usize..10) {
            let mut masked = ids.clone();
            let selected = Masking::default().draw(&mut masked, maximum, ALONE, &mut Random::new(seed, 0, 0));
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
