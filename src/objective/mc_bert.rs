//! MC-BERT (Xu et al., "MC-BERT: Efficient Language Pre-Training via a Meta Controller", arXiv 2006.05744): as ELECTRA, but of every token
//! the encoder chooses among a few words, or says that it is none of them.
//!
//! A small network, the paper's meta controller, puts words where tokens were selected, and draws more for every token. With x^ the text with its words and
//! e(w) a word's embedding, the encoder has k options a token:
//!
//! ```text
//!     0        none of them: right where the token is the original
//!     1        the original where it was replaced, and is right there; elsewhere a drawn word
//!     2 ..     drawn words, each anew, so that some may be alike
//!     logit    e(w) . LN(GELU(W h_t)) + b_w;  of option 0, w_0 . LN(GELU(W h_t)) + b_0
//! ```
//!
//! Its loss is the mean over all tokens of the cross-entropy of those k, in nats. So it learns from every token, as ELECTRA's discriminator,
//! and a little of which word it was.
//!
//! As in the source, a controller sees the tokens that are not masked, so that many of the words it draws for them are the tokens themselves,
//! and option 0 is right all the same; and the word that it puts in is no option. What differs from its published code: controller and encoder
//! have an output bias each, which they share there; "none of them" is a layer of its own, and there an entry of the vocabulary; most of the selected
//! tokens are masked, as in ELECTRA, and the controller is trained on all of them. A preset brings its own size of controller, the one that ELECTRA's
//! generator has there; without one it is a third of the encoder's width, as in the paper.

use super::words::{self, GeneratorTally};
use super::{
    BadValue, Demonstration, Generator, Inputs, Mode, Objective, Outputs, Results, Setting, Tally, electra::Electra,
    electra::measures::entropy,
};
use crate::batch::{Batch, Column, Extent, IDS, MASKED_IDS, Masking, POSITIONS, TARGETS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Baseline, Better, Hue, Mean, Measure, Measures, Plot, Ranking, Values};
use crate::model::{Builder, Model, ModelConfig, NEITHER, Network};
use crate::ops;
use serde::{Deserialize, Serialize};

/// The settings of MC-BERT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McBert {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that the controller sees `[MASK]` for a selected token; else it sees the token.
    pub mask_probability: f64,
    /// Options of a token, "none of them" among them.
    pub candidates: usize,
    /// Weight of the controller's loss.
    pub generator_weight: f32,
    /// Weight of the encoder's loss.
    pub encoder_weight: f32,
    /// How large the controller is.
    pub generator: Generator,
}

impl Default for McBert {
    /// The paper's; a preset brings its own generator.
    fn default() -> Self {
        let Electra { masked_fraction, mask_probability, .. } = Electra::default();
        Self {
            masked_fraction,
            mask_probability,
            candidates: 10,
            generator_weight: 1.0,
            encoder_weight: 50.0,
            generator: Generator::Fraction(1.0 / 3.0),
        }
    }
}

/// The names of what a step of [`McBert`] gives beside the loss, the weighted sum of both losses.
pub mod outputs {
    pub use crate::objective::electra::outputs::{GENERATOR_LOSS, LABELS, SAMPLED};
    pub use crate::objective::words::{CANDIDATES, GENERATOR_BEST, PROBABILITIES};
    /// Choosing among the options, mean over the tokens, nats: `[1]`.
    pub const ENCODER_LOSS: &str = "encoder_loss";
}

/// The key of the encoder's baseline.
const BASE_RATE: &str = "baseline.encoder_loss.base_rate";

impl McBert {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }
}

