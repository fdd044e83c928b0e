//! From a graph to a fixed list of steps over memory that is laid out once.
//!
//! [`Plan::new`] drops nodes nobody needs, finds how long each tensor lives, and gives every tensor a [`Region`]:
//! parameters and gradients are windows of their banks, inputs have a buffer each, and everything else shares slots
//! that are used again as soon as a tensor is dead. WebGPU tracks usage by whole buffer, so a slot is a buffer of its
//! own and a node's outputs never share one with its inputs, unless the op asks to take an input over.

mod engine;
mod footprint;
pub(crate) mod layout;
mod slots;
mod traffic;

pub use engine::{Engine, EngineError, Fetched, Limits, Program, Timed};
pub use footprint::Footprint;
pub use traffic::{Call, Traffic};

use crate::graph::{Bank, Graph, Source, Tensor, TensorType};
use crate::op::{DeviceTraits, Shapes};
use slots::{Assignment, Slots};
use std::collections::HashMap;
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
    pub fn bytes(&self, of: impl Fn(Kind) -> bool) -> usize {
        self.buffers.iter().filter(|b| of(b.kind)).map(|b| b.len * 4).sum()
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

/// A tensor's size in the units of [`Buffer::len`].
fn size(ty: &TensorType, target: Target) -> usize {
    match target {
        Target::Cpu => ty.len(),
        Target::Gpu(_) => ty.words(),
    }
}

/// Index of a step that never comes: the tensor is read after the last one.
const AFTER: usize = usize::MAX;

struct Planner {
    graph: Arc<Graph>,
    target: Target,
    outputs: Vec<Tensor>,
    /// By tensor: the last node that reads it, and how many read it.
    last: HashMap<Tensor, usize>,
    uses: HashMap<Tensor, usize>,
    buffers: Vec<Buffer>,
    regions: Vec<Option<Region>>,
    slots: Slots,
    /// By tensor: its use of a slot, if it has one.
    held: HashMap<Tensor, usize>,
}

impl Planner {
    fn new(graph: Arc<Graph>, outputs: &[Tensor], target: Target) -> Self {
        let size = |bank: Bank| size(&bank.ty(graph.table().len()), target);
        let source =
            |bank| graph.values().iter().any(|v| matches!(v.source, Source::Bank { bank: b, .. } if b == bank));
        let used = |bank: &Bank| source(*bank) || (*bank == Bank::Gradients && !graph.gradients().is_empty());
        let banks = Bank::ALL.into_iter().filter(used);
        let buffers = banks.map(|bank| Buffer { kind: Kind::Bank(bank), len: size(bank) }).collect();
        Self {
            target,
            outputs: outputs.to_vec(),
            last: HashMap::new(),
            uses: HashMap::new(),
            buffers,
            regions: vec![None; graph.values().len()],
            slots: Slots::default(),
            held: HashMap::new(),
            graph,
        }
    }

    fn run(mut self) -> Plan {
        let graph = self.graph.clone();
        let order = self.needed();
        for &index in &order {
            for &input in &graph.nodes()[index].inputs {
                self.last.insert(input, index);
                *self.uses.entry(input).or_default() += 1;
            }
        }
        for &output in &self.outputs.clone() {
            self.last.insert(output, AFTER);
        }
        self.place_sources();
        self.place_gradients();
        let mut steps = Vec::new();
        for &index in &order {
            self.place_node(index, &mut steps);
        }
        let first = self.buffers.len();
        let Assignment { slots, sizes, least } = self.slots.assign();
        self.buffers.extend(sizes.iter().map(|&len| Buffer { kind: Kind::Slot, len }));
        let finish =
            |r: Region| if r.buffer >= SLOT { Region { buffer: slots[r.buffer - SLOT] + first, ..r } } else { r };
        for step in &mut steps {
            match step {
                Step::Run { scratch, .. } => scratch.iter_mut().for_each(|r| *r = finish(*r)),
                Step::Copy { from, to } => (*from, *to) = (finish(*from), finish(*to)),
            }
        }
        let regions = self.regions.iter().map(|r| r.map(finish)).collect();
        let (target, buffers, outputs) = (self.target, self.buffers, self.outputs);
        Plan { graph, target, buffers, regions, steps, outputs, least: least * 4 }
    }

    /// Nodes that an output, a gradient or a change of a bank depends on, in order.
    fn needed(&self) -> Vec<usize> {
        let graph = &self.graph;
        let mut wanted = vec![false; graph.values().len()];
        for t in self.outputs.iter().chain(graph.gradients().keys()) {
            wanted[t.index()] = true;
        }
        let mut order = Vec::new();
        for (index, node) in graph.nodes().iter().enumerate().rev() {
            let changes_bank = node.op.takes_over().iter().any(|&(i, _)| self.is_bank(node.inputs[i]));
            if changes_bank || node.outputs.iter().any(|t| wanted[t.index()]) {
                node.inputs.iter().for_each(|t| wanted[t.index()] = true);
                order.push(index);
            }
        }
        order.reverse();
        order
    }

    /// The index of a bank's buffer. It is there: the banks were made for those the graph names.
    fn bank(&self, bank: Bank) -> usize {
        self.buffers.iter().position(|b| b.kind == Kind::Bank(bank)).unwrap_or_default()
    }

    fn size(&self, ty: &TensorType) -> usize {
        size(ty, self.target)
    }

    fn is_bank(&self, tensor: Tensor) -> bool {
        matches!(self.graph.values()[tensor.index()].source, Source::Bank { .. })
    }

    fn place_sources(&mut self) {
        let graph = self.graph.clone();
        for (i, value) in graph.values().iter().enumerate() {
            let len = self.size(&value.ty);
            self.regions[i] = match value.source {
                Source::Bank { bank, offset } => {
                    // Windows start at whole words: see `ALIGNMENT` of the table.
                    let offset = self.size(&TensorType::new(value.ty.dtype, &[offset]));
                    Some(Region { buffer: self.bank(bank), offset, len })
                }
                Source::Input => {
                    self.buffers.push(Buffer { kind: Kind::Input, len: len.max(1) });
                    Some(Region { buffer: self.buffers.len() - 1, offset: 0, len })
                }
                Source::Node { .. } | Source::Nothing => None,
            };
        }
    }

    /// Gradients of one parameter that nobody else reads are computed where they belong, and so is what they were
    /// added up from.
    fn place_gradients(&mut self) {
        let graph = self.graph.clone();
        let buffer = self.bank(Bank::Gradients);
        for (&gradient, offsets) in graph.gradients() {
            let [offset] = offsets[..] else { continue };
            if self.last.contains_key(&gradient) || self.regions[gradient.index()].is_some() {
                continue;
            }
            let region = Region { buffer, offset, len: self.size(graph.ty(gradient)) };
            let mut tensor = gradient;
            loop {
                self.regions[tensor.index()] = Some(region);
                let Source::Node { node, output } = graph.values()[tensor.index()].source else { break };
                let node = &graph.nodes()[node];
                let Some(&(input, _)) = node.op.takes_over().iter().find(|(_, o)| *o == output) else { break };
                tensor = node.inputs[input];
                let free = self.regions[tensor.index()].is_none()
                    && self.uses.get(&tensor) == Some(&1)
                    && !graph.gradients().contains_key(&tensor);
                if !free || self.last.get(&tensor) == Some(&AFTER) {
                    break;
                }
            }
        }
    }

    fn place_node(&mut self, index: usize, steps: &mut Vec<Step>) {
        let graph = self.graph.clone();
        let node = &graph.nodes()[index];
        for &(input, output) in node.op.takes_over() {
            let (from, to) = (node.inputs[input], node.outputs[output]);
            let Some(source) = self.regions[from.index()] else { continue };
            if let Some(target) = self.regions[to.index()] {
                if target != source {
                    steps.push(Step::Copy { from: source, to: target });
                }
            } else if self.is_bank(from) {
                self.regions[to.index()] = Some(source);
            } else if self.last.get(&from) == Some(&index)
                && self.held.contains_key(&from)
                && node.inputs.iter().filter(|&&t| t == from).count() == 1
            {
                self.regions[to.index()] = Some(source);
                if let Some(slot) = self.held.remove(&from) {
                    self.held.insert(to, slot);
                }
            } else {
                let target = self.allocate(to);
                steps.push(Step::Copy { from: source, to: target });
            }
        }
        for &output in &node.outputs {
            if self.regions[output.index()].is_none() {
                self.allocate(output);
            }
        }
        let scratch = self.scratch(index);
        let regions = scratch.iter().map(|&(_, region)| region).collect();
        steps.push(Step::Run { node: index, scratch: regions });
        scratch.iter().for_each(|&(slot, _)| self.slots.free(slot));
        for &output in &node.outputs {
            self.copy_gradient(output, steps);
        }
        for &tensor in node.inputs.iter().chain(&node.outputs) {
            let dead = self.last.get(&tensor).is_none_or(|&last| last == index);
            if let Some(slot) = self.held.get(&tensor).copied().filter(|_| dead) {
                self.held.remove(&tensor);
                self.slots.free(slot);
            }
        }
    }

    /// A gradient of several parameters, or one that other nodes read as well, is not computed in its bank but copied
    /// there.
    fn copy_gradient(&self, tensor: Tensor, steps: &mut Vec<Step>) {
        let (offsets, buffer) = (self.graph.gradients().get(&tensor), self.bank(Bank::Gradients));
        if let (Some(offsets), Some(from)) = (offsets, self.regions[tensor.index()].filter(|r| r.buffer != buffer)) {
            let to = |&offset: &usize| Region { buffer, offset, len: from.len };
            steps.extend(offsets.iter().map(|offset| Step::Copy { from, to: to(offset) }));
        }
    }

    fn scratch(&mut self, node: usize) -> Vec<(usize, Region)> {
        let Target::Gpu(device) = self.target else { return Vec::new() };
        let types = self.graph.nodes()[node].op.scratch(&shapes(&self.graph, node), &device);
        types
            .iter()
            .map(|ty| {
                let len = ty.words();
                let slot = self.slots.take(len);
                (slot, Region { buffer: SLOT + slot, offset: 0, len })
            })
            .collect()
    }

    fn allocate(&mut self, tensor: Tensor) -> Region {
        let len = self.size(self.graph.ty(tensor));
        let slot = self.slots.take(len);
        let region = Region { buffer: SLOT + slot, offset: 0, len };
        self.held.insert(tensor, slot);
        self.regions[tensor.index()] = Some(region);
        region
    }
}

/// While planning, buffers from this index on are uses of slots; which slots is known at the end.
const SLOT: usize = 1 << 32;
