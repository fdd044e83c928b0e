//! What ELECTRA measures of a step: the reference's measures, added up over several steps.

use super::measures::{BASE_RATE, entropy, joint};
use super::outputs;
use crate::batch::{Batch, LENGTHS, WEIGHTS};
use crate::measure::{Mean, Ranked, Ranking, Values};
use crate::objective::words::count_hits;
use crate::objective::{Results, Tally};

/// Adds up steps.
#[derive(Debug, Clone, Default)]
pub(super) struct ElectraTally {
    /// Of both losses in the one that is minimised.
    weights: [f32; 2],
    generator_loss: Mean,
    discriminator_loss: Mean,
    best: Mean,
    sampled: Mean,
    ranking: Ranking,
}

impl ElectraTally {
    /// Nothing yet; the weights of both losses.
    pub(super) fn new(weights: [f32; 2]) -> Self {
        Self { weights, ..Self::default() }
    }
}

impl Tally for ElectraTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        let (selected, tokens) = (f64::from(batch.total(WEIGHTS.name)), batch.tokens() as f64);
        self.generator_loss.add(out.mean(outputs::GENERATOR_LOSS), selected);
        self.discriminator_loss.add(out.mean(outputs::DISCRIMINATOR_LOSS), tokens);
        count_hits(&mut self.best, batch, out, outputs::BEST);
        count_hits(&mut self.sampled, batch, out, outputs::SAMPLED);
        let rows = out.reals(outputs::LOGITS).iter().zip(out.words(outputs::LABELS));
        let (length, lengths) = (batch.shape().length, batch.column(LENGTHS.name));
        let valid = |i: usize| i % length < lengths[i / length] as usize;
        let verdict = |(_, (&logit, &label)): (usize, (&f32, &u32))| (logit, label == 1);
        self.ranking.add(rows.enumerate().filter(|&(i, _)| valid(i)).map(verdict).collect());
    }

    fn finish(&mut self) -> Values {
        let all = std::mem::replace(self, Self::new(self.weights));
        let (generator, discriminator) = (all.generator_loss.value(), all.discriminator_loss.value());
        let Ranked { rate, accuracy, precision, recall, auc } = all.ranking.finish();
        Values::from([
            (outputs::GENERATOR_LOSS, generator),
            (outputs::DISCRIMINATOR_LOSS, discriminator),
            ("generator_accuracy", all.best.value()),
            ("sampled_accuracy", all.sampled.value()),
            ("replaced_rate", rate),
            ("discriminator_accuracy", accuracy),
            ("precision", precision),
            ("recall", recall),
            ("auc", auc),
            ("loss", joint(all.weights, generator, discriminator)),
            (BASE_RATE, entropy(rate)),
        ])
    }
}
