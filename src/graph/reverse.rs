//! Reverse mode: gradients as more nodes of the same graph.

use super::{Bank, Graph, GraphError, Parameter, Place, Tensor};
use crate::ops;
use std::collections::HashMap;

impl Graph {
    /// Adds the nodes that compute the gradient of `loss` (one element) with respect to the parameters that `trained` picks,
    /// and places them in the bank of gradients. What leads to none of these has no backward nodes. The bank is written
    /// whole, but for padding that nobody writes: it holds zeros where a parameter is not trained or the loss does not depend on it, so that nothing which
    /// another plan left there is ever read.
    ///
    /// # Errors
    /// Those of the ops' gradient rules.
    pub fn backward(&mut self, loss: Tensor, trained: impl Fn(&Parameter) -> bool) -> Result<(), GraphError> {
        let needed = self.depends_on(trained);
        let one = ops::constant(self, 1.0, &[1])?;
        self.backward_from(loss, one, &needed)
    }

    /// As [`Graph::backward`] of the loss times the scale in [`Bank::LossScale`].
    ///
    /// # Errors
    /// [`Graph::backward`]'s.
    pub fn backward_scaled(&mut self, loss: Tensor, trained: impl Fn(&Parameter) -> bool) -> Result<(), GraphError> {
        let needed = self.depends_on(trained);
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
        self.place = Place { backward: true, ..Place::default() };
        let mut parameters: Vec<(usize, Tensor)> = self.parameters.iter().map(|(&i, &t)| (i, t)).collect();
        parameters.sort_unstable();
        let mut written = Vec::new();
        for (index, tensor) in parameters {
            if let Some(&gradient) = gradients.get(&tensor) {
                let offset = self.table.parameters()[index].offset;
                self.gradients.entry(gradient).or_default().push(offset);
                written.push(offset);
            }
        }
        for span in self.table.clone().spans(|p| (!written.contains(&p.offset)).then_some(0.0)) {
            let zeros = ops::constant(self, 0.0, &[span.elements.len()])?;
            self.gradients.entry(zeros).or_default().push(span.elements.start);
        }
        self.place = Place::default();
        Ok(())
    }

    /// What a gradient has to flow through to reach a parameter that is trained.
    fn depends_on(&self, trained: impl Fn(&Parameter) -> bool) -> Needed {
        let mut values = vec![false; self.values.len()];
        for (&index, tensor) in &self.parameters {
            values[tensor.index()] = trained(&self.table.parameters()[index]);
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
