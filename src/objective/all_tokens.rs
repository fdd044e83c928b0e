//! All-tokens masked language modelling (Clark et al., arXiv 2003.10555, section 3.4): as [Replace MLM](super::replace_mlm), but the
//! encoder says of every token what it was, and may copy what it sees.
//!
//! The encoder gives each token a probability D of being the original, by one linear layer and a sigmoid, and a distribution over the
//! words. What it says of the word x of a token that now is y is p(x) = D [x = y] + (1 - D) softmax(x), and its loss is the mean over all tokens
//! of -ln p(x) of the original, in nats. So it learns from all tokens, as ELECTRA's discriminator does, and which word it was,
//! as BERT does. The paper found it between the two: 84.3 on GLUE, behind ELECTRA's 85.0 and before Replace MLM's 82.4.
//!
//! What the source leaves open: the encoder's loss is a mean over all tokens, of which about .15 are selected, and weighs 7, so that a
//! selected token counts about as much in it as in the generator's. The vocabulary head runs over all tokens: a step costs more than
//! ELECTRA's by some 40 % at ELECTRA-Small's sizes, which matters where objectives are compared at equal cost.

use super::words::{self, GeneratorTally};
use super::{
    BadValue, Demonstration, Generator, Inputs, Mode, Objective, Outputs, Results, Setting, Tally, electra,
    electra::Electra,
};
use crate::batch::{Batch, IDS, MASKED_IDS, Masking, POSITIONS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Better, Hue, Mean, Measure, Measures, Plot, Ranking, Values};
use crate::model::{Builder, COPY, Model, ModelConfig, Network};
use crate::ops::{self, Sampling};
use serde::{Deserialize, Serialize};

/// The settings of all-tokens masked language modelling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllTokens {
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

impl Default for AllTokens {
    fn default() -> Self {
        let Electra { masked_fraction, mask_probability, temperature, disallow_correct, generator, .. } =
            Electra::default();
        let (generator_weight, encoder_weight) = (1.0, 7.0);
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

/// The names of what a step of [`AllTokens`] gives beside the loss, the weighted sum of both losses.
pub mod outputs {
    pub use crate::objective::electra::outputs::{GENERATOR_LOSS, LABELS, SAMPLED};
    pub use crate::objective::words::GENERATOR_BEST;
    /// What the encoder says the words to have been, mean over the tokens, nats: `[1]`.
    pub const ENCODER_LOSS: &str = "encoder_loss";
    /// The words that the encoder takes for likeliest where it does not copy: [B L].
    pub const BEST: &str = "best";
    /// The encoder's logits of "replaced", of not copying: [B L, 1].
    pub const LOGITS: &str = "logits";
}

impl AllTokens {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, excludes_target: self.disallow_correct }
    }
}

