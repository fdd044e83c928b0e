//! ELECTRA's joint objective, the whole method on a page.
//!
//! A small generator sees the text with some tokens masked and is trained to guess them; its guesses, sampled, stand
//! where tokens were selected, and the discriminator is trained to say of every token whether it is still the original.
//! A guess that hits the original counts as original. Nothing flows back from the discriminator to the generator
//! but through the embeddings they share: sampling has no gradient.

pub mod measures;
mod options;
mod tally;

pub use super::words::SAMPLED;
use super::words::Verdicts;
pub use options::{Over, ReplacedBy, Tying};
pub(super) use tally::{ElectraTally, verdicts};

use super::{
    BadValue, Demonstration, Generator, GeneratorSizes, Inputs, Mode, Objective, ObjectiveConfig, Outputs, Phase,
    Setting, Tally, words,
};
use crate::batch::{MASKED_IDS, Masking, POSITIONS, TARGETS};
use crate::graph::{Graph, GraphError, Tensor};
use crate::measure::{Measures, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use crate::ops::{self, Sampling, VocabularyOutput};
use serde::{Deserialize, Serialize};

/// ELECTRA's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Electra {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that a selected token becomes `[MASK]`; else it stays.
    pub mask_probability: f64,
    /// Weight of the generator's loss.
    pub generator_weight: f32,
    /// Weight of the discriminator's loss.
    pub discriminator_weight: f32,
    /// Which tokens the discriminator's loss is over.
    #[serde(default, skip_serializing_if = "Over::is_usual")]
    pub over: Over,
    /// Whose words stand where tokens were selected.
    #[serde(default, skip_serializing_if = "ReplacedBy::is_usual")]
    pub replaced_by: ReplacedBy,
    /// What the two networks share.
    #[serde(default, skip_serializing_if = "Tying::is_usual")]
    pub tying: Tying,
    /// The generator's logits are divided by it before words are drawn.
    #[serde(default = "words::usual_temperature", skip_serializing_if = "words::is_usual_temperature")]
    pub temperature: f32,
    /// Whether it never draws the original word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disallow_correct: bool,
    /// How large the generator is.
    pub generator: Generator,
}

impl Default for Electra {
    /// ELECTRA-Small's.
    fn default() -> Self {
        let generator = GeneratorSizes { hidden: 64, layers: 12, heads: 1, feed_forward: 256 };
        Self {
            masked_fraction: 0.15,
            mask_probability: 0.85,
            generator_weight: 1.0,
            discriminator_weight: 50.0,
            over: Over::All,
            replaced_by: ReplacedBy::Generator,
            tying: Tying::Embeddings,
            temperature: 1.0,
            disallow_correct: false,
            generator: Generator::Sizes(generator),
        }
    }
}

impl ObjectiveConfig {
    /// Its settings where it is ELECTRA.
    pub fn electra(&self) -> Option<&Electra> {
        if let Self::Electra(electra) = self { Some(electra) } else { None }
    }
}

/// The names of what a step of [`Electra`] gives beside the loss, the weighted sum of both losses.
pub mod outputs {
    /// Masked language modelling, mean over the selected tokens, nats: `[1]`.
    pub const GENERATOR_LOSS: &str = "generator_loss";
    /// Replaced-token detection, mean over the tokens that it is over, nats: `[1]`.
    pub const DISCRIMINATOR_LOSS: &str = "discriminator_loss";
    /// The generator's most likely words: [B K].
    pub const BEST: &str = "best";
    /// The words that it drew: [B K].
    pub const SAMPLED: &str = "sampled";
    /// 1 where a token is not the original: [B, L].
    pub const LABELS: &str = "labels";
    /// The discriminator's logits of "replaced": [B L, 1].
    pub const LOGITS: &str = "logits";
}

