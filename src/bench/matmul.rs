//! The speed of matrix multiplication alone, at the shapes that matter.

use super::machine::Machine;
use crate::graph::{DType, Graph, GraphError, Node, ParameterTable, Tensor, TensorType};
use crate::math::Real;
use crate::math::gemm::{Gemm, Matrix, Threads};
use crate::op::{
    DeviceTraits, Dispatch, MatmulKernel, Op, Operand, Shapes, StepState, Tuning, Twin, mismatch, no_second_derivative,
    twins,
};
use crate::ops::kernels::{Matmul, MatmulOperands};
use crate::plan::{Plan, Program, Target, Timed};
use crate::train::TrainError;
use crate::tune::{Subject, Trials, tolerance};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// C = op(A) op(B) as an op of its own; a model has none, its matmuls are parts of its linear layers.
#[derive(Debug)]
struct Product {
    matmul: Matmul,
    /// Stands in for the device's own, where a kernel is to be used whatever that says.
    tuning: Option<Tuning>,
}

impl Product {
    fn shape(rows: usize, columns: usize, transposed: bool) -> [usize; 2] {
        if transposed { [columns, rows] } else { [rows, columns] }
    }

    fn traits(&self, device: &DeviceTraits) -> DeviceTraits {
        DeviceTraits { tuning: self.tuning.unwrap_or(device.tuning), ..*device }
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let Matmul { m, n, k, transpose_a, transpose_b, .. } = self.matmul;
        let view = |data, columns, rows, transposed| {
            if transposed { Matrix::new(data, rows).t() } else { Matrix::new(data, columns) }
        };
        let (a, b) = (view(t.real(0), k, m, transpose_a), view(t.real(1), n, k, transpose_b));
        Gemm { m, n, k, threads: Threads::All, ..Gemm::default() }.run(a, b, t.out(0), n);
    }
}

impl Op for Product {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let Matmul { m, n, k, transpose_a, transpose_b, .. } = self.matmul;
        let shapes = [Self::shape(m, k, transpose_a), Self::shape(k, n, transpose_b)];
        match inputs {
            [a, b] if a.shape == shapes[0] && b.shape == shapes[1] => {
                Ok(vec![TensorType::new(self.matmul.elements[2], &[m, n])])
            }
            _ => Err(mismatch("matmul", inputs, format!("{shapes:?}"))),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("matmul")
    }

    fn flops(&self, _: &Shapes) -> u64 {
        self.matmul.flops()
    }

    fn scratch(&self, _: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        self.matmul.scratch(false, &self.traits(device))
    }

    fn dispatches(&self, _: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (a, b, c) = (Operand::Input(0), Operand::Input(1), Operand::Output(0));
        let operands = MatmulOperands { a, b, c, bias: None, second: None };
        self.matmul.dispatches(&operands, 0, &self.traits(device))
    }

    twins!();
}

/// One multiplication's time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct MatmulTime {
    /// `x W^T`, `dy W` or `dy^T x`: forward, input gradient or weight gradient.
    pub layout: &'static str,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The length of the sums.
    pub k: usize,
    /// The precision of both factors, and of the result but for a weight gradient, which is always single.
    pub precision: &'static str,
    /// The kernel; empty on the CPU.
    pub kernel: String,
    /// Seconds: the best of several.
    pub seconds: f64,
    /// 2 m n k / seconds / 10^9.
    pub gflops: f64,
    /// Of the speed of the fastest kernel that was timed for this multiplication.
    pub of_best: f64,
}

/// A kernel that could not be timed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MatmulFailure {
    /// As [`MatmulTime::layout`].
    pub layout: &'static str,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The length of the sums.
    pub k: usize,
    /// As [`MatmulTime::precision`].
    pub precision: &'static str,
    /// The kernel; empty on the CPU.
    pub kernel: String,
    /// Why, in one line.
    pub error: String,
}

/// What came of timing multiplications.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatmulTimes {
    /// Those that ran.
    pub times: Vec<MatmulTime>,
    /// Those that did not, where every kernel was asked for.
    pub failures: Vec<MatmulFailure>,
}

/// The layouts of a linear layer: the name, and whether A and B are stored transposed.
const LAYOUTS: [(&str, bool, bool); 3] = [("x W^T", false, true), ("dy W", false, false), ("dy^T x", true, false)];

/// Layers of ELECTRA-Small's encoder and its generator's: N outputs of K inputs.
const LAYERS: [(usize, usize); 4] = [(1_024, 256), (256, 1_024), (256, 256), (64, 64)];

/// Tokens of a batch on a GPU, and on what is slower.
const TOKENS: [usize; 2] = [16_384, 2_048];

/// Shapes (T, N, K) that matter on `machine`: the layers', the widest first, a part of the vocabulary's, and a large square.
pub fn matmul_shapes(machine: &Machine) -> Vec<(usize, usize, usize)> {
    let slow = !matches!(machine, Machine::Gpu(gpu) if !gpu.traits().software);
    let tokens = TOKENS[usize::from(slow)];
    let mut shapes: Vec<_> = LAYERS.into_iter().map(|(n, k)| (tokens, n, k)).collect();
    shapes.extend([(304, 4_096, 128), (1_024, 1_024, 1_024)]);
    shapes
}

