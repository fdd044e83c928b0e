//! The planner: an order of nodes, and a place for every tensor.

use super::slots::{Assignment, Slots};
use super::{Buffer, Kind, Plan, Region, Step, Target, shapes};
use crate::graph::{Bank, Graph, Source, Tensor, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// A tensor's size in the units of [`Buffer::len`].
fn size(ty: &TensorType, target: Target) -> usize {
    match target {
        Target::Cpu => ty.len(),
        Target::Gpu(_) => ty.words(),
    }
}

/// Index of a step that never comes: the tensor is read after the last one.
const AFTER: usize = usize::MAX;

/// Where a tensor lies, as far as it is known before slots are assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// There.
    Known(Region),
    /// Wherever this use of a slot will be.
    Slot { used: usize, len: usize },
}

impl Place {
    fn len(self) -> usize {
        match self {
            Self::Known(Region { len, .. }) | Self::Slot { len, .. } => len,
        }
    }
}

/// A [`Step`] before slots are assigned.
enum Draft {
    Run { node: usize, scratch: Vec<Place> },
    Copy { from: Place, to: Place },
}

/// What turns a graph into a [`Plan`].
pub(super) struct Planner {
    graph: Arc<Graph>,
    target: Target,
    outputs: Vec<Tensor>,
    /// By tensor: the last node that reads it, and how many read it.
    last: HashMap<Tensor, usize>,
    uses: HashMap<Tensor, usize>,
    buffers: Vec<Buffer>,
    places: Vec<Option<Place>>,
    slots: Slots,
    /// By tensor: its use of a slot, if it has one.
    held: HashMap<Tensor, usize>,
}

impl Planner {
    pub fn new(graph: Arc<Graph>, outputs: &[Tensor], target: Target) -> Self {
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
            places: vec![None; graph.values().len()],
            slots: Slots::default(),
            held: HashMap::new(),
            graph,
        }
    }

    pub fn run(mut self) -> Plan {
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
        let region = |place: Place| match place {
            Place::Known(region) => region,
            Place::Slot { used, len } => Region { buffer: first + slots[used], offset: 0, len },
        };
        let finish = |step: Draft| match step {
            Draft::Run { node, scratch } => Step::Run { node, scratch: scratch.into_iter().map(region).collect() },
            Draft::Copy { from, to } => Step::Copy { from: region(from), to: region(to) },
        };
        let steps = steps.into_iter().map(finish).collect();
        let regions = self.places.iter().map(|place| place.map(region)).collect();
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
            let changes_bank = node.op.in_place().iter().any(|&(i, _)| self.is_bank(node.inputs[i]));
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
            self.places[i] = match value.source {
                Source::Bank { bank, offset } => {
                    // Windows start at whole words: see `ALIGNMENT` of the table.
                    let offset = self.size(&TensorType::new(value.ty.dtype, &[offset]));
                    Some(Place::Known(Region { buffer: self.bank(bank), offset, len }))
                }
                Source::Input => {
                    self.buffers.push(Buffer { kind: Kind::Input, len: len.max(1) });
                    Some(Place::Known(Region { buffer: self.buffers.len() - 1, offset: 0, len }))
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
            if self.last.contains_key(&gradient) || self.places[gradient.index()].is_some() {
                continue;
            }
            let region = Region { buffer, offset, len: self.size(graph.ty(gradient)) };
            let mut tensor = gradient;
            loop {
                self.places[tensor.index()] = Some(Place::Known(region));
                let Source::Node { node, output } = graph.values()[tensor.index()].source else { break };
                let node = &graph.nodes()[node];
                let Some(&(input, _)) = node.op.in_place().iter().find(|(_, o)| *o == output) else { break };
                tensor = node.inputs[input];
                let free = self.places[tensor.index()].is_none()
                    && self.uses.get(&tensor) == Some(&1)
                    && !graph.gradients().contains_key(&tensor);
                if !free || self.last.get(&tensor) == Some(&AFTER) {
                    break;
                }
            }
        }
    }

    fn place_node(&mut self, index: usize, steps: &mut Vec<Draft>) {
        let graph = self.graph.clone();
        let node = &graph.nodes()[index];
        for &(input, output) in node.op.in_place() {
            let (from, to) = (node.inputs[input], node.outputs[output]);
            let Some(source) = self.places[from.index()] else { continue };
            if let Some(target) = self.places[to.index()] {
                if target != source {
                    steps.push(Draft::Copy { from: source, to: target });
                }
            } else if self.is_bank(from) {
                self.places[to.index()] = Some(source);
            } else if self.last.get(&from) == Some(&index)
                && self.held.contains_key(&from)
                && node.inputs.iter().filter(|&&t| t == from).count() == 1
            {
                self.places[to.index()] = Some(source);
                if let Some(slot) = self.held.remove(&from) {
                    self.held.insert(to, slot);
                }
            } else {
                let target = self.allocate(to);
                steps.push(Draft::Copy { from: source, to: target });
            }
        }
        for &output in &node.outputs {
            if self.places[output.index()].is_none() {
                self.allocate(output);
            }
        }
        let scratch = self.scratch(index);
        let places = scratch.iter().map(|&(_, place)| place).collect();
        steps.push(Draft::Run { node: index, scratch: places });
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
    fn copy_gradient(&self, tensor: Tensor, steps: &mut Vec<Draft>) {
        let (offsets, buffer) = (self.graph.gradients().get(&tensor), self.bank(Bank::Gradients));
        let there = |place: &Place| matches!(place, Place::Known(region) if region.buffer == buffer);
        if let (Some(offsets), Some(from)) = (offsets, self.places[tensor.index()].filter(|place| !there(place))) {
            let to = |&offset: &usize| Place::Known(Region { buffer, offset, len: from.len() });
            steps.extend(offsets.iter().map(|offset| Draft::Copy { from, to: to(offset) }));
        }
    }

    /// An op's scratch tensors: the uses of slots and where they lie.
    fn scratch(&mut self, node: usize) -> Vec<(usize, Place)> {
        let Target::Gpu(device) = self.target else { return Vec::new() };
        let types = self.graph.nodes()[node].op.scratch(&shapes(&self.graph, node), &device);
        types
            .iter()
            .map(|ty| {
                let len = ty.words();
                let used = self.slots.take(len);
                (used, Place::Slot { used, len })
            })
            .collect()
    }

    fn allocate(&mut self, tensor: Tensor) -> Place {
        let len = self.size(self.graph.ty(tensor));
        let used = self.slots.take(len);
        let place = Place::Slot { used, len };
        self.held.insert(tensor, used);
        self.places[tensor.index()] = Some(place);
        place
    }
}
