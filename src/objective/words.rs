//! What objectives that guess words have in common: what is asked, the baselines, and the tally of guesses; and those whose
//! generator puts words into a text, what is measured of it.

use super::electra::outputs::{GENERATOR_LOSS, SAMPLED as DRAWN};
use super::{BadValue, Generator, Inputs, Mode, Results, Setting, Tally};
use crate::batch::{Batch, Column, Extent, IDS, LENGTHS, Masking, POSITIONS, TARGETS, WEIGHTS};
use crate::graph::{Graph, GraphError, Tensor};
use crate::measure::{Advice, Baseline, Hue, Mean, Measure, Plot, Values};
use crate::model::{Builder, Model, ModelConfig, Network, Tie};
use crate::ops::{self, MOST_CANDIDATES, MOST_DRAWN, Sampling, VocabularyOutput};

/// A generator's most likely words, an output: [B K].
pub const GENERATOR_BEST: &str = "generator_best";

/// The words to choose from, an output: those of a token or slot side by side.
pub const CANDIDATES: &str = "candidates";
/// What each option has, an output, as [`CANDIDATES`] are laid out; where all may be rejected, that comes first.
pub const PROBABILITIES: &str = "probabilities";

/// Samples in place of the generator's own, where they are given.
pub const SAMPLED: Column = Column::words(DRAWN, Extent::Slot);

/// What `network` makes of the tokens at the selected positions, when it sees the text as `ids` [B, L]: [B K, H].
pub(super) fn selected_rows(
    g: &mut Graph,
    network: &Network,
    ids: Tensor,
    batch: &mut Inputs,
    mode: Mode,
) -> Result<Tensor, GraphError> {
    let encoded = batch.encoded(g, mode);
    let hidden = network.encode(g, ids, encoded)?;
    let positions = batch.column(g, POSITIONS);
    ops::gather_rows(g, hidden, positions)
}

/// Masked language modelling: `network` sees the text as `ids` [B, L] and guesses which words were at the selected positions. The
/// guesses, B K of them, and the mean over the selected tokens of -ln p of the original, nats: `[1]`.
pub(super) fn guess_selected(
    g: &mut Graph,
    network: &Network,
    ids: Tensor,
    batch: &mut Inputs,
    mode: Mode,
) -> Result<(VocabularyOutput, Tensor), GraphError> {
    let (x, words) = asked(g, network, ids, batch, mode)?;
    let targets = batch.column(g, TARGETS);
    let guess = ops::vocabulary_nll_without_sample(g, x, words, targets)?;
    Ok((guess, mean_over_selected(g, guess.nll, batch)?))
}

/// As [`guess_selected`] by a generator: a word is drawn for each, too.
pub(super) fn draw_selected(
    g: &mut Graph,
    network: &Network,
    ids: Tensor,
    batch: &mut Inputs,
    (mode, sampling): (Mode, Sampling),
) -> Result<(VocabularyOutput, Tensor), GraphError> {
    let (x, words) = asked(g, network, ids, batch, mode)?;
    let targets = batch.column(g, TARGETS);
    let guess = ops::vocabulary_nll_sampled(g, x, words, targets, sampling)?;
    Ok((guess, mean_over_selected(g, guess.nll, batch)?))
}

/// What the vocabulary is multiplied by, [B K, E], and the vocabulary.
fn asked(
    g: &mut Graph,
    network: &Network,
    ids: Tensor,
    batch: &mut Inputs,
    mode: Mode,
) -> Result<(Tensor, (Tensor, Tensor)), GraphError> {
    let rows = selected_rows(g, network, ids, batch, mode)?;
    vocabulary(g, network, rows)
}

/// What the vocabulary is multiplied by where a network's masked language model is asked about the rows `x` [M, H], [M, E], and the vocabulary:
/// the matrix [V, E] and the bias `[V]`.
pub(super) fn vocabulary(
    g: &mut Graph,
    network: &Network,
    x: Tensor,
) -> Result<(Tensor, (Tensor, Tensor)), GraphError> {
    let head = network.masked_lm()?;
    let x = head.hidden(g, x)?;
    Ok((x, (g.parameter(head.output), g.parameter(head.bias))))
}

