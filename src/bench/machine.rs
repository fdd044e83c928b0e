//! The two engines, with what only measuring needs.

use crate::cpu::CpuEngine;
use crate::gpu::GpuEngine;
use crate::plan::{Engine, EngineError, Plan, Program, Target, Timed};
use crate::train::TrainError;

/// An engine that can time the parts of a step.
pub enum Machine {
    /// The CPU engine.
    Cpu(Box<CpuEngine>),
    /// A GPU.
    Gpu(Box<GpuEngine>),
}

impl Machine {
    /// What to plan for.
    pub fn target(&self) -> Target {
        match self {
            Self::Cpu(_) => Target::Cpu,
            Self::Gpu(gpu) => Target::Gpu(gpu.traits()),
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut dyn Engine {
        match self {
            Self::Cpu(cpu) => &mut **cpu,
            Self::Gpu(gpu) => &mut **gpu,
        }
    }

    /// Loads `plan`, does `work` with it and gives its memory back, whatever came of the work.
    pub(super) fn with_program<T>(
        &mut self,
        plan: Plan,
        work: impl FnOnce(&mut Self, Program) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let program = self.engine().load(plan)?;
        let done = work(self, program);
        let unloaded = self.engine().unload(program);
        let value = done?;
        unloaded?;
        Ok(value)
    }

    /// From now on every step that is submitted is timed, call by call, until [`Machine::take_profile`].
    pub(super) fn begin_profile(&mut self) {
        match self {
            Self::Cpu(cpu) => cpu.begin_profile(),
            Self::Gpu(gpu) => gpu.begin_profile(),
        }
    }

    /// When each call of the steps since [`Machine::begin_profile`] ran, in order; waits for them.
    pub(super) fn take_profile(&mut self) -> Result<Vec<Timed>, EngineError> {
        match self {
            Self::Cpu(cpu) => Ok(cpu.take_profile()),
            Self::Gpu(gpu) => gpu.take_profile(),
        }
    }
}
