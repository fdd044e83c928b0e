//! Whose parameters they are.

use crate::cli::output::grouped;
use crate::cli::table::Table;
use crate::model::{Model, Network};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Trainable numbers, padding not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Of each network what no other has, by its name.
    own: Vec<(&'static str, u64)>,
    /// What several networks use.
    tied: u64,
    /// Whether that is more than embeddings.
    shares_layers: bool,
    /// All of the network that is kept, and its name.
    kept: (&'static str, u64),
    /// All there are.
    total: u64,
}

impl Parameters {
    pub(super) fn of(model: &Model) -> Self {
        let of = |network: &Network| {
            let own = network.own.iter().flat_map(|(_, layer)| [layer.weight, layer.bias]);
            network.parts.iter().map(|part| part.parameter).chain(own).collect::<BTreeSet<usize>>()
        };
        let count = |indices: &BTreeSet<usize>| -> u64 {
            indices.iter().map(|&i| model.table.parameters()[i].len() as u64).sum()
        };
        let all: Vec<_> = model.networks.iter().map(|network| (network.name, of(network))).collect();
        let others = |name: &str| {
            let others = all.iter().filter(|(other, _)| *other != name);
            others.flat_map(|(_, indices)| indices).copied().collect::<BTreeSet<usize>>()
        };
        let own: Vec<_> = all.iter().map(|(name, indices)| (*name, count(&(indices - &others(name))))).collect();
        let total = count(&all.iter().flat_map(|(_, indices)| indices).copied().collect());
        let kept = all.last().map_or(("", 0), |(name, indices)| (*name, count(indices)));
        let tied = total - own.iter().map(|(_, count)| count).sum::<u64>();
        let lowest = |network: &Network| network.encoder.layers.first().map(|layer| layer.qkv.weight);
        let shares_layers = model.networks.windows(2).any(|pair| lowest(&pair[0]) == lowest(&pair[1]));
        Self { tied, shares_layers, own, kept, total }
    }

    pub(super) fn as_json(&self) -> Value {
        let own = self.own.iter().map(|(name, count)| (format!("{name}_own"), *count));
        let kept = (self.kept.0.to_string(), self.kept.1);
        let all = own.chain([("tied".into(), self.tied), kept, ("total".into(), self.total)]);
        Value::Object(all.map(|(name, count)| (name, count.into())).collect::<Map<_, _>>())
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&[false, true]);
        let mut row = |name: String, count: u64| table.row([name, grouped(count)]);
        if let [(only, count)] = self.own[..] {
            row(only.into(), count);
            return table;
        }
        for (i, (name, count)) in self.own.iter().enumerate() {
            row(format!("{name}'s own"), *count);
            if i == 0 {
                row(
                    if self.shares_layers { "tied embeddings and layers" } else { "tied embeddings" }.into(),
                    self.tied,
                );
            }
        }
        row(format!("{} with {}", self.kept.0, if self.shares_layers { "both" } else { "embeddings" }), self.kept.1);
        row("together".into(), self.total);
        table
    }
}
