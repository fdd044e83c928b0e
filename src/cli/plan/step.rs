//! One plan in numbers.

use crate::cli::output::{bytes, flop, grouped};
use crate::cli::table::Table;
use crate::plan::{Footprint, Kind, OpTraffic, Plan, Step, Traffic};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Ops and slots that are listed.
const MOST_LISTED: usize = 6;

/// Ops whose bytes are listed.
const MOST_MOVERS: usize = 12;

/// A slot and who uses it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Size.
    bytes: u64,
    /// Tensors that use it one after another.
    tensors: usize,
    /// The largest of them, by its op and type.
    largest: String,
}

/// A plan's dispatches, FLOPs and bytes.
#[derive(Debug, Clone)]
pub(super) struct StepReport {
    /// Examples.
    pub batch: usize,
    /// Dispatches on a GPU.
    pub dispatches: usize,
    /// Nodes of the graph that run.
    pub nodes: usize,
    /// Copies between buffers.
    pub copies: usize,
    /// Floating-point operations of the matrix products and attention.
    pub flops: u64,
    /// Bytes of inputs.
    pub inputs: u64,
    /// The slots, largest first.
    pub slots: Vec<Slot>,
    /// Bytes of them that are in use at once at most.
    pub least_slots: u64,
    /// Bytes of uniforms.
    pub uniforms: u64,
    /// Bytes that outputs are read back through.
    pub readback: u64,
    /// FLOPs by op, largest first.
    by_op: Vec<(&'static str, u64)>,
    /// Bytes that a GPU moves.
    pub traffic: Traffic,
}

/// Bytes of all slots.
pub(super) fn sum(slots: &[Slot]) -> u64 {
    slots.iter().map(|slot| slot.bytes).sum()
}

impl StepReport {
    /// `readbacks` is the most steps whose outputs are on their way at once.
    pub(super) fn new(plan: &Plan, batch: usize, readbacks: u64) -> Self {
        let footprint = Footprint::of(plan);
        let mut by_op: BTreeMap<&'static str, u64> = BTreeMap::new();
        let (mut nodes, mut copies) = (0, 0);
        for step in plan.steps() {
            match step {
                Step::Copy { .. } => copies += 1,
                Step::Run { node, .. } => {
                    nodes += 1;
                    let op = &plan.graph().nodes()[*node].op;
                    *by_op.entry(op.name()).or_default() += op.flops(&plan.shapes(*node));
                }
            }
        }
        let mut by_op: Vec<(&str, u64)> = by_op.into_iter().filter(|&(_, flops)| flops > 0).collect();
        by_op.sort_by_key(|&(_, flops)| std::cmp::Reverse(flops));
        Self {
            batch,
            dispatches: footprint.dispatches,
            nodes,
            copies,
            flops: plan.flops(),
            inputs: footprint.inputs,
            slots: slots(plan),
            least_slots: plan.least_slots() as u64,
            uniforms: footprint.uniforms,
            readback: footprint.readback * readbacks,
            by_op,
            traffic: plan.traffic(),
        }
    }

    /// Bytes beside the banks.
    pub(super) fn bytes(&self) -> u64 {
        self.inputs + sum(&self.slots) + self.uniforms + self.readback
    }

    pub(super) fn flops_a_token(&self, length: usize) -> u64 {
        self.flops / (self.batch * length).max(1) as u64
    }

    pub(super) fn as_json(&self, length: usize) -> Value {
        let by_op: serde_json::Map<String, Value> =
            self.by_op.iter().map(|&(op, flops)| (op.to_string(), flops.into())).collect();
        json!({
            "batch": self.batch, "dispatches": self.dispatches, "nodes": self.nodes, "copies": self.copies,
            "flops": self.flops, "flops_a_token": self.flops_a_token(length), "flops_by_op": by_op,
        })
    }

    /// What a GPU moves.
    pub(super) fn traffic_json(&self) -> Value {
        let by_op: serde_json::Map<String, Value> = self
            .traffic
            .by_op
            .iter()
            .map(|&OpTraffic { op, dispatches, moved, needed }| {
                (op.to_string(), json!({ "dispatches": dispatches, "moved": moved, "needed": needed }))
            })
            .collect();
        let Traffic { moved, needed, least, .. } = self.traffic;
        json!({ "moved": moved, "needed": needed, "least": least, "by_op": by_op })
    }

