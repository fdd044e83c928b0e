//! What ELECTRA measures of a step: the reference's measures, added up over several steps.

use super::measures::{BASE_RATE, entropy, joint};
use super::{Over, outputs};
use crate::batch::{Batch, POSITIONS, WEIGHTS};
use crate::measure::{Mean, Ranked, Ranking, Values};
use crate::objective::words::count_hits;
use crate::objective::{Results, Tally};

/// Adds up steps.
#[derive(Debug, Clone, Default)]
pub(in crate::objective) struct ElectraTally {
    /// Of both losses in the one that is minimised.
    weights: [f32; 2],
    over: Over,
    /// Whether there was a discriminator to measure.
    judged: bool,
    generator_loss: Mean,
    discriminator_loss: Mean,
    best: Mean,
    sampled: Mean,
    ranking: Ranking,
}

impl ElectraTally {
    /// Nothing yet; the weights of both losses, and which tokens the second is over.
    pub(in crate::objective) fn new(weights: [f32; 2], over: Over) -> Self {
        Self { weights, over, ..Self::default() }
    }
}

/// The discriminator's logit of each token that the loss is over, and whether the token was replaced.
pub(in crate::objective) fn verdicts(batch: &Batch, out: &Results, over: Over) -> Vec<(f32, bool)> {
    let (logits, labels) = (out.reals(outputs::LOGITS), out.words(outputs::LABELS));
    let shape = batch.shape();
    let verdict = |place: usize| Some((*logits.get(place)?, *labels.get(place)? == 1));
    match over {
        Over::All => batch.token_places().filter_map(verdict).collect(),
        Over::Selected => {
            let slots = batch.column(POSITIONS.name).iter().zip(batch.reals(WEIGHTS.name)).enumerate();
            let selected = slots.filter(|(_, (_, w))| **w > 0.0);
            let places = selected.map(|(m, (&p, _))| m / shape.slots * shape.length + p as usize);
            places.filter_map(verdict).collect()
        }
    }
}

impl Tally for ElectraTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        let (selected, tokens) = (f64::from(batch.total(WEIGHTS.name)), batch.tokens() as f64);
        self.generator_loss.add(out.mean(outputs::GENERATOR_LOSS), selected);
        if let Some(loss) = out.scalar(outputs::DISCRIMINATOR_LOSS) {
            let judged = if self.over == Over::All { tokens } else { selected };
            self.discriminator_loss.add(f64::from(loss), judged);
            self.judged = true;
        }
        count_hits(&mut self.best, batch, out, outputs::BEST);
        count_hits(&mut self.sampled, batch, out, outputs::SAMPLED);
        self.ranking.add(verdicts(batch, out, self.over));
    }

    fn finish(&mut self) -> Values {
        let all = std::mem::replace(self, Self::new(self.weights, self.over));
        let (generator, discriminator) = (all.generator_loss.value(), all.discriminator_loss.value());
        let mut values = Values::from([(outputs::GENERATOR_LOSS, generator)]);
        let guessed = [("generator_accuracy", all.best.value()), ("sampled_accuracy", all.sampled.value())];
        guessed.into_iter().for_each(|(name, value)| values.set(name, value));
        // Without a discriminator, as in a first stage, there is nothing to say of it.
        if all.judged {
            let Ranked { rate, accuracy, precision, recall, auc } = all.ranking.finish();
            for (name, value) in [
                (outputs::DISCRIMINATOR_LOSS, discriminator),
                ("replaced_rate", rate),
                ("discriminator_accuracy", accuracy),
                ("precision", precision),
                ("recall", recall),
                ("auc", auc),
                ("loss", joint(all.weights, generator, discriminator)),
                (BASE_RATE, entropy(rate)),
            ] {
                values.set(name, value);
            }
        }
        values
    }
}
