//! The gradients of a linear layer's weight and bias; the product is [`Matmul`]'s kernels.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::bf16::Products;
use crate::math::gemm::{Gemm, Matrix, Threads};
use crate::math::parallel::{self, vectorize};
use crate::math::{Factor, Real};
use crate::op::{
    DeviceTraits, Dispatch, Epilogue, Gradients, Halves, MatmulShape, Op, Operand, Shapes, Twin, mismatch,
    no_second_derivative, twins,
};
use crate::ops::kernels::{Matmul, MatmulOperands};

/// `dW = dy^T x` and `db = column sums of dy`.
#[derive(Debug)]
pub(super) struct LinearWeightGradient;

impl LinearWeightGradient {
    /// Of dy [T, N] and x [T, K].
    pub fn product(dy: &TensorType, x: &TensorType) -> Matmul {
        let (m, n, k) = (dy.columns(), x.columns(), dy.rows());
        let elements = [dy.dtype, x.dtype, DType::F32, DType::F32];
        Matmul { m, n, k, transpose_a: true, elements, epilogue: Epilogue::RowSums, ..Matmul::default() }
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (dy, x) = ((t.real(0), t.input_types[0].columns()), (t.real(1), t.input_types[1].columns()));
        linear_weight_gradient(t.products, dy, x, (t.out(0), t.out(1)));
    }
}

/// The twin: dW [N, K] and db [N] of dy [T, `n`] and x [T, `k`].
pub(super) fn linear_weight_gradient<R: Real>(
    products: Products,
    (dy, n): (&[R], usize),
    (x, k): (&[R], usize),
    (dw, db): (&mut [R], &mut [R]),
) {
    let m = dy.len() / n;
    if products == Products::Single {
        let gemm = Gemm { m: n, n: k, k: m, threads: Threads::All, ..Gemm::default() };
        gemm.run(Matrix::new(dy, n).t(), Matrix::new(x, k), dw, k);
    } else {
        let x = Factor::new(products, Matrix::new(x, k), (m, k));
        parallel::blocks2(x.piece(n), (dw, k), (&mut *db, 1), |start, dw, db| {
            x.multiply_and_sum(db.len(), Matrix::new(&dy[start..], n).t(), (dw, k), false, Some(db));
        });
        if x.sums() {
            return;
        }
    }
    parallel::column_sums(m, n, db, |range, sums| {
        vectorize(
            #[inline(always)]
            || {
                for row in dy[range.start * n..range.end * n].chunks_exact(n) {
                    for (s, &d) in sums.iter_mut().zip(row) {
                        *s += d;
                    }
                }
            },
        );
    });
}

impl Op for LinearWeightGradient {
    fn name(&self) -> &'static str {
        "linear_weight_gradient"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [d, x] if d.rows() == x.rows() => {
                Ok(vec![TensorType::f32(&[d.columns(), x.columns()]), TensorType::f32(&[d.columns()])])
            }
            _ => Err(mismatch("linear_weight_gradient", inputs, "dy [T, N], x [T, K]")),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[] }
    }

    fn gradients(&self) -> Option<Gradients> {
        Some(Gradients::Linear)
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("linear_weight_gradient")
    }

    fn flops(&self, s: &Shapes) -> u64 {
        2 * s.inputs[0].len() as u64 * s.inputs[1].columns() as u64
    }

    fn matmuls(&self, shapes: &Shapes) -> Vec<MatmulShape> {
        vec![Self::product(&shapes.inputs[0], &shapes.inputs[1]).shape(false)]
    }

    fn scratch(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        Self::product(&shapes.inputs[0], &shapes.inputs[1]).scratch(false, device)
    }

    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (a, b, c) = (Operand::Input(0), Operand::Input(1), Operand::Output(0));
        let operands = MatmulOperands { a, b, c, bias: None, second: Some(Operand::Output(1)) };
        Self::product(&shapes.inputs[0], &shapes.inputs[1]).dispatches(&operands, 0, device)
    }

    twins!();
}
