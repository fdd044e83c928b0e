//! TEAMS (Shen et al., "Training ELECTRA Augmented with Multi-word Selection", arXiv 2106.00139): ELECTRA, and beside it, on the same layers, the
//! choice of the original word of each selected token among a few.
//!
//! The generator has the width of the encoder and fewer layers, the lowest of which both share. It draws a word for each selected token, and k - 1
//! others that are neither the original nor alike. Of the text with its words in,
//!
//! ```text
//!     discriminator:  of every token, whether it was replaced                    as in ELECTRA
//!     encoder:        of every selected token t, which of {x_t and the k - 1} it was:
//!                     logit(w) = e(w) . LN(GELU(W h_t)) + b_w
//!     loss:           generator + 5 discriminator + 2 selection
//! ```
//!
//! Both have all layers in common but the last, of which each has its own; what is kept is the encoder, as in the source.
//!
//! What differs from the published code, which this follows otherwise: the layers and heads are those of `transformers`' ELECTRA classes, so that words have an
//! output bias where they are chosen; the selected tokens are masked as often as in ELECTRA.

use super::electra::measures::{discriminator_advice, in_words, list};
use super::electra::{Electra, ElectraTally, Over, outputs as electra};
use super::words::{self, SAMPLED};
use super::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Results, Setting, Tally};
use crate::batch::{Batch, Column, Extent, IDS, MASKED_IDS, Masking, POSITIONS, TARGETS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Baseline, Hue, Mean, Measure, Measures, Plot, Values};
use crate::model::{Builder, Model, ModelConfig, Network, Tie};
use crate::ops;
use serde::{Deserialize, Serialize};

/// The settings of TEAMS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teams {
    /// Fraction of an example's tokens that are selected.
    pub masked_fraction: f64,
    /// Probability that a selected token becomes `[MASK]`; else it stays.
    pub mask_probability: f64,
    /// Words to choose from, the original among them.
    pub candidates: usize,
    /// Weight of the generator's loss.
    pub generator_weight: f32,
    /// Weight of the discriminator's loss.
    pub discriminator_weight: f32,
    /// Weight of the encoder's choices.
    pub selection_weight: f32,
    /// The generator's layers, as a fraction of the encoder's.
    pub generator_depth: f64,
    /// The layers that the generator shares, as a fraction of the encoder's.
    pub shared_depth: f64,
}

impl Default for Teams {
    /// The source's: 6 and 3 of 12 layers.
    fn default() -> Self {
        let Electra { masked_fraction, mask_probability, generator_weight, .. } = Electra::default();
        Self {
            masked_fraction,
            mask_probability,
            candidates: 5,
            generator_weight,
            discriminator_weight: 5.0,
            selection_weight: 2.0,
            generator_depth: 0.5,
            shared_depth: 0.25,
        }
    }
}

/// The names of what a step of [`Teams`] gives beside ELECTRA's and the loss.
pub mod outputs {
    pub use crate::objective::words::{CANDIDATES, PROBABILITIES};
    /// Choosing the original, mean over the selected tokens, nats: `[1]`.
    pub const SELECTION_LOSS: &str = "selection_loss";
}

impl Teams {
    fn masks(&self) -> Masking {
        Masking { fraction: self.masked_fraction, mask_probability: self.mask_probability, random_probability: 0.0 }
    }

    /// The generator's layers, and how many of them it shares, beside an encoder of so many: at least one.
    fn depths(&self, layers: usize) -> (usize, usize) {
        let part = |fraction: f64| ((fraction * layers as f64).round() as usize).clamp(1, layers.max(1));
        let generator = part(self.generator_depth);
        (generator, part(self.shared_depth).min(generator))
    }
}

