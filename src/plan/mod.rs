//! From a graph to a fixed list of steps over memory that is laid out once.
//!
//! [`Plan::new`] drops nodes nobody needs, finds how long each tensor lives, and gives every tensor a [`Region`]:
//! parameters and gradients are windows of their banks, inputs have a buffer each, and everything else shares slots
//! that are used again as soon as a tensor is dead. WebGPU tracks usage by whole buffer, so a slot is a buffer of its
//! own and a node's outputs never share one with its inputs, unless the op works in place.

mod engine;
mod footprint;
pub(crate) mod layout;
mod planner;
mod slots;
mod traffic;
mod waiting;

pub use engine::{Engine, EngineError, Fetched, Limits, Program, Timed};
pub use footprint::Footprint;
pub use traffic::{Call, OpTraffic, Traffic};
pub use waiting::{collect, pause, read_bank};

use crate::graph::{Bank, Graph, Tensor};
use crate::op::{DeviceTraits, Shapes};
use planner::Planner;
use std::sync::Arc;

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A bank, shared by all plans of an engine.
    Bank(Bank),
    /// Written by the caller before a step.
    Input,
    /// Activations, their gradients and scratch, at different times.
    Slot,
}

/// One allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// What it is for.
    pub kind: Kind,
    /// Size in words of four bytes; for the CPU, which holds every element as a number of its own, in elements.
    pub len: usize,
}

/// A window of a buffer, in the units of [`Buffer::len`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Where it starts.
    pub offset: usize,
    /// Its size.
    pub len: usize,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run a node of the graph.
    Run {
        /// Index into [`Graph::nodes`].
        node: usize,
        /// The op's scratch tensors.
        scratch: Vec<Region>,
    },
    /// Copy between two buffers.
    Copy {
        /// What to copy.
        from: Region,
        /// Where to.
        to: Region,
    },
}

/// What the plan is for: the CPU twins need no scratch, and a GPU's kernels depend on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The CPU twins.
    Cpu,
    /// WGSL kernels on a device.
    Gpu(DeviceTraits),
}

/// A graph with memory and order.
#[derive(Debug, Clone)]
pub struct Plan {
    graph: Arc<Graph>,
    target: Target,
    buffers: Vec<Buffer>,
    regions: Vec<Option<Region>>,
    steps: Vec<Step>,
    outputs: Vec<Tensor>,
    /// Bytes of slots that are in use at once at most.
    least: usize,
}

impl Plan {
    /// Plans `graph` so that `outputs` can be read after each step.
    pub fn new(graph: Arc<Graph>, outputs: &[Tensor], target: Target) -> Self {
        Planner::new(graph, outputs, target).run()
    }

    /// The graph that was planned.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// What it was planned for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// All buffers; the first ones are the banks that the plan uses, in the order of [`Bank::ALL`].
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// The banks that the plan uses.
    pub fn banks(&self) -> impl Iterator<Item = Bank> {
        self.buffers.iter().filter_map(|b| if let Kind::Bank(bank) = b.kind { Some(bank) } else { None })
    }

    /// A tensor's place, if the plan needs the tensor at all.
    pub fn region(&self, tensor: Tensor) -> Option<Region> {
        self.regions[tensor.index()]
    }

    /// What to do in a step, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The tensors that are read after a step.
    pub fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    /// The types of a node's tensors.
    pub fn shapes(&self, node: usize) -> Shapes {
        shapes(&self.graph, node)
    }

    /// Bytes of all buffers of this kind.
    pub fn bytes(&self, of: impl Fn(Kind) -> bool) -> u64 {
        self.buffers.iter().filter(|b| of(b.kind)).map(|b| b.len as u64 * 4).sum()
    }

    /// Bytes of slots that are in use at once at most, which all slots together would at best be.
    pub fn least_slots(&self) -> usize {
        self.least
    }

    /// Floating-point operations of one step.
    pub fn flops(&self) -> u64 {
        let flops = |node: usize| self.graph.nodes()[node].op.flops(&self.shapes(node));
        self.steps.iter().map(|s| if let Step::Run { node, .. } = s { flops(*node) } else { 0 }).sum()
    }
}

fn shapes(graph: &Graph, node: usize) -> Shapes {
    let node = &graph.nodes()[node];
    let types = |tensors: &[Tensor]| tensors.iter().map(|&t| graph.ty(t).clone()).collect();
    Shapes { inputs: types(&node.inputs), outputs: types(&node.outputs) }
}
