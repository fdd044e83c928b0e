//! What objectives that guess words have in common: what is asked, the baselines, and the tally of guesses.

use super::{BadValue, Results, Setting};
use crate::batch::{Batch, Masking, TARGETS, WEIGHTS};
use crate::measure::{Advice, Baseline, Mean};

/// Whether there can be such a masking.
///
/// # Errors
/// [`BadValue`] names what cannot be.
pub(super) fn check(masking: Masking) -> Result<(), BadValue> {
    let Masking { fraction, mask_probability, random_probability } = masking;
    for (key, p, most) in
        [("objective.masked_fraction", fraction, 0.9), ("objective.mask_probability", mask_probability, 1.0)]
    {
        if !(p > 0.0 && p <= most) {
            return Err(BadValue::new(key, p, format!("more than 0 and at most {most}")));
        }
    }
    let most = 1.0 - mask_probability;
    // .1 beside .9 is .1, whatever the sum is in binary.
    if !(0.0..=most + 1e-9).contains(&random_probability) {
        let expected = format!("0 to what objective.mask_probability leaves, {most:.3}");
        return Err(BadValue::new("objective.random_probability", random_probability, expected));
    }
    Ok(())
}

/// What is known without having learnt anything of a word's neighbours: blind guessing and word frequencies. Where nothing says how
/// many words there are, or how frequent, there is no such baseline.
pub(super) fn baselines(vocabulary: Option<u64>, unigram_entropy: Option<f64>) -> Vec<Baseline> {
    let uniform =
        vocabulary.map(|words| Baseline::at("uniform", "blind guessing", "blind guessing", (words as f64).ln()));
    let unigram = unigram_entropy.filter(|x| x.is_finite());
    let unigram = unigram.map(|at| Baseline::at("unigram", "word frequency", "knowing how frequent words are", at));
    uniform.into_iter().chain(unigram).collect()
}

/// What to say of a loss with these baselines. `who` learns it, and `clipped` is what to try where gradients are clipped.
pub(super) fn advice(who: &str, clipped: String, setting: &Setting) -> Advice {
    let rate = setting.learning_rate;
    Advice {
        stuck: format!("{who} has learnt no more than how frequent words are: loss"),
        given: vec!["guessing blindly gives", "word frequencies alone give"],
        attempt: format!("Try more steps, another --learning-rate (now {rate}) or more text"),
        where_clipped: clipped,
        guessing: (setting.vocabulary as f64).ln(),
        far: 2.0,
    }
}

/// Takes the words of an output [B K] into the share that is right, of the selected tokens.
pub(super) fn count_hits(right: &mut Mean, batch: &Batch, out: &Results, words: &str) {
    let words = out.words(words).iter().zip(batch.column(TARGETS.name)).zip(batch.reals(WEIGHTS.name));
    let hits = words.filter(|((found, target), w)| **w > 0.0 && found == target).count();
    right.add_sum(hits as f64, f64::from(batch.total(WEIGHTS.name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        let check = |fraction, mask_probability, random_probability| {
            super::check(Masking { fraction, mask_probability, random_probability }).map_err(|e| e.to_string())
        };
        for (mask, random) in [(0.8, 0.2), (0.9, 0.1), (0.7, 0.3), (1.0, 0.0)] {
            check(0.15, mask, random).unwrap();
        }
        let refused = [
            (check(0.0, 0.8, 0.1), "objective.masked_fraction is 0, expected more than 0"),
            (check(0.15, 1.5, 0.0), "objective.mask_probability is 1.5"),
            (
                check(0.15, 0.8, 0.3),
                "objective.random_probability is 0.3, expected 0 to what objective.mask_probability leaves, 0.200",
            ),
            (check(0.15, 0.8, f64::NAN), "objective.random_probability is NaN"),
        ];
        for (found, expected) in refused {
            let error = found.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