/// What a discriminator says of a text in which a generator's words stand where tokens were selected.
pub(super) struct Verdicts {
    /// 1 where a token is not the original: [B, L].
    pub labels: Tensor,
    /// Logits of "replaced": [B L, 1].
    pub logits: Tensor,
    /// The loss of each token, nats: [B L].
    pub nll: Tensor,
}

/// Puts the `sampled` words, B K, into the text, and lets the discriminator say of every token whether it was replaced.
pub(super) fn judge_replaced(
    g: &mut Graph,
    model: &Model,
    sampled: Tensor,
    batch: &mut Inputs,
    mode: Mode,
) -> Result<Verdicts, GraphError> {
    let (ids, positions, weights) = (batch.column(g, IDS), batch.column(g, POSITIONS), batch.column(g, WEIGHTS));
    let (corrupted, labels) = ops::replace_tokens(g, ids, sampled, positions, weights)?;
    let discriminator = model.network("discriminator")?;
    let encoded = batch.encoded(g, mode);
    let hidden = discriminator.encode(g, corrupted, encoded)?;
    let logits = discriminator.replaced_tokens()?.logits(g, hidden)?;
    Ok(Verdicts { labels, logits, nll: ops::binary_nll(g, logits, labels)? })
}

/// The mean of a loss of B K elements over the selected tokens: `[1]`.
pub(super) fn mean_over_selected(g: &mut Graph, nll: Tensor, batch: &mut Inputs) -> Result<Tensor, GraphError> {
    let (weights, total) = (batch.column(g, WEIGHTS), batch.total(g, WEIGHTS));
    ops::weighted_mean(g, nll, weights, total)
}

/// The mean of a loss [B L], a value a token, over the tokens that are not padding: `[1]`.
pub(super) fn mean_over_tokens(g: &mut Graph, nll: Tensor, batch: &mut Inputs) -> Result<Tensor, GraphError> {
    let lengths = batch.column(g, LENGTHS);
    let (tokens, total) = (ops::length_mask(g, lengths, batch.shape().length)?, batch.total(g, LENGTHS));
    ops::weighted_mean(g, nll, tokens, total)
}

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

/// Whether a loss can have that weight.
///
/// # Errors
/// [`BadValue`] where not.
pub(super) fn check_weight(key: &'static str, weight: f32) -> Result<(), BadValue> {
    if (0.0..=1e6).contains(&weight) { Ok(()) } else { Err(BadValue::new(key, weight, "0 to 1,000,000")) }
}

/// The temperature that is meant where nothing is said.
pub(super) fn usual_temperature() -> f32 {
    1.0
}

pub(super) fn is_usual_temperature(temperature: &f32) -> bool {
    *temperature == usual_temperature()
}

/// Whether words can be drawn at that temperature.
///
/// # Errors
/// [`BadValue`] where not.
pub(super) fn check_temperature(temperature: f32) -> Result<(), BadValue> {
    if (0.01..=100.0).contains(&temperature) {
        Ok(())
    } else {
        Err(BadValue::new("objective.temperature", temperature, "0.01 to 100"))
    }
}

/// Whether a token can have so many options to choose from.
///
/// # Errors
/// [`BadValue`] where not.
pub(super) fn check_candidates(candidates: usize, sizes: &ModelConfig) -> Result<(), BadValue> {
    // One of them is not drawn, and one word of the vocabulary may be excluded.
    let most = (MOST_DRAWN.min(MOST_CANDIDATES)).min(sizes.vocabulary.saturating_sub(1));
    if (2..=most).contains(&candidates) {
        Ok(())
    } else {
        Err(BadValue::new("objective.candidates", candidates, format!("2 to {most}")))
    }
}

/// The index of the largest probability, of equals the lowest.
pub(super) fn likeliest(probabilities: &[f32]) -> usize {
    let larger = |most: usize, i: usize| if probabilities[i] > probabilities[most] { i } else { most };
    (0..probabilities.len()).fold(0, larger)
}

