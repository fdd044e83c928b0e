//! What a device needs to begin a dispatch that waits for what the one before it wrote.

use super::machine::Machine;
use super::matmul::fill;
use crate::graph::{DType, Graph, ParameterTable, Tensor};
use crate::op::StepState;
use crate::plan::{Plan, Program};
use crate::train::TrainError;
use crate::tune::multiply_add;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Dispatches of the two chains; each chain lies in one submission.
const CHAINS: [usize; 2] = [32, 224];

/// Elements of a chain's tensors: one workgroup has all of them.
const ELEMENTS: usize = 64;

/// Fewest rounds, and how long more of them may take.
const ROUNDS: (usize, Duration) = (12, Duration::from_millis(300));

/// Seconds that what stands in front of a chain takes at least, and about the most.
const BUSY: [f64; 2] = [4e-3, 0.1];

/// Seconds of a dispatch of one workgroup that needs the result of the one before: until that has drained, and until this one
/// has started and written a few numbers.
///
/// It is the slope between chains of 32 and of 224 such dispatches, the best of at least twelve runs of either, as training
/// submits them: without timestamps. A long dispatch stands in front of a chain, so that the chain has been recorded when its
/// turn comes.
///
/// None on the CPU engine, which has no dispatches, and where no slope was found.
///
/// # Errors
/// The engine's.
pub fn drain(machine: &mut Machine, table: &Arc<ParameterTable>) -> Result<Option<f64>, TrainError> {
    if matches!(machine, Machine::Cpu(_)) {
        return Ok(None);
    }
    let [short, long] = CHAINS.map(|dispatches| chain(machine, table, ELEMENTS, 1, dispatches));
    let (short, long) = (short?, long?);
    machine.with_program(short.0.clone(), |machine, first| {
        fill(machine, &short.0, first, &[short.1]);
        machine.with_program(long.0.clone(), |machine, second| {
            fill(machine, &long.0, second, &[long.1]);
            let (plan, x) = busy(machine, table, second)?;
            machine.with_program(plan.clone(), |machine, busy| {
                fill(machine, &plan, busy, &[x]);
                slope(machine, busy, [first, second])
            })
        })
    })
}

/// So many dispatches, each of which does some multiply-adds with what the one before wrote; the plan and its input.
fn chain(
    machine: &Machine,
    table: &Arc<ParameterTable>,
    elements: usize,
    repeats: usize,
    dispatches: usize,
) -> Result<(Plan, Tensor), TrainError> {
    let mut g = Graph::new(table.clone());
    let x = g.input("x", DType::F32, &[elements]);
    let mut y = x;
    for _ in 0..dispatches {
        y = multiply_add(&mut g, y, repeats)?;
    }
    Ok((Plan::new(Arc::new(g), &[y], machine.target()), x))
}

/// A dispatch that keeps the device busy for some times as long as it takes to record `program`, if that is not too long for a
/// device that also draws.
fn busy(machine: &mut Machine, table: &Arc<ParameterTable>, program: Program) -> Result<(Plan, Tensor), TrainError> {
    const WIDE: usize = 1 << 18;
    const ENOUGH: f64 = 5.0;
    let mut recording = 0.0f64;
    for _ in 0..4 {
        recording = recording.max(run(machine, &[program])?.recording);
    }
    let wanted = (ENOUGH * recording).clamp(BUSY[0], BUSY[1]);
    let mut repeats = 512;
    loop {
        let (plan, x) = chain(machine, table, WIDE, repeats, 1)?;
        let seconds = machine.with_program(plan.clone(), |machine, busy| {
            fill(machine, &plan, busy, &[x]);
            let mut seconds = f64::INFINITY;
            for _ in 0..4 {
                seconds = seconds.min(run(machine, &[busy])?.seconds);
            }
            Ok(seconds)
        })?;
        if seconds >= wanted {
            return Ok((plan, x));
        }
        // At least twice as long, so that this ends.
        repeats = (repeats as f64 * (1.1 * wanted / seconds).clamp(2.0, 16.0)) as usize;
    }
}

/// The slope between two chains behind what keeps the device busy, in seconds a dispatch; none where it is not above 0.
fn slope(machine: &mut Machine, busy: Program, chains: [Program; 2]) -> Result<Option<f64>, TrainError> {
    let mut best = [f64::INFINITY; 2];
    let (start, mut rounds) = (Instant::now(), 0);
    while rounds < ROUNDS.0 || start.elapsed() < ROUNDS.1 {
        for (best, chain) in best.iter_mut().zip(chains) {
            *best = best.min(run(machine, &[busy, chain])?.seconds);
        }
        rounds += 1;
    }
    let slope = (best[1] - best[0]) / (CHAINS[1] - CHAINS[0]) as f64;
    Ok((slope > 0.0).then_some(slope))
}

/// What running programs took, in seconds.
struct Run {
    /// Until the last one was done.
    seconds: f64,
    /// To record them.
    recording: f64,
}

/// Runs programs one behind the other on an idle device.
fn run(machine: &mut Machine, programs: &[Program]) -> Result<Run, TrainError> {
    recording(machine);
    let start = Instant::now();
    for (i, &program) in programs.iter().enumerate() {
        machine.engine().submit(program, &StepState::default(), i + 1 == programs.len())?;
    }
    machine.engine().collect(true)?;
    Ok(Run { seconds: start.elapsed().as_secs_f64(), recording: recording(machine) })
}

/// Seconds of recording since the last call.
fn recording(machine: &mut Machine) -> f64 {
    if let Machine::Gpu(gpu) = machine { gpu.take_encoding_time().as_secs_f64() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{machines, table};
    use super::*;
    use crate::plan::Footprint;

    #[test]
    fn a_dispatch_takes_time_to_begin_and_nothing_is_left_behind() {
        let [mut cpu, mut gpu] = machines();
        assert_eq!(drain(&mut cpu, &table()).unwrap(), None);
        let before = gpu.engine().allocated();
        // None only where others keep the machine so busy that longer chains took no longer.
        let found = drain(&mut gpu, &table()).unwrap();
        assert!(found.is_none_or(|found| found > 0.0), "{found:?} s a dispatch");
        assert_eq!(gpu.engine().allocated(), before);
    }

    #[test]
    fn chains_are_as_long_as_they_say_and_wait_behind_a_longer_one() {
        let [_, mut gpu] = machines();
        for count in CHAINS {
            let footprint = Footprint::of(&chain(&gpu, &table(), ELEMENTS, 1, count).unwrap().0);
            assert_eq!((footprint.dispatches, footprint.copies), (count, 0));
        }
        let (long, _) = chain(&gpu, &table(), ELEMENTS, 1, CHAINS[1]).unwrap();
        let times = gpu.with_program(long, |machine, long| {
            let recording = run(machine, &[long])?.recording;
            let (plan, _) = busy(machine, &table(), long)?;
            machine.with_program(plan, |machine, busy| Ok((run(machine, &[busy])?.seconds, recording)))
        });
        let (busy, recording) = times.unwrap();
        assert!(busy > BUSY[0] / 2.0 && busy > recording, "{recording} s of recording behind {busy} s");
    }
}
