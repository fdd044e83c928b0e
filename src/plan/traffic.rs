//! What a step moves through memory, counted: by call, by op, and against the least there could be.

use super::{Plan, Step, Target};
use crate::graph::{Source, Tensor, TensorType};
use crate::op::{Dispatch, Operand, Shapes};
use std::collections::BTreeMap;

/// A dispatch or a copy of a step; on the CPU a node or a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The shader's stem, on the CPU the op's name, or "copy".
    pub name: &'static str,
    /// Index into the graph's nodes; none for a copy.
    pub node: Option<usize>,
    /// Floating-point operations that the dispatch says are its own ([`Dispatch::flops`]); on the CPU the node's.
    pub flops: u64,
    /// Bytes read and written: each operand once, or as often as the dispatch says ([`Dispatch::moving`]). What is read
    /// again and again through a cache counts once.
    pub bytes: u64,
}

/// The bytes of a step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic {
    /// What all dispatches and copies read and write.
    pub moved: u64,
    /// Every node's inputs read once and its outputs written once: without scratch, copies and second passes.
    pub needed: u64,
    /// Every tensor of the graph written once and read once, however many nodes read it. Parameters are read once by the
    /// model and once by the update; of a table that rows are gathered from, the rows count.
    pub least: u64,
    /// By op, copies as "copy"; most moved first.
    pub by_op: Vec<OpTraffic>,
}

/// What the nodes of one op move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpTraffic {
    /// The op.
    pub op: &'static str,
    /// Its dispatches.
    pub dispatches: usize,
    /// As [`Traffic::moved`].
    pub moved: u64,
    /// As [`Traffic::needed`].
    pub needed: u64,
}

