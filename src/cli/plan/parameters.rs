//! Whose parameters they are.

use crate::cli::output::grouped;
use crate::cli::table::Table;
use crate::electra::checkpoint::entries;
use crate::electra::{Half, Model};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Trainable numbers, padding not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The embeddings that both use.
    tied: u64,
    /// The generator's without the tied ones.
    generator: u64,
    /// The discriminator's without the tied ones.
    discriminator: u64,
}

impl Parameters {
    pub(super) fn of(model: &Model) -> Self {
        // By offset: the generator's output matrix is the word embedding under another name.
        let tensors = |half| -> BTreeMap<usize, u64> {
            entries(model, half).iter().map(|e| (e.offset, e.shape.iter().product::<usize>() as u64)).collect()
        };
        let (generator, discriminator) = (tensors(Half::Generator), tensors(Half::Discriminator));
        let tied = generator.iter().filter(|(offset, _)| discriminator.contains_key(offset)).map(|(_, n)| n).sum();
        let own = |tensors: &BTreeMap<usize, u64>| tensors.values().sum::<u64>() - tied;
        Self { tied, generator: own(&generator), discriminator: own(&discriminator) }
    }

    fn total(&self) -> u64 {
        self.tied + self.generator + self.discriminator
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "generator_own": self.generator,
            "tied": self.tied,
            "discriminator_own": self.discriminator,
            "discriminator": self.tied + self.discriminator,
            "total": self.total(),
        })
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&[false, true]);
        table.row(["generator's own".into(), grouped(self.generator)]);
        table.row(["tied embeddings".into(), grouped(self.tied)]);
        table.row(["discriminator's own".into(), grouped(self.discriminator)]);
        table.row(["discriminator with embeddings".into(), grouped(self.tied + self.discriminator)]);
        table.row(["together".into(), grouped(self.total())]);
        table
    }
}
