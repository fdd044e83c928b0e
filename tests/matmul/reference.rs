//! The plain product in double precision that the kernels are held against.

use crate::run::{Buffers, Device, STEP, run};
use leyden::gpu::shaders;
use leyden::graph::DType;
use leyden::math::{Activation, keep_threshold};
use leyden::op::{DeviceTraits, Dispatch, Epilogue, Operand};
use leyden::ops::kernels::{Matmul, MatmulOperands};
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::collections::HashMap;

const A: Operand = Operand::Input(0);
const B: Operand = Operand::Input(1);
const BIAS: Operand = Operand::Input(2);
pub const C: Operand = Operand::Output(0);
pub const SECOND: Operand = Operand::Output(1);

/// The shader of a dispatch.
pub fn source(dispatch: &Dispatch) -> String {
    shaders::source(dispatch.shader, &dispatch.elements).unwrap_or_else(|error| panic!("{error}")).into_owned()
}

/// Random buffers for a multiplication; each is longer than needed, so that a stray write shows.
pub fn buffers(matmul: &Matmul, has_bias: bool, traits: &DeviceTraits, seed: u64) -> Buffers {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut random = |dtype: DType, len: usize| {
        let value = |x: u32| {
            let x = (x >> 8) as f32 / (1 << 23) as f32 - 1.0;
            if dtype == DType::F16 { half::f16::from_f32(x).to_f32() } else { x }
        };
        (dtype, (0..len.next_multiple_of(4) + 8).map(|_| value(rng.next_u32())).collect::<Vec<f32>>())
    };
    let Matmul { m, n, k, elements, .. } = *matmul;
    let mut buffers = HashMap::from([
        (A, random(elements[0], matmul.a_offset + m * k)),
        (B, random(elements[1], matmul.b_offset + k * n)),
        (C, random(elements[2], matmul.c_offset + m * n)),
        (BIAS, random(DType::F32, matmul.bias_offset + n)),
    ]);
    match matmul.epilogue {
        Epilogue::None | Epilogue::Dropout => {}
        Epilogue::RowSums => _ = buffers.insert(SECOND, random(elements[3], matmul.bias_offset + m)),
        _ => _ = buffers.insert(SECOND, random(elements[3], m * n)),
    }
    if let Epilogue::ActivationGradient(_) = matmul.epilogue {
        // Between -4 and 4, so that both tails are there.
        buffers.entry(SECOND).and_modify(|(_, u)| u.iter_mut().for_each(|u| *u *= 4.0));
    }
    for (i, scratch) in matmul.scratch(has_bias, traits).iter().enumerate() {
        buffers.insert(Operand::Scratch(i), (scratch.dtype, vec![f32::NAN; scratch.len()]));
    }
    buffers
}

pub fn operands(matmul: &Matmul, has_bias: bool) -> MatmulOperands {
    let second = (matmul.epilogue.writes_second() || matmul.epilogue.reads_second()).then_some(SECOND);
    MatmulOperands { a: A, b: B, c: C, bias: has_bias.then_some(BIAS), second }
}

/// What tanh is taken of in the approximation of GELU, and its derivative.
fn inner(x: f64) -> [f64; 2] {
    let c = (2.0 / std::f64::consts::PI).sqrt();
    [c * (x + 0.044715 * x.powi(3)), c * (1.0 + 3.0 * 0.044715 * x * x)]
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::GeluNew => 0.5 * x * (1.0 + inner(x)[0].tanh()),
        Activation::Relu => x.max(0.0),
    }
}

fn slope(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => {
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)) + x * density
        }
        Activation::GeluNew => {
            let [z, dz] = inner(x);
            0.5 * (1.0 + z.tanh()) + 0.5 * x * (1.0 - z.tanh().powi(2)) * dz
        }
        Activation::Relu => f64::from(u8::from(x > 0.0)),
    }
}

/// What C and the second output should hold.
fn expected(matmul: &Matmul, has_bias: bool, buffers: &Buffers) -> [Vec<f64>; 2] {
    let Matmul { m, n, k, .. } = *matmul;
    let wide = |operand: Operand| buffers[&operand].1.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let (a, b, mut c) = (wide(A), wide(B), wide(C));
    let mut second = buffers.get(&SECOND).map(|_| wide(SECOND)).unwrap_or_default();
    let at = |i: usize, p: usize| a[matmul.a_offset + if matmul.transpose_a { p * m + i } else { i * k + p }];
    for i in 0..m {
        for j in 0..n {
            let product: f64 = (0..k)
                .map(|p| at(i, p) * b[matmul.b_offset + if matmul.transpose_b { j * k + p } else { p * n + j }])
                .sum();
            let old = if matmul.accumulate { c[matmul.c_offset + i * n + j] } else { 0.0 };
            let bias = if has_bias { f64::from(buffers[&BIAS].1[matmul.bias_offset + j]) } else { 0.0 };
            let mut value = product + old + bias;
            if let Epilogue::ActivationGradient(activation) = matmul.epilogue {
                value *= slope(activation, second[i * n + j]);
            }
            if let Some(dropout) = matmul.dropout {
                let bits = STEP.draws(dropout.stream, m * n).element(i * n + j);
                let kept = bits >= keep_threshold(dropout.probability);
                value *= if kept { 1.0 / (1.0 - f64::from(dropout.probability)) } else { 0.0 };
            }
            if matmul.epilogue == Epilogue::Residual {
                value += second[i * n + j];
            }
            c[matmul.c_offset + i * n + j] = value;
            if let Epilogue::Activation(activation) = matmul.epilogue {
                second[i * n + j] = activated(activation, value);
            }
        }
        if matmul.epilogue == Epilogue::RowSums {
            let old = if matmul.accumulate { second[matmul.bias_offset + i] } else { 0.0 };
            second[matmul.bias_offset + i] = old + (0..k).map(|p| at(i, p)).sum::<f64>();
        }
    }
    [c, second]
}

/// Runs a multiplication with the shaders of `source` and says what is wrong, if anything.
pub fn wrong(
    gpu: &mut Device,
    (matmul, has_bias): (&Matmul, bool),
    traits: &DeviceTraits,
    seed: u64,
    source: impl Fn(&Dispatch) -> String,
) -> Vec<String> {
    let before = buffers(matmul, has_bias, traits, seed);
    let dispatches = matmul.dispatches(&operands(matmul, has_bias), 0, traits);
    let after = run(gpu, &dispatches, &before, source);
    let mut wrong = Vec::new();
    for (operand, expected) in [C, SECOND].iter().zip(expected(matmul, has_bias, &before)) {
        let Some(found) = after.get(operand) else { continue };
        let rounding = if before[operand].0 == DType::F16 { 1.0 / 1024.0 } else { 0.0 };
        let tolerance = |x: f64| 2e-6 * (matmul.k as f64 + 8.0).sqrt() * 4.0 + rounding * x.abs();
        let bad = (0..found.len()).filter(|&i| {
            let difference = (f64::from(found[i]) - expected[i]).abs();
            difference.is_nan() || difference > tolerance(expected[i])
        });
        let bad: Vec<usize> = bad.collect();
        if let Some(&first) = bad.first() {
            let (kernel, shape) = (matmul.kernel(has_bias, traits), matmul.shape(has_bias));
            wrong.push(format!(
                "{kernel} ({}) of {shape}, seed {seed}: {operand:?}: {} of {} wrong, at {first} {} instead of {}",
                dispatches[0].shader,
                bad.len(),
                found.len(),
                found[first],
                expected[first],
            ));
        }
    }
    wrong
}