impl Plan {
    /// The dispatches and copies of a step in the order they run; on the CPU the nodes and copies.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = Vec::with_capacity(self.steps().len());
        for step in self.steps() {
            match step {
                // A GPU has no copies of nothing.
                Step::Copy { from, .. } if from.len == 0 && self.target() != Target::Cpu => {}
                Step::Copy { from, .. } => {
                    calls.push(Call { name: "copy", node: None, flops: 0, bytes: from.len as u64 * 8 });
                }
                Step::Run { node, .. } => self.calls_of(*node, &mut calls),
            }
        }
        calls
    }

    fn calls_of(&self, index: usize, calls: &mut Vec<Call>) {
        let (op, shapes) = (&self.graph().nodes()[index].op, self.shapes(index));
        let Target::Gpu(device) = self.target() else {
            // An input that is worked on in place is among the inputs: read as well as written.
            let bytes = shapes.inputs.iter().chain(&shapes.outputs).map(TensorType::bytes).sum::<usize>() as u64;
            return calls.push(Call { name: op.name(), node: Some(index), flops: op.flops(&shapes), bytes });
        };
        let scratch = op.scratch(&shapes, &device);
        for dispatch in op.dispatches(&shapes, &device) {
            if dispatch.workgroups.contains(&0) {
                continue;
            }
            let bytes = operands(&dispatch, &shapes, &scratch, op.in_place()).values().sum();
            calls.push(Call { name: dispatch.shader, node: Some(index), flops: dispatch.flops, bytes });
        }
    }

    /// What a step moves, and the least it could.
    pub fn traffic(&self) -> Traffic {
        let mut by_op: BTreeMap<&'static str, OpTraffic> = BTreeMap::new();
        for call in self.calls() {
            let name = call.node.map_or(call.name, |node| self.graph().nodes()[node].op.name());
            let op = by_op.entry(name).or_default();
            op.dispatches += 1;
            op.moved += call.bytes;
        }
        // By tensor: the most that a node needs to read of it.
        let mut read: BTreeMap<Tensor, u64> = BTreeMap::new();
        let mut written = 0;
        for step in self.steps() {
            let Step::Run { node: index, .. } = step else { continue };
            let node = &self.graph().nodes()[*index];
            let (outputs, inputs) = (self.written(*index), self.needs(*index));
            by_op.entry(node.op.name()).or_default().needed += outputs + inputs.values().sum::<u64>();
            written += outputs;
            for (tensor, bytes) in inputs {
                let most = read.entry(tensor).or_default();
                *most = bytes.max(*most);
            }
        }
        let mut by_op: Vec<_> = by_op.into_iter().map(|(op, all)| OpTraffic { op, ..all }).collect();
        by_op.sort_by_key(|all| std::cmp::Reverse(all.moved));
        Traffic {
            moved: by_op.iter().map(|all| all.moved).sum(),
            needed: by_op.iter().map(|all| all.needed).sum(),
            least: written + read.values().sum::<u64>(),
            by_op,
        }
    }

    /// Bytes that a node writes: its outputs, but what an output has of padding and of others' gradients is not written.
    fn written(&self, index: usize) -> u64 {
        let bound = self.bound(index);
        let bytes = |(i, ty): (usize, &TensorType)| {
            let whole = ty.bytes() as u64;
            bound.get(&Operand::Output(i)).map_or(whole, |&moved| moved.min(whole))
        };
        self.shapes(index).outputs.iter().enumerate().map(bytes).sum()
    }

    /// Bytes that a node's dispatches move through each of its tensors; nothing on the CPU.
    fn bound(&self, index: usize) -> BTreeMap<Operand, u64> {
        let (node, shapes) = (&self.graph().nodes()[index], self.shapes(index));
        let mut bound: BTreeMap<Operand, u64> = BTreeMap::new();
        if let Target::Gpu(device) = self.target() {
            let scratch = node.op.scratch(&shapes, &device);
            for dispatch in node.op.dispatches(&shapes, &device) {
                for (operand, bytes) in operands(&dispatch, &shapes, &scratch, node.op.in_place()) {
                    *bound.entry(operand).or_default() += bytes;
                }
            }
        }
        bound
    }

    /// Bytes that a node needs of each of its inputs.
    fn needs(&self, index: usize) -> BTreeMap<Tensor, u64> {
        let (node, shapes) = (&self.graph().nodes()[index], self.shapes(index));
        let bound = self.bound(index);
        let mut needs = BTreeMap::new();
        for (i, (&tensor, ty)) in node.inputs.iter().zip(&shapes.inputs).enumerate() {
            let whole = ty.bytes() as u64;
            let moved = |operand| bound.get(&operand).copied().unwrap_or_default();
            let in_place = node.op.in_place().iter().find(|&&(input, _)| input == i);
            // A kernel that goes over an input several times needs it once; one that binds it nowhere does not need it.
            let bytes = match in_place {
                _ if self.target() == Target::Cpu => whole,
                // What goes through the output beside its being written.
                Some(&(_, output)) => moved(Operand::Output(output)).saturating_sub(whole).min(whole),
                None => moved(Operand::Input(i)).min(whole),
            };
            let most: &mut u64 = needs.entry(tensor).or_default();
            *most = bytes.max(*most);
        }
        needs
    }

    /// The names of the parameters that a node reads.
    pub fn parameters_of(&self, node: usize) -> Vec<&str> {
        let values = self.graph().nodes()[node].inputs.iter().map(|t| &self.graph().values()[t.index()]);
        values.filter(|v| matches!(v.source, Source::Bank { .. })).map(|v| v.name.as_str()).collect()
    }
}

