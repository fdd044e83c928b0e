//! When each command of a step ran, by the device's own clock, in steps that are submitted as ever.
//!
//! Where the device takes timestamps inside a pass, a profiled step has the passes and submissions of any other, and two
//! timestamps more for each command. A dispatch's first one is written when everything before it is done, so that what it
//! waits for at its barrier is part of its time. Where timestamps are taken at the ends of passes only (Apple's GPUs), each
//! dispatch has a pass of its own, and copies are not timed. Where there are none, each command is submitted and waited for.

use super::GpuEngine;
use super::command::{self, Command};
use super::context::Context;
use super::program::Loaded;
use super::readback;
use crate::op::StepState;
use crate::plan::{Engine as _, EngineError, Program, Timed};
use std::ops::Range;
use web_time::Instant;

/// Timestamps of a set, the most that there may be.
const SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize;

/// Where a device writes timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timestamps {
    /// Nowhere.
    None,
    /// At the beginning and the end of a pass.
    Passes,
    /// Between any two commands.
    Everywhere,
}

impl Timestamps {
    /// The features for the best that an adapter with `features` has.
    pub fn wanted(features: wgpu::Features) -> wgpu::Features {
        use wgpu::Features as F;
        let everywhere = F::TIMESTAMP_QUERY_INSIDE_ENCODERS | F::TIMESTAMP_QUERY_INSIDE_PASSES;
        let more = if features.contains(everywhere) { everywhere } else { F::empty() };
        (features & F::TIMESTAMP_QUERY) | more
    }

    /// What a device with `features` can do.
    pub fn of(features: wgpu::Features) -> Self {
        if !features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            Self::None
        } else if features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES) {
            Self::Everywhere
        } else {
            Self::Passes
        }
    }
}

/// When a command ran.
#[derive(Debug, Clone, Copy)]
enum When {
    /// Between this timestamp, counted over all sets, and the next one.
    Stamp(usize),
    /// Seconds since the profile began.
    Between(f64, f64),
    Unknown,
}

/// A command that was recorded.
#[derive(Debug)]
struct Record {
    program: Program,
    call: usize,
    name: &'static str,
    submission: usize,
    when: When,
}

/// What has been recorded since profiling was switched on.
#[derive(Debug)]
pub(super) struct Profiler {
    sets: Vec<wgpu::QuerySet>,
    /// Timestamps used of each set.
    used: Vec<usize>,
    timed: Vec<Record>,
    /// Submissions so far.
    submissions: usize,
    start: Instant,
}

impl Profiler {
    fn new() -> Self {
        Self { sets: Vec::new(), used: Vec::new(), timed: Vec::new(), submissions: 0, start: Instant::now() }
    }

    /// As [`command::record`] of the program's commands in `range`, one submission, with timestamps.
    pub fn record(
        &mut self,
        context: &Context,
        encoder: &mut wgpu::CommandEncoder,
        (program, loaded): (Program, &Loaded),
        range: Range<usize>,
        step: &wgpu::BindGroup,
    ) -> Result<(), EngineError> {
        if context.timestamps == Timestamps::None {
            return self.wait_for(context, (program, loaded), range, step);
        }
        let everywhere = context.timestamps == Timestamps::Everywhere;
        self.submissions += 1;
        let mut rest = range;
        while !rest.is_empty() {
            let copies = matches!(loaded.commands[rest.start], Command::Copy { .. });
            let same = |i: &usize| matches!(loaded.commands[*i], Command::Copy { .. }) == copies;
            let most = if copies || !everywhere { 1 } else { SET / 2 };
            let end = rest.clone().take(most).find(|i| !same(i)).unwrap_or(rest.end.min(rest.start + most));
            self.run(context, encoder, (program, loaded), rest.start..end, step)?;
            rest.start = end;
        }
        Ok(())
    }

    /// Records a copy, or dispatches that share a pass.
    fn run(
        &mut self,
        context: &Context,
        encoder: &mut wgpu::CommandEncoder,
        (program, loaded): (Program, &Loaded),
        range: Range<usize>,
        step: &wgpu::BindGroup,
    ) -> Result<(), EngineError> {
        let everywhere = context.timestamps == Timestamps::Everywhere;
        let commands = &loaded.commands[range.clone()];
        if let [copy @ Command::Copy { .. }] = commands {
            let when = if everywhere {
                let first = self.take(context, 1)?;
                let (set, query) = self.place(first);
                encoder.write_timestamp(set, query);
                copy.copy(encoder);
                encoder.write_timestamp(set, query + 1);
                When::Stamp(first)
            } else {
                copy.copy(encoder);
                When::Unknown
            };
            self.push(program, range.start, copy, when);
            return Ok(());
        }
        let first = self.take(context, range.len())?;
        let (set, query) = self.place(first);
        let timestamp_writes = (!everywhere).then_some(wgpu::ComputePassTimestampWrites {
            query_set: set,
            beginning_of_pass_write_index: Some(query),
            end_of_pass_write_index: Some(query + 1),
        });
        let descriptor = wgpu::ComputePassDescriptor { timestamp_writes, ..Default::default() };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        pass.set_bind_group(1, step, &[]);
        for (query, command) in (query..).step_by(2).zip(commands) {
            if everywhere {
                pass.write_timestamp(set, query);
            }
            command.dispatch(&mut pass);
            if everywhere {
                pass.write_timestamp(set, query + 1);
            }
        }
        drop(pass);
        let places = (first..).step_by(2).zip(range).zip(commands);
        places.for_each(|((stamp, i), command)| self.push(program, i, command, When::Stamp(stamp)));
        Ok(())
    }

