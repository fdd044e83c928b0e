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

    /// Whether it is known when submissions begin and end.
    pub(super) fn times_submissions(&self) -> bool {
        match self {
            Self::Cpu(_) => true,
            Self::Gpu(gpu) => gpu.times_inside_passes(),
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gpu::Choice;
    use crate::graph::{DType, Graph, ParameterTable};
    use crate::op::StepState;
    use crate::tune::multiply_add;
    use std::sync::Arc;

    pub fn table() -> Arc<ParameterTable> {
        Arc::new(ParameterTable::new(Vec::new()))
    }

    /// The CPU engine, and the tests' GPU: a software driver unless `LEYDEN_TEST_DEVICE` names another.
    pub fn machines() -> [Machine; 2] {
        let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
        let gpu = GpuEngine::open(&Choice::Named(name), table().len()).unwrap().expect("a named choice");
        [Machine::Cpu(Box::new(CpuEngine::new(table().len()))), Machine::Gpu(Box::new(gpu))]
    }

    #[test]
    fn a_program_is_gone_after_its_work_also_where_that_failed() {
        for mut machine in machines() {
            let before = machine.engine().allocated();
            let mut g = Graph::new(table());
            let x = g.input("x", DType::F32, &[64]);
            let y = multiply_add(&mut g, x, 3).unwrap();
            let plan = Plan::new(Arc::new(g), &[y], machine.target());
            let state = StepState::default();
            let work = |machine: &mut Machine, program| {
                machine.engine().submit(program, &state, true)?;
                assert!(machine.engine().allocated() > before);
                Ok(program)
            };
            let program = machine.with_program(plan.clone(), work).unwrap();
            assert_eq!(machine.engine().allocated(), before);
            let left = machine.engine().collect(true).unwrap().expect("what its step left");
            assert_eq!((left.program, left.outputs.len()), (program, 1));
            let refused = |result: Result<(), EngineError>| {
                let error = result.expect_err("it is gone");
                assert!(
                    matches!(error, EngineError::Kernel { .. }) && error.to_string().contains("not loaded"),
                    "{error}"
                );
            };
            refused(machine.engine().submit(program, &state, false));
            refused(machine.engine().unload(program));
            refused(machine.engine().unload(Program(7)));
            machine.engine().write(program, x, &[0; 64]);
            let failed = machine.with_program(plan.clone(), |machine, other| {
                assert_ne!(other, program);
                // The write is told of here.
                refused(machine.engine().submit(other, &state, false));
                machine.engine().submit(program, &state, false)?;
                Ok(())
            });
            refused(failed.map_err(|error| match error {
                TrainError::Engine(error) => error,
                other => panic!("{other}"),
            }));
            assert_eq!(machine.engine().allocated(), before);
        }
    }
}