/// What is measured of a generator beside others: its loss, and of the selected tokens the shares whose most likely guess, and whose
/// sample, is the original.
pub(super) fn generator_measures(setting: &Setting) -> [Measure; 3] {
    let first = |tag: &str, measure: Measure| Measure { hue: Hue::First, tag: tag.into(), ..measure };
    let loss = Measure {
        short: "generator".into(),
        plot: Plot::Main,
        baselines: baselines(Some(setting.vocabulary), Some(setting.unigram_entropy)),
        advice: Some(advice("the generator", clipped(setting), setting)),
        ..Measure::loss(GENERATOR_LOSS, "Generator loss", "nats a masked token")
    };
    [
        first("loss/generator", loss),
        first("accuracy/generator", Measure::share("generator_accuracy", "Generator accuracy")),
        first("accuracy/sampled", Measure::share("sampled_accuracy", "Sampled accuracy")),
    ]
}

/// The tally of [`generator_measures`].
#[derive(Debug, Default)]
pub(super) struct GeneratorTally {
    loss: Mean,
    best: Mean,
    sampled: Mean,
}

impl GeneratorTally {
    /// Takes in a step.
    pub(super) fn add(&mut self, batch: &Batch, out: &Results) {
        self.loss.add(out.mean(GENERATOR_LOSS), f64::from(batch.total(WEIGHTS.name)));
        count_hits(&mut self.best, batch, out, GENERATOR_BEST);
        count_hits(&mut self.sampled, batch, out, DRAWN);
    }

    /// The values by name.
    pub(super) fn finish(self) -> [(&'static str, f64); 3] {
        [
            (GENERATOR_LOSS, self.loss.value()),
            ("generator_accuracy", self.best.value()),
            ("sampled_accuracy", self.sampled.value()),
        ]
    }
}

/// The tally of a network that does nothing but guess words: its loss, an output and a measure, and of the selected tokens the share whose
/// most likely guess, an output, is the original.
#[derive(Debug)]
pub(super) struct GuessTally {
    loss: (&'static str, Mean),
    best: &'static str,
    right: (&'static str, Mean),
}

impl GuessTally {
    /// Of the output `loss`, and of the words of the output `best`, whose share that is right is the measure `accuracy`.
    pub(super) fn new(loss: &'static str, best: &'static str, accuracy: &'static str) -> Self {
        Self { loss: (loss, Mean::default()), best, right: (accuracy, Mean::default()) }
    }
}

impl Tally for GuessTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.loss.1.add(out.mean(self.loss.0), f64::from(batch.total(WEIGHTS.name)));
        count_hits(&mut self.right.1, batch, out, self.best);
    }

    fn finish(&mut self) -> Values {
        let value = |(name, mean): &mut (&'static str, Mean)| (*name, std::mem::take(mean).value());
        Values::from([value(&mut self.loss), value(&mut self.right)])
    }
}

/// A "generator" of its size and an "encoder", both with a masked language model's head, with tied embeddings.
pub(super) fn generator_and_encoder(b: &mut Builder, generator: &Generator, sizes: &ModelConfig) -> [Network; 2] {
    let mut generator = b.network("generator", &generator.config(sizes));
    let mut encoder = b.tied("encoder", &generator, Tie::Embeddings, sizes);
    b.masked_lm(&mut generator, true);
    b.masked_lm(&mut encoder, true);
    [generator, encoder]
}

/// What is known of a ranking without having learnt anything.
pub(super) fn chance() -> Vec<Baseline> {
    vec![Baseline::at("chance", "chance", "knowing nothing", 0.5)]
}

/// What to try where gradients are clipped.
pub(super) fn clipped(setting: &Setting) -> String {
    format!(
        "Its gradients are clipped: try a larger optimizer.clip_norm (now {}) or another --learning-rate (now {})",
        setting.clip_norm, setting.learning_rate
    )
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
