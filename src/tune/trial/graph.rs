//! The graph of a trial: one op in several ways, and what their results are held against.

use super::contents::{contents, words};
use super::{Subject, table};
use crate::gpu::GpuEngine;
use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, no_second_derivative};
use crate::plan::{Engine, EngineError, Plan, Program, Target};
use crate::tune::agreement;
use std::sync::Arc;

/// Elements behind every output that a kernel must leave alone.
const GUARD: usize = 64;
/// What outputs hold before the kernels run: nothing that a sum of numbers below 1 comes to.
const UNTOUCHED: f32 = -12_345.0;

/// A graph that runs one op in several ways.
pub(super) struct Trial<'a> {
    subject: &'a Subject,
    graph: Graph,
    inputs: Vec<Tensor>,
    guards: Vec<Tensor>,
    /// The nodes that are timed, a way each.
    pub timed: Vec<usize>,
    /// Bytes that a binding may have.
    binding: u64,
}

impl<'a> Trial<'a> {
    pub fn new(subject: &'a Subject, engine: &GpuEngine) -> Self {
        let binding = engine.info().max_storage_binding;
        let mut graph = Graph::new(table());
        let inputs = subject.shapes.inputs.iter().map(|ty| graph.input("an operand", ty.dtype, &ty.shape)).collect();
        Self { subject, graph, inputs, guards: Vec::new(), timed: Vec::new(), binding }
    }

    /// The op in one way, behind another node's output so that the two run one after the other and share memory.
    pub fn behind(&mut self, device: &DeviceTraits, before: Option<Tensor>) -> Result<Vec<Tensor>, GraphError> {
        let inputs: Vec<Tensor> = self.inputs.iter().copied().chain(before).collect();
        self.graph.add(Under { subject: self.subject.clone(), device: *device, guards: 0 }, &inputs)
    }

    /// The op in one way, into outputs that are longer than they need be and hold [`UNTOUCHED`]. An op that adds to what is
    /// there has no such outputs, nor one whose outputs are as large as a binding may be.
    pub fn guarded(&mut self, device: &DeviceTraits) -> Result<Vec<Tensor>, GraphError> {
        let outputs = &self.subject.shapes.outputs;
        let fits = |ty: &TensorType| TensorType::new(ty.dtype, &[ty.len() + GUARD]).bytes() as u64 <= self.binding;
        if !self.subject.op.in_place().is_empty() || outputs.len() > GUARDED.len() || !outputs.iter().all(fits) {
            return self.behind(device, None);
        }
        if self.guards.is_empty() {
            let guard = |ty: &TensorType| self.graph.input("a guard", ty.dtype, &[ty.len() + GUARD]);
            self.guards = outputs.iter().map(guard).collect();
        }
        let inputs: Vec<Tensor> = self.guards.iter().chain(&self.inputs).copied().collect();
        let guards = self.guards.len();
        self.graph.add(Under { subject: self.subject.clone(), device: *device, guards }, &inputs)
    }

    /// Times the node that was added last.
    pub fn time_last(&mut self) {
        self.timed.push(self.graph.nodes().len() - 1);
    }

    /// What the others are held against.
    pub fn reference(&mut self, base: Option<&DeviceTraits>) -> Result<Vec<Tensor>, EngineError> {
        let outputs = base.map_or(Ok(Vec::new()), |base| self.guarded(base));
        self.built(outputs)
    }

    /// The op in one way that is timed, and for each output how far it is from the `base`'s.
    pub fn held(&mut self, way: &DeviceTraits, base: &[Tensor]) -> Result<Vec<(Tensor, Tensor)>, EngineError> {
        let found = self.guarded(way);
        let found = self.built(found)?;
        self.time_last();
        let mut held = Vec::with_capacity(found.len());
        for ((&expected, found), ty) in base.iter().zip(found).zip(&self.subject.shapes.outputs) {
            let compared = agreement(&mut self.graph, expected, found, ty.len());
            held.push(self.built(compared)?);
        }
        Ok(held)
    }

    pub fn built<T>(&self, result: Result<T, GraphError>) -> Result<T, EngineError> {
        result.map_err(|error| EngineError::Kernel {
            adapter: "the plan".into(),
            what: self.subject.op.name().into(),
            reason: error.to_string(),
        })
    }

    /// Loads all of it, with random numbers in the inputs.
    pub fn load(self, engine: &mut GpuEngine, outputs: &[Tensor]) -> Result<(Program, Plan), EngineError> {
        let plan = Plan::new(Arc::new(self.graph), outputs, Target::Gpu(engine.traits()));
        let program = engine.load(plan.clone())?;
        for (seed, &input) in self.inputs.iter().enumerate() {
            let ty = plan.graph().ty(input);
            if plan.region(input).is_some() {
                engine.write(program, input, &contents(ty, seed as u32, self.subject));
            }
        }
        for &guard in &self.guards {
            let ty = plan.graph().ty(guard);
            engine.write(program, guard, &words(ty, vec![UNTOUCHED; ty.len()]));
        }
        Ok((program, plan))
    }
}

/// An op that runs the kernels which `device` would be given, whatever device the plan is for. Its first inputs are the
/// guards, what its outputs hold before it runs; behind the op's own inputs there may be one that it only waits for.
#[derive(Debug)]
struct Under {
    subject: Subject,
    device: DeviceTraits,
    guards: usize,
}

/// Outputs that start as the input of the same index.
const GUARDED: [(usize, usize); 4] = [(0, 0), (1, 1), (2, 2), (3, 3)];

impl Op for Under {
    fn name(&self) -> &'static str {
        self.subject.op.name()
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let longer = |ty: &TensorType| TensorType::new(ty.dtype, &[ty.len() + GUARD]);
        let outputs = &self.subject.shapes.outputs;
        Ok(if self.guards > 0 { outputs.iter().map(longer).collect() } else { outputs.clone() })
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        if self.guards > 0 { &GUARDED[..self.guards] } else { self.subject.op.in_place() }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative(self.name())
    }

    fn flops(&self, _: &Shapes) -> u64 {
        self.subject.op.flops(&self.subject.shapes)
    }

    fn scratch(&self, _: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        self.subject.op.scratch(&self.subject.shapes, &self.device)
    }

    fn dispatches(&self, _: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let mut all = self.subject.op.dispatches(&self.subject.shapes, &self.device);
        for binding in all.iter_mut().flat_map(|dispatch| &mut dispatch.bindings) {
            if let Operand::Input(i) = &mut binding.operand {
                *i += self.guards;
            }
        }
        all
    }

    // Planned for GPUs only.
    fn twin_f32(&self, _: Twin<'_, f32>) {}
    fn twin_f64(&self, _: Twin<'_, f64>) {}
}
