//! `y = x W^T + b`, with an activation where asked; the products are [`Matmul`]'s kernels.
//!
//! x is [T, K], W is [N, K] as `transformers` stores it, b is [N], y is [T, N].

use super::activation_backward;
use super::linear_weight_gradient::LinearWeightGradient;
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::gemm::Matrix;
use crate::math::parallel::{self, vectorize};
use crate::math::{Activation, Factor, Real};
use crate::op::{
    DeviceTraits, Dispatch, Dropout, Epilogue, Halves, MatmulShape, Op, Operand, Pointwise, Shapes, Twin, mismatch,
    no_second_derivative, twins,
};
use crate::ops::kernels::{Matmul, MatmulOperands};
use std::sync::Arc;

/// With a fourth input `residual` [T, N]: y = residual + dropout(x W^T + b).
#[derive(Debug, Clone, Copy, Default)]
struct Linear {
    activation: Option<Activation>,
    residual: bool,
    /// Only with a residual.
    dropout: Option<Dropout>,
}

/// `x W^T + b`.
pub fn linear(g: &mut Graph, x: Tensor, weight: Tensor, bias: Tensor) -> Result<Tensor, GraphError> {
    g.add1(Linear::default(), &[x, weight, bias])
}

/// `activation(x W^T + b)`; the sum before the activation is kept for the gradient.
pub fn linear_activation(
    g: &mut Graph,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
) -> Result<Tensor, GraphError> {
    Ok(g.add(Linear { activation: Some(activation), ..Linear::default() }, &[x, weight, bias])?[1])
}

/// Adds what stands at the front of `from`.
#[inline(always)]
fn add<R: Real>(to: &mut [R], from: &[R]) {
    for (t, &f) in to.iter_mut().zip(from) {
        *t += f;
    }
}

impl Linear {
    fn product(&self, s: &Shapes) -> Matmul {
        let (m, n, k) = (s.inputs[0].rows(), s.inputs[1].shape[0], s.inputs[0].columns());
        let (epilogue, second) = match (self.activation, self.residual) {
            (Some(activation), _) => (Epilogue::Activation(activation), s.outputs[1].dtype),
            (None, true) => (Epilogue::Residual, s.inputs[3].dtype),
            (None, false) => (Epilogue::None, DType::F32),
        };
        let elements = [s.inputs[0].dtype, s.inputs[1].dtype, s.outputs[0].dtype, second];
        Matmul { m, n, k, transpose_b: true, elements, epilogue, dropout: self.dropout, ..Matmul::default() }
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, w, b) = (t.real(0), t.real(1), t.real(2));
        let (n, k) = (b.len(), t.input_types[0].columns());
        let weight = Factor::new(t.products, Matrix::new(w, k).t(), (k, n));
        let product = |start: usize, out: &mut [R]| {
            weight.multiply(out.len() / n, Matrix::new(&x[start * k..], k), (out, n), false);
        };
        let residual = if self.residual { t.real(3) } else { &[] };
        let draws = self.dropout.map(|d| (d, t.step.draws(d.stream, t.output_types[0].len())));
        let u = t.out(0);
        if let Some(activation) = self.activation {
            parallel::blocks2(weight.piece(u.len() / n), (u, n), (t.out(1), n), |start, u, y| {
                product(start, u);
                vectorize(
                    #[inline(always)]
                    || {
                        for (u, y) in u.chunks_exact_mut(n).zip(y.chunks_exact_mut(n)) {
                            add(u, b);
                            activation.apply(u, y);
                        }
                    },
                );
            });
        } else {
            parallel::blocks(weight.piece(u.len() / n), u, n, |start, u| {
                product(start, u);
                vectorize(
                    #[inline(always)]
                    || {
                        for u in u.chunks_exact_mut(n) {
                            add(u, b);
                        }
                        if let Some((dropout, draws)) = draws {
                            dropout.apply(draws, start * n, u);
                        }
                        if !residual.is_empty() {
                            add(u, &residual[start * n..]);
                        }
                    },
                );
            });
        }
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x, w, b, rest @ ..]
                if w.shape.len() == 2
                    && w.shape[1] == x.columns()
                    && b.shape == w.shape[..1]
                    && rest.len() == usize::from(self.residual)
                    && rest.iter().all(|r| r.len() == x.rows() * w.shape[0]) =>
            {
                let y = TensorType::f32(&[x.rows(), w.shape[0]]);
                Ok(vec![y; if self.activation.is_some() { 2 } else { 1 }])
            }
            _ => Err(mismatch("linear", inputs, "x [T, K], weight [N, K], bias [N] and, with one, residual [T, N]")),
        }
    }

    fn fused(&self, next: Pointwise) -> Option<Arc<dyn Op>> {
        match next {
            Pointwise::Residual(dropout) if self.activation.is_none() && !self.residual => {
                Some(Arc::new(Self { residual: true, dropout, ..*self }))
            }
            _ => None,
        }
    }

    fn halves(&self) -> Halves {
        // With a residual or without.
        Halves { inputs: &[0, 1, 3], outputs: if self.activation.is_some() { &[0, 1] } else { &[0] } }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        if self.residual {
            // Ops are fused when the gradients are there.
            return no_second_derivative("linear");
        }
        let d = if let Some(activation) = self.activation {
            let Some(dy) = d[1] else { return Ok(vec![None; 3]) };
            activation_backward(g, node.outputs[0], dy, activation)?
        } else {
            let Some(dy) = d[0] else { return Ok(vec![None; 3]) };
            dy
        };
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let dx = g.add1(LinearInputGradient { then: None }, &[d, w])?;
        let dw = g.add(LinearWeightGradient, &[d, x])?;
        Ok(vec![Some(dx), Some(dw[0]), Some(dw[1])])
    }

    fn flops(&self, s: &Shapes) -> u64 {
        2 * s.inputs[0].len() as u64 * s.inputs[1].shape[0] as u64
    }

    fn matmuls(&self, shapes: &Shapes) -> Vec<MatmulShape> {
        vec![self.product(shapes).shape(true)]
    }

    fn scratch(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        self.product(shapes).scratch(true, device)
    }

    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let operands = MatmulOperands {
            a: Operand::Input(0),
            b: Operand::Input(1),
            c: Operand::Output(0),
            bias: Some(Operand::Input(2)),
            second: match (self.activation, self.residual) {
                (Some(_), _) => Some(Operand::Output(1)),
                (None, true) => Some(Operand::Input(3)),
                (None, false) => None,
            },
        };
        self.product(shapes).dispatches(&operands, 0, device)
    }

    twins!();
}

