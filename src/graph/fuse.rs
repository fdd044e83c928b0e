//! Fusion: a pass by which the op that computes a tensor does at once what the next one would do to it element by element.
//!
//! An activation is then written once, finished, in place of being written, read and written again. What ops do first to
//! their inputs, and what they can do to their own output, is theirs to say ([`Op::prologues`], [`Op::fused`]; [`Prologue`]
//! has an example drawn); this pass sees to it that nobody else wants the tensor in between, and that nothing has to be
//! copied. It knows no op: matrix products do most of it, as epilogues.
//!
//! Results stay what they were to rounding: nothing is added up in another order but where an engine's product adds to
//! what is there block by block, and in mixed precision fewer numbers are rounded to halves on the way.

use super::{Graph, GraphError, Node, Source, Tensor};
use crate::op::{Op, Prologue};
use std::sync::Arc;

/// A node that does what another would do first.
struct Fusion {
    producer: usize,
    op: Arc<dyn Op>,
    prologue: Prologue,
}

impl Graph {
    /// Fuses what can be fused, and computes `keep` as before. Call it after [`Graph::backward`], for a fused op has no
    /// gradient rule, and before [`Graph::halve`].
    ///
    /// # Errors
    /// [`GraphError`] where an op turns out not to take what it says it does: a bug.
    pub fn fuse(&mut self, keep: &[Tensor]) -> Result<(), GraphError> {
        let mut kept = vec![false; self.values.len()];
        keep.iter().chain(self.gradients.keys()).for_each(|t| kept[t.index()] = true);
        let mut removed = vec![false; self.nodes.len()];
        for index in 0..self.nodes.len() {
            if let Some(fusion) = self.fusion(index, &kept) {
                self.apply(index, fusion, &mut removed)?;
            }
        }
        self.remove(&removed);
        Ok(())
    }

    /// What node `index` can give to the node that computes one of its inputs.
    fn fusion(&self, index: usize, kept: &[bool]) -> Option<Fusion> {
        let fusions = self.nodes[index].op.prologues().into_iter().filter_map(|prologue| {
            let node = &self.nodes[index];
            let (x, side) = (node.inputs[prologue.input], prologue.side.map(|i| node.inputs[i]));
            let Source::Node { node: producer, output: 0 } = self.values[x.index()].source else { return None };
            let op = self.nodes[producer].op.fused(prologue.what)?;
            let reads = |t: Tensor| self.nodes.iter().flat_map(|n| &n.inputs).filter(|&&input| input == t).count();
            if kept[x.index()] || reads(x) != 1 {
                return None;
            }
            let possible = match (prologue.rest.is_some(), side) {
                // The producer stays where it is: what it reads must be there.
                (true, Some(side)) => match self.values[side.index()].source {
                    Source::Node { node, .. } => node < producer,
                    _ => true,
                },
                (true, None) => true,
                (false, _) => node.outputs.len() == 1 && self.moves(producer, index),
            };
            // It is worked on in place only where it is free, for a copy would cost what is gained.
            let taken = |&(input, _): &(usize, usize)| input >= self.nodes[producer].inputs.len();
            let takes_side = op.in_place().iter().any(taken);
            let free = |side: Tensor| {
                let written = matches!(self.values[side.index()].source, Source::Node { .. });
                let read = |node: &Node| node.inputs.contains(&side);
                let elsewhere = read(&self.nodes[producer]) || self.nodes[index + 1..].iter().any(read);
                written && !kept[side.index()] && !elsewhere
            };
            let fits = possible && (!takes_side || side.is_some_and(free));
            fits.then_some(Fusion { producer, op, prologue })
        });
        // The one that moves the least.
        fusions.max_by_key(|fusion| fusion.producer)
    }

    /// Whether node `from` can run right before node `to`: nobody in between reads what it writes, or overwrites what
    /// it reads.
    pub(super) fn moves(&self, from: usize, to: usize) -> bool {
        let node = &self.nodes[from];
        self.nodes[from + 1..to].iter().all(|between| {
            let reads = between.inputs.iter().any(|t| node.outputs.contains(t));
            let overwrites = between.op.in_place().iter().any(|&(i, _)| node.inputs.contains(&between.inputs[i]));
            !reads && !overwrites
        })
    }