/// Times forward, input gradient and weight gradient at every one of `shapes`, in single precision and, where the device has
/// it, in half precision. With `all`, every kernel that the device can run, not only the one that it uses; one that fails is
/// told of beside the times of the others.
///
/// # Errors
/// The engine's; with `all`, if no kernel ran.
pub fn matmul_times(
    machine: &mut Machine,
    table: &Arc<ParameterTable>,
    shapes: &[(usize, usize, usize)],
    all: bool,
) -> Result<MatmulTimes, TrainError> {
    let traits = match machine.target() {
        Target::Cpu => None,
        Target::Gpu(traits) => Some(traits),
    };
    let precisions: &[DType] = if traits.is_some_and(|t| t.f16) { &[DType::F32, DType::F16] } else { &[DType::F32] };
    let (mut times, mut failures, mut first_error) = (Vec::new(), Vec::new(), None);
    for &(t, outputs, inputs) in shapes {
        for ((layout, transpose_a, transpose_b), (m, n, k)) in
            LAYOUTS.into_iter().zip([(t, outputs, inputs), (t, inputs, outputs), (outputs, inputs, t)])
        {
            for &precision in precisions {
                let matmul = multiplication([m, n, k], [transpose_a, transpose_b], precision);
                let first = times.len();
                for kernel in kernels(&matmul, traits.as_ref(), all) {
                    let timed = time(machine, table, matmul, kernel);
                    let (kernel, precision) = (kernel.map(|k| k.to_string()).unwrap_or_default(), precision.name());
                    match timed {
                        Ok(seconds) => {
                            let gflops = matmul.flops() as f64 / seconds / 1e9;
                            times.push(MatmulTime {
                                layout,
                                m,
                                n,
                                k,
                                precision,
                                kernel,
                                seconds,
                                gflops,
                                of_best: 1.0,
                            });
                        }
                        Err(error) if all => {
                            let why = error.to_string();
                            failures.push(MatmulFailure { layout, m, n, k, precision, kernel, error: why });
                            first_error.get_or_insert(error);
                        }
                        Err(error) => return Err(error),
                    }
                }
                let best = times[first..].iter().map(|t| t.seconds).fold(f64::INFINITY, f64::min);
                times[first..].iter_mut().for_each(|t| t.of_best = best / t.seconds);
            }
        }
    }
    match first_error {
        Some(error) if times.is_empty() => Err(error),
        _ => Ok(MatmulTimes { times, failures }),
    }
}

/// C = op(A) op(B) of factors in `precision`; a weight gradient, of a transposed A, is always single.
fn multiplication([m, n, k]: [usize; 3], [transpose_a, transpose_b]: [bool; 2], precision: DType) -> Matmul {
    let result = if transpose_a { DType::F32 } else { precision };
    let elements = [precision, precision, result, DType::F32];
    Matmul { m, n, k, transpose_a, transpose_b, elements, ..Matmul::default() }
}

/// Whether the kernel of `time` gives what the device's base kernel gives, to rounding. The CPU engine has one way only.
pub fn matmul_agrees(trials: Option<&mut Trials>, target: Target, time: &MatmulTime) -> bool {
    let (Some(trials), Target::Gpu(traits)) = (trials, target) else { return true };
    let layout = LAYOUTS.into_iter().find(|layout| layout.0 == time.layout);
    let (Ok(kernel), Some((_, transpose_a, transpose_b))) = (time.kernel.parse::<MatmulKernel>(), layout) else {
        return false;
    };
    let precision = if time.precision == DType::F16.name() { DType::F16 } else { DType::F32 };
    let &MatmulTime { m, n, k, .. } = time;
    let matmul = multiplication([m, n, k], [transpose_a, transpose_b], precision);
    let inputs = [Product::shape(m, k, transpose_a), Product::shape(k, n, transpose_b)];
    let inputs = inputs.map(|shape| TensorType::new(precision, &shape)).to_vec();
    let shapes = Shapes { inputs, outputs: vec![TensorType::new(matmul.elements[2], &[m, n])] };
    let subject = Subject { op: Arc::new(Product { matmul, tuning: None }), shapes, whole: 0, scale: 1.0 };
    let tuned = DeviceTraits { tuning: Tuning::new(vec![(matmul.shape(false), kernel)]), ..traits };
    let base = DeviceTraits { tuning: Tuning::default(), ..traits };
    trials.compare(&subject, &base, &tuned, tolerance(k, &kernel)).is_ok_and(|compared| compared.wrong.is_none())
}

/// The kernels to time; `None` for the CPU engine's only way.
fn kernels(matmul: &Matmul, traits: Option<&DeviceTraits>, all: bool) -> Vec<Option<MatmulKernel>> {
    let Some(traits) = traits else { return vec![None] };
    let used = matmul.kernel(false, traits);
    let mut kernels = vec![used];
    if all {
        kernels.extend(Matmul::candidates(&matmul.shape(false), traits).into_iter().filter(|&kernel| kernel != used));
    }
    kernels.into_iter().map(Some).collect()
}

