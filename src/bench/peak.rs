//! What the device reaches at best, to hold the kernels against.

use super::machine::Machine;
use super::matmul::{best, time};
use crate::graph::{DType, Graph, ParameterTable};
use crate::math::bf16::Products;
use crate::math::parallel;
use crate::ops;
use crate::ops::kernels::Matmul;
use crate::plan::Engine as _;
use crate::train::TrainError;
use crate::tune::multiply_add;
use std::sync::Arc;
use std::time::Instant;

/// The measured peak of a device.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Peak {
    /// The best matmul's 10^9 floating-point operations a second.
    pub gflops: f64,
    /// The same of multiply-adds in registers, which wait for no memory, in single precision: what the device can do at all.
    /// None on the CPU engine.
    pub multiply_adds: Option<f64>,
    /// 10^9 bytes a second, read and written, of a copy: the best of the device's own and a kernel's.
    pub gigabytes: f64,
    /// How both were measured.
    pub how: &'static str,
}

/// Measures the peak: the best of some runs each. A CPU's is of `products`, as a step's are.
///
/// # Errors
/// The engine's.
pub fn peak(machine: &mut Machine, table: &Arc<ParameterTable>, products: Products) -> Result<Peak, TrainError> {
    let mut gflops = 0.0f64;
    let fast = matches!(machine, Machine::Gpu(gpu) if !gpu.traits().software);
    for &(m, n, k) in if fast { &LARGE } else { &SMALL } {
        for transpose_b in [false, true] {
            let matmul = Matmul { m, n, k, transpose_b, ..Matmul::default() };
            gflops = gflops.max(matmul.flops() as f64 / time(machine, table, matmul, None)? / 1e9);
        }
    }
    if let (Machine::Cpu(_), Products::Halves) = (&machine, products) {
        for sizes in SMALL {
            gflops = gflops.max(layer(machine, table, products, sizes)?);
        }
    }
    let seconds = match machine {
        Machine::Cpu(_) => copy_on_cpu(),
        Machine::Gpu(gpu) => {
            let bytes = (BYTES as u64).min(gpu.limits().buffer / 16 * 16);
            gpu.time_copy(bytes, 8)? * BYTES as f64 / bytes as f64
        }
    };
    // All of it is read, and written.
    let mut gigabytes = (2 * BYTES) as f64 / seconds / 1e9;
    if let Machine::Gpu(_) = machine {
        // Some drivers copy slower than a kernel does. Both are read, one is written.
        let mut g = Graph::new(table.clone());
        let [a, b] = ["a", "b"].map(|name| g.input(name, DType::F32, &[ELEMENTS]));
        let sum = ops::add(&mut g, a, b)?;
        gigabytes = gigabytes.max((3 * ELEMENTS * 4) as f64 / best(machine, g, &[a, b], sum)? / 1e9);
    }
    let multiply_adds = multiply_adds(machine, table)?;
    let how = match (machine, fast) {
        (Machine::Cpu(_), _) if products == Products::Halves => {
            "matmul 1024^3 and 4096x1024x256 in bf16, factors converted; a copy of 256 MiB by all cores"
        }
        (Machine::Cpu(_), _) => "matmul 1024^3 and 4096x1024x256; a copy of 256 MiB by all cores",
        (_, false) => "matmul 1024^3 and 4096x1024x256; the better of a 256 MiB copy and a += b of 64 MiB each",
        (_, true) => "matmul 4096^3 and 16384x1024x256; the better of a 256 MiB copy and a += b of 64 MiB each",
    };
    Ok(Peak { gflops, multiply_adds, gigabytes, how })
}

/// 10^9 floating-point operations a second of a linear layer of m rows, from k to n columns.
fn layer(
    machine: &mut Machine,
    table: &Arc<ParameterTable>,
    products: Products,
    (m, n, k): (usize, usize, usize),
) -> Result<f64, TrainError> {
    let mut g = Graph::new(table.clone());
    let [x, weight, bias] =
        [("x", &[m, k][..]), ("weight", &[n, k]), ("bias", &[n])].map(|(name, shape)| g.input(name, DType::F32, shape));
    let y = ops::linear(&mut g, x, weight, bias)?;
    g.multiply_in(products);
    Ok((2 * m * n * k) as f64 / best(machine, g, &[x, weight, bias], y)? / 1e9)
}

/// Products (m, n, k) that fill a device: a GPU, and what computes on a processor's cores.
const LARGE: [(usize, usize, usize); 2] = [(4_096, 4_096, 4_096), (16_384, 1_024, 256)];
const SMALL: [(usize, usize, usize); 2] = [(1_024, 1_024, 1_024), (4_096, 1_024, 256)];

/// Bytes that are copied: many times what caches hold.
const BYTES: usize = 256 << 20;

/// Elements of the arrays that are added: as many as a binding may have everywhere, halved.
const ELEMENTS: usize = 16 << 20;

/// 10^9 floating-point operations a second of multiply-adds in registers; none on the CPU engine.
///
/// # Errors
/// The engine's.
pub fn multiply_adds(machine: &mut Machine, table: &Arc<ParameterTable>) -> Result<Option<f64>, TrainError> {
    let Machine::Gpu(gpu) = machine else { return Ok(None) };
    let (elements, repeats) = if gpu.traits().software { (1 << 18, 512) } else { (1 << 22, 4_096) };
    let mut g = Graph::new(table.clone());
    let x = g.input("x", DType::F32, &[elements]);
    let y = multiply_add(&mut g, x, repeats)?;
    Ok(Some((2 * elements * repeats) as f64 / best(machine, g, &[x], y)? / 1e9))
}

fn copy_on_cpu() -> f64 {
    let (mut to, from) = (vec![1.0f32; BYTES / 4], vec![2.0f32; BYTES / 4]);
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let start = Instant::now();
        parallel::rows(&mut to, 1, |start, to| to.copy_from_slice(&from[start..start + to.len()]));
        best = best.min(start.elapsed().as_secs_f64());
    }
    std::hint::black_box(&to);
    best
}
