//! Whether two tensors agree, found out where they are; `shaders/agreement.wgsl`.
//!
//! Kernels on trial are held against the base kernel with it: 16 bytes come back in place of both results.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

/// How much of an expected half a difference may be without counting: one unit in its last place.
const HALF: f32 = 1.0 / 1_024.0;

#[derive(Debug)]
struct Agreement {
    /// Elements that are compared; what is behind them is a guard, which should be the same to the bit.
    len: usize,
}

/// Holds `found` against `expected`, of the same type, the first `len` elements by size and the others by their bits.
///
/// The first output `[1]` is the largest of |a - b| / (|b| + the root of the mean of all b^2) over a found and b expected; in
/// half precision one unit in the last place of b does not count. It is infinite where either is no finite number and they
/// differ. The second, `u32[3]`, is a hash of everything found, the number of elements with other bits, and how many of those
/// lie in the guard.
pub fn agreement(g: &mut Graph, expected: Tensor, found: Tensor, len: usize) -> Result<(Tensor, Tensor), GraphError> {
    let outputs = g.add(Agreement { len }, &[expected, found])?;
    Ok((outputs[0], outputs[1]))
}

/// A hash of an element and its place, as in the shader.
fn mixed(bits: u32, i: usize) -> u32 {
    let x = (bits ^ (i as u32).wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca77);
    let x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae3d);
    x ^ x >> 16
}

impl Agreement {
    /// The kernel's parts: how many, at most 256, and elements of each, a multiple of 256. Adding up at the end of each is what
    /// takes a software driver's time.
    fn parts(len: usize) -> (usize, usize) {
        let per_group = len.div_ceil(256).next_multiple_of(256).max(8_192);
        (len.div_ceil(per_group), per_group)
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let whole = t.input_types[0].dtype == DType::U32;
        let values = |i: usize| -> Vec<f64> {
            if whole {
                t.int(i).iter().map(|&x| f64::from(x)).collect()
            } else {
                t.real(i).iter().map(|x| x.wide()).collect()
            }
        };
        let (expected, found) = (values(0), values(1));
        let squares: f64 = expected[..self.len].iter().map(|b| b * b).sum();
        let usual = (squares / self.len.max(1) as f64).sqrt();
        let slack = f64::from(slack(t.input_types[0].dtype));
        let (mut largest, mut counts) = (0.0f64, [0u32; 3]);
        for (i, (&a, &b)) in found.iter().zip(&expected).enumerate() {
            let [bits, wanted] = [a, b].map(|x| (x as f32).to_bits());
            counts[0] = counts[0].wrapping_add(mixed(bits, i));
            if bits == wanted {
                continue;
            }
            counts[1] += 1;
            if i >= self.len {
                counts[2] += 1;
                continue;
            }
            if a == b {
                // Zeros of both signs.
                continue;
            }
            let error = ((a - b).abs() - slack * b.abs()).max(0.0) / (b.abs() + usual);
            let finite = a.is_finite() && b.is_finite() && usual.is_finite();
            largest = largest.max(if finite { error } else { f64::INFINITY });
        }
        t.out(0)[0] = R::of(largest);
        t.out_int(1).copy_from_slice(&counts);
    }
}

fn slack(dtype: DType) -> f32 {
    if dtype == DType::F16 { HALF } else { 0.0 }
}

impl Op for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [expected, found] if expected == found && self.len <= expected.len() => {
                Ok(vec![TensorType::f32(&[1]), TensorType::u32(&[3])])
            }
            _ => Err(mismatch("agreement", inputs, format!("two tensors alike of at least {} elements", self.len))),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("agreement")
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        let groups = Self::parts(shapes.inputs[0].len()).0;
        vec![TensorType::f32(&[groups]), TensorType::u32(&[groups, 4])]
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (dtype, all) = (shapes.inputs[0].dtype, shapes.inputs[0].len());
        let (groups, per_group) = Self::parts(all);
        let part = |shader| {
            Dispatch::new(shader)
                .element("X", dtype)
                .word(self.len)
                .word(all)
                .word(per_group)
                .word(groups)
                .float(slack(dtype))
                .groups(groups, 1, 1)
        };
        let squares = part("agreement_squares").read(Operand::Input(0)).write(Operand::Scratch(0));
        let parts = part("agreement")
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .read(Operand::Scratch(0))
            .write(Operand::Scratch(1));
        let finish = Dispatch::new("agreement_finish")
            .read(Operand::Scratch(1))
            .write(Operand::Output(0))
            .write(Operand::Output(1))
            .word(groups);
        vec![squares, parts, finish]
    }

    twins!();
}
