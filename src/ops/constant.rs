//! A tensor filled with one number; `shaders/constant.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, twins};

#[derive(Debug)]
struct Constant {
    value: f32,
    ty: TensorType,
}

/// A floating-point tensor of `shape` whose elements are all `value`.
pub fn constant(g: &mut Graph, value: f32, shape: &[usize]) -> Result<Tensor, GraphError> {
    g.add1(Constant { value, ty: TensorType::f32(shape) }, &[])
}

/// A tensor of `shape`, u32, whose elements are all 0, such as positions of an example's first token.
pub fn zero_indices(g: &mut Graph, shape: &[usize]) -> Result<Tensor, GraphError> {
    g.add1(Constant { value: 0.0, ty: TensorType::u32(shape) }, &[])
}

impl Constant {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        match self.ty.dtype {
            DType::U32 => t.out_int(0).fill(self.value as u32),
            _ => t.out(0).fill(R::of(self.value.into())),
        }
    }
}

impl Op for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![self.ty.clone()])
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
