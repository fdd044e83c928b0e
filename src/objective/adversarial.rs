//! Adversarial ELECTRA (Clark et al., arXiv 2003.10555, section 3.2 and appendix F): the generator is not trained to hit the words, but to
//! be taken for having hit them.
//!
//! Sampling has no gradient, so the generator learns by REINFORCE (Williams 1992). Of each selected token t,
//!
//! ```text
//!     R = -log D(x^, t) where the sample x^ is the original, else -log(1 - D(x^, t))      the discriminator's loss
//!     b = -log sigmoid(w . h_t)                                                           a baseline from the generator's layers
//!     generator:  minimise  -log p(x^_t) (R - b)
//!     baseline:   minimise  the cross-entropy of sigmoid(w . h_t) to exp(-R)
//! ```
//!
//! with D the probability that the discriminator gives to "original", and neither R nor b with a gradient in the first. It takes the
//! discriminator's loss of a token for its own sample's doing alone. The paper found such a generator less accurate (58 % against 65 %
//! of masked words) and the discriminator beside it no better.
//!
//! What the source leaves open: policy and baseline weigh as a generator's loss does, 1; the baseline's gradient flows into the generator's layers
//! too; everything else is ELECTRA's. The generator's loss that is measured, -log p of the original, is not what it is trained by.

use super::electra::{Electra, ElectraTally, Over, measures, outputs as electra};
use super::words::{self, SAMPLED, Verdicts};
use super::{BadValue, Demonstration, Generator, Inputs, Mode, Objective, Outputs, Results, Setting, Tally};
use crate::batch::{Batch, MASKED_IDS, Masking, POSITIONS, TARGETS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Better, Hue, Mean, Measure, Measures, Values};
use crate::model::{Builder, Model, ModelConfig, Network, Tie};
use crate::ops;
use serde::{Deserialize, Serialize};

/// The settings of adversarial ELECTRA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversarial {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that a selected token becomes `[MASK]`; else it stays.
    pub mask_probability: f64,
    /// Weight of the generator's reward.
    pub generator_weight: f32,
    /// Weight of the baseline's loss.
    pub baseline_weight: f32,
    /// Weight of the discriminator's loss.
    pub discriminator_weight: f32,
    /// How large the generator is.
    pub generator: Generator,
}

impl Default for Adversarial {
    fn default() -> Self {
        let Electra { masked_fraction, mask_probability, generator_weight, discriminator_weight, generator, .. } =
            Electra::default();
        let baseline_weight = 1.0;
        Self { masked_fraction, mask_probability, generator_weight, baseline_weight, discriminator_weight, generator }
    }
}

/// The names of what a step of [`Adversarial`] gives beside ELECTRA's and the loss.
pub mod outputs {
    /// What the generator is trained by, mean over the selected tokens: `[1]`. Its gradient is of use, its value tells little.
    pub const POLICY_LOSS: &str = "policy_loss";
    /// The mean reward of a selected token, nats: `[1]`.
    pub const REWARD: &str = "reward";
    /// The baseline's cross-entropy to the reward, mean over the selected tokens, nats: `[1]`.
    pub const BASELINE_LOSS: &str = "baseline_loss";
}

/// The generator's linear layer that foretells the reward.
const BASELINE: &str = "baseline";

impl Adversarial {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }
}