    /// Keeps a command that is part of the submission being recorded.
    fn push(&mut self, program: Program, call: usize, command: &Command, when: When) {
        let submission = self.submissions.saturating_sub(1);
        self.timed.push(Record { program, call, name: command.name(), submission, when });
    }

    /// Two timestamps for each of `count` commands, all of one set: the first one's number over all sets.
    fn take(&mut self, context: &Context, count: usize) -> Result<usize, EngineError> {
        if self.used.last().is_none_or(|used| used + 2 * count > SET) {
            if self.used.len() == self.sets.len() {
                let set = context.guarded("the timestamps", || {
                    let (label, ty) = (Some("timestamps"), wgpu::QueryType::Timestamp);
                    context.device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count: SET as u32 })
                })?;
                self.sets.push(set);
            }
            self.used.push(0);
        }
        let set = self.used.len() - 1;
        let first = set * SET + self.used[set];
        self.used[set] += 2 * count;
        Ok(first)
    }

    /// The set of a timestamp that was taken, and its index there.
    fn place(&self, stamp: usize) -> (&wgpu::QuerySet, u32) {
        (&self.sets[stamp / SET], (stamp % SET) as u32)
    }

    /// Runs the commands one by one and waits for each.
    fn wait_for(
        &mut self,
        context: &Context,
        (program, loaded): (Program, &Loaded),
        range: Range<usize>,
        step: &wgpu::BindGroup,
    ) -> Result<(), EngineError> {
        for i in range {
            let command = &loaded.commands[i];
            let mut encoder = context.device.create_command_encoder(&Default::default());
            command::record(&mut encoder, std::slice::from_ref(command), step);
            let begin = self.start.elapsed();
            let submission = context.queue.submit([encoder.finish()]);
            context.wait(Some(submission))?;
            let when = When::Between(begin.as_secs_f64(), self.start.elapsed().as_secs_f64());
            self.submissions += 1;
            self.push(program, i, command, when);
        }
        Ok(())
    }

    /// Ticks of all timestamps that were taken, set after set; waits.
    fn ticks(&self, context: &mut Context) -> Result<Vec<Vec<u64>>, EngineError> {
        let before = context.allocated;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = context.buffer("timestamps", SET as u64 * 8, usage);
        // It is gone when this returns.
        context.allocated = before;
        let resolved = resolved?;
        let mut ticks = Vec::with_capacity(self.used.len());
        for (set, &used) in self.sets.iter().zip(&self.used) {
            let mut encoder = context.device.create_command_encoder(&Default::default());
            encoder.resolve_query_set(set, 0..used as u32, &resolved, 0);
            context.queue.submit([encoder.finish()]);
            let words = readback::read(context, &resolved, used as u64 * 8)?;
            ticks.push(words.chunks_exact(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32).collect());
        }
        Ok(ticks)
    }
}

impl GpuEngine {
    /// Whether timestamps are taken inside a pass, so that a profiled step has the passes and submissions of any other.
    pub fn times_inside_passes(&self) -> bool {
        self.context.timestamps == Timestamps::Everywhere
    }

    /// From now on every step that is submitted is timed, call by call, until [`GpuEngine::take_profile`].
    pub fn begin_profile(&mut self) {
        let sets = self.profiler.take().map_or(Vec::new(), |profiler| profiler.sets);
        self.profiler = Some(Profiler { sets, ..Profiler::new() });
    }

    /// When each call of the steps since [`GpuEngine::begin_profile`] ran, in the order they were submitted; waits for them.
    /// Empty if it was not called.
    ///
    /// # Errors
    /// The device's.
    pub fn take_profile(&mut self) -> Result<Vec<Timed>, EngineError> {
        let Some(profiler) = self.profiler.take() else { return Ok(Vec::new()) };
        self.context.wait(None)?;
        let ticks = profiler.ticks(&mut self.context)?;
        let base = ticks.first().and_then(|set| set.first()).copied().unwrap_or_default();
        let second = f64::from(self.context.queue.get_timestamp_period()) * 1e-9;
        let at = |stamp: usize| ticks[stamp / SET][stamp % SET].saturating_sub(base) as f64 * second;
        let span = |when: When| match when {
            When::Stamp(first) => Some(at(first)..at(first + 1).max(at(first))),
            When::Between(begin, end) => Some(begin..end),
            When::Unknown => None,
        };
        let timed = profiler.timed.iter();
        let timed = timed.map(|&Record { program, call, name, submission, when }| Timed {
            program,
            call,
            name,
            submission,
            span: span(when),
        });
        Ok(timed.collect())
    }

    /// Runs one step and returns each dispatch's shader and seconds in order.
    ///
    /// # Errors
    /// Those of [`crate::plan::Engine::submit`].
    pub fn profile(&mut self, program: Program, state: &StepState) -> Result<Vec<(&'static str, f64)>, EngineError> {
        self.begin_profile();
        let submitted = self.submit(program, state, false);
        let timed = self.take_profile()?;
        submitted?;
        let commands = &self.loaded(program)?.commands;
        let copy = |t: &Timed| matches!(commands[t.call], Command::Copy { .. });
        Ok(timed.iter().filter(|t| !copy(t)).map(|t| (t.name, t.seconds())).collect())
    }
}