impl Electra {
    /// Whether it is ELECTRA as the paper trains it, without what it varies in between.
    pub fn is_usual(&self) -> bool {
        let settings = [self.over.is_usual(), self.replaced_by.is_usual(), self.tying.is_usual()];
        settings == [true; 3] && self.sampling() == Sampling::default()
    }

    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, excludes_target: self.disallow_correct }
    }

    /// Whether what puts in words is trained.
    fn trains_generator(&self) -> bool {
        matches!(self.replaced_by, ReplacedBy::Generator | ReplacedBy::Unigram)
    }

    /// The weights of both losses in the one that is minimised; a generator that is not trained has none.
    fn weights(&self) -> [f32; 2] {
        [if self.trains_generator() { self.generator_weight } else { 0.0 }, self.discriminator_weight]
    }

    /// Guesses and words for the selected tokens, and the generator's loss.
    fn guess(
        &self,
        g: &mut Graph,
        model: &Model,
        batch: &mut Inputs,
        mode: Mode,
    ) -> Result<(VocabularyOutput, Tensor), GraphError> {
        let slots = batch.shape().examples * batch.shape().slots;
        let vocabulary = model.network("discriminator")?.config.vocabulary;
        let (x, words) = match self.replaced_by {
            ReplacedBy::Generator | ReplacedBy::Frozen => {
                let dropout = mode.dropout && self.replaced_by == ReplacedBy::Generator;
                let (masked, how) = (batch.column(g, MASKED_IDS), (Mode { dropout, ..mode }, self.sampling()));
                return words::draw_selected(g, model.network("generator")?, masked, batch, how);
            }
            // One logit a word, whatever the text: a linear layer of what is always 1.
            ReplacedBy::Unigram => {
                let layer = model.network("discriminator")?.own_layer(UNIGRAM)?;
                (ops::constant(g, 1.0, &[slots, 1])?, (g.parameter(layer.weight), g.parameter(layer.bias)))
            }
            ReplacedBy::Uniform => {
                let words = (ops::constant(g, 0.0, &[vocabulary, 1])?, ops::constant(g, 0.0, &[vocabulary])?);
                (ops::constant(g, 0.0, &[slots, 1])?, words)
            }
        };
        let targets = batch.column(g, TARGETS);
        let guess = ops::vocabulary_nll_sampled(g, x, words, targets, self.sampling())?;
        Ok((guess, words::mean_over_selected(g, guess.nll, batch)?))
    }
}

/// The discriminator's own layer that is a logit for every word, where there is no other generator.
const UNIGRAM: &str = "unigram";

