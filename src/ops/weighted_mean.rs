//! The mean of a loss that is a value a row; `shaders/weighted_mean.wgsl`, `_finish` and `_backward`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

/// What the reference adds to a count it divides by.
const TINY: f64 = 1e-6;

#[derive(Debug)]
struct WeightedMean;

/// sum(weight * value) / (total + 1e-6): `[1]`, of `values` and `weights` of M elements and `total` `[1]`. The total is that of the
/// weights of the whole batch, of which these rows may be a part: the parts' results add up to its mean. A row of weight 0 does not
/// count, whatever its value is, and its gradient is 0. No gradient flows to the weights.
pub fn weighted_mean(g: &mut Graph, values: Tensor, weights: Tensor, total: Tensor) -> Result<Tensor, GraphError> {
    g.add1(WeightedMean, &[values, weights, total])
}

impl WeightedMean {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (values, weights, total) = (t.real(0), t.real(1), t.real(2)[0]);
        let rows = values.iter().zip(weights).filter(|(_, w)| **w != R::ZERO);
        let sum: f64 = rows.map(|(v, w)| w.wide() * v.wide()).sum();
        t.out(0)[0] = R::of(sum / (total.wide() + TINY));
    }
}

impl Op for WeightedMean {
    fn name(&self) -> &'static str {
        "weighted_mean"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [v, w, total] if v.dtype == w.dtype && v.dtype.is_real() && v.len() == w.len() && total.len() == 1 => {
                Ok(vec![TensorType::f32(&[1])])
            }
            _ => Err(mismatch("weighted_mean", inputs, "M values, M weights and total [1]")),
        }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 3]) };
        let shape = g.shape(node.inputs[0]).to_vec();
        let values = g.add1(WeightedMeanBackward { shape }, &[node.inputs[1], node.inputs[2], d])?;
        Ok(vec![Some(values), None, None])
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        vec![TensorType::f32(&[shapes.inputs[0].len().div_ceil(1_024)])]
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.inputs[0].len();
        let groups = rows.div_ceil(1_024);
        let sums = Dispatch::new("weighted_mean")
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Scratch(0))
            .word(rows)
            .groups(groups, 1, 1);
        let finish = Dispatch::new("weighted_mean_finish")
            .read(Operand::Scratch(0))
            .read(Operand::Input(2))
            .write(Operand::Output(0))
            .word(groups)
            .float(TINY as f32);
        vec![sums, finish]
    }

    twins!();
}

/// d * weight / (total + 1e-6), in the shape of the values.
#[derive(Debug)]
struct WeightedMeanBackward {
    shape: Vec<usize>,
}

impl WeightedMeanBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (weights, total, d) = (t.real(0), t.real(1)[0].wide() + TINY, t.real(2)[0].wide());
        t.out(0).iter_mut().zip(weights).for_each(|(o, w)| *o = R::of(w.wide() * d / total));
    }
}

impl Op for WeightedMeanBackward {
    fn name(&self) -> &'static str {
        "weighted_mean_backward"
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("weighted_mean_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.outputs[0].len();
        let dispatch = (0..3).fold(Dispatch::new("weighted_mean_backward"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(rows).float(TINY as f32).elements(rows, 256)]
    }

    twins!();
}
