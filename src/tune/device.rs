//! The choice made on a device.

use super::{Measure, Task, tolerance, with_kernel};
use crate::gpu::{Subject, Trials};
use crate::ops::{DeviceTraits, Matmul, MatmulKernel, MatmulShape};
use crate::plan::{EngineError, Plan, Step};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Trials of the multiplications of some plans.
pub(super) struct OnDevice {
    trials: Trials,
    traits: DeviceTraits,
    /// For each multiplication the first op that does it.
    subjects: HashMap<MatmulShape, Subject>,
    /// When the first trial began.
    start: Option<Instant>,
}

impl OnDevice {
    pub(super) fn new(trials: Trials, traits: DeviceTraits) -> Self {
        Self { trials, traits, subjects: HashMap::new(), start: None }
    }

    fn begin(&mut self, shape: &MatmulShape) -> Result<Subject, String> {
        self.start.get_or_insert_with(Instant::now);
        self.subjects.get(shape).cloned().ok_or_else(|| "no plan has it".into())
    }
}

impl Measure for OnDevice {
    fn time(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, String> {
        let subject = self.begin(&task.shape)?;
        let ways: Vec<DeviceTraits> = kernels.iter().map(|&k| with_kernel(&self.traits, task.shape, k)).collect();
        self.trials.time(&subject, &ways).map_err(reason)
    }

    fn check(&mut self, task: &Task, kernel: MatmulKernel) -> Result<Option<String>, String> {
        let subject = self.begin(&task.shape)?;
        let [base, other] = [task.candidates[0], kernel].map(|k| with_kernel(&self.traits, task.shape, k));
        self.trials.compare(&subject, &base, &other, tolerance(task.shape.k)).map_err(reason)
    }

    fn elapsed(&self) -> Duration {
        self.start.map_or(Duration::ZERO, |start| start.elapsed())
    }
}

/// Why a kernel could not be run, without advice that is meant for a run.
fn reason(error: EngineError) -> String {
    match error {
        EngineError::Kernel { what, reason, .. } => format!("{what}: {reason}"),
        EngineError::DeviceLost { reason, .. } => format!("the device was lost: {reason}"),
        EngineError::OutOfMemory { .. } => "the device has no memory for it".into(),
        other => other.to_string(),
    }
}

/// The multiplications of `plans` for which there is a choice, each once. `trials` learns which op to try them with.
pub(super) fn tasks(plans: &[(Plan, usize)], traits: &DeviceTraits, trials: &mut OnDevice) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (plan, times) in plans {
        for step in plan.steps() {
            let Step::Run { node, .. } = step else { continue };
            let (op, shapes) = (&plan.graph().nodes()[*node].op, plan.shapes(*node));
            for shape in op.matmuls(&shapes) {
                let work = shape.flops() * *times as u64;
                if let Some(task) = tasks.iter_mut().find(|task| task.shape == shape) {
                    task.work += work;
                    continue;
                }
                let candidates = Matmul::candidates(&shape, traits);
                if candidates.len() > 1 {
                    let subject = || Subject { op: op.clone(), shapes: shapes.clone() };
                    trials.subjects.entry(shape).or_insert_with(subject);
                    tasks.push(Task { shape, candidates, work });
                }
            }
        }
    }
    tasks
}