impl Objective for Teams {
    fn title(&self) -> &'static str {
        "TEAMS"
    }

    fn about(&self) -> &'static str {
        "A small network replaces some words; a larger one finds out which, and chooses from a few what they were. What the larger one \
         learns on the way is what you keep."
    }

    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue> {
        words::check(self.masks())?;
        words::check_candidates(self.candidates, sizes)?;
        words::check_weight("objective.generator_weight", self.generator_weight)?;
        words::check_weight("objective.discriminator_weight", self.discriminator_weight)?;
        words::check_weight("objective.selection_weight", self.selection_weight)?;
        for (key, depth) in
            [("objective.generator_depth", self.generator_depth), ("objective.shared_depth", self.shared_depth)]
        {
            if !(depth > 0.0 && depth <= 1.0) {
                return Err(BadValue::new(key, depth, "more than 0 and at most 1"));
            }
        }
        Ok(())
    }

    /// A "generator" with a masked language model's head; a "discriminator" that tells replaced tokens, which has its lowest layers
    /// in common with the generator; and an "encoder" with a masked language model's head, which has all but the last in
    /// common with the discriminator.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let (layers, shared) = self.depths(sizes.layers);
        let mut generator = b.network("generator", &ModelConfig { layers, ..sizes.clone() });
        let mut discriminator = b.tied("discriminator", &generator, Tie::Layers(shared), sizes);
        let mut encoder = b.tied("encoder", &discriminator, Tie::Layers(sizes.layers.saturating_sub(1)), sizes);
        b.masked_lm(&mut generator, true);
        b.replaced_tokens(&mut discriminator);
        b.masked_lm(&mut encoder, true);
        vec![generator, discriminator, encoder]
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masks())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let (ids, positions, targets) = (batch.column(g, IDS), batch.column(g, POSITIONS), batch.column(g, TARGETS));

        // The generator guesses, and draws a word to put in and others to choose from.
        let (guess, generator_loss, drawn) = g.in_scope("generator", |g| {
            let generator = model.network("generator")?;
            let masked = batch.column(g, MASKED_IDS);
            let rows = words::selected_rows(g, generator, masked, batch, mode)?;
            let (x, words) = words::vocabulary(g, generator, rows)?;
            let guess = ops::vocabulary_nll(g, x, words, targets)?;
            let drawn = ops::sample_words(g, x, words, Some(targets), (self.candidates - 1, false))?;
            Ok((guess, words::mean_over_selected(g, guess.nll, batch)?, drawn))
        })?;
        let sampled = batch.unless_given(g, mode, SAMPLED, guess.sampled);
        let given = Column::words(outputs::CANDIDATES, Extent::Slot).times(self.candidates - 1);
        let drawn = batch.unless_given(g, mode, given, drawn);

        // All layers but the last see the text once.
        let (discriminator, encoder) = (model.network("discriminator")?, model.network("encoder")?);
        let shared = encoder.encoder.layers.len().saturating_sub(1);
        let (labels, hidden) = g.in_scope("shared", |g| {
            let weights = batch.column(g, WEIGHTS);
            let (corrupted, labels) = ops::replace_tokens(g, ids, sampled, positions, weights)?;
            let encoded = batch.encoded(g, mode);
            Ok((labels, encoder.encode_to(g, corrupted, encoded, shared)?))
        })?;
        let (logits, discriminator_loss) = g.in_scope("discriminator", |g| {
            let encoded = batch.encoded(g, mode);
            let hidden = discriminator.encode_from(g, (hidden, shared), encoded, None)?;
            let logits = discriminator.replaced_tokens()?.logits(g, hidden)?;
            let nll = ops::binary_nll(g, logits, labels)?;
            Ok((logits, words::mean_over_tokens(g, nll, batch)?))
        })?;
        let (candidates, choice, selection_loss) = g.in_scope("encoder", |g| {
            let encoded = batch.encoded(g, mode);
            let rows = encoder.encode_from(g, (hidden, shared), encoded, Some(positions))?;
            let (x, words) = words::vocabulary(g, encoder, rows)?;
            let candidates = ops::candidates(g, drawn, targets, None)?;
            let slots = g.ty(targets).len();
            let first = ops::zero_indices(g, &[slots])?;
            let choice = ops::candidate_nll(g, x, words, (candidates, first), None)?;
            Ok((candidates, choice, words::mean_over_selected(g, choice.nll, batch)?))
        })?;
        let terms = [
            (self.generator_weight, generator_loss),
            (self.discriminator_weight, discriminator_loss),
            (self.selection_weight, selection_loss),
        ];
        Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
            .sum(electra::GENERATOR_LOSS, generator_loss)
            .sum(electra::DISCRIMINATOR_LOSS, discriminator_loss)
            .sum(outputs::SELECTION_LOSS, selection_loss)
            .rows(electra::BEST, guess.best)
            .rows(electra::SAMPLED, sampled)
            .rows(electra::LABELS, labels)
            .rows(electra::LOGITS, logits)
            .rows(outputs::CANDIDATES, candidates)
            .rows(outputs::PROBABILITIES, choice.probabilities))
    }

    /// ELECTRA's, and how well words are chosen.
    fn measures(&self, setting: &Setting) -> Measures {
        let easier = format!("a smaller objective.generator_depth (now {})", self.generator_depth);
        let electra = list(&Electra::default(), setting).into_iter().map(|measure| match &*measure.name {
            electra::DISCRIMINATOR_LOSS => {
                Measure { advice: Some(discriminator_advice(Some(easier.clone()), setting)), ..measure }
            }
            _ => measure,
        });
        let (mut losses, mut others): (Vec<Measure>, Vec<Measure>) = electra.partition(|m| m.plot == Plot::Main);
        let chance = (self.candidates as f64).ln();
        let selection = Measure {
            short: "selection".into(),
            tag: "loss/selection".into(),
            digits: 4,
            plot: Plot::Main,
            hue: Hue::Neutral,
            baselines: vec![Baseline::at("uniform", "blind choosing", "choosing blindly", chance)],
            ..Measure::loss(outputs::SELECTION_LOSS, "Selection loss", "nats a selected token")
        };
        let accuracy = Measure {
            hue: Hue::Neutral,
            tag: "accuracy/selection".into(),
            ..Measure::share("selection_accuracy", "Selection accuracy")
        };
        losses.push(selection);
        others.push(accuracy);
        Measures::new(losses.into_iter().chain(others))
    }

    fn tally(&self) -> Box<dyn Tally> {
        let electra = ElectraTally::new([self.generator_weight, self.discriminator_weight], Over::All);
        let (selection, chosen) = (Mean::default(), Mean::default());
        Box::new(TeamsTally { weight: self.selection_weight, options: self.candidates, electra, selection, chosen })
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        let chosen = 100.0 * after.get("selection_accuracy").unwrap_or(0.0);
        format!(
            "{}; the encoder chooses the right one of {} words for {chosen:.1} % of the selected tokens",
            in_words(before, after),
            self.candidates
        )
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Chosen {
            samples: electra::SAMPLED,
            options: self.candidates,
            logits: Some(electra::LOGITS),
            candidates: outputs::CANDIDATES,
            probabilities: outputs::PROBABILITIES,
        }
    }
}

#[derive(Debug)]
struct TeamsTally {
    weight: f32,
    options: usize,
    electra: ElectraTally,
    selection: Mean,
    chosen: Mean,
}

impl Tally for TeamsTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.electra.add(batch, out);
        self.selection.add(out.mean(outputs::SELECTION_LOSS), f64::from(batch.total(WEIGHTS.name)));
        let options = out.reals(outputs::PROBABILITIES).chunks_exact(self.options).zip(batch.reals(WEIGHTS.name));
        let selected: Vec<&[f32]> = options.filter(|(_, weight)| **weight > 0.0).map(|(p, _)| p).collect();
        let right = selected.iter().filter(|p| words::likeliest(p) == 0).count();
        self.chosen.add_sum(right as f64, selected.len() as f64);
    }

    fn finish(&mut self) -> Values {
        let mut values = self.electra.finish();
        let selection = std::mem::take(&mut self.selection).value();
        values.set(outputs::SELECTION_LOSS, selection);
        values.set("selection_accuracy", std::mem::take(&mut self.chosen).value());
        if let Some(joint) = values.get("loss") {
            values.set("loss", joint + f64::from(self.weight) * selection);
        }
        values
    }
}
