//! Which part of a training step a node is of.

use crate::graph::{Bank, Source, Tensor};
use crate::plan::Plan;
use serde::Serialize;
use std::fmt;

/// What a node is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// A loss or another output of the step depends on it.
    Forward,
    /// Only gradients depend on it; what is computed anew for them is among these.
    Backward,
    /// It reads whole gradients: accumulation, norm, clip and update.
    Update,
}

/// A node's part of the step. Phases are in the order of a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Phase {
    /// What it is there for.
    pub pass: Pass,
    /// Where its network comes among those of a step; 0 without one.
    #[serde(skip)]
    order: usize,
    /// The network that it is of; none where it serves all.
    pub network: Option<String>,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.pass {
            Pass::Forward => "forward",
            Pass::Backward => "backward",
            Pass::Update => "update",
        })?;
        self.network.as_ref().map_or(Ok(()), |network| write!(f, ", {network}"))
    }
}

/// The phase of each node of a training step's plan, a part's or an update's, by index; of nodes that do not run it means
/// nothing.
pub(super) fn phases(plan: &Plan) -> Vec<Phase> {
    let graph = plan.graph();
    let nodes = graph.nodes();
    let maker = |t: Tensor| match graph.values()[t.index()].source {
        Source::Node { node, .. } => Some(node),
        _ => None,
    };
    let makers = |node: usize| nodes[node].inputs.iter().filter_map(move |&t| maker(t));

    let bank = |t: Tensor| match graph.values()[t.index()].source {
        Source::Bank { bank, .. } => Some(bank),
        _ => None,
    };
    let of_update = |t: &Tensor| {
        let banks = [Bank::Gradients, Bank::Accumulated, Bank::Moment1, Bank::Moment2];
        bank(*t).is_some_and(|bank| banks.contains(&bank))
    };
    let mut update = vec![false; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        update[i] = node.inputs.iter().any(of_update) || makers(i).any(|maker| update[maker]);
    }
    // What else changes a bank prepares weights for the forward pass.
    let prepares = |i: usize| nodes[i].op.in_place().iter().any(|&(input, _)| bank(nodes[i].inputs[input]).is_some());
    let phase = |i: usize| {
        let pass = if update[i] {
            Pass::Update
        } else if nodes[i].place.backward {
            Pass::Backward
        } else {
            Pass::Forward
        };
        let scope = nodes[i].place.scope.filter(|_| !update[i] && !prepares(i));
        // A network's parts are scopes within its own.
        let network = scope.and_then(|scope| graph.scopes()[scope].split('/').next());
        let order = network.and_then(|network| graph.scopes().iter().position(|scope| scope == network));
        Phase { pass, order: order.map_or(0, |order| order + 1), network: network.map(str::to_string) }
    };
    (0..nodes.len()).map(phase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, preset};
    use crate::graph::Recompute;
    use crate::plan::{Step, Target};
    use crate::train::Recipe;
    use crate::train::step::training_step;
    use std::collections::BTreeMap;

    #[test]
    fn every_node_is_where_it_belongs() {
        let mut config: Config = preset("tiny").unwrap();
        config.training.batch = 2;
        config.data.length = 16;
        let recipe = Recipe::new(&config);
        let step = training_step(&recipe, recipe.shape, Target::Cpu, Recompute::Off, &[]).unwrap();
        let phases = phases(&step.plan);
        let mut count: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for step_of in step.plan.steps() {
            if let Step::Run { node, .. } = step_of {
                let name = step.plan.graph().nodes()[*node].op.name();
                *count.entry((name, phases[*node].to_string())).or_default() += 1;
            }
        }
        let of = |op, phase: &str| count.get(&(op, phase.to_string())).copied().unwrap_or_default();
        let (generator, discriminator) = (recipe.model.networks[0].config.layers, config.model.layers);
        assert_eq!(of("attention", "forward, generator"), generator);
        assert_eq!(of("attention", "forward, discriminator"), discriminator);
        assert_eq!(of("attention_backward", "backward, generator"), generator);
        assert_eq!(of("attention_backward", "backward, discriminator"), discriminator);
        assert_eq!(of("vocabulary_nll", "forward, generator"), 1);
        assert_eq!(of("vocabulary_nll_backward", "backward, generator"), 1);
        assert_eq!(of("replace_tokens", "forward, discriminator"), 1);
        assert_eq!([of("adamw", "update"), of("global_norm", "update")], [1, 1]);
        let forward = |network: &str| of("linear", &format!("forward, {network}"));
        let backward = |network: &str| of("linear_weight_gradient", &format!("backward, {network}"));
        for network in ["generator", "discriminator"] {
            assert!(forward(network) > 4 && forward(network) == backward(network), "{network}: {count:?}");
        }
    }
}
