//! Two-stage ELECTRA (Clark et al., arXiv 2003.10555, section 3.2): what remains of ELECTRA if its networks are not trained together.
//!
//! For the first half of the steps the generator alone is trained, by masked language modelling. Then the discriminator begins as
//! a copy of it and is trained to tell the tokens that it replaces, while the generator stays as it is. So both have one size, and share
//! nothing. The paper found it worse than joint training: the discriminator meets no easy fakes first.
//!
//! What the source leaves open: each stage has a warm-up and a decay of its own; the frozen generator samples without dropout.

use super::electra::{Electra, ElectraTally, Over, measures, outputs};
use super::words::{self, Verdicts};
use super::{BadValue, Demonstration, Generator, Inputs, Mode, Objective, Outputs, Phase, Setting, Tally};
use crate::batch::{MASKED_IDS, Masking};
use crate::graph::{Graph, GraphError};
use crate::measure::{Measure, Measures, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use crate::ops::Sampling;
use serde::{Deserialize, Serialize};

/// The settings of two-stage ELECTRA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoStage {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that a selected token becomes `[MASK]`; else it stays.
    pub mask_probability: f64,
    /// The generator's logits are divided by it before words are drawn.
    #[serde(default = "words::usual_temperature", skip_serializing_if = "words::is_usual_temperature")]
    pub temperature: f32,
    /// Whether it never draws the original word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disallow_correct: bool,
}

impl Default for TwoStage {
    /// ELECTRA's.
    fn default() -> Self {
        let Electra { masked_fraction, mask_probability, temperature, disallow_correct, .. } = Electra::default();
        Self { masked_fraction, mask_probability, temperature, disallow_correct }
    }
}

impl TwoStage {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, excludes_target: self.disallow_correct }
    }
}

impl Objective for TwoStage {
    fn title(&self) -> &'static str {
        "two-stage ELECTRA"
    }

    fn about(&self) -> &'static str {
        "First a network learns to guess hidden words; then a copy of it learns to find its guesses. What the copy learns is what you keep."
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_temperature(self.temperature)
    }

    /// A "generator" with a masked language model's head and a "discriminator" that tells replaced tokens, of one size.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut generator = b.network("generator", sizes);
        let mut discriminator = b.network("discriminator", sizes);
        b.masked_lm(&mut generator, true);
        b.replaced_tokens(&mut discriminator);
        vec![generator, discriminator]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let (first, frozen) = (mode.phase == 0, Mode { dropout: false, ..mode });
        let (guess, generator_loss) = g.in_scope("generator", |g| {
            let masked = batch.column(g, MASKED_IDS);
            let how = (if first { mode } else { frozen }, self.sampling());
            words::draw_selected(g, model.network("generator")?, masked, batch, how)
        })?;
        if first {
            return Ok(Outputs::new(generator_loss)
                .sum(outputs::GENERATOR_LOSS, generator_loss)
                .rows(outputs::BEST, guess.best)
                .rows(outputs::SAMPLED, guess.sampled));
        }
        let sampled = batch.unless_given(g, mode, words::SAMPLED, guess.sampled);
        let (labels, logits, discriminator_loss) = g.in_scope("discriminator", |g| {
            let Verdicts { labels, logits, nll } = words::judge_replaced(g, model, sampled, batch, mode)?;
            Ok((labels, logits, words::mean_over_tokens(g, nll, batch)?))
        })?;
        Ok(Outputs::new(discriminator_loss)
            .sum(outputs::GENERATOR_LOSS, generator_loss)
            .sum(outputs::DISCRIMINATOR_LOSS, discriminator_loss)
            .rows(outputs::BEST, guess.best)
            .rows(outputs::SAMPLED, sampled)
            .rows(outputs::LABELS, labels)
            .rows(outputs::LOGITS, logits))
    }

    /// ELECTRA's but for the joint loss, which there is none of. In the first stage there is nothing to measure of the discriminator.
    fn measures(&self, setting: &Setting) -> Measures {
        let as_wide = Electra { generator: Generator::Fraction(1.0), ..Electra::default() };
        let alone = measures::list(&as_wide, setting).into_iter().filter(|measure| *measure.name != *"loss");
        Measures::new(
            // A smaller generator, as ELECTRA's advice is, there cannot be.
            alone.map(|measure| match *measure.name == *outputs::DISCRIMINATOR_LOSS {
                true => Measure { selects: true, advice: None, ..measure },
                false => measure,
            }),
        )
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(ElectraTally::new([0.0, 1.0], Over::All))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        measures::in_words(before, after)
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Replaced { samples: outputs::SAMPLED, logits: outputs::LOGITS }
    }

    fn phases(&self) -> Vec<Phase> {
        let half = |name| Phase { name, share: 0.5, restarts_schedule: true, ..Phase::WHOLE };
        vec![
            Phase { trains: Some(&["generator"]), ..half("generator") },
            Phase {
                trains: Some(&["discriminator"]),
                copies: Some(("generator", "discriminator")),
                ..half("discriminator")
            },
        ]
    }
}
