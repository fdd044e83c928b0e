//! An op tried with several kernels on a device: do they give the same, and how long does each take?
//!
//! Trials have an engine of their own, so that a kernel that brings its device down takes nothing else with it. Results are
//! compared where they are ([`crate::ops::agreement`]): 16 bytes come back of each, not all of it.

use super::agreement::{FEW, contents, difference, words};
use super::{Adapter, GpuEngine};
use crate::graph::{DType, Graph, GraphError, Node, ParameterTable, Tensor, TensorType};
use crate::numbers::median;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, StepState, Twin, no_second_derivative};
use crate::ops;
use crate::plan::{Engine, EngineError, Fetched, Plan, Program, Target, Timed};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Elements behind every output that a kernel must leave alone.
const GUARD: usize = 64;
/// What outputs hold before the kernels run: nothing that a sum of numbers below 1 comes to.
const UNTOUCHED: f32 = -12_345.0;
/// Runs of kernels that are compared: one that does not wait where it should is not wrong every time.
const RUNS: usize = 8;
/// Runs of one kernel in a submission, where only submissions can be timed.
const REPEATS: usize = 8;
/// Most and fewest rounds that count, and when there have been enough.
const ROUNDS: (usize, usize, Duration) = (3, 15, Duration::from_millis(60));
/// How far the first way's time of a round may be from its median: where a clock or somebody else's work has moved it further,
/// the round does not count.
const DRIFT: f64 = 0.1;
/// How long a GPU works before anything is timed. An idle one runs at a fraction of its clock.
const WARMING: Duration = Duration::from_millis(150);

/// An op as a plan has it: what it computes, and the types of its tensors.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its tensors.
    pub shapes: Shapes,
    /// What its inputs of whole numbers hold: an index or a length.
    pub whole: u32,
}

/// What one way gave beside another.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The largest of |a - b| / (|b| + the root of the mean of all b^2) over all results, as [`crate::ops::agreement`] has it.
    pub error: f32,
    /// What is wrong, if anything is.
    pub wrong: Option<String>,
}

/// One way of many, after a first look.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Seconds of one run.
    pub seconds: f64,
    /// Beside the first way; of a single run.
    pub compared: Compared,
}

/// Tries kernels on an adapter. A way to run an op is what [`DeviceTraits`] makes of it: those of the device with one tuning
/// or another.
#[derive(Debug)]
pub struct Trials {
    adapter: Adapter,
    engine: Option<GpuEngine>,
    /// Whether single dispatches are timed.
    timestamps: bool,
    /// Whether the device has worked long enough to run at its full clock.
    warm: bool,
}

impl Trials {
    /// Trials on `adapter`. Nothing is opened yet.
    pub fn new(adapter: &Adapter) -> Self {
        let info = adapter.info();
        // A software driver has no clock of its own.
        Self { adapter: adapter.clone(), engine: None, timestamps: info.timestamps, warm: info.software() }
    }

    /// Begins to compile what `ways` need, while something else goes on.
    pub fn compile(&mut self, subject: &Subject, ways: &[DeviceTraits]) {
        if let Some(engine) = &mut self.engine {
            let all = ways.iter().flat_map(|way| subject.op.dispatches(&subject.shapes, way));
            engine.compile(&all.collect::<Vec<_>>());
        }
    }

