//! What passes rewrite a graph with.

use super::{Graph, GraphError, Node, Source, Tensor};

impl Graph {
    /// Makes the list of nodes anew. `each` is given every node in order and its index in the old list; what is to stay it puts
    /// back with [`Graph::put`], with other inputs if need be, and it may add more before or after. What it adds belongs
    /// where the node does. Tensors stay the same; those of a node that is not put back must have no readers left. While
    /// this runs, [`Graph::nodes`] is the new list so far, and no tensor says rightly which node writes it but those of that
    /// list.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn rebuild(
        &mut self,
        mut each: impl FnMut(&mut Self, usize, Node) -> Result<(), GraphError>,
    ) -> Result<(), GraphError> {
        let outer = self.place;
        for (index, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            self.place = node.place;
            each(self, index, node)?;
        }
        self.place = outer;
        Ok(())
    }

    /// Puts a node of the old list behind the new ones.
    pub fn put(&mut self, node: Node) {
        let index = self.nodes.len();
        for (output, &tensor) in node.outputs.iter().enumerate() {
            self.values[tensor.index()].source = Source::Node { node: index, output };
        }
        self.nodes.push(node);
    }

    /// Adds the same op once more, on `inputs` of the same types: outputs of the types that `node`'s have.
    pub fn repeat(&mut self, node: &Node, inputs: &[Tensor]) -> Vec<Tensor> {
        let outputs: Vec<Tensor> = (node.outputs.iter().enumerate())
            .map(|(output, &tensor)| {
                let source = Source::Node { node: self.nodes.len(), output };
                self.push(self.ty(tensor).clone(), source, "")
            })
            .collect();
        let (op, place) = (node.op.clone(), self.place);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: outputs.clone(), place });
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Graph, ParameterTable, TensorType};
    use super::*;
    use crate::graph::{DType, Place};
    use crate::ops;
    use std::sync::Arc;

    #[test]
    fn nodes_are_left_out_changed_and_added() {
        let mut g = Graph::new(Arc::new(ParameterTable::default()));
        let x = g.input("x", DType::F32, &[3]);
        let (a, b, c) = g.in_segment(|g| {
            let a = ops::add(g, x, x).expect("a sum");
            let b = ops::add(g, a, x).expect("a sum");
            (a, b, ops::add(g, b, a).expect("a sum"))
        });
        let mut again = None;
        g.rebuild(|g, index, mut node| {
            match index {
                // The second sum goes, the third reads a repetition of the first in its place.
                1 => return Ok(()),
                2 => {
                    let first = g.nodes()[0].clone();
                    let repeated = g.repeat(&first, &first.inputs)[0];
                    again = Some(repeated);
                    node.inputs[0] = repeated;
                }
                _ => {}
            }
            g.put(node);
            Ok(())
        })
        .expect("rebuilt");
        let again = again.expect("added");
        assert_eq!(g.ty(again), &TensorType::f32(&[3]));
        let read: Vec<_> = g.nodes().iter().map(|node| (node.inputs.clone(), node.outputs[0])).collect();
        assert_eq!(read, [(vec![x, x], a), (vec![x, x], again), (vec![again, a], c)]);
        for (index, node) in g.nodes().iter().enumerate() {
            let source = g.values()[node.outputs[0].index()].source;
            assert_eq!(source, Source::Node { node: index, output: 0 });
            assert_eq!(node.place, Place { segment: Some(0), ..Place::default() });
        }
        assert_ne!(again, b);
        let after = ops::add(&mut g, c, c).expect("a sum");
        assert_eq!(g.values()[after.index()].source, Source::Node { node: 3, output: 0 });
        assert_eq!(g.nodes()[3].place, Place::default());
    }
}
