//! What a plan takes on a device, known before anything is allocated.

use super::layout::{MOST_STAGING, lay_out_uniforms, size, windows};
use super::{Kind, Plan, Step, Target};
use crate::graph::Bank;
use crate::op::{Dispatch, Operand, StepState};

/// Dispatches of a step, and bytes of the buffers that [`GpuEngine`](crate::gpu::GpuEngine) makes for a plan beside the banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Dispatches a step.
    pub dispatches: usize,
    /// Copies between buffers a step.
    pub copies: usize,
    /// Bytes of inputs.
    pub inputs: u64,
    /// Bytes of slots: activations, their gradients and scratch.
    pub slots: u64,
    /// Bytes of the uniforms of all dispatches.
    pub uniforms: u64,
    /// Bytes of one buffer that outputs are read back through; there are as many as steps whose outputs have not been
    /// collected, at most [`Footprint::MOST_READBACKS`].
    pub readback: u64,
}

impl Footprint {
    /// Most readback buffers of a plan.
    pub const MOST_READBACKS: u64 = MOST_STAGING as u64;

    /// What `plan` takes. On the CPU that is inputs and slots, neither rounded up.
    pub fn of(plan: &Plan) -> Self {
        let copies = plan.steps().iter().filter(|step| matches!(step, Step::Copy { from, .. } if from.len > 0)).count();
        if plan.target() == Target::Cpu {
            let bytes = |kind: Kind| plan.bytes(|k| k == kind);
            return Self { copies, inputs: bytes(Kind::Input), slots: bytes(Kind::Slot), ..Self::default() };
        }
        let buffers = |kind: Kind| -> u64 {
            plan.buffers().iter().filter(|b| b.kind == kind).map(|b| size(b.len as u64 * 4)).sum()
        };
        let dispatches = dispatches(plan);
        let (uniforms, _) = lay_out_uniforms(dispatches.iter().map(|dispatch| dispatch.uniform.as_slice()));
        Self {
            dispatches: dispatches.len(),
            copies,
            inputs: buffers(Kind::Input),
            slots: buffers(Kind::Slot),
            uniforms: if uniforms.is_empty() { 0 } else { size(uniforms.len() as u64) },
            readback: size(windows(plan).last().map_or(0, |window| window.end) as u64),
        }
    }

    /// Bytes of the largest window of a buffer that a kernel of `plan` sees; 0 on the CPU.
    pub fn largest_binding(plan: &Plan) -> u64 {
        let Target::Gpu(device) = plan.target() else { return 0 };
        let len = |step: &Step| {
            let Step::Run { node: index, scratch } = step else { return 0 };
            let node = &plan.graph().nodes()[*index];
            let of = |operand| match operand {
                Operand::Input(i) => plan.graph().ty(node.inputs[i]).words(),
                Operand::Output(i) => plan.graph().ty(node.outputs[i]).words(),
                Operand::Scratch(i) => scratch[i].len,
            };
            let dispatches = node.op.dispatches(&plan.shapes(*index), &device);
            dispatches.iter().flat_map(|d| &d.bindings).map(|binding| of(binding.operand)).max().unwrap_or_default()
        };
        size(plan.steps().iter().map(len).max().unwrap_or_default() as u64 * 4)
    }

    /// Bytes of a bank where those of parameters have `len` elements.
    pub fn bank(bank: Bank, len: usize) -> u64 {
        size(bank.ty(len).bytes() as u64)
    }

    /// Bytes of the engine's buffers that plans share: `banks`, where those of parameters have `len` elements, and the
    /// step's state.
    pub fn shared(len: usize, banks: impl IntoIterator<Item = Bank>) -> u64 {
        banks.into_iter().map(|bank| Self::bank(bank, len)).sum::<u64>() + Self::state()
    }

    /// Bytes of the step's state.
    pub fn state() -> u64 {
        size(size_of::<StepState>() as u64)
    }

    /// Bytes with `readbacks` steps on their way.
    pub fn bytes(&self, readbacks: u64) -> u64 {
        self.inputs + self.slots + self.uniforms + self.readback * readbacks
    }
}

/// The dispatches of a step that have something to do.
fn dispatches(plan: &Plan) -> Vec<Dispatch> {
    let Target::Gpu(device) = plan.target() else { return Vec::new() };
    let of = |step: &Step| match step {
        Step::Run { node, .. } => plan.graph().nodes()[*node].op.dispatches(&plan.shapes(*node), &device),
        Step::Copy { .. } => Vec::new(),
    };
    plan.steps().iter().flat_map(of).filter(|dispatch| dispatch.workgroups.iter().all(|&n| n > 0)).collect()
}
