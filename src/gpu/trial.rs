//! An op tried with several kernels on a device: do they give the same, and how long does each take?
//!
//! Trials have an engine of their own, so that a kernel that brings its device down takes nothing else with it.

use super::agreement::{contents, difference, words};
use super::{Adapter, GpuEngine};
use crate::graph::{Graph, GraphError, Node, ParameterTable, Tensor, TensorType};
use crate::ops::{DeviceTraits, Dispatch, Op, Operand, Shapes, StepState, Twin, no_second_derivative};
use crate::plan::{Engine, EngineError, Plan, Program, Target};
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

/// Tries kernels on an adapter. A way to run an op is what [`DeviceTraits`] makes of it: those of the device with one tuning
/// or another.
#[derive(Debug)]
pub struct Trials {
    adapter: Adapter,
    engine: Option<GpuEngine>,
    /// Whether single dispatches are timed.
    timestamps: bool,
}

impl Trials {
    /// Trials on `adapter`. Nothing is opened yet.
    pub fn new(adapter: &Adapter) -> Self {
        Self { adapter: adapter.clone(), engine: None, timestamps: adapter.info().timestamps }
    }

    /// Seconds of the op in each of the `ways`, measured in turns after one that does not count.
    ///
    /// # Errors
    /// The engine's, where not all of them can run.
    pub fn time(&mut self, subject: &Subject, ways: &[DeviceTraits]) -> Result<Vec<Vec<f64>>, EngineError> {
        self.with_engine(|engine, timestamps| match timestamps {
            true => by_dispatch(engine, subject, ways),
            false => by_submission(engine, subject, ways),
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
    ) -> Result<Option<String>, EngineError> {
        self.with_engine(|engine, _| {
            let mut trial = Trial::new(subject);
            let [expected, found] = [base, other].map(|way| trial.guarded(way));
            let (expected, found) = (trial.built(expected)?, trial.built(found)?);
            let outputs: Vec<Tensor> = expected.iter().chain(&found).copied().collect();
            let (program, _) = trial.load(engine, &outputs)?;
            let mut run = || {
                engine.submit(program, &StepState::default(), true)?;
                engine.collect(true)
            };
            let count = expected.len();
            let Some(first) = run()? else { return Ok(Some("gave no results".into())) };
            for _ in 1..RUNS {
                if run()?.is_none_or(|other| other.outputs[count..] != first.outputs[count..]) {
                    return Ok(Some("gives other bits each time".into()));
                }
            }
            for (i, ty) in subject.shapes.outputs.iter().enumerate() {
                let wrong = difference(ty, &first.outputs[i], &first.outputs[count + i], tolerance);
                if wrong.is_some() {
                    return Ok(wrong);
                }
            }
            Ok(None)
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
        let result = work(&mut engine, self.timestamps);
        engine.reset();
        if !matches!(result, Err(EngineError::DeviceLost { .. })) {
            self.engine = Some(engine);
        }
        result
    }
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
}

impl<'a> Trial<'a> {
    fn new(subject: &'a Subject) -> Self {
        let mut graph = Graph::new(table());
        let inputs = subject.shapes.inputs.iter().map(|ty| graph.input("an operand", ty.dtype, &ty.shape)).collect();
        Self { subject, graph, inputs, guards: Vec::new() }
    }

    /// The op in one way, behind another node's output so that the two run one after the other and share memory.
    fn behind(&mut self, device: &DeviceTraits, before: Option<Tensor>) -> Result<Vec<Tensor>, GraphError> {
        let inputs: Vec<Tensor> = self.inputs.iter().copied().chain(before).collect();
        self.graph.add(Under { subject: self.subject.clone(), device: *device, guards: 0 }, &inputs)
    }

    /// The op in one way, into outputs that are longer than they need be and hold [`UNTOUCHED`]. An op that adds to what is
    /// there has no such outputs.
    fn guarded(&mut self, device: &DeviceTraits) -> Result<Vec<Tensor>, GraphError> {
        let outputs = &self.subject.shapes.outputs;
        if !self.subject.op.takes_over().is_empty() || outputs.len() > GUARDED.len() {
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

/// All ways one after the other in every step, each dispatch between two timestamps.
fn by_dispatch(engine: &mut GpuEngine, subject: &Subject, ways: &[DeviceTraits]) -> Result<Vec<Vec<f64>>, EngineError> {
    let mut trial = Trial::new(subject);
    let mut last = None;
    for way in ways {
        let outputs = trial.behind(way, last);
        last = trial.built(outputs)?.first().copied();
    }
    let outputs: Vec<Tensor> = last.into_iter().collect();
    let (program, _) = trial.load(engine, &outputs)?;
    let counts: Vec<usize> = ways.iter().map(|way| dispatches(subject, way)).collect();
    rounds(ways.len(), || {
        let times = engine.profile(program, &StepState::default())?;
        let mut times = times.into_iter().map(|(_, seconds)| seconds);
        Ok(counts.iter().map(|&count| times.by_ref().take(count).sum()).collect())
    })
}

/// Each way several times in a step of its own, and the wait for the step.
fn by_submission(
    engine: &mut GpuEngine,
    subject: &Subject,
    ways: &[DeviceTraits],
) -> Result<Vec<Vec<f64>>, EngineError> {
    let mut programs = Vec::new();
    for way in ways {
        let mut trial = Trial::new(subject);
        let mut last = None;
        for _ in 0..REPEATS {
            let outputs = trial.behind(way, last);
            last = trial.built(outputs)?.first().copied();
        }
        let outputs: Vec<Tensor> = last.into_iter().collect();
        programs.push(trial.load(engine, &outputs)?.0);
    }
    engine.context.wait(None)?;
    rounds(ways.len(), || {
        programs
            .iter()
            .map(|&program| {
                let start = Instant::now();
                engine.submit(program, &StepState::default(), false)?;
                engine.context.wait(None)?;
                Ok(start.elapsed().as_secs_f64() / REPEATS as f64)
            })
            .collect()
    })
}

/// Takes rounds until there are enough of them, and turns them into a list for each way.
fn rounds(ways: usize, mut round: impl FnMut() -> Result<Vec<f64>, EngineError>) -> Result<Vec<Vec<f64>>, EngineError> {
    round()?;
    let (start, mut times) = (Instant::now(), vec![Vec::new(); ways]);
    let (least, most, enough) = ROUNDS;
    for done in 0..most {
        if done >= least && start.elapsed() > enough {
            break;
        }
        for (list, seconds) in times.iter_mut().zip(round()?) {
            list.push(seconds);
        }
    }
    Ok(times)
}

/// Dispatches that have something to do.
fn dispatches(subject: &Subject, device: &DeviceTraits) -> usize {
    let all = subject.op.dispatches(&subject.shapes, device);
    all.iter().filter(|dispatch| dispatch.workgroups.iter().all(|&n| n > 0)).count()
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
mod tests {
    use super::*;
    use crate::gpu::{Choice, choose};
    use crate::graph::DType;

    /// A copy by two kernels, the second of which a test can spoil.
    #[derive(Debug)]
    struct Copies(fn(Dispatch) -> Dispatch);

    const BASE: DeviceTraits = DeviceTraits::FLOOR;
    /// Asks for the second kernel.
    const OTHER: DeviceTraits = DeviceTraits { invocations: 1, ..BASE };

    impl Op for Copies {
        fn name(&self) -> &'static str {
            "copies"
        }

        fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
            Ok(vec![inputs[0].clone()])
        }

        fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
            no_second_derivative("copies")
        }

        fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
            let (x, len) = (&shapes.inputs[0], shapes.inputs[0].len());
            let copy = Dispatch::new("gather_rows")
                .constant("columns", len as u32)
                .element("X", x.dtype)
                .element("Out", x.dtype)
                .read(Operand::Input(0))
                .read(Operand::Input(1))
                .write(Operand::Output(0))
                .elements(len, 256)
                .word(len)
                .word(1);
            vec![if *device == OTHER { self.0(copy) } else { copy }]
        }

        fn twin_f32(&self, _: Twin<'_, f32>) {}
        fn twin_f64(&self, _: Twin<'_, f64>) {}
    }

    const LEN: usize = 1_003;

    fn subject(spoil: fn(Dispatch) -> Dispatch, dtype: DType) -> Subject {
        let (x, positions) = (TensorType::new(dtype, &[1, LEN]), TensorType::u32(&[1, 1]));
        let shapes = Shapes { outputs: vec![x.clone()], inputs: vec![x, positions] };
        Subject { op: Arc::new(Copies(spoil)), shapes, whole: 0 }
    }

    fn trials() -> Trials {
        let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
        let adapter = choose(&Choice::Named(name)).unwrap_or_else(|error| panic!("{error}"));
        Trials::new(&adapter.expect("a named choice"))
    }

    #[test]
    fn a_kernel_that_is_wrong_is_found_out() {
        let mut trials = trials();
        let f16 = trials.adapter.info().f16;
        for dtype in [DType::F32, DType::F16].into_iter().filter(|&dtype| f16 || dtype == DType::F32) {
            let mut wrong = |spoil| {
                let compared = trials.compare(&subject(spoil, dtype), &BASE, &OTHER, 1e-5);
                compared.unwrap_or_else(|error| panic!("{error}"))
            };
            assert_eq!(wrong(|good| good), None);
            let found = wrong(|mut short| {
                short.uniform[0] -= 5;
                short
            });
            assert!(
                found.as_deref().is_some_and(|text| text.contains("gives -1234") && text.contains("[0, 998]")),
                "{found:?}"
            );
            let found = wrong(|mut long| {
                long.uniform[0] += 3;
                long
            });
            assert!(found.as_deref().is_some_and(|text| text.contains("3 elements beyond")), "{found:?}");
            let found = wrong(|good| Dispatch { workgroups: [0, 1, 1], ..good });
            assert!(found.as_deref().is_some_and(|text| text.contains("[0, 0]")), "{found:?}");
        }
    }

    #[test]
    fn a_kernel_that_is_refused_leaves_the_others_be() {
        let mut trials = trials();
        let refused = subject(|_| Dispatch::new("nonsense"), DType::F32);
        let error = trials.time(&refused, &[BASE, OTHER]).expect_err("no such shader").to_string();
        assert!(error.contains("nonsense"), "{error}");
        assert!(trials.compare(&refused, &BASE, &OTHER, 1e-5).is_err());
        assert!(trials.time(&refused, &[BASE]).is_ok());
    }

    #[test]
    fn every_way_is_timed_with_and_without_timestamps() {
        let mut trials = trials();
        for timestamps in [trials.timestamps, false] {
            trials.timestamps = timestamps;
            let times = trials.time(&subject(|good| good, DType::F32), &[BASE, OTHER, BASE]);
            let times = times.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(times.len(), 3);
            for seconds in times {
                assert!(seconds.len() >= ROUNDS.0 && seconds.iter().all(|s| s.is_finite() && *s >= 0.0), "{seconds:?}");
            }
        }
    }
}
