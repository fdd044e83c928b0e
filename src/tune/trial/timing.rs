//! How long each way takes: by timestamps around its dispatches, or by the wait for whole submissions.

use super::graph::Trial;
use super::{Subject, collected};
use crate::gpu::GpuEngine;
use crate::graph::Tensor;
use crate::numbers::median;
use crate::op::{DeviceTraits, StepState};
use crate::plan::{Engine, EngineError, Fetched, Plan, Program, Timed};
use web_time::{Duration, Instant};

/// Runs of one kernel in a submission, where only submissions can be timed.
const REPEATS: usize = 8;
/// Most and fewest rounds that count, and when there have been enough.
pub(super) const ROUNDS: (usize, usize, Duration) = (3, 15, Duration::from_millis(60));
/// How far the first way's time of a round may be from its median: where a clock or somebody else's work has moved it further,
/// the round does not count.
const DRIFT: f64 = 0.1;

/// What a step that is run now gives, and the seconds of each of the `nodes` in it.
pub(super) fn timed(
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
pub(super) fn by_dispatch(
    engine: &mut GpuEngine,
    subject: &Subject,
    ways: &[DeviceTraits],
) -> Result<Vec<Vec<f64>>, EngineError> {
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
        trial.time_last();
    }
    let (outputs, nodes): (Vec<Tensor>, _) = (last.into_iter().collect(), trial.timed.clone());
    let (program, plan) = trial.load(engine, &outputs)?;
    let (least, most, _) = ROUNDS;
    rounds(ways.len(), (least, most), || Ok(timed(engine, &plan, program, &nodes)?.1))
}

/// Each way several times in a step of its own, and the wait for the step.
pub(super) fn by_submission(
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
    engine.wait()?;
    let times = rounds(ways.len(), count, || {
        programs
            .iter()
            .map(|&program| {
                let start = Instant::now();
                engine.submit(program, &StepState::default(), false)?;
                engine.wait()?;
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
pub(super) fn steady(all: Vec<Vec<f64>>, least: usize) -> Vec<Vec<f64>> {
    let usual = median(&all.iter().filter_map(|round| round.first()).copied().collect::<Vec<_>>());
    let near = |first: &f64| (first / usual - 1.0).abs() <= DRIFT;
    let drifted = |round: &Vec<f64>| !round.first().is_some_and(near);
    let good = all.iter().filter(|round| !drifted(round)).count();
    if good < least { all } else { all.into_iter().filter(|round| !drifted(round)).collect() }
}

/// A round whose first and last way, which are the same, took the same time; or the second one, whatever it says.
pub(super) fn unmoved<T>(
    mut round: impl FnMut() -> Result<(T, Vec<f64>), EngineError>,
) -> Result<(T, Vec<f64>), EngineError> {
    let (given, times) = round()?;
    if let [first, .., last] = times[..]
        && (first / last - 1.0).abs() <= DRIFT
    {
        return Ok((given, times));
    }
    round()
}