    /// A first look at all of the `ways`: one run of each that counts, held against the first of them. `tolerances` are the
    /// ways', in order.
    ///
    /// # Errors
    /// The engine's, where not all of them can run.
    pub fn glance(
        &mut self,
        subject: &Subject,
        ways: &[DeviceTraits],
        tolerances: &[f32],
    ) -> Result<Vec<Glance>, EngineError> {
        self.with_engine(|engine, timestamps| {
            let mut trial = Trial::new(subject, engine);
            let mut outputs = Vec::new();
            let base = trial.reference(ways.first())?;
            for way in ways {
                outputs.extend(trial.held(way, &base)?);
            }
            // The first way once more, behind the others.
            if let Some(way) = ways.first() {
                outputs.extend(trial.held(way, &base)?);
            }
            let outputs: Vec<Tensor> = outputs.into_iter().flat_map(|(error, counts)| [error, counts]).collect();
            let nodes = trial.timed.clone();
            let (program, plan) = trial.load(engine, &outputs)?;
            // Every run says what it gave; the first one warms up, and what comes behind it is timed.
            let first = collected(engine, program)?;
            let (second, seconds) = match timestamps {
                // The clock of a software driver is everybody's: another round would be no better.
                true if engine.context.software => timed(engine, &plan, program, &nodes)?,
                true => unmoved(|| timed(engine, &plan, program, &nodes))?,
                false => {
                    let second = collected(engine, program)?;
                    let mut times = Vec::with_capacity(ways.len());
                    for way in ways {
                        let alone = by_submission(engine, subject, std::slice::from_ref(way), (1, 1))?;
                        times.extend(alone.iter().map(|list| median(list)));
                    }
                    (second, times)
                }
            };
            let (types, each) = (&subject.shapes.outputs, 2 * subject.shapes.outputs.len().max(1));
            let runs = first.outputs.chunks(each).zip(second.outputs.chunks(each));
            let compared = runs.zip(tolerances).map(|((a, b), &tolerance)| verdict(types, a, b, tolerance));
            Ok(seconds.into_iter().zip(compared).map(|(seconds, compared)| Glance { seconds, compared }).collect())
        })
    }

    /// Seconds of the op in each of the `ways`, measured in turns after one that does not count. Rounds in which the first way took
    /// another time than usual are left out.
    ///
    /// # Errors
    /// The engine's, where not all of them can run.
    pub fn time(&mut self, subject: &Subject, ways: &[DeviceTraits]) -> Result<Vec<Vec<f64>>, EngineError> {
        let (least, most, _) = ROUNDS;
        self.with_engine(|engine, timestamps| match timestamps {
            true => by_dispatch(engine, subject, ways),
            false => by_submission(engine, subject, ways, (least, most)),
        })
    }

    /// Runs the op in both ways on the same random numbers, several times, and says what is wrong with the `other` way, if anything
    /// is: results that differ from the `base`'s or from one run to the next, or that lie where none belong.
    ///
    /// A result a for b differs if |a - b| > `tolerance` (|b| + the root of the mean of all b^2); in half precision one unit in
    /// the last place more is allowed.
    ///
    /// # Errors
    /// The engine's, where it cannot be run.
    pub fn compare(
        &mut self,
        subject: &Subject,
        base: &DeviceTraits,
        other: &DeviceTraits,
        tolerance: f32,
    ) -> Result<Compared, EngineError> {
        let compared = self.with_engine(|engine, _| {
            let mut trial = Trial::new(subject, engine);
            let base = trial.reference(Some(base))?;
            let held = trial.held(other, &base)?;
            let outputs: Vec<Tensor> = held.into_iter().flat_map(|(error, counts)| [error, counts]).collect();
            let (program, _) = trial.load(engine, &outputs)?;
            let first = collected(engine, program)?.outputs;
            let mut compared = verdict(&subject.shapes.outputs, &first, &first, tolerance);
            for _ in 1..RUNS {
                let again = collected(engine, program)?.outputs;
                let now = verdict(&subject.shapes.outputs, &first, &again, tolerance);
                compared = if compared.wrong.is_none() { now } else { compared };
            }
            Ok(compared)
        })?;
        // Where it is, and what it is, only all of it tells.
        let told = match &compared.wrong {
            Some(_) => match self.look(subject, base, other, tolerance) {
                Err(lost @ EngineError::DeviceLost { .. }) => return Err(lost),
                told => told.ok().flatten(),
            },
            None => None,
        };
        Ok(Compared { wrong: told.or(compared.wrong), ..compared })
    }

