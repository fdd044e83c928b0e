//! Replace MLM: masked language modelling without `[MASK]` (Clark et al., arXiv 2003.10555, section 3.4).
//!
//! A small generator guesses selected tokens, as in ELECTRA, and its samples stand where tokens were selected. The encoder sees that
//! text and is trained to guess what the words were: the mean over the selected tokens of -ln p of the original, in nats. The paper
//! asks by it how much of ELECTRA's gain is that no network that is kept ever sees `[MASK]`, which no text of a task has: little.
//!
//! What the source leaves open: both losses are means over the selected tokens, and weigh alike unless set otherwise; embeddings are
//! shared as in ELECTRA, and so are the generator's sizes and masks.

use super::words::{self, GeneratorTally};
use super::{
    BadValue, Demonstration, Generator, Inputs, Mode, Objective, Outputs, Results, Setting, Tally, electra::Electra,
};
use crate::batch::{Batch, IDS, MASKED_IDS, Masking, POSITIONS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Hue, Mean, Measure, Measures, Plot, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use crate::ops::{self, Sampling};
use serde::{Deserialize, Serialize};

/// The settings of Replace MLM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceMlm {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that the generator sees `[MASK]` for a selected token; else it sees the token.
    pub mask_probability: f64,
    /// Weight of the generator's loss.
    pub generator_weight: f32,
    /// Weight of the encoder's loss.
    pub encoder_weight: f32,
    /// The generator's logits are divided by it before words are drawn.
    #[serde(default = "words::usual_temperature", skip_serializing_if = "words::is_usual_temperature")]
    pub temperature: f32,
    /// Whether it never draws the original word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disallow_correct: bool,
    /// How large the generator is.
    pub generator: Generator,
}

impl Default for ReplaceMlm {
    fn default() -> Self {
        let Electra { masked_fraction, mask_probability, temperature, disallow_correct, generator, .. } =
            Electra::default();
        let (generator_weight, encoder_weight) = (1.0, 1.0);
        Self {
            masked_fraction,
            mask_probability,
            generator_weight,
            encoder_weight,
            temperature,
            disallow_correct,
            generator,
        }
    }
}

/// The names of what a step of [`ReplaceMlm`] gives beside the loss, the weighted sum of both losses.
pub mod outputs {
    pub use crate::objective::electra::outputs::{GENERATOR_LOSS, SAMPLED};
    pub use crate::objective::words::GENERATOR_BEST;
    /// What the encoder guesses the words to have been, mean over the selected tokens, nats: `[1]`.
    pub const ENCODER_LOSS: &str = "encoder_loss";
    /// The words that the encoder takes for likeliest: [B K].
    pub const BEST: &str = "best";
}

impl ReplaceMlm {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, excludes_target: self.disallow_correct }
    }
}

impl Objective for ReplaceMlm {
    fn title(&self) -> &'static str {
        "Replace MLM"
    }

    fn about(&self) -> &'static str {
        "A small network replaces some words; a larger one says what they were. What the larger one learns on the way is what you keep."
    }

    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_weight("objective.generator_weight", self.generator_weight)?;
        words::check_weight("objective.encoder_weight", self.encoder_weight)?;
        words::check_temperature(self.temperature)?;
        self.generator.check(sizes)
    }

    /// A "generator" and an "encoder", both with a masked language model's head, with tied embeddings.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        words::generator_and_encoder(b, &self.generator, sizes).into()
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let (guess, generator_loss) = g.in_scope("generator", |g| {
            let masked = batch.column(g, MASKED_IDS);
            words::draw_selected(g, model.network("generator")?, masked, batch, (mode, self.sampling()))
        })?;
        let sampled = batch.unless_given(g, mode, words::SAMPLED, guess.sampled);
        let (restored, encoder_loss) = g.in_scope("encoder", |g| {
            let (ids, positions) = (batch.column(g, IDS), batch.column(g, POSITIONS));
            let weights = batch.column(g, WEIGHTS);
            let (corrupted, _) = ops::replace_tokens(g, ids, sampled, positions, weights)?;
            words::guess_selected(g, model.network("encoder")?, corrupted, batch, mode)
        })?;
        let terms = [(self.generator_weight, generator_loss), (self.encoder_weight, encoder_loss)];
        Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
            .sum(outputs::GENERATOR_LOSS, generator_loss)
            .sum(outputs::ENCODER_LOSS, encoder_loss)
            .rows(outputs::GENERATOR_BEST, guess.best)
            .rows(outputs::SAMPLED, sampled)
            .rows(outputs::BEST, restored.best))
    }

    fn measures(&self, setting: &Setting) -> Measures {
        let encoder = Measure {
            short: "encoder".into(),
            tag: "loss/encoder".into(),
            plot: Plot::Main,
            hue: Hue::Second,
            selects: true,
            baselines: words::baselines(Some(setting.vocabulary), Some(setting.unigram_entropy)),
            advice: Some(words::advice("the encoder", words::clipped(setting), setting)),
            ..Measure::loss(outputs::ENCODER_LOSS, "Encoder loss", "nats a replaced token")
        };
        // Of the selected tokens, those of which the encoder takes the original for likeliest.
        let accuracy = Measure {
            hue: Hue::Second,
            tag: "accuracy/encoder".into(),
            ..Measure::share("encoder_accuracy", "Encoder accuracy")
        };
        let [loss, guessed, sampled] = words::generator_measures(setting);
        Measures::new([loss, encoder, guessed, accuracy, sampled])
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(ReplaceTally::default())
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        let percent = |of: &Values, name: &str| format!("{:.1} %", 100.0 * of.get(name).unwrap_or(0.0));
        format!(
            "the generator guesses {} of the masked words ({} before training);\n          the encoder finds {} of the words \
             behind its fakes ({} before)",
            percent(after, "generator_accuracy"),
            percent(before, "generator_accuracy"),
            percent(after, "encoder_accuracy"),
            percent(before, "encoder_accuracy"),
        )
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Restored { samples: outputs::SAMPLED, guesses: outputs::BEST }
    }

    fn generator_mut(&mut self) -> Option<&mut Generator> {
        Some(&mut self.generator)
    }
}

#[derive(Debug, Default)]
struct ReplaceTally {
    generator: GeneratorTally,
    loss: Mean,
    best: Mean,
}

impl Tally for ReplaceTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.generator.add(batch, out);
        self.loss.add(out.mean(outputs::ENCODER_LOSS), f64::from(batch.total(WEIGHTS.name)));
        words::count_hits(&mut self.best, batch, out, outputs::BEST);
    }

    fn finish(&mut self) -> Values {
        let Self { generator, loss, best } = std::mem::take(self);
        let [generator_loss, guessed, sampled] = generator.finish();
        Values::from([
            generator_loss,
            (outputs::ENCODER_LOSS, loss.value()),
            guessed,
            ("encoder_accuracy", best.value()),
            sampled,
        ])
    }
}
