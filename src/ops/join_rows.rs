//! Rows of two tensors, example by example, in one, and a part of each example's rows; `shaders/join_rows.wgsl` and
//! `shaders/take_rows.wgsl`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct JoinRows {
    examples: usize,
}

/// Of each of B `examples` the rows of `a` [B M, C], and behind them those of `b` [B N, C]: [B (M + N), C].
pub fn join_rows(g: &mut Graph, a: Tensor, b: Tensor, examples: usize) -> Result<Tensor, GraphError> {
    g.add1(JoinRows { examples }, &[a, b])
}

impl JoinRows {
    /// Rows of an example in both.
    fn rows(&self, inputs: [&TensorType; 2]) -> [usize; 2] {
        inputs.map(|ty| ty.rows() / self.examples.max(1))
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (a, b, c) = (t.real(0), t.real(1), t.input_types[0].columns());
        let [m, n] = self.rows([t.input_types[0], t.input_types[1]]);
        for (example, out) in t.out(0).chunks_exact_mut((m + n) * c).enumerate() {
            let (first, second) = out.split_at_mut(m * c);
            first.copy_from_slice(&a[example * m * c..][..m * c]);
            second.copy_from_slice(&b[example * n * c..][..n * c]);
        }
    }
}

impl Op for JoinRows {
    fn name(&self) -> &'static str {
        "join_rows"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let whole = |ty: &TensorType| self.examples > 0 && ty.rows().is_multiple_of(self.examples);
        match inputs {
            [a, b] if a.columns() == b.columns() && whole(a) && whole(b) => {
                Ok(vec![TensorType::f32(&[a.rows() + b.rows(), a.columns()])])
            }
            _ => Err(mismatch("join_rows", inputs, format!("two tensors as wide, rows of {} examples", self.examples))),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[0] }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 2]) };
        let [m, n] = self.rows([g.ty(node.inputs[0]), g.ty(node.inputs[1])]);
        let take = |first, count| TakeRows { examples: self.examples, first, count };
        Ok(vec![Some(g.add1(take(0, m), &[d])?), Some(g.add1(take(m, n), &[d])?)])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let [m, n] = self.rows([&shapes.inputs[0], &shapes.inputs[1]]);
        let dispatch = Dispatch::new("join_rows")
            .element("A", shapes.inputs[0].dtype)
            .element("B", shapes.inputs[1].dtype)
            .element("Out", shapes.outputs[0].dtype)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .word(len)
            .word(m)
            .word(n)
            .word(shapes.outputs[0].columns());
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}

/// Of each example the rows `first..first + count`.
#[derive(Debug)]
struct TakeRows {
    examples: usize,
    first: usize,
    count: usize,
}

impl TakeRows {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, c) = (t.real(0), t.input_types[0].columns());
        let length = t.input_types[0].rows() / self.examples;
        for (example, out) in t.out(0).chunks_exact_mut((self.count * c).max(1)).enumerate() {
            out.copy_from_slice(&x[(example * length + self.first) * c..][..self.count * c]);
        }
    }
}

impl Op for TakeRows {
    fn name(&self) -> &'static str {
        "take_rows"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x] if (self.first + self.count) * self.examples <= x.rows() => {
                Ok(vec![TensorType::f32(&[self.examples * self.count, x.columns()])])
            }
            _ => Err(mismatch("take_rows", inputs, "rows of examples, so many and more")),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[0] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("take_rows")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let dispatch = Dispatch::new("take_rows")
            .element("X", shapes.inputs[0].dtype)
            .element("Out", shapes.outputs[0].dtype)
            .read(Operand::Input(0))
            .moving(len)
            .write(Operand::Output(0))
            .word(len)
            .word(shapes.inputs[0].rows() / self.examples)
            .word(self.first)
            .word(self.count)
            .word(shapes.outputs[0].columns());
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}
