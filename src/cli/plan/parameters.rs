//! Whose parameters they are.

use crate::cli::output::grouped;
use crate::cli::table::Table;
use crate::model::{Model, Network};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
        let of = |network: &Network| network.parts.iter().map(|part| part.parameter).collect::<BTreeSet<usize>>();
        let [generator, discriminator] =
            ["generator", "discriminator"].map(|name| model.network(name).map_or_else(|_| BTreeSet::new(), of));
        let len = |&i: &usize| model.table.parameters()[i].len() as u64;
        let count = |indices: BTreeSet<usize>| indices.iter().map(len).sum();
        Self {
            tied: count(&generator & &discriminator),
            generator: count(&generator - &discriminator),
            discriminator: count(&discriminator - &generator),
        }
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
