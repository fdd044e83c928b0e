//! Recomputation: a pass that trades memory for arithmetic.
//!
//! The scheme of Chen et al. (arXiv 1604.06174): of a segment of the forward part, such as a layer, only its inputs and what
//! others read are kept; where its backward part needs more, the nodes that computed it are repeated directly before. Of the
//! segment that the backward part begins with everything is kept, since it is needed at once. The selective setting also keeps what takes much longer to compute again than its size is worth (Korthikanti et al., arXiv
//! 2205.05198, section 5). Ops draw their random numbers by counting, so a repeated node does to the bit what the first
//! did, and results do not change.

use super::{Graph, GraphError, Node, Source, Tensor};
use crate::op::Shapes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What the backward part of a segment computes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Recompute {
    /// Nothing: everything that it needs is kept.
    #[default]
    Off,
    /// What takes few operations beside its size. Kept are outputs of nodes that save at least [`Recompute::WORTH`] times
    /// the operations a byte that the segment's do on average: of a layer of ELECTRA the sum that goes into its last layer
    /// norm, for which the product with the feed-forward layer's second matrix would have to be repeated, and of long examples
    /// the output of attention.
    Selective,
    /// Everything but the segment's inputs.
    Full,
}

impl Recompute {
    /// All settings, from the most memory and the least work on.
    pub const ALL: [Self; 3] = [Self::Off, Self::Selective, Self::Full];

    /// See [`Recompute::Selective`].
    pub const WORTH: f64 = 2.0;

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Selective => "selective",
            Self::Full => "full",
        }
    }
}

impl Graph {
    /// Lets the backward part compute again what `setting` says instead of keeping it. Behind the passes that
    /// change ops or types, so that what is repeated is what is there.
    ///
    /// # Errors
    /// None; as every pass.
    pub fn recompute(&mut self, setting: Recompute) -> Result<(), GraphError> {
        if setting == Recompute::Off {
            return Ok(());
        }
        let forward: Vec<Node> = self.nodes.clone();
        // The segment that the backward part begins with: nothing has been dropped by then that it would not need at once.
        let first = self.nodes.iter().filter(|node| node.place.backward).find_map(|node| node.place.segment);
        let segments = (0..self.segments).filter(|&segment| Some(segment) != first);
        let dropped: HashSet<Tensor> = segments.flat_map(|segment| self.dropped(segment, setting)).collect();
        // Where the node is that computed a dropped tensor.
        let mut origin = HashMap::new();
        for &tensor in &dropped {
            if let Source::Node { node, .. } = self.values[tensor.index()].source {
                origin.insert(tensor, node);
            }
        }
        let mut again: HashMap<Tensor, Tensor> = HashMap::new();
        self.rebuild(|g, _, mut node| {
            if node.place.backward {
                for input in &mut node.inputs {
                    *input = g.again(*input, &forward, &origin, &mut again);
                }
            }
            g.put(node);
            Ok(())
        })
    }

    /// A dropped tensor computed again, once; any other tensor itself.
    fn again(
        &mut self,
        tensor: Tensor,
        forward: &[Node],
        origin: &HashMap<Tensor, usize>,
        again: &mut HashMap<Tensor, Tensor>,
    ) -> Tensor {
        let Some(&index) = origin.get(&tensor) else { return tensor };
        if let Some(&repeated) = again.get(&tensor) {
            return repeated;
        }
        let node = &forward[index];
        let inputs: Vec<Tensor> = node.inputs.iter().map(|&t| self.again(t, forward, origin, again)).collect();
        let outputs = self.repeat(node, &inputs);
        again.extend(node.outputs.iter().copied().zip(outputs.iter().copied()));
        again[&tensor]
    }

    /// The tensors of a segment that are not kept for its backward part.
    fn dropped(&self, segment: u32, setting: Recompute) -> BTreeSet<Tensor> {
        let inside = |node: &Node| node.place.segment == Some(segment);
        let mut dropped = BTreeSet::new();
        for node in self.nodes.iter().filter(|node| inside(node) && !node.place.backward) {
            // A bank that changes cannot be changed once more.
            let changes_bank = node
                .op
                .in_place()
                .iter()
                .any(|&(i, _)| matches!(self.values[node.inputs[i].index()].source, Source::Bank { .. }));
            if !changes_bank {
                dropped.extend(node.outputs.iter().copied());
            }
        }
        // What somebody else reads stays.
        for input in self.nodes.iter().filter(|node| !inside(node)).flat_map(|node| &node.inputs) {
            dropped.remove(input);
        }
        if setting == Recompute::Selective {
            self.keep_worthwhile(segment, &mut dropped);
        }
        dropped
    }

    /// Takes out of `dropped` the outputs of nodes that are worth their memory.
    fn keep_worthwhile(&self, segment: u32, dropped: &mut BTreeSet<Tensor>) {
        let read: BTreeSet<Tensor> = (self.nodes.iter())
            .filter(|node| node.place.segment == Some(segment) && node.place.backward)
            .flat_map(|node| node.inputs.iter().copied())
            .filter(|t| dropped.contains(t))
            .collect();
        let bytes = |tensors: &BTreeSet<Tensor>| tensors.iter().map(|&t| self.ty(t).bytes()).sum::<usize>() as f64;
        let all = self.work(&read, dropped) as f64;
        let average = all / bytes(&read).max(1.0);
        for node in self.nodes.iter().filter(|node| node.place.segment == Some(segment) && !node.place.backward) {
            let outputs: BTreeSet<Tensor> = node.outputs.iter().copied().filter(|t| read.contains(t)).collect();
            if outputs.is_empty() {
                continue;
            }
            let without: BTreeSet<Tensor> = dropped.difference(&outputs).copied().collect();
            let saved = all - self.work(&read, &without) as f64;
            if saved >= Recompute::WORTH * average * bytes(&outputs) {
                *dropped = without;
            }
        }
    }