    fn apply(&mut self, index: usize, fusion: Fusion, removed: &mut [bool]) -> Result<(), GraphError> {
        let Fusion { producer, op, prologue } = fusion;
        let x = self.nodes[index].inputs[prologue.input];
        let mut inputs = self.nodes[producer].inputs.clone();
        inputs.extend(prologue.side.map(|i| self.nodes[index].inputs[i]));
        let types: Vec<_> = inputs.iter().map(|&t| self.ty(t)).collect();
        op.infer(&types)?;
        if let Some(rest) = prologue.rest {
            // `x` is from now on what the prologue made of it.
            let node = &mut self.nodes[producer];
            (node.op, node.inputs) = (op, inputs);
            let node = &mut self.nodes[index];
            node.op = rest;
            if let Some(side) = prologue.side {
                node.inputs.remove(side);
            }
            return Ok(());
        }
        let others = self.nodes[producer].outputs.split_off(1);
        for (output, &other) in (1..).zip(&others) {
            self.values[other.index()].source = Source::Node { node: index, output };
        }
        self.values[x.index()].source = Source::Nothing;
        removed[producer] = true;
        self.nodes[producer].inputs.clear();
        let node = &mut self.nodes[index];
        (node.op, node.inputs) = (op, inputs);
        node.outputs.extend(others);
        Ok(())
    }

    /// Leaves nodes out whose outputs nobody wants any more.
    fn remove(&mut self, removed: &[bool]) {
        let mut index = 0;
        self.nodes.retain(|_| {
            index += 1;
            !removed[index - 1]
        });
        for (node, outputs) in self.nodes.iter().enumerate().map(|(i, node)| (i, &node.outputs)) {
            for (output, tensor) in outputs.iter().enumerate() {
                self.values[tensor.index()].source = Source::Node { node, output };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DType, Graph, Initialization, ParameterTable, Tensor};
    use super::Source;
    use crate::math::Activation;
    use crate::ops;
    use crate::plan::{Plan, Step, Target};
    use std::sync::Arc;

    const H: usize = 5;

    /// A graph over a square weight, its bias, gamma and beta; x and y [7, H] are computed, so that they may be overwritten.
    fn graph() -> (Graph, [Tensor; 4], [Tensor; 2]) {
        let spec = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec(), true, Initialization::Zeros);
        let vectors = ["b", "gamma", "beta"].map(|name| spec(name, &[H]));
        let table = ParameterTable::new([vec![spec("w", &[H, H])], vectors.to_vec()].concat());
        let mut g = Graph::new(Arc::new(table));
        let parameters = [0, 1, 2, 3].map(|i| g.parameter(i));
        let computed = ["x", "y"].map(|name| {
            let input = g.input(name, DType::F32, &[7, H]);
            ops::add(&mut g, input, input).expect("a sum")
        });
        (g, parameters, computed)
    }

    fn copies(g: &Graph, keep: &[Tensor]) -> usize {
        let plan = Plan::new(Arc::new(g.clone()), keep, Target::Cpu);
        plan.steps().iter().filter(|step| matches!(step, Step::Copy { .. })).count()
    }

    /// The ops of a fused graph behind the first two. It may not need more copies than before.
    fn fused(mut g: Graph, keep: &[Tensor]) -> Vec<&'static str> {
        let before = copies(&g, keep);
        g.fuse(keep).expect("fused");
        assert!(copies(&g, keep) <= before, "{} copies, before {before}", copies(&g, keep));
        for (index, node) in g.nodes().iter().enumerate() {
            for (output, tensor) in node.outputs.iter().enumerate() {
                assert_eq!(g.values()[tensor.index()].source, Source::Node { node: index, output });
            }
            for tensor in &node.inputs {
                let there = match g.values()[tensor.index()].source {
                    Source::Node { node, .. } => node < index,
                    source => source != Source::Nothing,
                };
                assert!(there, "{} reads what is not there yet", node.op.name());
            }
        }
        g.nodes().iter().skip(2).map(|node| node.op.name()).collect()
    }

