//! Where a step's time goes, kernel by kernel.

use super::machine::Part;
use super::step::Stepper;
use crate::numbers::median;
use crate::ops::{Operand, Shapes};
use crate::train::TrainError;
use std::collections::HashMap;

/// All calls of one kernel in a step: a shader on a GPU, an op on the CPU.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct KernelTime {
    /// The shader's or op's stem.
    pub name: &'static str,
    /// Calls in a step.
    pub calls: usize,
    /// Seconds of all calls together: the median of the profiled steps.
    pub seconds: f64,
    /// Floating-point operations of all calls.
    pub flops: u64,
    /// Bytes of the tensors that the calls read and write, each once.
    pub bytes: u64,
}

/// Times the parts of `count` steps after a first one. The slowest kernel comes first.
///
/// # Errors
/// The engine's.
pub fn kernel_times(stepper: &mut Stepper, count: usize) -> Result<Vec<KernelTime>, TrainError> {
    stepper.profile()?;
    let profiles = (0..count.max(1)).map(|_| stepper.profile()).collect::<Result<Vec<_>, _>>()?;
    let work = work(stepper, &profiles[0]);
    let mut rows: HashMap<&'static str, (KernelTime, Vec<f64>)> = HashMap::new();
    for (which, profile) in profiles.iter().enumerate() {
        for (part, (flops, bytes)) in profile.iter().zip(&work) {
            let fresh = || {
                let row = KernelTime { name: part.name, calls: 0, seconds: 0.0, flops: 0, bytes: 0 };
                (row, vec![0.0; profiles.len()])
            };
            let (row, seconds) = rows.entry(part.name).or_insert_with(fresh);
            seconds[which] += part.seconds;
            if which == 0 {
                (row.calls, row.flops, row.bytes) = (row.calls + 1, row.flops + flops, row.bytes + bytes);
            }
        }
    }
    let rows = rows.into_values().map(|(row, seconds)| KernelTime { seconds: median(&seconds), ..row });
    let mut rows: Vec<KernelTime> = rows.collect();
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(rows)
}

/// Floating-point operations and bytes of each part. A node of several dispatches has its operations counted with the
/// longest of them.
fn work(stepper: &Stepper, parts: &[Part]) -> Vec<(u64, u64)> {
    let plan = stepper.plan();
    let mut longest: HashMap<usize, usize> = HashMap::new();
    for (i, part) in parts.iter().enumerate() {
        if let Some(node) = part.node {
            let best = longest.entry(node).or_insert(i);
            *best = if part.seconds > parts[*best].seconds { i } else { *best };
        }
    }
    let each = |(i, part): (usize, &Part)| {
        let Some(node) = part.node else { return (0, 0) };
        let shapes = plan.shapes(node);
        let flops = if longest.get(&node) == Some(&i) { plan.graph().nodes()[node].op.flops(&shapes) } else { 0 };
        (flops, bytes(stepper, part, node, &shapes))
    };
    parts.iter().enumerate().map(each).collect()
}

fn bytes(stepper: &Stepper, part: &Part, node: usize, shapes: &Shapes) -> u64 {
    let op = &stepper.plan().graph().nodes()[node].op;
    let total = match stepper.traits() {
        // An output that starts as an input is one tensor, read and written: counted twice as well.
        None => shapes.inputs.iter().chain(&shapes.outputs).map(|t| t.bytes()).sum::<usize>(),
        Some(traits) => {
            let scratch = op.scratch(shapes, &traits);
            let dispatches = op.dispatches(shapes, &traits);
            let bindings = dispatches.get(part.dispatch).map(|d| d.bindings.as_slice()).unwrap_or_default();
            let size = |operand| match operand {
                Operand::Input(i) => shapes.inputs[i].bytes(),
                Operand::Output(i) => shapes.outputs[i].bytes(),
                Operand::Scratch(i) => scratch[i].bytes(),
            };
            bindings.iter().map(|b| size(b.operand)).sum()
        }
    };
    total as u64
}
