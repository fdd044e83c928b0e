//! An op tried with several kernels on a device: do they give the same, and how long does each take?
//!
//! Trials have an engine of their own, so that a kernel that brings its device down takes nothing else with it. Results are
//! compared where they are ([`agreement`](super::agreement())): 16 bytes come back of each, not all of it.

mod contents;
mod graph;
mod timing;

use super::multiply_add;
use crate::gpu::{Adapter, GpuEngine};
use crate::graph::{DType, Graph, ParameterTable, Tensor, TensorType};
use crate::numbers::median;
use crate::op::{DeviceTraits, Op, Shapes, StepState};
use crate::plan::{Engine, EngineError, Fetched, Plan, Program, Target};
use contents::{FEW, difference};
use graph::Trial;
use std::sync::Arc;
use timing::{ROUNDS, by_dispatch, by_submission, timed, unmoved};
use web_time::{Duration, Instant};

/// Runs of kernels that are compared: one that does not wait where it should is not wrong every time.
const RUNS: usize = 8;
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
    /// What its inputs of real numbers, between -1 and 1, are multiplied by.
    pub scale: f32,
}

/// What one way gave beside another.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The largest of |a - b| / (|b| + the root of the mean of all b^2) over all results, as [`agreement`](super::agreement()) has it.
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
            let (second, seconds) = if !timestamps {
                let second = collected(engine, program)?;
                let mut times = Vec::with_capacity(ways.len());
                for way in ways {
                    let alone = by_submission(engine, subject, std::slice::from_ref(way), (1, 1))?;
                    times.extend(alone.iter().map(|list| median(list)));
                }
                (second, times)
            } else if engine.info().software() {
                // Its clock is everybody's: another round would be no better.
                timed(engine, &plan, program, &nodes)?
            } else {
                unmoved(|| timed(engine, &plan, program, &nodes))?
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
        self.with_engine(|engine, timestamps| {
            if timestamps {
                by_dispatch(engine, subject, ways)
            } else {
                by_submission(engine, subject, ways, (least, most))
            }
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
            None => pollster::block_on(GpuEngine::new_async(&self.adapter, table().len()))?,
        };
        let warmed = if self.warm { Ok(()) } else { warm_up(&mut engine) };
        self.warm = true;
        let result = warmed.and_then(|()| work(&mut engine, self.timestamps));
        engine.reset();
        // A lost device may have shown as something else.
        match engine.check() {
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
    let Ok(y) = multiply_add(&mut graph, x, 1_024) else { return Ok(()) };
    let program = engine.load(Plan::new(Arc::new(graph), &[y], Target::Gpu(engine.traits())))?;
    let start = Instant::now();
    while start.elapsed() < WARMING {
        engine.submit(program, &StepState::default(), false)?;
        engine.wait()?;
    }
    engine.reset();
    Ok(())
}

/// What one run gives.
fn collected(engine: &mut GpuEngine, program: Program) -> Result<Fetched, EngineError> {
    engine.submit(program, &StepState::default(), true)?;
    engine.collect(true)?.ok_or_else(|| EngineError::Kernel {
        adapter: engine.info().to_string(),
        what: "the trial".into(),
        reason: "it gave no results".into(),
    })
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

#[cfg(test)]
mod tests;
