//! Dynamic loss scaling, on the device; `shaders/loss_scale.wgsl`.
//!
//! Gradients in half precision are lost where they are below 6e-8. So the loss's gradient starts as a scale instead of
//! 1, and the optimizer divides by it (Micikevicius et al., arXiv 1710.03740). A step whose gradients are not all finite changes
//! nothing but the scale, which is halved; after [`LossScale::GROWTH_INTERVAL`] good steps in a row it is doubled. The
//! scale lives in [`Bank::LossScale`], so nobody waits for a gradient's norm.

use crate::graph::{Bank, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

/// The constants of dynamic loss scaling. Element 0 of the bank is the scale, element 1 the number of good steps since it
/// was changed, the others are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossScale;

impl LossScale {
    /// Where it starts.
    pub const INITIAL: f32 = 65_536.0;
    /// It is never more than this.
    pub const MOST: f32 = 16_777_216.0;
    /// It is never less than this.
    pub const LEAST: f32 = 1.0;
    /// Good steps before it is doubled.
    pub const GROWTH_INTERVAL: u32 = 1_000;

    /// The bank of a fresh run.
    pub fn initial() -> Vec<f32> {
        let mut bank = vec![0.0; Bank::LossScale.ty(0).len()];
        bank[0] = Self::INITIAL;
        bank
    }
}

#[derive(Debug)]
struct Update;

/// From the scaled gradients' norm `[1]`: the gradients' own norm `[1]`, not a number or infinite where the step was no
/// good; and the scale that was used `[1]`. Changes [`Bank::LossScale`] for the next step.
pub fn loss_scale(g: &mut Graph, norm: Tensor) -> Result<(Tensor, Tensor), GraphError> {
    let bank = g.bank(Bank::LossScale);
    let outputs = g.add(Update, &[bank, norm])?;
    Ok((outputs[1], outputs[2]))
}

impl Update {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let norm = t.real(1)[0].wide();
        let (bank, out, used) = (t.out(0), t.out(1), t.out(2));
        let scale = bank[0].wide();
        out[0] = R::of(norm / scale);
        used[0] = R::of(scale);
        if !norm.is_finite() {
            bank[0] = R::of((scale / 2.0).max(f64::from(LossScale::LEAST)));
            bank[1] = R::ZERO;
        } else if bank[1].wide() + 1.0 >= f64::from(LossScale::GROWTH_INTERVAL) {
            bank[0] = R::of((scale * 2.0).min(f64::from(LossScale::MOST)));
            bank[1] = R::ZERO;
        } else {
            bank[1] += R::ONE;
        }
    }
}

impl Op for Update {
    fn name(&self) -> &'static str {
        "loss_scale"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [bank, norm] if bank.len() >= 2 && norm.len() == 1 => {
                Ok(vec![(*bank).clone(), TensorType::f32(&[1]), TensorType::f32(&[1])])
            }
            _ => Err(mismatch("loss_scale", inputs, "the bank of the loss scale, norm [1]")),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("loss_scale")
    }

    fn dispatches(&self, _: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let dispatch = Dispatch::new("loss_scale")
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .write(Operand::Output(1))
            .write(Operand::Output(2))
            .word(LossScale::GROWTH_INTERVAL as usize)
            .float(LossScale::LEAST)
            .float(LossScale::MOST);
        vec![dispatch]
    }

    twins!();
}