    /// The ops that move the most, beside what they need.
    pub(super) fn moves(&self) -> Table {
        let mut table = Table::new(&[false, true, true, true, true]);
        table.row(["", "dispatches", "moved", "needed", "ratio"]);
        let mut row = |name: &str, listed: &[OpTraffic]| {
            let sum = |of: fn(&OpTraffic) -> u64| listed.iter().map(of).sum::<u64>();
            let (moved, needed) = (sum(|op| op.moved), sum(|op| op.needed));
            let ratio = if needed > 0 { format!("{:.2}", moved as f64 / needed as f64) } else { String::new() };
            let dispatches = grouped(sum(|op| op.dispatches as u64));
            table.row([name.to_string(), dispatches, bytes(moved), bytes(needed), ratio]);
        };
        let by_op = &self.traffic.by_op;
        let most = if by_op.len() > MOST_MOVERS + 1 { MOST_MOVERS } else { by_op.len() };
        let (listed, rest) = by_op.split_at(most);
        for op in listed {
            row(op.op, std::slice::from_ref(op));
        }
        if !rest.is_empty() {
            row(&format!("{} others", rest.len()), rest);
        }
        row("all", by_op);
        table
    }

    pub(super) fn memory_json(&self) -> Value {
        let slots: Vec<u64> = self.slots.iter().map(|slot| slot.bytes).collect();
        json!({
            "inputs": self.inputs, "activations": sum(&self.slots), "slots": slots,
            "in_use_at_once": self.least_slots,
            "uniforms": self.uniforms, "readback": self.readback, "total": self.bytes(),
        })
    }

    /// The ops that take the most FLOPs.
    pub(super) fn shares(&self) -> Table {
        let mut table = Table::new(&[false, true, true]);
        let share = |flops: u64| format!("{:.1} %", 100.0 * flops as f64 / self.flops.max(1) as f64);
        // A line for the others is worth it for at least two of them.
        let most = if self.by_op.len() > MOST_LISTED + 1 { MOST_LISTED } else { self.by_op.len() };
        let (listed, rest) = self.by_op.split_at(most);
        for &(op, flops) in listed {
            table.row([op.to_string(), flop(flops), share(flops)]);
        }
        if !rest.is_empty() {
            let flops = rest.iter().map(|&(_, flops)| flops).sum();
            table.row([format!("{} others", rest.len()), flop(flops), share(flops)]);
        }
        table
    }

    /// The largest slots; those that are alike share a line.
    pub(super) fn largest(&self) -> Table {
        let mut table = Table::new(&[true, true]);
        let alike = |a: &Slot, b: &Slot| a.bytes == b.bytes && a.largest == b.largest;
        for group in self.slots.chunk_by(alike).take(MOST_LISTED) {
            let users: usize = group.iter().map(|slot| slot.tensors).sum();
            let tensors = if users == 1 { "1 tensor".into() } else { format!("{} tensors", grouped(users as u64)) };
            let what = format!("for {tensors}, largest {}", group[0].largest);
            table.row([format!("{} x", group.len()), bytes(group[0].bytes), what]);
        }
        table
    }
}

/// The plan's slots with what is in them.
fn slots(plan: &Plan) -> Vec<Slot> {
    let graph = plan.graph();
    let mut users: BTreeMap<usize, (usize, usize, String)> = BTreeMap::new();
    let mut add = |buffer: usize, len: usize, what: &dyn Fn() -> String| {
        let user = users.entry(buffer).or_default();
        user.0 += 1;
        if len > user.1 || user.2.is_empty() {
            (user.1, user.2) = (len, what());
        }
    };
    for step in plan.steps() {
        let Step::Run { node, scratch } = step else { continue };
        let node = &graph.nodes()[*node];
        let name = node.op.name();
        for &tensor in &node.outputs {
            if let Some(region) = plan.region(tensor) {
                let ty = graph.ty(tensor);
                add(region.buffer, region.len, &|| format!("{name} {:?}", ty.shape));
            }
        }
        for region in scratch {
            add(region.buffer, region.len, &|| format!("{name}'s scratch [{}]", region.len));
        }
    }
    let mut slots: Vec<Slot> = plan
        .buffers()
        .iter()
        .enumerate()
        .filter(|(_, buffer)| buffer.kind == Kind::Slot)
        .map(|(i, buffer)| {
            let (tensors, _, largest) = users.remove(&i).unwrap_or_default();
            Slot { bytes: buffer.len as u64 * 4, tensors, largest }
        })
        .collect();
    slots.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.largest.cmp(&b.largest)));
    slots
}
