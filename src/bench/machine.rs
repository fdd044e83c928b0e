//! The two engines, with what only measuring needs.

use crate::cpu::CpuEngine;
use crate::gpu::GpuEngine;
use crate::ops::{DeviceTraits, StepState};
use crate::plan::{Engine, EngineError, Plan, Program, Step, Target};

/// An engine that can time the parts of a step.
pub enum Machine {
    /// The CPU engine.
    Cpu(CpuEngine),
    /// A GPU.
    Gpu(Box<GpuEngine>),
}

/// The time of one dispatch, or of one node on the CPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    /// The shader's stem; on the CPU the op's.
    pub name: &'static str,
    /// Index into the graph's nodes; `None` for a copy.
    pub node: Option<usize>,
    /// Which of the node's dispatches.
    pub dispatch: usize,
    pub seconds: f64,
}

impl Machine {
    /// What to plan for.
    pub fn target(&self) -> Target {
        match self {
            Self::Cpu(_) => Target::Cpu,
            Self::Gpu(gpu) => Target::Gpu(gpu.traits()),
        }
    }

    /// A GPU's traits.
    pub(super) fn traits(&self) -> Option<DeviceTraits> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(gpu) => Some(gpu.traits()),
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut dyn Engine {
        match self {
            Self::Cpu(cpu) => cpu,
            Self::Gpu(gpu) => &mut **gpu,
        }
    }

    /// One step with its parts' times.
    pub(super) fn profile(
        &mut self,
        plan: &Plan,
        program: Program,
        state: &StepState,
    ) -> Result<Vec<Part>, EngineError> {
        let times = match self {
            Self::Cpu(cpu) => cpu.profile(program, state),
            Self::Gpu(gpu) => gpu.profile(program, state)?,
        };
        let mut parts = Vec::with_capacity(times.len());
        for step in plan.steps() {
            match (step, self.traits()) {
                // A GPU's copies are not timed.
                (Step::Copy { .. }, Some(_)) => {}
                (Step::Copy { .. }, None) => parts.push((None, 0)),
                (Step::Run { node, .. }, None) => parts.push((Some(*node), 0)),
                (Step::Run { node, .. }, Some(traits)) => {
                    let dispatches = plan.graph().nodes()[*node].op.dispatches(&plan.shapes(*node), &traits);
                    parts.extend((0..dispatches.len()).map(|i| (Some(*node), i)));
                }
            }
        }
        let parts = parts.into_iter().zip(times);
        Ok(parts.map(|((node, dispatch), (name, seconds))| Part { name, node, dispatch, seconds }).collect())
    }
}