impl Objective for AllTokens {
    fn title(&self) -> &'static str {
        "All-Tokens MLM"
    }

    fn about(&self) -> &'static str {
        "A small network replaces some words; a larger one says of every word what it was, and may copy. What the larger one learns on \
         the way is what you keep."
    }

    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_weight("objective.generator_weight", self.generator_weight)?;
        words::check_weight("objective.encoder_weight", self.encoder_weight)?;
        words::check_temperature(self.temperature)?;
        self.generator.check(sizes)
    }

    /// A "generator" and an "encoder", both with a masked language model's head, with tied embeddings; the encoder has a layer that
    /// says whether to copy.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let [generator, mut encoder] = words::generator_and_encoder(b, &self.generator, sizes);
        b.own_linear(&mut encoder, COPY, sizes.hidden, 1);
        vec![generator, encoder]
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
        let (restored, labels, logits, encoder_loss) = g.in_scope("encoder", |g| {
            let (ids, positions) = (batch.column(g, IDS), batch.column(g, POSITIONS));
            let weights = batch.column(g, WEIGHTS);
            let (corrupted, labels) = ops::replace_tokens(g, ids, sampled, positions, weights)?;
            let encoder = model.network("encoder")?;
            let encoded = batch.encoded(g, mode);
            let hidden = encoder.encode(g, corrupted, encoded)?;

            let logits = encoder.own_linear(g, COPY, hidden)?;
            let (x, words) = words::vocabulary(g, encoder, hidden)?;
            let restored = ops::vocabulary_nll_without_sample(g, x, words, ids)?;
            let nll = ops::copy_nll(g, logits, restored.nll, labels)?;
            Ok((restored, labels, logits, words::mean_over_tokens(g, nll, batch)?))
        })?;
        let terms = [(self.generator_weight, generator_loss), (self.encoder_weight, encoder_loss)];
        Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
            .sum(outputs::GENERATOR_LOSS, generator_loss)
            .sum(outputs::ENCODER_LOSS, encoder_loss)
            .rows(outputs::GENERATOR_BEST, guess.best)
            .rows(outputs::SAMPLED, sampled)
            .rows(outputs::LABELS, labels)
            .rows(outputs::LOGITS, logits)
            .rows(outputs::BEST, restored.best))
    }

    fn measures(&self, setting: &Setting) -> Measures {
        let second = |tag: &str, measure: Measure| Measure { hue: Hue::Second, tag: tag.into(), ..measure };
        let [loss, guessed, sampled] = words::generator_measures(setting);
        Measures::new([
            loss,
            Measure {
                short: "encoder".into(),
                digits: 4,
                plot: Plot::Main,
                selects: true,
                ..second("loss/encoder", Measure::loss(outputs::ENCODER_LOSS, "Encoder loss", "nats a token"))
            },
            guessed,
            // Of the replaced tokens, those of which the original is the likeliest word where the encoder does not copy.
            second("accuracy/encoder", Measure::share("encoder_accuracy", "Encoder accuracy")),
            // Of all tokens, those that the encoder rather copies than not.
            Measure { better: Better::Neither, ..second("encoder/copied", Measure::share("copy_rate", "Copy rate")) },
            // How well D tells replaced tokens from originals.
            Measure {
                short: "AUC".into(),
                better: Better::Higher,
                baselines: words::chance(),
                ..second("encoder/auc", Measure::new("auc", "Copying's AUC", "0.5 knows nothing"))
            },
            Measure {
                hue: Hue::First,
                better: Better::Neither,
                tag: "encoder/replaced_rate".into(),
                ..Measure::share("replaced_rate", "Replaced rate")
            },
            sampled,
        ])
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(AllTokensTally::default())
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        let percent = |of: &Values, name: &str| format!("{:.1} %", 100.0 * of.get(name).unwrap_or(0.0));
        format!(
            "the generator guesses {} of the masked words ({} before training);\n          the encoder copies {} of all tokens, \
             and finds {} of the words behind the fakes",
            percent(after, "generator_accuracy"),
            percent(before, "generator_accuracy"),
            percent(after, "copy_rate"),
            percent(after, "encoder_accuracy"),
        )
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Replaced { samples: outputs::SAMPLED, logits: outputs::LOGITS }
    }

    fn generator_mut(&mut self) -> Option<&mut Generator> {
        Some(&mut self.generator)
    }
}

#[derive(Debug, Default)]
struct AllTokensTally {
    generator: GeneratorTally,
    loss: Mean,
    restored: Mean,
    copied: Mean,
    ranking: Ranking,
}

impl Tally for AllTokensTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.generator.add(batch, out);
        self.loss.add(out.mean(outputs::ENCODER_LOSS), batch.tokens() as f64);
        let verdicts = electra::verdicts(batch, out, electra::Over::All);
        self.copied.add_sum(verdicts.iter().filter(|(logit, _)| *logit < 0.0).count() as f64, verdicts.len() as f64);
        self.ranking.add(verdicts);
        let (best, ids, labels) = (out.words(outputs::BEST), batch.column(IDS.name), out.words(outputs::LABELS));
        let replaced = batch.token_places().filter(|&i| labels[i] == 1);
        let replaced: Vec<bool> = replaced.map(|i| best[i] == ids[i]).collect();
        self.restored.add_sum(replaced.iter().filter(|hit| **hit).count() as f64, replaced.len() as f64);
    }

    fn finish(&mut self) -> Values {
        let Self { generator, loss, restored, copied, ranking } = std::mem::take(self);
        let ranked = ranking.finish();
        let [generator_loss, guessed, sampled] = generator.finish();
        Values::from([
            generator_loss,
            (outputs::ENCODER_LOSS, loss.value()),
            guessed,
            ("encoder_accuracy", restored.value()),
            ("copy_rate", copied.value()),
            ("auc", ranked.auc),
            ("replaced_rate", ranked.rate),
            sampled,
        ])
    }
}