    /// What is wrong with the `other` way, found in words: reads everything back.
    fn look(
        &mut self,
        subject: &Subject,
        base: &DeviceTraits,
        other: &DeviceTraits,
        tolerance: f32,
    ) -> Result<Option<String>, EngineError> {
        self.with_engine(|engine, _| {
            let mut trial = Trial::new(subject, engine);
            let [expected, found] = [base, other].map(|way| trial.guarded(way));
            let (expected, found) = (trial.built(expected)?, trial.built(found)?);
            let outputs: Vec<Tensor> = expected.iter().chain(&found).copied().collect();
            let (program, _) = trial.load(engine, &outputs)?;
            let outputs = collected(engine, program)?.outputs;
            let pairs = subject.shapes.outputs.iter().zip(outputs.iter().zip(&outputs[expected.len()..]));
            Ok(pairs.map(|(ty, (a, b))| difference(ty, a, b, tolerance)).find(Option::is_some).flatten())
        })
    }

    /// Does `work` on an engine without programs. One whose device is lost is given up.
    fn with_engine<T>(
        &mut self,
        work: impl FnOnce(&mut GpuEngine, bool) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => GpuEngine::new(&self.adapter, table().len())?,
        };
        let warmed = if self.warm { Ok(()) } else { warm_up(&mut engine) };
        self.warm = true;
        let result = warmed.and_then(|()| work(&mut engine, self.timestamps));
        engine.reset();
        // A lost device may have shown as something else.
        match engine.context.check() {
            Err(lost @ EngineError::DeviceLost { .. }) => Err(lost),
            fault => {
                if !matches!(result, Err(EngineError::DeviceLost { .. })) {
                    self.engine = Some(engine);
                }
                result.and_then(|value| fault.map(|()| value))
            }
        }
    }
}

/// Keeps the device busy until it has had time to raise its clock.
fn warm_up(engine: &mut GpuEngine) -> Result<(), EngineError> {
    let mut graph = Graph::new(table());
    let x = graph.input("x", DType::F32, &[1 << 20]);
    let Ok(y) = ops::multiply_add(&mut graph, x, 1_024) else { return Ok(()) };
    let program = engine.load(Plan::new(Arc::new(graph), &[y], Target::Gpu(engine.traits())))?;
    let start = Instant::now();
    while start.elapsed() < WARMING {
        engine.submit(program, &StepState::default(), false)?;
        engine.context.wait(None)?;
    }
    engine.reset();
    Ok(())
}

/// What one run gives.
fn collected(engine: &mut GpuEngine, program: Program) -> Result<Fetched, EngineError> {
    engine.submit(program, &StepState::default(), true)?;
    engine.collect(true)?.ok_or_else(|| engine.context.refused("the trial", "it gave no results"))
}

/// A round whose first and last way, which are the same, took the same time; or the second one, whatever it says.
fn unmoved<T>(mut round: impl FnMut() -> Result<(T, Vec<f64>), EngineError>) -> Result<(T, Vec<f64>), EngineError> {
    let (given, times) = round()?;
    if let [first, .., last] = times[..]
        && (first / last - 1.0).abs() <= DRIFT
    {
        return Ok((given, times));
    }
    round()
}

/// What two runs of a way say, each an error and counts an output.
fn verdict(types: &[TensorType], first: &[Vec<u32>], second: &[Vec<u32>], tolerance: f32) -> Compared {
    let mut all = Compared { error: 0.0, wrong: None };
    for (ty, (first, second)) in types.iter().zip(first.chunks_exact(2).zip(second.chunks_exact(2))) {
        let ([largest], [hash, other, beyond]) = (&first[0][..], &first[1][..]) else { continue };
        let (error, most) = match ty.dtype {
            DType::U32 => (*other as f32 / ty.len().max(1) as f32, 1.0 / FEW as f32),
            _ => (f32::from_bits(*largest), tolerance),
        };
        all.error = all.error.max(error);
        let wrong = if second[1].first() != Some(hash) {
            Some("gives other bits each time".to_string())
        } else if *beyond > 0 {
            Some(format!("writes {beyond} elements beyond the end of its result"))
        } else if error > most {
            Some(format!("is off by {error:.1e}, where {most:.1e} is rounding"))
        } else {
            None
        };
        all.wrong = all.wrong.or(wrong);
    }
    all
}

/// No op that is tried has parameters: its weights are inputs like any other.
fn table() -> Arc<ParameterTable> {
    Arc::new(ParameterTable::new(Vec::new()))
}

