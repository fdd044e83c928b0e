//! A tensor filled with one number; `shaders/constant.wgsl`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, twins};

#[derive(Debug)]
struct Constant {
    value: f32,
    shape: Vec<usize>,
}

/// A floating-point tensor of `shape` whose elements are all `value`.
pub fn constant(g: &mut Graph, value: f32, shape: &[usize]) -> Result<Tensor, GraphError> {
    g.add1(Constant { value, shape: shape.to_vec() }, &[])
}

impl Constant {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        t.out(0).fill(R::of(self.value.into()));
    }
}

impl Op for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[], outputs: &[0] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let n = shapes.outputs[0].len();
        let dispatch = Dispatch::new("constant").element("Out", shapes.outputs[0].dtype).write(Operand::Output(0));
        vec![dispatch.word(n).float(self.value).elements(n, 256)]
    }

    twins!();
}
