//! AdamW over the flat banks in one pass, with clipping by the global norm; `shaders/adamw.wgsl`.
//!
//! Adam of Kingma and Ba (arXiv 1412.6980) with the decoupled weight decay of Loshchilov and Hutter (arXiv
//! 1711.05101), epsilon outside the root as in ELECTRA's reference code:
//! g' = g * min(1, clip / norm); m = b1 m + (1 - b1) g'; v = b2 v + (1 - b2) g'^2;
//! p = p - lr (c1 m / (sqrt(c2 v) + eps) + decay p), with c1 = c2 = 1 unless bias correction is on. In mixed precision g
//! and norm are divided by the loss scale first.

use super::{DeviceTraits, Dispatch, Op, Operand, Real, Shapes, Twin, mismatch, no_second_derivative, twins};
use crate::cpu::parallel::{self, vectorize};
use crate::graph::{Bank, Graph, GraphError, Node, Tensor, TensorType};

/// AdamW's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay per unit of learning rate.
    pub weight_decay: f64,
    /// The gradient's norm is brought down to this.
    pub clip_norm: f64,
}

#[derive(Debug)]
struct Update {
    settings: AdamW,
    /// Elements before this one decay.
    decayed: usize,
}

/// Updates parameters and moments from `gradients`, a bank of them whose global norm is `norm` `[1]`. With `scaled`, both
/// are those of the loss times [`Bank::LossScale`]'s scale, and nothing is changed where the norm is not finite.
pub fn adamw(g: &mut Graph, gradients: Tensor, norm: Tensor, scaled: bool, settings: AdamW) -> Result<(), GraphError> {
    let mut inputs = [Bank::Parameters, Bank::Moment1, Bank::Moment2].map(|b| g.bank(b)).to_vec();
    inputs.extend([gradients, norm]);
    if scaled {
        inputs.push(g.bank(Bank::LossScale));
    }
    let decayed = g.table().decayed();
    g.add(Update { settings, decayed }, &inputs)?;
    Ok(())
}

impl Update {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (gradients, norm) = (t.real(3), t.real(4)[0]);
        let s = self.settings;
        let of = |x: f32| R::of(f64::from(x));
        let scale = if t.input_types.len() > 5 { t.real(5)[0] } else { R::ONE };
        if t.input_types.len() > 5 && !norm.wide().is_finite() {
            return;
        }
        let (most, norm) = (R::of(s.clip_norm), norm / scale);
        let clip = if norm > most { most / norm } else { R::ONE } / scale;
        let (b1, b2, epsilon) = (R::of(s.beta1), R::of(s.beta2), R::of(s.epsilon));
        // 1 - .999 in single precision is off by 1e-5: take the difference first.
        let (first, second) = (R::of(1.0 - s.beta1), R::of(1.0 - s.beta2));
        let (lr, c1, c2) = (of(t.step.learning_rate), of(t.step.correction1), of(t.step.correction2));
        let (p, m, v) = (t.out(0), t.out(1), t.out(2));
        parallel::rows3((p, 1), (m, 1), (v, 1), |start, p, m, v| {
            vectorize(
                #[inline(always)]
                || {
                    let g = &gradients[start..start + p.len()];
                    let middle = self.decayed.clamp(start, start + g.len()) - start;
                    for (range, decay) in [(0..middle, R::of(s.weight_decay)), (middle..g.len(), R::ZERO)] {
                        let (p, m, v) = (&mut p[range.clone()], &mut m[range.clone()], &mut v[range.clone()]);
                        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(&g[range]) {
                            let g = g * clip;
                            *m = b1 * *m + first * g;
                            *v = b2 * *v + second * g * g;
                            *p -= lr * (c1 * *m / ((c2 * *v).sqrt() + epsilon) + decay * *p);
                        }
                    }
                },
            );
        });
    }
}

impl Op for Update {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [p, m, v, g, norm, ..] if p == m && p == v && p == g && norm.len() == 1 && inputs.len() <= 6 => {
                Ok(vec![(*p).clone(), (*m).clone(), (*v).clone()])
            }
            _ => Err(mismatch(
                "adamw",
                inputs,
                "parameters, both moments and gradients of one size, norm [1], loss scale",
            )),
        }
    }

    fn takes_over(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (1, 1), (2, 2)]
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("adamw")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let quads = shapes.outputs[0].len() / 4;
        let s = self.settings;
        let scaled = shapes.inputs.len() > 5;
        let dispatch = Dispatch::new("adamw")
            .constant("scaled", u8::from(scaled))
            .read(Operand::Input(3))
            .read(Operand::Input(4))
            // Every binding that a shader declares must be there; without a scale this one is not read.
            .read(Operand::Input(if scaled { 5 } else { 4 }))
            .write(Operand::Output(0))
            .write(Operand::Output(1))
            .write(Operand::Output(2))
            .word(quads)
            .word(self.decayed / 4)
            .float(s.beta1 as f32)
            .float(s.beta2 as f32)
            .float((1.0 - s.beta1) as f32)
            .float((1.0 - s.beta2) as f32)
            .float(s.epsilon as f32)
            .float(s.weight_decay as f32)
            .float(s.clip_norm as f32);
        vec![dispatch.elements(quads, 256)]
    }

    twins!();
}
