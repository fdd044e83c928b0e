//! AdamW over the flat banks in one pass, with clipping by the global norm; `shaders/adamw.wgsl`.
//!
//! Adam of Kingma and Ba (arXiv 1412.6980) with the decoupled weight decay of Loshchilov and Hutter (arXiv
//! 1711.05101), epsilon outside the root as in ELECTRA's reference code:
//! g' = g * min(1, clip / norm); m = b1 m + (1 - b1) g'; v = b2 v + (1 - b2) g'^2;
//! p = p - lr (c1 m / (sqrt(c2 v) + eps) + decay p), with c1 = c2 = 1 unless bias correction is on. In mixed precision g
//! and norm are divided by the loss scale first.

use crate::graph::{Bank, Graph, GraphError, Node, Span, Tensor, TensorType};
use crate::math::Real;
use crate::math::parallel::{self, vectorize};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

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
    spans: Vec<Span>,
}

/// The most spans an update may have: what its uniform has room for.
pub const MOST_SPANS: usize = 64;

/// Updates `spans` of parameters and moments, in order ([`crate::graph::ParameterTable::spans`]), from `gradients`, a bank
/// of them whose global norm is `norm` `[1]`. What is in no span is not touched. With `scaled`, both are those of the loss times
/// [`Bank::LossScale`]'s scale, and nothing is changed where the norm is not finite.
///
/// # Errors
/// [`GraphError`] for more than [`MOST_SPANS`] spans.
pub fn adamw(
    g: &mut Graph,
    gradients: Tensor,
    norm: Tensor,
    scaled: bool,
    settings: AdamW,
    spans: Vec<Span>,
) -> Result<(), GraphError> {
    let mut inputs = [Bank::Parameters, Bank::Moment1, Bank::Moment2].map(|b| g.bank(b)).to_vec();
    inputs.extend([gradients, norm]);
    if scaled {
        inputs.push(g.bank(Bank::LossScale));
    }
    g.add(Update { settings, spans }, &inputs)?;
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
                    for span in &self.spans {
                        let at = |element: usize| element.clamp(start, start + g.len()) - start;
                        let range = at(span.elements.start)..at(span.elements.end);
                        let (lr, decay) = (lr * of(span.rate), R::of(if span.decay { s.weight_decay } else { 0.0 }));
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
            _ if self.spans.len() > MOST_SPANS => Err(GraphError {
                op: "adamw",
                found: format!("{} spans of parameters that are updated alike", self.spans.len()),
                expected: format!("at most {MOST_SPANS}"),
            }),
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

    fn in_place(&self) -> &'static [(usize, usize)] {
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
            .word(self.spans.len())
            .float(s.beta1 as f32)
            .float(s.beta2 as f32)
            .float((1.0 - s.beta1) as f32)
            .float((1.0 - s.beta2) as f32)
            .float(s.epsilon as f32)
            .float(s.clip_norm as f32);
        let span = |dispatch: Dispatch, span: &Span| {
            let decay = if span.decay { s.weight_decay as f32 } else { 0.0 };
            dispatch.word(span.elements.start / 4).word(span.elements.end / 4).float(span.rate).float(decay)
        };
        let dispatch = self.spans.iter().fold(dispatch, span);
        let rest = 4 * (MOST_SPANS - self.spans.len());
        vec![(0..rest).fold(dispatch, |dispatch, _| dispatch.word(0)).elements(quads, 256)]
    }

    twins!();
}
