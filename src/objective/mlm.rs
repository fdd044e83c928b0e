//! Masked language modelling, as BERT has it (Devlin et al., arXiv 1810.04805): an encoder sees a text with some tokens hidden and
//! is trained to guess them.
//!
//! Of the selected tokens, as a rule 15 %, BERT replaces 80 % by `[MASK]`, 10 % by a random word, and leaves 10 % as they are, so that
//! the encoder cannot know which tokens it will be asked about. With `mask_probability` .85 and `random_probability` 0 the
//! inputs are ELECTRA's generator's. The loss is the mean over the selected tokens of -ln p of the original, in nats.
//!
//! What differs from the source: no prediction of the next sentence, as in RoBERTa; masks are drawn anew in every epoch, as there;
//! the layers and the head are those of `transformers`' ElectraForMaskedLM, whose embeddings may be narrower than the layers.

use super::words::{self, GuessTally};
use super::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Setting, Tally};
use crate::batch::{MASKED_IDS, Masking};
use crate::graph::{Graph, GraphError};
use crate::measure::{Hue, Measure, Measures, Plot, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use serde::{Deserialize, Serialize};

/// The settings of masked language modelling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedLm {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that a selected token becomes `[MASK]`.
    pub mask_probability: f64,
    /// Probability that it becomes a random word; with what is left of 1 it stays.
    pub random_probability: f64,
}

impl Default for MaskedLm {
    /// BERT's.
    fn default() -> Self {
        Self { masked_fraction: 0.15, mask_probability: 0.8, random_probability: 0.1 }
    }
}

/// The names of what a step of [`MaskedLm`] gives beside the loss.
pub mod outputs {
    /// The mean over the selected tokens, nats: `[1]`.
    pub const MLM_LOSS: &str = "mlm_loss";
    /// The likeliest words: [B K].
    pub const BEST: &str = "best";
}

impl MaskedLm {
    fn masks(&self) -> Masking {
        let Self { masked_fraction: fraction, mask_probability, random_probability } = *self;
        Masking { fraction, mask_probability, random_probability }
    }
}

impl Objective for MaskedLm {
    fn title(&self) -> &'static str {
        "masked LM"
    }

    fn about(&self) -> &'static str {
        "Some words are hidden, and a network guesses them. What it learns on the way is what you keep."
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())
    }

    /// An "encoder" with a masked language model's head.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut encoder = b.network("encoder", sizes);
        b.masked_lm(&mut encoder, true);
        vec![encoder]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let (guess, loss) = g.in_scope("encoder", |g| {
            let masked = batch.column(g, MASKED_IDS);
            words::guess_selected(g, model.network("encoder")?, masked, batch, mode)
        })?;
        Ok(Outputs::new(loss).sum(outputs::MLM_LOSS, loss).rows(outputs::BEST, guess.best))
    }

    fn measures(&self, setting: &Setting) -> Measures {
        Measures::new([
            Measure {
                short: "masked LM".into(),
                tag: "loss/mlm".into(),
                plot: Plot::Main,
                hue: Hue::First,
                selects: true,
                baselines: words::baselines(Some(setting.vocabulary), Some(setting.unigram_entropy)),
                advice: Some(words::advice("the encoder", words::clipped(setting), setting)),
                ..Measure::loss(outputs::MLM_LOSS, "Masked LM loss", "nats a masked token")
            },
            // Of the selected tokens, those whose most likely guess is the original.
            Measure {
                short: "accuracy".into(),
                tag: "accuracy/mlm".into(),
                plot: Plot::Main,
                hue: Hue::Second,
                ..Measure::share("mlm_accuracy", "Masked LM accuracy")
            },
        ])
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(GuessTally::new(outputs::MLM_LOSS, outputs::BEST, "mlm_accuracy"))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        let percent = |of: &Values| format!("{:.1} %", 100.0 * of.get("mlm_accuracy").unwrap_or(0.0));
        format!("the encoder guesses {} of the masked words ({} before training)", percent(after), percent(before))
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Masked { guesses: outputs::BEST }
    }
}