impl Objective for Electra {
    fn title(&self) -> &'static str {
        "ELECTRA"
    }

    fn about(&self) -> &'static str {
        "A small network replaces some words; a larger one finds out which. What the larger one learns on the way is what you keep."
    }

    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_weight("objective.generator_weight", self.generator_weight)?;
        words::check_weight("objective.discriminator_weight", self.discriminator_weight)?;
        words::check_temperature(self.temperature)?;
        self.generator.check(sizes)?;
        if !self.replaced_by.has_generator() && !self.tying.is_usual() {
            let tying = format!("{:?}", self.tying).to_lowercase();
            return Err(BadValue::new(
                "objective.tying",
                tying,
                "none given, where objective.replaced_by is no generator",
            ));
        }
        self.tying.check(&self.generator, sizes)
    }

    /// A "generator" with a masked language model's head and a "discriminator" that tells replaced tokens, as a rule with tied
    /// embeddings; the latter alone where words are put in that no network guesses.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        if !self.replaced_by.has_generator() {
            let mut discriminator = b.network("discriminator", sizes);
            b.replaced_tokens(&mut discriminator);
            if self.replaced_by == ReplacedBy::Unigram {
                b.own_linear(&mut discriminator, UNIGRAM, 1, sizes.vocabulary);
            }
            return vec![discriminator];
        }
        let mut generator = b.network("generator", &self.generator.config(sizes));
        let mut discriminator = b.tied("discriminator", &generator, self.tying.tie(), sizes);
        b.masked_lm(&mut generator, true);
        b.replaced_tokens(&mut discriminator);
        vec![generator, discriminator]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        // The generator guesses the selected tokens.
        let (guess, generator_loss) = g.in_scope("generator", |g| self.guess(g, model, batch, mode))?;

        // Its samples replace them, and the discriminator says of every token whether it was replaced.
        let sampled = batch.unless_given(g, mode, SAMPLED, guess.sampled);
        let (labels, logits, discriminator_loss) = g.in_scope("discriminator", |g| {
            let Verdicts { labels, logits, nll } = words::judge_replaced(g, model, sampled, batch, mode)?;
            let loss = match self.over {
                Over::All => words::mean_over_tokens(g, nll, batch)?,
                Over::Selected => {
                    let positions = batch.column(g, POSITIONS);
                    let selected = ops::gather_rows(g, nll, positions)?;
                    words::mean_over_selected(g, selected, batch)?
                }
            };
            Ok((labels, logits, loss))
        })?;

        let terms = self.weights().into_iter().zip([generator_loss, discriminator_loss]);
        let terms: Vec<(f32, Tensor)> = terms.skip(usize::from(!self.trains_generator())).collect();
        Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
            .sum(outputs::GENERATOR_LOSS, generator_loss)
            .sum(outputs::DISCRIMINATOR_LOSS, discriminator_loss)
            .rows(outputs::BEST, guess.best)
            .rows(outputs::SAMPLED, sampled)
            .rows(outputs::LABELS, labels)
            .rows(outputs::LOGITS, logits))
    }

    fn measures(&self, setting: &Setting) -> Measures {
        measures::measures(self, setting)
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(ElectraTally::new(self.weights(), self.over))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        match self.replaced_by.has_generator() {
            true => measures::in_words(before, after),
            false => measures::judged_in_words(after, "the"),
        }
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Replaced { samples: outputs::SAMPLED, logits: outputs::LOGITS }
    }

    fn phases(&self) -> Vec<Phase> {
        let frozen = self.replaced_by == ReplacedBy::Frozen;
        vec![Phase { trains: frozen.then_some(&["discriminator"]), ..Phase::WHOLE }]
    }

    fn generator_mut(&mut self) -> Option<&mut Generator> {
        self.replaced_by.has_generator().then_some(&mut self.generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Shape;
    use crate::config::preset;
    use crate::files::sha256;

    #[test]
    fn samples_have_their_stream_with_and_without_dropout() {
        let config = preset("small").unwrap().set("model.layers=1").unwrap();
        let model = Model::new(&config);
        let draws = |dropout| {
            let mut g = Graph::new(model.table.clone());
            let mut inputs = Inputs::new(Shape { examples: 2, length: 16, slots: 2 });
            let mode = Mode { dropout, ..Mode::default() };
            config.objective.build(&mut g, &model, &mut inputs, mode).unwrap();
            let sampling = g.nodes().iter().find(|node| node.op.name() == "vocabulary_nll").unwrap();
            format!("{:?}", sampling.op)
        };
        assert_eq!(draws(true), draws(false));
    }

    /// Runs of older programs go on, and a seed means what it meant.
    #[test]
    fn layout_and_initial_weights_stay() {
        let model = Model::new(&preset("tiny").unwrap());
        let offsets: Vec<u64> = model.table.parameters().iter().map(|p| p.offset as u64).collect();
        assert_eq!(sha256(bytemuck::cast_slice(&offsets))[..16], *"b136788494a06297");
        // Other systems' logarithms may differ in the last bit.
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(sha256(bytemuck::cast_slice(&model.initial(1)))[..16], *"66df779df4d19576");
        }
    }

    #[test]
    fn small_has_the_papers_parameters() {
        let model = Model::new(&preset("small").unwrap());
        assert_eq!(model.table.count(), 14_196_219);
    }

    #[test]
    fn initial_weights_follow_their_rules() {
        let mut config = preset("small").unwrap();
        config.model.vocabulary = 500;
        let model = Model::new(&config);
        let bank = model.initial(3);
        assert_eq!(bank, model.initial(3));
        assert_ne!(bank, model.initial(4));
        let window = |i: usize| &bank[model.table.parameters()[i].range()];
        let discriminator = model.network("discriminator").unwrap();
        let word = window(discriminator.embeddings.word);
        let deviation = (word.iter().map(|x| x * x).sum::<f32>() / word.len() as f32).sqrt();
        // A normal cut at two deviations has .88 of its deviation.
        assert!((deviation - 0.0176).abs() < 0.0003, "{deviation}");
        assert!(word.iter().all(|x| x.abs() <= 0.04));
        assert!(window(discriminator.embeddings.norm.gamma).iter().all(|&x| x == 1.0));
        let last = window(discriminator.replaced_tokens().unwrap().prediction.weight);
        let limit = (6.0f32 / (1.0 + last.len() as f32)).sqrt();
        assert!(last.iter().all(|x| x.abs() <= limit) && last.iter().any(|x| x.abs() > 0.8 * limit));
    }
}