/// Bytes that a dispatch moves through each of its operands, those counted once that are bound twice.
fn operands(
    dispatch: &Dispatch,
    shapes: &Shapes,
    scratch: &[TensorType],
    in_place: &[(usize, usize)],
) -> BTreeMap<Operand, u64> {
    let mut operands = BTreeMap::new();
    for binding in &dispatch.bindings {
        let (ty, times) = match binding.operand {
            Operand::Input(i) => (shapes.inputs.get(i), 1),
            // What is worked on in place is read before it is written.
            Operand::Output(i) => (shapes.outputs.get(i), 1 + in_place.iter().filter(|&&(_, o)| o == i).count()),
            Operand::Scratch(i) => (scratch.get(i), 1),
        };
        let Some(ty) = ty else { continue };
        let element = ty.bytes().checked_div(ty.len()).unwrap_or_default();
        let bytes = binding.moves.map_or(ty.bytes() * times, |elements| elements * element) as u64;
        let most: &mut u64 = operands.entry(binding.operand).or_default();
        *most = bytes.max(*most);
    }
    operands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Precision, preset};
    use crate::graph::Recompute;
    use crate::op::DeviceTraits;
    use crate::train::Recipe;
    use crate::train::step::training_step;
    use std::collections::HashMap;

    fn plan(software: bool, precision: Precision) -> Plan {
        let mut config: Config = preset("tiny").unwrap();
        config.training.batch = 3;
        config.training.precision = precision;
        config.data.length = 16;
        let device = DeviceTraits { software, f16: true, ..DeviceTraits::FLOOR };
        let recipe = Recipe::new(&config);
        training_step(&recipe, recipe.shape, Target::Gpu(device), Recompute::Off, &[]).unwrap().plan
    }

    #[test]
    fn dispatches_claim_no_more_than_their_op_does_and_move_no_less_than_it_needs() {
        let mut moved = Vec::new();
        for (software, precision) in [(false, Precision::F32), (true, Precision::F32), (false, Precision::Mixed)] {
            let plan = plan(software, precision);
            let mut claimed: HashMap<usize, u64> = HashMap::new();
            for call in plan.calls() {
                let Some(node) = call.node else { continue };
                *claimed.entry(node).or_default() += call.flops;
            }
            for (&node, &flops) in &claimed {
                let op = &plan.graph().nodes()[node].op;
                let all = op.flops(&plan.shapes(node));
                assert!(flops <= all, "{}: {flops} of {all}", op.name());
            }
            let products = claimed.values().sum::<u64>() as f64 / plan.flops() as f64;
            assert!(products > 0.9, "only {products} of the operations are somebody's own");
            let traffic = plan.traffic();
            for OpTraffic { op, moved, needed, .. } in &traffic.by_op {
                assert!(moved >= needed, "{op} moves {moved} bytes and needs {needed}");
            }
            assert_eq!(traffic.by_op.iter().map(|all| all.dispatches).sum::<usize>(), plan.calls().len());
            assert!(traffic.needed > traffic.least && traffic.least > 0, "{traffic:?}");
            moved.push(traffic.moved);
        }
        assert!(moved[2] < moved[0], "halves move as much as whole numbers: {moved:?}");
    }

    /// A layer's gradients are one node, with dropout or without.
    #[test]
    fn every_layers_gradients_are_together() {
        for name in ["tiny", "small"] {
            let mut config: Config = preset(name).unwrap();
            (config.training.batch, config.data.length) = (2, 16);
            let recipe = Recipe::new(&config);
            let layers: usize = recipe.model.networks.iter().map(|network| network.config.layers).sum();
            let target = Target::Gpu(DeviceTraits::FLOOR);
            let plan = training_step(&recipe, recipe.shape, target, Recompute::Off, &[]).unwrap().plan;
            let together = |node: &&crate::graph::Node| node.op.name() == "parameter_gradients";
            assert_eq!(plan.graph().nodes().iter().filter(together).count(), layers, "{name}");
        }
    }

    /// Each waits for the one before it: what a fast GPU loses by.
    #[test]
    fn a_step_of_small_is_of_so_many_dispatches() {
        let mut config: Config = preset("small").unwrap();
        config.training.precision = Precision::Mixed;
        let device = DeviceTraits { f16: true, ..DeviceTraits::FLOOR };
        let recipe = Recipe::new(&config);
        let plan = training_step(&recipe, recipe.shape, Target::Gpu(device), Recompute::Off, &[]).unwrap().plan;
        let dispatches = plan.calls().len();
        assert_eq!(dispatches, 543, "{:?}", plan.traffic().by_op);
    }

    #[test]
    fn gathered_rows_and_windows_count_as_what_they_are() {
        let plan = plan(false, Precision::F32);
        let bytes = |shader: &str| plan.calls().iter().find(|call| call.name == shader).unwrap().bytes;
        let (tokens, width) = (3 * 16u64, 64);
        // Rows of words and positions, two types, ids and types; the sums are written.
        let rows = tokens * width + 16 * width + 2 * width + 2 * tokens + tokens * width;
        assert_eq!(bytes("embedding"), 4 * rows);
        let bank = plan.graph().table().len() as u64;
        assert_eq!(bytes("adamw"), 4 * (7 * bank + 1));
    }
}