/// `dx = dy W`, and what is done to dx then, whose side input is input 2.
#[derive(Debug)]
struct LinearInputGradient {
    then: Option<Pointwise>,
}

impl LinearInputGradient {
    fn product(&self, s: &Shapes) -> Matmul {
        let (m, n, k) = (s.inputs[0].rows(), s.inputs[1].shape[1], s.inputs[0].columns());
        let (epilogue, accumulate) = match self.then {
            None => (Epilogue::None, false),
            Some(Pointwise::Add) => (Epilogue::None, true),
            Some(Pointwise::ActivationGradient(f)) => (Epilogue::ActivationGradient(f), false),
            Some(Pointwise::Dropout(_)) => (Epilogue::Dropout, false),
            Some(Pointwise::Residual(_)) => (Epilogue::Residual, false),
        };
        let side = if self.reads_side() { s.inputs[2].dtype } else { DType::F32 };
        let elements = [s.inputs[0].dtype, s.inputs[1].dtype, s.outputs[0].dtype, side];
        Matmul { m, n, k, elements, accumulate, epilogue, dropout: self.dropout(), ..Matmul::default() }
    }

    fn dropout(&self) -> Option<Dropout> {
        match self.then {
            Some(Pointwise::Dropout(dropout)) => Some(dropout),
            Some(Pointwise::Residual(dropout)) => dropout,
            _ => None,
        }
    }

    /// Whether there is an input 2 that is read as it is.
    fn reads_side(&self) -> bool {
        matches!(self.then, Some(Pointwise::ActivationGradient(_) | Pointwise::Residual(_)))
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (dy, w) = (t.real(0), t.real(1));
        let (n, k) = (t.input_types[1].shape[0], t.input_types[1].shape[1]);
        let side = if self.reads_side() { t.real(2) } else { &[] };
        let draws = self.dropout().map(|d| (d, t.step.draws(d.stream, t.output_types[0].len())));
        let then = self.then;
        let weight = Factor::new(t.products, Matrix::new(w, k), (n, k));
        let out = t.out(0);
        parallel::blocks(weight.piece(out.len() / k), out, k, |start, out| {
            let dy = Matrix::new(&dy[start * n..], n);
            weight.multiply(out.len() / k, dy, (out, k), then == Some(Pointwise::Add));
            vectorize(
                #[inline(always)]
                || {
                    if let Some((dropout, draws)) = draws {
                        dropout.apply(draws, start * k, out);
                    }
                    match then {
                        Some(Pointwise::ActivationGradient(f)) => f.multiply_by_derivative(&side[start * k..], out),
                        Some(Pointwise::Residual(_)) => add(out, &side[start * k..]),
                        _ => {}
                    }
                },
            );
        });
    }
}

impl Op for LinearInputGradient {
    fn name(&self) -> &'static str {
        "linear_input_gradient"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let has_side = self.reads_side() || self.then == Some(Pointwise::Add);
        match inputs {
            [d, w, rest @ ..]
                if w.shape.len() == 2
                    && w.shape[0] == d.columns()
                    && rest.len() == usize::from(has_side)
                    && rest.iter().all(|side| side.len() == d.rows() * w.shape[1]) =>
            {
                Ok(vec![TensorType::f32(&[d.rows(), w.shape[1]])])
            }
            _ => {
                let expected = "dy [T, N], weight [N, K] and, with one, a side input [T, K]";
                Err(mismatch("linear_input_gradient", inputs, expected))
            }
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        if self.then == Some(Pointwise::Add) { &[(2, 0)] } else { &[] }
    }

    fn fused(&self, next: Pointwise) -> Option<Arc<dyn Op>> {
        self.then.is_none().then(|| Arc::new(Self { then: Some(next) }) as Arc<dyn Op>)
    }

    fn halves(&self) -> Halves {
        // With a side input or without.
        Halves { inputs: &[0, 1, 2], outputs: &[0] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("linear_input_gradient")
    }

    fn flops(&self, s: &Shapes) -> u64 {
        2 * s.inputs[0].len() as u64 * s.inputs[1].shape[1] as u64
    }

    fn matmuls(&self, shapes: &Shapes) -> Vec<MatmulShape> {
        vec![self.product(shapes).shape(false)]
    }

    fn scratch(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        self.product(shapes).scratch(false, device)
    }

    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (a, b, c) = (Operand::Input(0), Operand::Input(1), Operand::Output(0));
        let second = self.reads_side().then_some(Operand::Input(2));
        self.product(shapes).dispatches(&MatmulOperands { a, b, c, bias: None, second }, 0, device)
    }

    twins!();
}
