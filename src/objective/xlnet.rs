//! Permutation language modelling, as XLNet does it (Yang et al., "XLNet: Generalized Autoregressive Pretraining for Language Understanding",
//! arXiv 1906.08237): words are predicted one after the other, in a random order, each from those that come before it.
//!
//! The selected tokens are the last sixth of an order z of all tokens, and the loss is the mean over them of -ln p of the original, in nats,
//!
//! ```text
//!     p(x_t | x_z where z comes before t) = softmax(e(x) . LN(GELU(W g_t)) + b_x)
//! ```
//!
//! with g_t the last layer's row of a second stream. The content stream's row of a token sees the tokens that come before it and itself; the
//! query stream's row of a selected token begins without its word, as `[MASK]` at its place, and sees those that come before it; keys and values are the
//! content stream's in both (section 2.3). No input has a `[MASK]` among what is seen, and words that are predicted together know of each
//! other, unlike BERT's.
//!
//! As in the published code, tokens that are not predicted see each other whatever their place in the order; there only `[CLS]` and `[SEP]` keep
//! one, and here they do not. What else differs from it: the layers and the head are those of
//! `transformers`' ElectraForMaskedLM, with positions added to the words in place of relative ones, and no memory of the segment before;
//! tokens are selected one by one, not in spans. The embedding of `[MASK]` serves as the vector that queries begin with.

use super::words::{self, GuessTally};
use super::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Setting, Tally};
use crate::batch::{Column, Extent, IDS, MASKED_IDS, Masking, POSITIONS, TARGETS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Hue, Measure, Measures, Plot, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use crate::ops;
use serde::{Deserialize, Serialize};

/// The settings of permutation language modelling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xlnet {
    /// Fraction of an example's tokens that are predicted, the last of the order.
    pub masked_fraction: f64,
}

impl Default for Xlnet {
    /// The last sixth.
    fn default() -> Self {
        Self { masked_fraction: 1.0 / 6.0 }
    }
}

/// The names of what a step of [`Xlnet`] gives beside the loss.
pub mod outputs {
    /// The mean over the predicted tokens, nats: `[1]`.
    pub const PERMUTATION_LOSS: &str = "permutation_loss";
    /// The likeliest words: [B K].
    pub const BEST: &str = "best";
    /// Each slot's place in the order, from 1 on, 0 for those that are not used: [B, K].
    pub const ORDER: &str = "order";
}

impl Xlnet {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: 1.0, random_probability: 0.0 }
    }
}

impl Objective for Xlnet {
    fn title(&self) -> &'static str {
        "XLNet"
    }

    fn about(&self) -> &'static str {
        "Some words are guessed one after the other, in a random order, each from those before it. What the network learns on the way is \
         what you keep."
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())
    }

    /// An "encoder" with a masked language model's head.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut encoder = b.network("encoder", sizes);
        b.masked_lm(&mut encoder, true);
        encoder.hide_masks();
        vec![encoder]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let weights = batch.column(g, WEIGHTS);
        let drawn = ops::draw_order(g, weights)?;
        let order = batch.unless_given(g, mode, Column::words(outputs::ORDER, Extent::Slot), drawn);
        let (guess, loss) = g.in_scope("encoder", |g| {
            let encoder = model.network("encoder")?;
            let texts = (batch.column(g, IDS), batch.column(g, MASKED_IDS));
            let (positions, encoded) = (batch.column(g, POSITIONS), batch.encoded(g, mode));
            let rows = encoder.encode_queries(g, texts, (positions, order), encoded)?;
            let (x, words) = words::vocabulary(g, encoder, rows)?;
            let targets = batch.column(g, TARGETS);
            let guess = ops::vocabulary_nll_without_sample(g, x, words, targets)?;
            Ok((guess, words::mean_over_selected(g, guess.nll, batch)?))
        })?;
        Ok(Outputs::new(loss).sum(outputs::PERMUTATION_LOSS, loss).rows(outputs::BEST, guess.best))
    }

    fn measures(&self, setting: &Setting) -> Measures {
        Measures::new([
            Measure {
                short: "permutation LM".into(),
                tag: "loss/permutation".into(),
                plot: Plot::Main,
                hue: Hue::First,
                selects: true,
                baselines: words::baselines(Some(setting.vocabulary), Some(setting.unigram_entropy)),
                advice: Some(words::advice("the encoder", words::clipped(setting), setting)),
                ..Measure::loss(outputs::PERMUTATION_LOSS, "Permutation LM loss", "nats a predicted token")
            },
            // Of the predicted tokens, those whose most likely guess is the original.
            Measure {
                short: "accuracy".into(),
                tag: "accuracy/permutation".into(),
                plot: Plot::Main,
                hue: Hue::Second,
                ..Measure::share("permutation_accuracy", "Permutation LM accuracy")
            },
        ])
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(GuessTally::new(outputs::PERMUTATION_LOSS, outputs::BEST, "permutation_accuracy"))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        let percent = |of: &Values| format!("{:.1} %", 100.0 * of.get("permutation_accuracy").unwrap_or(0.0));
        format!("the encoder guesses {} of the predicted words ({} before training)", percent(after), percent(before))
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Masked { guesses: outputs::BEST }
    }
}