    #[test]
    fn a_layer_does_dropout_and_residual_at_once() {
        let (mut g, [w, b, gamma, beta], [x, y]) = graph();
        let z = ops::linear(&mut g, x, w, b).expect("a layer");
        let z = ops::residual_layer_norm(&mut g, z, y, (gamma, beta), ops::EPSILON, 0.1).expect("a norm");
        assert_eq!(fused(g.clone(), &[z]), ["linear", "layer_norm"]);
        let plain = g.nodes()[2].clone();
        g.fuse(&[z]).expect("fused");
        assert_eq!((plain.inputs.len(), g.nodes()[2].inputs.len(), g.nodes()[3].inputs.len()), (3, 4, 3));
        assert_eq!(g.nodes()[2].inputs[3], y);
    }

    #[test]
    fn a_layer_leaves_a_residual_that_comes_later() {
        let (mut g, [w, b, gamma, beta], [x, y]) = graph();
        let z = ops::linear(&mut g, x, w, b).expect("a layer");
        let late = ops::add(&mut g, y, x).expect("a sum");
        let z = ops::residual_layer_norm(&mut g, z, late, (gamma, beta), ops::EPSILON, 0.1).expect("a norm");
        g.fuse(&[z]).expect("fused");
        assert_eq!(g.nodes()[2].inputs.len(), 3);
    }

    /// The gradient of a layer whose input is `x`, read by `others` as well.
    fn gradient(others: impl Fn(&mut Graph, Tensor, [Tensor; 4]) -> Tensor) -> Graph {
        let (mut g, parameters @ [w, b, ..], [x, _]) = graph();
        let x = ops::linear(&mut g, x, w, b).expect("a layer");
        let z = others(&mut g, x, parameters);
        let (labels, weights) = (g.input("labels", DType::U32, &[7, H]), g.input("weights", DType::F32, &[7, H]));
        let count = g.input("count", DType::F32, &[1]);
        let nll = ops::binary_nll(&mut g, z, labels).expect("a value a row");
        let loss = ops::weighted_mean(&mut g, nll, weights, count).expect("a loss");
        g.backward(loss, |_| true).expect("gradients");
        g
    }

    #[test]
    fn an_input_gradient_does_the_activation_and_the_residual_at_once() {
        let g = gradient(|g, x, [w, b, gamma, beta]| {
            let z = ops::linear_activation(g, x, w, b, Activation::Relu).expect("a layer");
            let z = ops::linear(g, z, w, b).expect("a layer");
            ops::residual_layer_norm(g, z, x, (gamma, beta), ops::EPSILON, 0.1).expect("a norm")
        });
        let count = |g: &Graph, name: &str| g.nodes().iter().filter(|node| node.op.name() == name).count();
        assert_eq!(count(&g, "activation_backward"), 1);
        let names = fused(g.clone(), &[]);
        assert!(!names.contains(&"activation_backward"), "{names:?}");
        // One sum of the residual's gradient is gone, those of the parameters' stay.
        assert_eq!(names.iter().filter(|&&name| name == "add").count() + 2 + 1, count(&g, "add"));
    }

    #[test]
    fn what_is_read_elsewhere_is_left_alone() {
        let g = gradient(|g, x, [w, b, ..]| ops::linear_activation(g, x, w, b, Activation::Relu).expect("a layer"));
        // Its gradient is no product: there is nothing to fuse with.
        assert!(fused(g, &[]).contains(&"activation_backward"));
        let (mut g, [w, b, ..], [x, y]) = graph();
        let z = ops::linear(&mut g, x, w, b).expect("a layer");
        let d = ops::add(&mut g, z, y).expect("a sum");
        // A layer cannot add in place.
        assert_eq!(fused(g, &[d]), ["linear", "add"]);
    }

    #[test]
    fn a_product_does_not_add_to_its_own_factor() {
        let g = gradient(|g, x, [w, b, ..]| {
            let z = ops::linear(g, x, w, b).expect("a layer");
            ops::add(g, z, x).expect("a sum")
        });
        let before: Vec<_> = g.nodes().iter().skip(2).map(|node| node.op.name()).collect();
        assert_eq!(fused(g, &[]), before);
    }
}