impl Objective for McBert {
    fn title(&self) -> &'static str {
        "MC-BERT"
    }

    fn about(&self) -> &'static str {
        "A small network replaces some words; a larger one chooses what each word was, from a few, or that it still is. What the larger \
         one learns on the way is what you keep."
    }

    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_candidates(self.candidates, sizes)?;
        words::check_weight("objective.generator_weight", self.generator_weight)?;
        words::check_weight("objective.encoder_weight", self.encoder_weight)?;
        self.generator.check(sizes)
    }

    /// A "generator" and an "encoder", both with a masked language model's head, with tied embeddings; the encoder has a layer that
    /// speaks for none of the words.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let [generator, mut encoder] = words::generator_and_encoder(b, &self.generator, sizes);
        b.own_linear(&mut encoder, NEITHER, sizes.embedding, 1);
        vec![generator, encoder]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let (ids, positions) = (batch.column(g, IDS), batch.column(g, POSITIONS));

        // The controller guesses what was selected, and draws words for every token.
        let (guess, generator_loss, drawn) = g.in_scope("generator", |g| {
            let generator = model.network("generator")?;
            let (masked, encoded) = (batch.column(g, MASKED_IDS), batch.encoded(g, mode));
            let hidden = generator.encode(g, masked, encoded)?;
            let (x, words) = words::vocabulary(g, generator, hidden)?;
            let (selected, targets) = (ops::gather_rows(g, x, positions)?, batch.column(g, TARGETS));
            let guess = ops::vocabulary_nll(g, selected, words, targets)?;
            let drawn = ops::sample_words(g, x, words, None, (self.candidates - 1, true))?;
            Ok((guess, words::mean_over_selected(g, guess.nll, batch)?, drawn))
        })?;
        let sampled = batch.unless_given(g, mode, words::SAMPLED, guess.sampled);
        let given = Column::words(outputs::CANDIDATES, Extent::Token).times(self.candidates - 1);
        let drawn = batch.unless_given(g, mode, given, drawn);

        // The encoder chooses: option 1 is the original where a token was replaced, and 0 is right elsewhere.
        let (labels, candidates, choice, encoder_loss) = g.in_scope("encoder", |g| {
            let encoder = model.network("encoder")?;
            let weights = batch.column(g, WEIGHTS);
            let (corrupted, labels) = ops::replace_tokens(g, ids, sampled, positions, weights)?;
            let encoded = batch.encoded(g, mode);
            let hidden = encoder.encode(g, corrupted, encoded)?;
            let (x, words) = words::vocabulary(g, encoder, hidden)?;
            let neither = encoder.own_linear(g, NEITHER, x)?;
            let candidates = ops::candidates(g, drawn, ids, Some(labels))?;
            let choice = ops::candidate_nll(g, x, words, (candidates, labels), Some(neither))?;
            Ok((labels, candidates, choice, words::mean_over_tokens(g, choice.nll, batch)?))
        })?;
        let terms = [(self.generator_weight, generator_loss), (self.encoder_weight, encoder_loss)];
        Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
            .sum(outputs::GENERATOR_LOSS, generator_loss)
            .sum(outputs::ENCODER_LOSS, encoder_loss)
            .rows(outputs::GENERATOR_BEST, guess.best)
            .rows(outputs::SAMPLED, sampled)
            .rows(outputs::LABELS, labels)
            .rows(outputs::CANDIDATES, candidates)
            .rows(outputs::PROBABILITIES, choice.probabilities))
    }

    fn measures(&self, setting: &Setting) -> Measures {
        let second = |tag: &str, measure: Measure| Measure { hue: Hue::Second, tag: tag.into(), ..measure };
        let base_rate = Baseline {
            at: None,
            follows: Some("replaced_rate".into()),
            ..Baseline::at("base_rate", "base rate", "knowing how many were replaced, and choosing blindly", 0.0)
        };
        let [loss, guessed, sampled] = words::generator_measures(setting);
        Measures::new([
            loss,
            Measure {
                short: "encoder".into(),
                digits: 4,
                plot: Plot::Main,
                selects: true,
                baselines: vec![base_rate],
                ..second("loss/encoder", Measure::loss(outputs::ENCODER_LOSS, "Encoder loss", "nats a token"))
            },
            guessed,
            // Of the replaced tokens, those of which the encoder takes the original for likeliest of all options.
            second("accuracy/encoder", Measure::share("encoder_accuracy", "Encoder accuracy")),
            // Of all tokens, those of which it takes "none of them" for likeliest.
            Measure {
                better: Better::Neither,
                ..second("encoder/neither", Measure::share("neither_rate", "None-of-them rate"))
            },
            // How well "none of them" tells originals from replaced tokens.
            Measure {
                short: "AUC".into(),
                better: Better::Higher,
                baselines: words::chance(),
                ..second("encoder/auc", Measure::new("auc", "None-of-them's AUC", "0.5 knows nothing"))
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
        Box::new(McBertTally { options: self.candidates, ..McBertTally::default() })
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        let percent = |of: &Values, name: &str| format!("{:.1} %", 100.0 * of.get(name).unwrap_or(0.0));
        format!(
            "the generator guesses {} of the masked words ({} before training);\n          the encoder finds {} of the words \
             behind its fakes ({} before), and takes {} of all tokens for unchanged",
            percent(after, "generator_accuracy"),
            percent(before, "generator_accuracy"),
            percent(after, "encoder_accuracy"),
            percent(before, "encoder_accuracy"),
            percent(after, "neither_rate"),
        )
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Chosen {
            samples: outputs::SAMPLED,
            options: self.candidates,
            logits: None,
            candidates: outputs::CANDIDATES,
            probabilities: outputs::PROBABILITIES,
        }
    }

    fn generator_mut(&mut self) -> Option<&mut Generator> {
        Some(&mut self.generator)
    }
}

#[derive(Debug, Default)]
struct McBertTally {
    options: usize,
    generator: GeneratorTally,
    loss: Mean,
    chosen: Mean,
    neither: Mean,
    ranking: Ranking,
}

impl Tally for McBertTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.generator.add(batch, out);
        self.loss.add(out.mean(outputs::ENCODER_LOSS), batch.tokens() as f64);
        let (p, labels) = (out.reals(outputs::PROBABILITIES), out.words(outputs::LABELS));
        let token = |i: usize| (&p[i * self.options..][..self.options], labels[i] == 1);
        let tokens: Vec<(&[f32], bool)> = batch.token_places().map(token).collect();
        for (p, replaced) in &tokens {
            let likeliest = words::likeliest(p);
            self.neither.add_sum(f64::from(u8::from(likeliest == 0)), 1.0);
            if *replaced {
                self.chosen.add_sum(f64::from(u8::from(likeliest == 1)), 1.0);
            }
        }
        // The logit of "replaced", as a discriminator has it.
        self.ranking.add(tokens.iter().map(|(p, label)| ((1.0 - p[0]).ln() - p[0].ln(), *label)).collect());
    }

    fn finish(&mut self) -> Values {
        let options = self.options;
        let Self { generator, loss, chosen, neither, ranking, .. } =
            std::mem::replace(self, Self { options, ..Self::default() });
        let ranked = ranking.finish();
        let [generator_loss, guessed, sampled] = generator.finish();
        // Where a token is known to be replaced, each other option has the same share.
        let blindly = entropy(ranked.rate) + ranked.rate * ((options - 1) as f64).ln();
        Values::from([
            generator_loss,
            (outputs::ENCODER_LOSS, loss.value()),
            guessed,
            ("encoder_accuracy", chosen.value()),
            ("neither_rate", neither.value()),
            ("auc", ranked.auc),
            ("replaced_rate", ranked.rate),
            sampled,
            (BASE_RATE, blindly),
        ])
    }
}
