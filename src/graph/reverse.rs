//! Reverse mode: gradients as more nodes of the same graph.

use super::{Bank, Graph, GraphError, Place, Source, Tensor};
use crate::ops;
use std::collections::HashMap;

impl Graph {
    /// Adds the nodes that compute the gradient of `loss` (one element) with respect to every parameter, and places
    /// them in the bank of gradients. Parameters the loss does not depend on keep a gradient of zero.
    pub fn backward(&mut self, loss: Tensor) -> Result<(), GraphError> {
        let needed = self.depends_on_parameters();
        let one = ops::constant(self, 1.0, &[1])?;
        self.backward_from(loss, one, &needed)
    }

    /// As [`Graph::backward`] of the loss times the scale in [`Bank::LossScale`].
    pub fn backward_scaled(&mut self, loss: Tensor) -> Result<(), GraphError> {
        let needed = self.depends_on_parameters();
        let scale = self.window(Bank::LossScale, &[1]);
        self.backward_from(loss, scale, &needed)
    }

    fn backward_from(&mut self, loss: Tensor, seed: Tensor, needed: &Needed) -> Result<(), GraphError> {
        let mut gradients: HashMap<Tensor, Tensor> = HashMap::from([(loss, seed)]);
        for index in (0..needed.nodes).rev() {
            let node = self.nodes[index].clone();
            let outputs: Vec<Option<Tensor>> = node.outputs.iter().map(|t| gradients.get(t).copied()).collect();
            if outputs.iter().all(Option::is_none) || !node.inputs.iter().any(|t| needed.values[t.index()]) {
                continue;
            }
            self.place = Place { backward: true, ..node.place };
            let inputs = node.op.backward(self, &node, &outputs)?;
            for (&input, gradient) in node.inputs.iter().zip(inputs) {
                let Some(gradient) = gradient.filter(|_| needed.values[input.index()]) else { continue };
                let sum = match gradients.get(&input) {
                    Some(&before) => ops::add(self, before, gradient)?,
                    None => gradient,
                };
                gradients.insert(input, sum);
            }
        }
        self.place = Place::default();
        let mut parameters: Vec<(usize, Tensor)> = self.parameters.iter().map(|(&i, &t)| (i, t)).collect();
        parameters.sort_unstable();
        for (index, tensor) in parameters {
            if let Some(&gradient) = gradients.get(&tensor) {
                let offset = self.table.parameters()[index].offset;
                self.gradients.entry(gradient).or_default().push(offset);
            }
        }
        Ok(())
    }

    fn depends_on_parameters(&self) -> Needed {
        let mut values = vec![false; self.values.len()];
        for (i, value) in self.values.iter().enumerate() {
            values[i] = matches!(value.source, Source::Bank { .. });
        }
        for node in &self.nodes {
            let any = node.inputs.iter().any(|t| values[t.index()]);
            for output in &node.outputs {
                values[output.index()] = any && self.ty(*output).dtype == super::DType::F32;
            }
        }
        Needed { values, nodes: self.nodes.len() }
    }
}

struct Needed {
    /// By tensor: whether a gradient may flow into it.
    values: Vec<bool>,
    /// How many nodes the forward part has.
    nodes: usize,
}
