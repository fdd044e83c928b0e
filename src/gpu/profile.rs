//! Where a step's time goes: every dispatch in a pass of its own between two timestamps.

use super::GpuEngine;
use super::command::{self, Command};
use super::readback;
use crate::ops::StepState;
use crate::plan::{EngineError, Program};
use std::time::Instant;

/// Dispatches timed in one go: a set holds at most 4,096 timestamps.
const BATCH: usize = 1_024;

impl GpuEngine {
    /// Runs one step as [`crate::plan::Engine::submit`] would, slower, and returns each dispatch's shader and seconds
    /// in order. Copies are run but not timed. Where the device has no timestamps, a dispatch's seconds include a
    /// submission and a wait.
    ///
    /// # Errors
    /// Those of [`crate::plan::Engine::submit`].
    pub fn profile(&mut self, program: Program, state: &StepState) -> Result<Vec<(&'static str, f64)>, EngineError> {
        self.context.check()?;
        let count = self.loaded(program)?.commands.len();
        self.context.wait(None)?;
        self.set_state(state);
        let mut times = Vec::new();
        for start in (0..count).step_by(BATCH) {
            let range = start..(start + BATCH).min(count);
            if self.context.timestamps {
                self.by_timestamps(program, range, &mut times)?;
            } else {
                self.by_waiting(program, range, &mut times)?;
            }
        }
        self.context.check()?;
        Ok(times)
    }

    fn by_timestamps(
        &mut self,
        program: Program,
        range: std::ops::Range<usize>,
        times: &mut Vec<(&'static str, f64)>,
    ) -> Result<(), EngineError> {
        let count = range.len() as u32 * 2;
        let before = self.context.allocated;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.context.buffer("timestamps", u64::from(count) * 8, usage);
        // It is gone when this returns.
        self.context.allocated = before;
        let resolved = resolved?;
        let set = self.context.guarded("the timestamps", || {
            let ty = wgpu::QueryType::Timestamp;
            self.context.device.create_query_set(&wgpu::QuerySetDescriptor { label: Some("timestamps"), ty, count })
        })?;
        let commands = &self.loaded(program)?.commands[range];
        let mut shaders = Vec::new();
        for command in commands {
            // A submission a dispatch, so that none is long.
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            if let Command::Dispatch(work) = command {
                let first = shaders.len() as u32 * 2;
                shaders.push(work.shader);
                let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                    query_set: &set,
                    beginning_of_pass_write_index: Some(first),
                    end_of_pass_write_index: Some(first + 1),
                });
                let descriptor = wgpu::ComputePassDescriptor { label: Some(work.shader), timestamp_writes };
                let mut pass = encoder.begin_compute_pass(&descriptor);
                pass.set_bind_group(1, &self.step, &[]);
                command.dispatch(&mut pass);
            }
            command.copy(&mut encoder);
            self.context.queue.submit([encoder.finish()]);
        }
        if shaders.is_empty() {
            return self.context.wait(None);
        }
        let used = shaders.len() as u32 * 2;
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&set, 0..used, &resolved, 0);
        self.context.queue.submit([encoder.finish()]);
        let words = readback::read(&mut self.context, &resolved, u64::from(used) * 8)?;
        let ticks = |i: usize| u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32;
        let seconds = f64::from(self.context.queue.get_timestamp_period()) * 1e-9;
        for (i, shader) in shaders.into_iter().enumerate() {
            times.push((shader, ticks(2 * i + 1).saturating_sub(ticks(2 * i)) as f64 * seconds));
        }
        Ok(())
    }

    fn by_waiting(
        &self,
        program: Program,
        range: std::ops::Range<usize>,
        times: &mut Vec<(&'static str, f64)>,
    ) -> Result<(), EngineError> {
        let loaded = self.loaded(program)?;
        for command in &loaded.commands[range] {
            let start = Instant::now();
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            command::record(&mut encoder, std::slice::from_ref(command), &self.step);
            let submission = self.context.queue.submit([encoder.finish()]);
            self.context.wait(Some(submission))?;
            if let Command::Dispatch(work) = command {
                times.push((work.shader, start.elapsed().as_secs_f64()));
            }
        }
        Ok(())
    }
}
