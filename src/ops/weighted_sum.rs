//! A weighted sum of scalars, the joint loss; `shaders/weighted_sum.wgsl`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct WeightedSum {
    weights: Vec<f32>,
}

/// The most terms a sum may have: storage buffers that every device can bind, less one for the result.
pub const MOST_TERMS: usize = 7;

/// Sum of `weight * term` over one-element tensors: `[1]`.
pub fn weighted_sum(g: &mut Graph, terms: &[(f32, Tensor)]) -> Result<Tensor, GraphError> {
    let tensors: Vec<Tensor> = terms.iter().map(|t| t.1).collect();
    g.add1(WeightedSum { weights: terms.iter().map(|t| t.0).collect() }, &tensors)
}

impl WeightedSum {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let terms = self.weights.iter().enumerate();
        t.out(0)[0] = terms.map(|(i, &w)| R::of(w.into()) * t.real(i)[0]).sum();
    }
}

impl Op for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        if inputs.len() == self.weights.len()
            && (1..=MOST_TERMS).contains(&inputs.len())
            && inputs.iter().all(|t| t.len() == 1)
        {
            return Ok(vec![TensorType::f32(&[1])]);
        }
        Err(mismatch("weighted_sum", inputs, format!("{} scalars, 1 to {MOST_TERMS}", self.weights.len())))
    }

    fn backward(&self, g: &mut Graph, _: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; self.weights.len()]) };
        self.weights.iter().map(|&w| Ok(Some(weighted_sum(g, &[(w, d)])?))).collect()
    }

    fn dispatches(&self, _: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let terms = self.weights.len();
        let mut dispatch = Dispatch::new("weighted_sum").word(terms);
        for i in 0..MOST_TERMS {
            let known = if i < terms { i } else { 0 };
            dispatch = dispatch.read(Operand::Input(known)).float(self.weights[known]);
        }
        vec![dispatch.write(Operand::Output(0))]
    }

    twins!();
}
