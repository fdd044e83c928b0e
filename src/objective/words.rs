//! What objectives that guess words have in common: the baselines and the tally of guesses.

use super::{Results, Setting};
use crate::batch::{Batch, TARGETS, WEIGHTS};
use crate::measure::{Advice, Baseline, Mean};

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
