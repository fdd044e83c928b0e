//! How far a number is from its target, squared, a row; `shaders/squared_error.wgsl` and `shaders/squared_error_backward.wgsl`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct SquaredError;

/// (x - y)^2: `[M]`, of `x` and the targets `y`, M elements each. No gradient flows to the targets.
pub fn squared_error(g: &mut Graph, x: Tensor, y: Tensor) -> Result<Tensor, GraphError> {
    g.add1(SquaredError, &[x, y])
}

impl SquaredError {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, y) = (t.real(0), t.real(1));
        for ((o, &x), &y) in t.out(0).iter_mut().zip(x).zip(y) {
            *o = (x - y) * (x - y);
        }
    }
}

fn check(op: &'static str, inputs: &[&TensorType]) -> Result<(), GraphError> {
    match inputs {
        [x, y, ..] if x.len() == y.len() && x.dtype.is_real() && y.dtype.is_real() => Ok(()),
        _ => Err(mismatch(op, inputs, "M numbers and M targets")),
    }
}

impl Op for SquaredError {
    fn name(&self) -> &'static str {
        "squared_error"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("squared_error", inputs)?;
        Ok(vec![TensorType::f32(&[inputs[0].len()])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 2]) };
        let x = g.add1(SquaredErrorBackward, &[node.inputs[0], node.inputs[1], d])?;
        Ok(vec![Some(x), None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.inputs[0].len();
        let dispatch = (0..2).fold(Dispatch::new("squared_error"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(rows).elements(rows, 256)]
    }

    twins!();
}

/// 2 d (x - y), d `[M]`, in the shape of x.
#[derive(Debug)]
struct SquaredErrorBackward;

impl SquaredErrorBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, y, d) = (t.real(0), t.real(1), t.real(2));
        for (i, o) in t.out(0).iter_mut().enumerate() {
            *o = R::of(2.0) * d[i] * (x[i] - y[i]);
        }
    }
}

impl Op for SquaredErrorBackward {
    fn name(&self) -> &'static str {
        "squared_error_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("squared_error_backward", inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("squared_error_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.inputs[0].len();
        let dispatch = (0..3).fold(Dispatch::new("squared_error_backward"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(rows).elements(rows, 256)]
    }

    twins!();
}