impl Objective for Adversarial {
    fn title(&self) -> &'static str {
        "adversarial ELECTRA"
    }

    fn about(&self) -> &'static str {
        "A small network replaces some words, so as not to be found out; a larger one finds out which. What the larger one learns on the \
         way is what you keep."
    }

    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_weight("objective.generator_weight", self.generator_weight)?;
        words::check_weight("objective.baseline_weight", self.baseline_weight)?;
        words::check_weight("objective.discriminator_weight", self.discriminator_weight)?;
        self.generator.check(sizes)
    }

    /// ELECTRA's "generator" and "discriminator"; the generator has a layer that foretells its reward.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut generator = b.network("generator", &self.generator.config(sizes));
        let mut discriminator = b.tied("discriminator", &generator, Tie::Embeddings, sizes);
        b.masked_lm(&mut generator, true);
        b.replaced_tokens(&mut discriminator);
        let width = generator.config.hidden;
        b.own_linear(&mut generator, BASELINE, width, 1);
        vec![generator, discriminator]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let (positions, weights) = (batch.column(g, POSITIONS), batch.column(g, WEIGHTS));
        let generator = model.network("generator")?;

        // The generator draws words; how likely it finds the originals is measured, and not trained.
        let (x, words, expected, guess, generator_loss) = g.in_scope("generator", |g| {
            let (masked, targets) = (batch.column(g, MASKED_IDS), batch.column(g, TARGETS));
            let rows = words::selected_rows(g, generator, masked, batch, mode)?;
            let (x, words) = words::vocabulary(g, generator, rows)?;
            let guess = ops::vocabulary_nll(g, x, words, targets)?;
            let expected = generator.own_linear(g, BASELINE, rows)?;
            Ok((x, words, expected, guess, words::mean_over_selected(g, guess.nll, batch)?))
        })?;

        // The discriminator says of every token whether it was replaced. Where it is wrong, the generator is rewarded.
        let sampled = batch.unless_given(g, mode, SAMPLED, guess.sampled);
        let (labels, logits, nll, discriminator_loss) = g.in_scope("discriminator", |g| {
            let Verdicts { labels, logits, nll } = words::judge_replaced(g, model, sampled, batch, mode)?;
            Ok((labels, logits, nll, words::mean_over_tokens(g, nll, batch)?))
        })?;

        let (policy_loss, reward, baseline_loss) = g.in_scope("policy", |g| {
            let rewards = ops::gather_rows(g, nll, positions)?;
            let advantage = ops::advantage(g, rewards, expected, weights)?;
            let drawn = ops::vocabulary_nll_without_sample(g, x, words, sampled)?.nll;
            let total = batch.total(g, WEIGHTS);
            let policy_loss = ops::weighted_mean(g, drawn, advantage, total)?;
            let foretold = ops::reward_nll(g, expected, rewards)?;
            let reward = words::mean_over_selected(g, rewards, batch)?;
            Ok((policy_loss, reward, words::mean_over_selected(g, foretold, batch)?))
        })?;

        let terms = [
            (self.generator_weight, policy_loss),
            (self.baseline_weight, baseline_loss),
            (self.discriminator_weight, discriminator_loss),
        ];
        Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
            .sum(electra::GENERATOR_LOSS, generator_loss)
            .sum(electra::DISCRIMINATOR_LOSS, discriminator_loss)
            .sum(outputs::POLICY_LOSS, policy_loss)
            .sum(outputs::REWARD, reward)
            .sum(outputs::BASELINE_LOSS, baseline_loss)
            .rows(electra::BEST, guess.best)
            .rows(electra::SAMPLED, sampled)
            .rows(electra::LABELS, labels)
            .rows(electra::LOGITS, logits))
    }

    /// ELECTRA's, with what the generator is rewarded and how well it knows beforehand in place of the joint loss.
    fn measures(&self, setting: &Setting) -> Measures {
        let as_joint = Electra { generator: self.generator, ..Electra::default() };
        let first = |tag: &str, measure: Measure| Measure { hue: Hue::First, tag: tag.into(), ..measure };
        let electra = measures::list(&as_joint, setting).into_iter().filter(|measure| *measure.name != *"loss");
        // The generator's loss is not what it is trained by: where it stays says nothing.
        let electra = electra.map(|measure| match &*measure.name {
            electra::DISCRIMINATOR_LOSS => Measure { selects: true, ..measure },
            electra::GENERATOR_LOSS => Measure { advice: None, ..measure },
            _ => measure,
        });
        let reward = Measure::loss(outputs::REWARD, "Generator's reward", "nats a selected token");
        let foretold = Measure::loss(outputs::BASELINE_LOSS, "Baseline's loss", "nats a selected token");
        Measures::new(electra.chain([
            first("generator/reward", Measure { better: Better::Neither, ..reward }),
            first("loss/baseline", Measure { better: Better::Neither, ..foretold }),
        ]))
    }

    fn tally(&self) -> Box<dyn Tally> {
        let electra = ElectraTally::new([self.generator_weight, self.discriminator_weight], Over::All);
        Box::new(AdversarialTally { electra, reward: Mean::default(), baseline: Mean::default() })
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        measures::in_words(before, after)
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Replaced { samples: electra::SAMPLED, logits: electra::LOGITS }
    }

    fn generator_mut(&mut self) -> Option<&mut Generator> {
        Some(&mut self.generator)
    }
}

#[derive(Debug)]
struct AdversarialTally {
    electra: ElectraTally,
    reward: Mean,
    baseline: Mean,
}

impl Tally for AdversarialTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.electra.add(batch, out);
        let selected = f64::from(batch.total(WEIGHTS.name));
        self.reward.add(out.mean(outputs::REWARD), selected);
        self.baseline.add(out.mean(outputs::BASELINE_LOSS), selected);
    }

    fn finish(&mut self) -> Values {
        let mut values = self.electra.finish();
        values.set(outputs::REWARD, std::mem::take(&mut self.reward).value());
        values.set(outputs::BASELINE_LOSS, std::mem::take(&mut self.baseline).value());
        values
    }
}