/// A graph that runs one op in several ways.
struct Trial<'a> {
    subject: &'a Subject,
    graph: Graph,
    inputs: Vec<Tensor>,
    guards: Vec<Tensor>,
    /// The nodes that are timed, a way each.
    timed: Vec<usize>,
    /// Bytes that a binding may have.
    binding: u64,
}

impl<'a> Trial<'a> {
    fn new(subject: &'a Subject, engine: &GpuEngine) -> Self {
        let binding = engine.info.max_storage_binding;
        let mut graph = Graph::new(table());
        let inputs = subject.shapes.inputs.iter().map(|ty| graph.input("an operand", ty.dtype, &ty.shape)).collect();
        Self { subject, graph, inputs, guards: Vec::new(), timed: Vec::new(), binding }
    }

    /// The op in one way, behind another node's output so that the two run one after the other and share memory.
    fn behind(&mut self, device: &DeviceTraits, before: Option<Tensor>) -> Result<Vec<Tensor>, GraphError> {
        let inputs: Vec<Tensor> = self.inputs.iter().copied().chain(before).collect();
        self.graph.add(Under { subject: self.subject.clone(), device: *device, guards: 0 }, &inputs)
    }

    /// The op in one way, into outputs that are longer than they need be and hold [`UNTOUCHED`]. An op that adds to what is
    /// there has no such outputs, nor one whose outputs are as large as a binding may be.
    fn guarded(&mut self, device: &DeviceTraits) -> Result<Vec<Tensor>, GraphError> {
        let outputs = &self.subject.shapes.outputs;
        let fits = |ty: &TensorType| TensorType::new(ty.dtype, &[ty.len() + GUARD]).bytes() as u64 <= self.binding;
        if !self.subject.op.takes_over().is_empty() || outputs.len() > GUARDED.len() || !outputs.iter().all(fits) {
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

    /// What the others are held against.
    fn reference(&mut self, base: Option<&DeviceTraits>) -> Result<Vec<Tensor>, EngineError> {
        let outputs = base.map_or(Ok(Vec::new()), |base| self.guarded(base));
        self.built(outputs)
    }

    /// The op in one way that is timed, and for each output how far it is from the `base`'s.
    fn held(&mut self, way: &DeviceTraits, base: &[Tensor]) -> Result<Vec<(Tensor, Tensor)>, EngineError> {
        let found = self.guarded(way);
        let found = self.built(found)?;
        self.timed.push(self.graph.nodes().len() - 1);
        let mut held = Vec::with_capacity(found.len());
        for ((&expected, found), ty) in base.iter().zip(found).zip(&self.subject.shapes.outputs) {
            let compared = ops::agreement(&mut self.graph, expected, found, ty.len());
            held.push(self.built(compared)?);
        }
        Ok(held)
    }

    fn built<T>(&self, result: Result<T, GraphError>) -> Result<T, EngineError> {
        result.map_err(|error| EngineError::Kernel {
            adapter: "the plan".into(),
            what: self.subject.op.name().into(),
            reason: error.to_string(),
        })
    }

    /// Loads all of it, with random numbers in the inputs.
    fn load(self, engine: &mut GpuEngine, outputs: &[Tensor]) -> Result<(Program, Plan), EngineError> {
        let plan = Plan::new(Arc::new(self.graph), outputs, Target::Gpu(engine.traits()));
        let program = engine.load(plan.clone())?;
        for (seed, &input) in self.inputs.iter().enumerate() {
            let ty = plan.graph().ty(input);
            if plan.region(input).is_some() {
                engine.write(program, input, &contents(ty, seed as u32, self.subject.whole));
            }
        }
        for &guard in &self.guards {
            let ty = plan.graph().ty(guard);
            engine.write(program, guard, &words(ty, vec![UNTOUCHED; ty.len()]));
        }
        Ok((program, plan))
    }
}

/// What a step that is run now gives, and the seconds of each of the `nodes` in it.
fn timed(
    engine: &mut GpuEngine,
    plan: &Plan,
    program: Program,
    nodes: &[usize],
) -> Result<(Fetched, Vec<f64>), EngineError> {
    engine.begin_profile();
    let fetched = collected(engine, program);
    let times = engine.take_profile()?;
    let calls = plan.calls();
    let is_of = |t: &Timed, node| calls.get(t.call).is_some_and(|call| call.node == Some(node));
    let seconds = |node| times.iter().filter(|t| is_of(t, node)).map(Timed::seconds).sum();
    Ok((fetched?, nodes.iter().map(|&node| seconds(node)).collect()))
}

/// All ways one after the other in every step, each dispatch between two timestamps.
fn by_dispatch(engine: &mut GpuEngine, subject: &Subject, ways: &[DeviceTraits]) -> Result<Vec<Vec<f64>>, EngineError> {
    let mut trial = Trial::new(subject, engine);
    let mut last = None;
    // Outputs take turns in two places. Nothing waits before the first dispatch that writes a place, so both have been written
    // before anything counts.
    for way in ways.iter().cycle().take(2) {
        let outputs = trial.behind(way, last);
        last = trial.built(outputs)?.first().copied();
    }
    for way in ways {
        let outputs = trial.behind(way, last);
        last = trial.built(outputs)?.first().copied();
        trial.timed.push(trial.graph.nodes().len() - 1);
    }
    let (outputs, nodes): (Vec<Tensor>, _) = (last.into_iter().collect(), trial.timed.clone());
    let (program, plan) = trial.load(engine, &outputs)?;
    let (least, most, _) = ROUNDS;
    rounds(ways.len(), (least, most), || Ok(timed(engine, &plan, program, &nodes)?.1))
}

/// Each way several times in a step of its own, and the wait for the step.
fn by_submission(
    engine: &mut GpuEngine,
    subject: &Subject,
    ways: &[DeviceTraits],
    count: (usize, usize),
) -> Result<Vec<Vec<f64>>, EngineError> {
    let mut programs = Vec::new();
    for way in ways {
        let mut trial = Trial::new(subject, engine);
        let mut last = None;
        for _ in 0..REPEATS {
            let outputs = trial.behind(way, last);
            last = trial.built(outputs)?.first().copied();
        }
        let outputs: Vec<Tensor> = last.into_iter().collect();
        programs.push(trial.load(engine, &outputs)?.0);
    }
    engine.context.wait(None)?;
    let times = rounds(ways.len(), count, || {
        programs
            .iter()
            .map(|&program| {
                let start = Instant::now();
                engine.submit(program, &StepState::default(), false)?;
                engine.context.wait(None)?;
                Ok(start.elapsed().as_secs_f64() / REPEATS as f64)
            })
            .collect()
    });
    for program in programs {
        engine.unload(program)?;
    }
    times
}

/// Takes rounds until there are enough of them, at least and at most so many, and turns them into a list for each way.
fn rounds(
    ways: usize,
    (least, most): (usize, usize),
    mut round: impl FnMut() -> Result<Vec<f64>, EngineError>,
) -> Result<Vec<Vec<f64>>, EngineError> {
    round()?;
    let (start, mut all) = (Instant::now(), Vec::new());
    for done in 0..most {
        if done >= least && start.elapsed() > ROUNDS.2 {
            break;
        }
        all.push(round()?);
    }
    let all = steady(all, least);
    Ok((0..ways).map(|way| all.iter().filter_map(|round| round.get(way)).copied().collect()).collect())
}

/// The rounds in which the first way took its usual time; all of them where that would leave too few.
fn steady(all: Vec<Vec<f64>>, least: usize) -> Vec<Vec<f64>> {
    let usual = median(&all.iter().filter_map(|round| round.first()).copied().collect::<Vec<_>>());
    let near = |first: &f64| (first / usual - 1.0).abs() <= DRIFT;
    let drifted = |round: &Vec<f64>| !round.first().is_some_and(near);
    let good = all.iter().filter(|round| !drifted(round)).count();
    if good < least { all } else { all.into_iter().filter(|round| !drifted(round)).collect() }
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

    fn takes_over(&self) -> &'static [(usize, usize)] {
        if self.guards > 0 { &GUARDED[..self.guards] } else { self.subject.op.takes_over() }
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

#[cfg(test)]
mod tests;