/// Seconds of one multiplication, the best of at least 6 and of as many as fit into a fifth of a second; with the kernel
/// that the device uses, or another.
pub(super) fn time(
    machine: &mut Machine,
    table: &Arc<ParameterTable>,
    matmul: Matmul,
    kernel: Option<MatmulKernel>,
) -> Result<f64, TrainError> {
    let mut g = Graph::new(table.clone());
    let a = g.input("a", matmul.elements[0], &Product::shape(matmul.m, matmul.k, matmul.transpose_a));
    let b = g.input("b", matmul.elements[1], &Product::shape(matmul.k, matmul.n, matmul.transpose_b));
    // A few words that stay in memory until the program ends: as many as there are kernels to time.
    let tuning = kernel.map(|kernel| Tuning(vec![(matmul.shape(false), kernel)].leak()));
    let c = product(&mut g, matmul, tuning, [a, b])?;
    best(machine, g, &[a, b], c)
}

/// A multiplication, with the kernel that `tuning` says in place of the device's own.
pub(super) fn product(
    g: &mut Graph,
    matmul: Matmul,
    tuning: Option<Tuning>,
    [a, b]: [Tensor; 2],
) -> Result<Tensor, GraphError> {
    g.add1(Product { matmul, tuning }, &[a, b])
}

/// Plans `g` for its tensor `out` and gives the best time of its nodes together.
pub(super) fn best(machine: &mut Machine, g: Graph, inputs: &[Tensor], out: Tensor) -> Result<f64, TrainError> {
    let plan = Plan::new(Arc::new(g), &[out], machine.target());
    machine.with_program(plan.clone(), |machine, program| {
        fill(machine, &plan, program, inputs);
        let calls = plan.calls();
        let (start, mut best) = (Instant::now(), f64::INFINITY);
        let mut runs = 0;
        while runs < 6 || start.elapsed() < Duration::from_millis(200) {
            machine.begin_profile();
            let submitted = machine.engine().submit(program, &StepState::default(), false);
            let timed = machine.take_profile()?;
            submitted?;
            best = best.min(timed.iter().filter(|t| calls[t.call].node.is_some()).map(Timed::seconds).sum());
            runs += 1;
        }
        Ok(best)
    })
}

/// Writes numbers of every size between -1 and 1 into `inputs`: zeros would be faster on some devices.
pub(super) fn fill(machine: &mut Machine, plan: &Plan, program: Program, inputs: &[Tensor]) {
    for &input in inputs {
        let ty = plan.graph().ty(input);
        let number = |i: u32| (i.wrapping_mul(2_654_435_769) >> 8) as f32 / 8_388_608.0 - 1.0;
        let half = |i: u32| u32::from(half::f16::from_f32(number(i)).to_bits());
        let words: Vec<u32> = match ty.dtype {
            DType::F16 => (0..ty.words() as u32).map(|i| half(2 * i) | half(2 * i + 1) << 16).collect(),
            _ => (0..ty.len() as u32).map(|i| number(i).to_bits()).collect(),
        };
        machine.engine().write(program, input, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{machines, table};
    use super::*;

    #[test]
    fn every_kernel_is_timed_and_none_stays() {
        for mut machine in machines() {
            let before = machine.engine().allocated();
            let found = matmul_times(&mut machine, &table(), &[(8, 16, 8)], true).unwrap();
            assert_eq!(found.failures, []);
            for (layout, ..) in LAYOUTS {
                assert!(found.times.iter().any(|t| t.layout == layout && t.seconds > 0.0), "{layout}");
            }
            let kernels: Vec<&str> = found.times.iter().filter(|t| t.layout == "dy W").map(|t| &*t.kernel).collect();
            assert_eq!(kernels.len() > 1, matches!(machine, Machine::Gpu(_)), "{kernels:?}");
            assert_eq!(machine.engine().allocated(), before);
        }
    }

    #[test]
    fn a_kernel_that_cannot_be_timed_is_told_of() {
        // Terabytes.
        let huge = (1 << 26, 8, 1 << 14);
        let [_, mut machine] = machines();
        let before = machine.engine().allocated();
        let found = matmul_times(&mut machine, &table(), &[huge, (8, 8, 8)], true).unwrap();
        assert!(!found.failures.is_empty() && found.times.iter().any(|t| t.m == 8), "{found:?}");
        assert!(found.times.iter().all(|t| t.m.max(t.n).max(t.k) == 8), "{found:?}");
        let first = &found.failures[0];
        assert_eq!((first.layout, first.m, first.n, first.k), ("x W^T", huge.0, huge.1, huge.2));
        assert!(first.error.contains("use a smaller"), "{first:?}");
        // With nothing else, or where one kernel is asked for, it is the error.
        for all in [true, false] {
            let error = matmul_times(&mut machine, &table(), &[huge], all).expect_err("no room");
            assert!(error.to_string().contains("use a smaller"), "{error}");
        }
        assert_eq!(machine.engine().allocated(), before);
    }
}
