//! What the device reaches at best, to hold the kernels against.

use super::machine::Machine;
use super::matmul::{best, time};
use crate::cpu::parallel::{self, vectorize};
use crate::graph::{DType, Graph, ParameterTable};
use crate::ops::{self, Matmul};
use crate::train::TrainError;
use std::sync::Arc;
use std::time::Instant;

/// The measured peak of a device.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Peak {
    /// The best matmul's 10^9 floating-point operations a second.
    pub gflops: f64,
    /// 10^9 bytes a second, read and written, of a simple loop over memory.
    pub gigabytes: f64,
    /// How both were measured.
    pub how: &'static str,
}

/// Measures the peak: the best of some runs each.
///
/// # Errors
/// The engine's.
pub fn peak(machine: &mut Machine, table: &Arc<ParameterTable>) -> Result<Peak, TrainError> {
    let mut gflops = 0.0f64;
    for (m, n, k) in [(1_024, 1_024, 1_024), (4_096, 1_024, 256)] {
        for transpose_b in [false, true] {
            let matmul = Matmul { m, n, k, transpose_b, ..Matmul::default() };
            gflops = gflops.max(matmul.flops() as f64 / time(machine, table, matmul)? / 1e9);
        }
    }
    let seconds = match machine {
        Machine::Cpu(_) => sum_on_cpu(),
        Machine::Gpu(_) => {
            let mut g = Graph::new(table.clone());
            let [a, b] = ["a", "b"].map(|name| g.input(name, DType::F32, &[ELEMENTS]));
            let sum = ops::add(&mut g, a, b)?;
            best(machine, g, &[a, b], sum)?
        }
    };
    // Both are read, one is written.
    let gigabytes = (3 * ELEMENTS * 4) as f64 / seconds / 1e9;
    Ok(Peak { gflops, gigabytes, how: "matmul 1024^3 and 4096x1024x256; a += b of 64 MiB each" })
}

/// Elements of the arrays that are added: more than caches hold.
const ELEMENTS: usize = 16 << 20;

fn sum_on_cpu() -> f64 {
    let (mut a, b) = (vec![1.0f32; ELEMENTS], vec![1.0f32; ELEMENTS]);
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let start = Instant::now();
        parallel::rows(&mut a, 1, |start, a| {
            vectorize(
                #[inline(always)]
                || a.iter_mut().zip(&b[start..]).for_each(|(a, b)| *a += b),
            );
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    std::hint::black_box(&a);
    best
}
