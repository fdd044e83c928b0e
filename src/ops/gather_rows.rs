//! Rows of a tensor at given positions; `shaders/gather_rows.wgsl` and `shaders/gather_rows_backward.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};
use rayon::prelude::*;

#[derive(Debug)]
struct GatherRows;

/// The rows of `x` [B L, C] that `positions` [B, K] name, each within its own example of L rows: [B K, C]. Of x [B L], a value a row,
/// [B K].
pub fn gather_rows(g: &mut Graph, x: Tensor, positions: Tensor) -> Result<Tensor, GraphError> {
    g.add1(GatherRows, &[x, positions])
}

/// Rows and columns of a tensor that is gathered from; of one dimension it is a value a row.
fn rows_and_columns(x: &TensorType) -> (usize, usize) {
    if x.shape.len() == 1 { (x.len(), 1) } else { (x.rows(), x.columns()) }
}

/// `rows` of what has such rows as `like`.
fn rows_like(like: &TensorType, rows: usize) -> TensorType {
    TensorType::f32(&if like.shape.len() == 1 { vec![rows] } else { vec![rows, like.columns()] })
}

impl GatherRows {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, positions) = (t.real(0), t.int(1));
        let (examples, slots) = (t.input_types[1].rows(), t.input_types[1].columns());
        let (rows, c) = rows_and_columns(t.input_types[0]);
        let length = rows / examples;
        for (m, (out, &p)) in t.out(0).chunks_exact_mut(c).zip(positions).enumerate() {
            let row = m / slots * length + (p as usize).min(length - 1);
            out.copy_from_slice(&x[row * c..][..c]);
        }
    }
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x, p] if p.dtype == DType::U32 && p.rows() > 0 && rows_and_columns(x).0.is_multiple_of(p.rows()) => {
                Ok(vec![rows_like(x, p.len())])
            }
            _ => Err(mismatch("gather_rows", inputs, "x [T, C] or [T], and positions [B, K] with B a divisor of T")),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[0] }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None, None]) };
        let (rows, _) = rows_and_columns(g.ty(node.inputs[0]));
        Ok(vec![Some(g.add1(GatherRowsBackward { rows }, &[d, node.inputs[1]])?), None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (rows, c) = rows_and_columns(&shapes.inputs[0]);
        let len = shapes.outputs[0].len();
        let (examples, slots) = (shapes.inputs[1].rows(), shapes.inputs[1].columns());
        let dispatch = Dispatch::new("gather_rows")
            .element("X", shapes.inputs[0].dtype)
            .element("Out", shapes.outputs[0].dtype)
            .constant("columns", c as u32)
            .read(Operand::Input(0))
            .moving(len)
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .word(len)
            .word(rows / examples)
            .word(slots);
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}

/// `[rows, C]` (or `[rows]`) with the rows of d [M, C] (or `[M]`) added at their positions [B, K], in order, and 0 elsewhere.
#[derive(Debug)]
struct GatherRowsBackward {
    rows: usize,
}

impl GatherRowsBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (d, positions) = (t.real(0), t.int(1));
        let (examples, k) = (t.input_types[1].rows(), t.input_types[1].columns());
        let (length, c) = (self.rows / examples, rows_and_columns(t.input_types[0]).1);
        t.out(0).par_chunks_mut(length * c).enumerate().for_each(|(b, out)| {
            out.fill(R::ZERO);
            for m in b * k..(b + 1) * k {
                let row = (positions[m] as usize).min(length - 1);
                let to = &mut out[row * c..][..c];
                to.iter_mut().zip(&d[m * c..]).for_each(|(o, &d)| *o += d);
            }
        });
    }
}

impl Op for GatherRowsBackward {
    fn name(&self) -> &'static str {
        "gather_rows_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [d, p] if rows_and_columns(d).0 == p.len() => Ok(vec![rows_like(d, self.rows)]),
            _ => Err(mismatch("gather_rows_backward", inputs, "gradients [M, C] or [M], and positions [B, K]")),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[0] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("gather_rows_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (examples, slots) = (shapes.inputs[1].rows(), shapes.inputs[1].columns());
        let (_, c) = rows_and_columns(&shapes.outputs[0]);
        let len = self.rows * c.div_ceil(4);
        let dispatch = Dispatch::new("gather_rows_backward")
            .element("D", shapes.inputs[0].dtype)
            .element("Out", shapes.outputs[0].dtype)
            .constant("columns", c as u32)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .word(len)
            .word(self.rows / examples)
            .word(slots);
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}
