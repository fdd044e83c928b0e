//! Which tokens are no padding, as weights; `shaders/length_mask.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct LengthMask {
    length: usize,
}

/// [B, L] with 1 at the first `lengths[b]` tokens of each example and 0 behind them, from `lengths` `[B]`, u32.
pub fn length_mask(g: &mut Graph, lengths: Tensor, length: usize) -> Result<Tensor, GraphError> {
    g.add1(LengthMask { length }, &[lengths])
}

impl LengthMask {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let lengths = t.int(0);
        for (row, &length) in t.out(0).chunks_exact_mut(self.length).zip(lengths) {
            let (tokens, padding) = row.split_at_mut((length as usize).min(self.length));
            tokens.fill(R::ONE);
            padding.fill(R::ZERO);
        }
    }
}

impl Op for LengthMask {
    fn name(&self) -> &'static str {
        "length_mask"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [lengths] if lengths.dtype == DType::U32 && self.length > 0 => {
                Ok(vec![TensorType::f32(&[lengths.len(), self.length])])
            }
            _ => Err(mismatch("length_mask", inputs, "lengths [B]")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let tokens = shapes.outputs[0].len();
        let dispatch = Dispatch::new("length_mask").read(Operand::Input(0)).write(Operand::Output(0));
        vec![dispatch.word(tokens).word(self.length).elements(tokens, 256)]
    }

    twins!();
}
