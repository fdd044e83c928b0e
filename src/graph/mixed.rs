//! Mixed precision: a pass that keeps activations, their gradients and copies of the weights in 16 bits.
//!
//! The scheme of Micikevicius et al. (arXiv 1710.03740): what is large and passed on is stored in half precision, what adds up is
//! in single precision: master weights, their gradients and moments, sums inside kernels, statistics, softmax and losses.
//! Every op says which of its tensors may be halves ([`crate::op::Op::halves`]); a tensor becomes one where the op that
//! writes it and all that read it agree. Weights that are read as halves are windows of [`Bank::Halves`], which the first
//! node of the graph rounds the master weights into; the optimizer never sees them.

use super::{Bank, DType, Graph, GraphError, Source, Tensor, TensorType};
use crate::ops;
use std::collections::HashMap;

impl Graph {
    /// Stores in half precision what may be, but none of `keep`. Call it after [`Graph::backward`].
    ///
    /// # Errors
    /// [`GraphError`] where an op turns out not to take what it says it does: a bug.
    pub fn halve(&mut self, keep: &[Tensor]) -> Result<(), GraphError> {
        let halves = self.agreed(keep);
        for (value, half) in self.values.iter_mut().zip(halves) {
            if half {
                value.ty.dtype = DType::F16;
            }
        }
        self.halve_weights()
    }

    /// By tensor: whether everybody agrees to half precision.
    fn agreed(&self, keep: &[Tensor]) -> Vec<bool> {
        let mut agreed: Vec<bool> = self
            .values
            .iter()
            .map(|value| {
                let Source::Node { node, output } = value.source else { return false };
                value.ty.dtype == DType::F32 && self.nodes[node].op.halves().outputs.contains(&output)
            })
            .collect();
        let refused = keep.iter().chain(self.gradients.keys());
        refused.for_each(|t| agreed[t.index()] = false);
        for node in &self.nodes {
            let may = node.op.halves().inputs;
            for (_, tensor) in node.inputs.iter().enumerate().filter(|(i, _)| !may.contains(i)) {
                agreed[tensor.index()] = false;
            }
        }
        // What is worked on in place is of one type; where that meets a tensor that is a half anyway, or a
        // refusal, it goes on along the chain.
        let is_half = |agreed: &[bool], t: Tensor| agreed[t.index()] || self.ty(t).dtype == DType::F16;
        loop {
            let mut changed = false;
            for node in &self.nodes {
                for &(input, output) in node.op.in_place() {
                    let (from, to) = (node.inputs[input], node.outputs[output]);
                    if is_half(&agreed, from) != is_half(&agreed, to) {
                        changed |= agreed[from.index()] || agreed[to.index()];
                        (agreed[from.index()], agreed[to.index()]) = (false, false);
                    }
                }
            }
            if !changed {
                return agreed;
            }
        }
    }

    /// Lets every node that can read its weights as halves do so.
    fn halve_weights(&mut self) -> Result<(), GraphError> {
        let mut copies: HashMap<Tensor, Tensor> = HashMap::new();
        for index in 0..self.nodes.len() {
            for &input in self.nodes[index].op.halves().inputs {
                let Some(&weight) = self.nodes[index].inputs.get(input) else { continue };
                let Source::Bank { bank: Bank::Parameters, offset } = self.values[weight.index()].source else {
                    continue;
                };
                let copy = *copies.entry(weight).or_insert_with(|| {
                    let ty = TensorType::f16(self.shape(weight));
                    let name = self.values[weight.index()].name.clone();
                    self.push(ty, Source::Bank { bank: Bank::Halves, offset }, &name)
                });
                self.nodes[index].inputs[input] = copy;
            }
        }
        if copies.is_empty() {
            return Ok(());
        }
        ops::round_weights(self)?;
        self.last_node_first();
        Ok(())
    }

    /// Moves the node that was added last in front of all others. It must read nothing that they write.
    fn last_node_first(&mut self) {
        let last = self.nodes.len() - 1;
        self.nodes.rotate_right(1);
        for value in &mut self.values {
            if let Source::Node { node, .. } = &mut value.source {
                *node = if *node == last { 0 } else { *node + 1 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Graph, Initialization, ParameterTable};
    use super::{Bank, DType, Source};
    use crate::ops;
    use std::sync::Arc;

    fn table() -> Arc<ParameterTable> {
        let spec = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec(), true, Initialization::Zeros);
        let specs = vec![spec("w", &[3, 5]), spec("b", &[3])];
        Arc::new(ParameterTable::new(specs))
    }

    #[test]
    fn a_tensor_is_halved_where_its_writer_and_its_readers_agree() {
        let mut g = Graph::new(table());
        let x = g.input("x", DType::F32, &[2, 5]);
        let (w, b) = (g.parameter(0), g.parameter(1));
        let y = ops::linear(&mut g, x, w, b).expect("a layer");
        let z = ops::add(&mut g, y, y).expect("a sum");
        let kept = ops::add(&mut g, z, z).expect("a sum");
        g.halve(&[kept]).expect("halved");
        // `kept` is `z` in place, so that `z` is kept as well; `z` is `y` in place.
        assert_eq!([x, y, z, kept].map(|t| g.ty(t).dtype), [DType::F32; 4]);
        let mut g = Graph::new(table());
        let x = g.input("x", DType::F32, &[2, 5]);
        let (w, b) = (g.parameter(0), g.parameter(1));
        let y = ops::linear(&mut g, x, w, b).expect("a layer");
        g.halve(&[]).expect("halved");
        assert_eq!(g.ty(y).dtype, DType::F16);
        let node = &g.nodes()[1];
        assert_eq!(g.nodes()[0].op.name(), "round_weights");
        let source = |i: usize| g.values()[node.inputs[i].index()].source;
        assert_eq!(source(1), Source::Bank { bank: Bank::Halves, offset: 0 });
        assert_eq!(source(2), Source::Bank { bank: Bank::Parameters, offset: 128 });
        assert_eq!(g.values()[y.index()].source, Source::Node { node: 1, output: 0 });
    }
}
