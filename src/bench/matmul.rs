//! The speed of matrix multiplication alone, at the shapes that matter.

use super::machine::Machine;
use crate::cpu::gemm::{Matrix, Threads, gemm};
use crate::graph::{DType, Graph, GraphError, Node, ParameterTable, Tensor, TensorType};
use crate::ops::{
    DeviceTraits, Dispatch, Matmul, MatmulOperands, Op, Operand, Real, Shapes, StepState, Twin, mismatch,
    no_second_derivative, twins,
};
use crate::plan::{Plan, Timed};
use crate::train::TrainError;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// C = op(A) op(B) as an op of its own; a model has none, its matmuls are parts of its linear layers.
#[derive(Debug)]
struct Product(Matmul);

impl Product {
    fn shape(rows: usize, columns: usize, transposed: bool) -> [usize; 2] {
        if transposed { [columns, rows] } else { [rows, columns] }
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let Matmul { m, n, k, transpose_a, transpose_b, .. } = self.0;
        let view = |data, columns, rows, transposed| {
            if transposed { Matrix::new(data, rows).t() } else { Matrix::new(data, columns) }
        };
        let (a, b) = (view(t.real(0), k, m, transpose_a), view(t.real(1), n, k, transpose_b));
        gemm((m, n, k), (t.out(0), n), a, b, (1.0, false), Threads::All);
    }
}

impl Op for Product {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let Matmul { m, n, k, transpose_a, transpose_b, .. } = self.0;
        let shapes = [Self::shape(m, k, transpose_a), Self::shape(k, n, transpose_b)];
        match inputs {
            [a, b] if a.shape == shapes[0] && b.shape == shapes[1] => Ok(vec![TensorType::f32(&[m, n])]),
            _ => Err(mismatch("matmul", inputs, format!("{shapes:?}"))),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("matmul")
    }

    fn flops(&self, _: &Shapes) -> u64 {
        self.0.flops()
    }

    fn scratch(&self, _: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        self.0.scratch(false, device)
    }

    fn dispatches(&self, _: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (a, b, c) = (Operand::Input(0), Operand::Input(1), Operand::Output(0));
        self.0.dispatches(&MatmulOperands { a, b, c, bias: None, second: None }, 0, device)
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
    /// Seconds: the best of several.
    pub seconds: f64,
    /// 2 m n k / seconds / 10^9.
    pub gflops: f64,
}

/// The layouts of a linear layer: the name, and whether A and B are stored transposed.
const LAYOUTS: [(&str, bool, bool); 3] = [("x W^T", false, true), ("dy W", false, false), ("dy^T x", true, false)];

/// Shapes (m, n, k): the encoder's of ELECTRA-Small and its generator's, the vocabulary's, and a large square.
const SHAPES: [(usize, usize, usize); 6] = [
    (2_048, 256, 256),
    (2_048, 1_024, 256),
    (2_048, 256, 1_024),
    (2_048, 64, 64),
    (304, 4_096, 128),
    (1_024, 1_024, 1_024),
];

/// Times every layout at every shape.
///
/// # Errors
/// The engine's.
pub fn matmul_times(machine: &mut Machine, table: &Arc<ParameterTable>) -> Result<Vec<MatmulTime>, TrainError> {
    let mut times = Vec::new();
    for (m, n, k) in SHAPES {
        for (layout, transpose_a, transpose_b) in LAYOUTS {
            let matmul = Matmul { m, n, k, transpose_a, transpose_b, ..Matmul::default() };
            let seconds = time(machine, table, matmul)?;
            times.push(MatmulTime { layout, m, n, k, seconds, gflops: matmul.flops() as f64 / seconds / 1e9 });
        }
    }
    Ok(times)
}

/// Seconds of one multiplication, the best of at least 5 and of as many as fit into a fifth of a second.
pub(super) fn time(machine: &mut Machine, table: &Arc<ParameterTable>, matmul: Matmul) -> Result<f64, TrainError> {
    let mut g = Graph::new(table.clone());
    let a = g.input("a", DType::F32, &Product::shape(matmul.m, matmul.k, matmul.transpose_a));
    let b = g.input("b", DType::F32, &Product::shape(matmul.k, matmul.n, matmul.transpose_b));
    let c = g.add1(Product(matmul), &[a, b])?;
    best(machine, g, &[a, b], c)
}

/// Plans `g` for its tensor `out` and gives the best time of its nodes together.
pub(super) fn best(machine: &mut Machine, g: Graph, inputs: &[Tensor], out: Tensor) -> Result<f64, TrainError> {
    let plan = Plan::new(Arc::new(g), &[out], machine.target());
    let program = machine.engine().load(plan.clone())?;
    for &input in inputs {
        let len = plan.graph().ty(input).len();
        // Numbers of every size between -1 and 1: zeros would be faster on some devices.
        let words: Vec<u32> = (0..len as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_769) >> 8) as f32 / 8_388_608.0 - 1.0).to_bits())
            .collect();
        machine.engine().write(program, input, &words);
    }
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
}