    /// Operations that it takes to compute `read` again where `dropped` are not kept.
    fn work(&self, read: &BTreeSet<Tensor>, dropped: &BTreeSet<Tensor>) -> u64 {
        let mut nodes = BTreeSet::new();
        let mut wanted: Vec<Tensor> = read.iter().copied().collect();
        while let Some(tensor) = wanted.pop() {
            let Source::Node { node, .. } = self.values[tensor.index()].source else { continue };
            if dropped.contains(&tensor) && nodes.insert(node) {
                wanted.extend(&self.nodes[node].inputs);
            }
        }
        let types = |tensors: &[Tensor]| tensors.iter().map(|&t| self.ty(t).clone()).collect();
        let flops = |&index: &usize| {
            let node = &self.nodes[index];
            node.op.flops(&Shapes { inputs: types(&node.inputs), outputs: types(&node.outputs) })
        };
        nodes.iter().map(flops).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DType, Initialization, ParameterTable};
    use super::*;
    use crate::math::Activation;
    use crate::ops;
    use crate::plan::{Kind, Plan, Target};
    use std::sync::Arc;

    /// Three layers of a feed-forward network with dropout in it, a loss, and its gradients.
    fn network(setting: Recompute) -> Graph {
        let shapes = [vec![32, 4], vec![32], vec![4, 32], vec![4], vec![4], vec![4]];
        let spec = |i: usize| (i.to_string(), shapes[i % 6].clone(), true, Initialization::Ones);
        let mut g = Graph::new(Arc::new(ParameterTable::new((0..18).map(spec).collect())));
        let mut x = g.input("x", DType::F32, &[5, 4]);
        let (labels, weights) = (g.input("labels", DType::U32, &[5, 4]), g.input("weights", DType::F32, &[5, 4]));
        let count = g.input("count", DType::F32, &[1]);
        for layer in 0..3 {
            let layer = g.in_segment(|g| {
                let p: Vec<Tensor> = (0..6).map(|i| g.parameter(6 * layer + i)).collect();
                let wide = ops::linear_activation(g, x, p[0], p[1], Activation::Gelu)?;
                let wide = ops::dropout(g, wide, 0.5)?;
                let narrow = ops::linear(g, wide, p[2], p[3])?;
                ops::residual_layer_norm(g, narrow, x, (p[4], p[5]), ops::EPSILON, 0.5)
            });
            x = layer.expect("a layer");
        }
        let nll = ops::binary_nll(&mut g, x, labels).expect("a value a row");
        let loss = ops::weighted_mean(&mut g, nll, weights, count).expect("a loss");
        g.backward(loss, |_| true).expect("gradients");
        g.recompute(setting).expect("recomputed");
        g
    }

    fn count(g: &Graph, name: &str) -> usize {
        g.nodes().iter().filter(|node| node.op.name() == name).count()
    }

    #[test]
    fn what_is_needed_is_computed_again_and_nothing_else() {
        let nodes = |setting| {
            let g = network(setting);
            ["linear", "dropout", "layer_norm", "linear_weight_gradient"].map(|name| count(&g, name))
        };
        let [linear, dropout, norm, gradient] = nodes(Recompute::Off);
        assert_eq!([linear, norm], [6, 3]);
        // Two of three layers. The sum before layer norm costs a product and is small: the selective setting keeps it.
        assert_eq!(nodes(Recompute::Selective), [linear + 2, dropout + 2, norm, gradient]);
        assert_eq!(nodes(Recompute::Full), [linear + 4, dropout + 2, norm + 2, gradient]);
    }

    #[test]
    fn every_tensor_is_written_before_it_is_read() {
        for setting in Recompute::ALL {
            let g = network(setting);
            for (index, node) in g.nodes().iter().enumerate() {
                for &input in &node.inputs {
                    if let Source::Node { node: writer, output } = g.values()[input.index()].source {
                        assert!(writer < index, "{setting:?}: node {index} reads what node {writer} writes");
                        assert_eq!(g.nodes()[writer].outputs[output], input);
                    }
                }
            }
        }
    }

    #[test]
    fn the_repeated_nodes_stand_where_they_are_needed() {
        let g = network(Recompute::Full);
        let order: Vec<_> =
            (g.nodes().iter()).filter(|n| n.place.backward).map(|n| (n.place.segment, n.op.name())).collect();
        let layer_norm = order.iter().position(|&n| n == (Some(1), "layer_norm")).expect("repeated");
        assert_eq!(order[layer_norm + 1], (Some(1), "layer_norm_backward"));
        // The layer before comes later.
        assert!(order[..layer_norm].iter().all(|n| n.0 != Some(0)), "{order:?}");
    }

    #[test]
    fn less_is_kept() {
        let slots = |setting| Plan::new(Arc::new(network(setting)), &[], Target::Cpu).bytes(|kind| kind == Kind::Slot);
        let [off, selective, full] = Recompute::ALL.map(slots);
        assert!(off > selective && selective > full, "{off}, {selective}, {full} bytes");
    }
}
