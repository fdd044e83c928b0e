//! How fast the device copies, the yardstick for its memory.

use super::GpuEngine;
use super::profile::Timestamps;
use super::readback;
use crate::plan::EngineError;
use web_time::Instant;

impl GpuEngine {
    /// Seconds of copying `bytes`, a multiple of 16, from one buffer to another: the best of `count` copies.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] where there is no room for the buffers; [`EngineError::DeviceLost`].
    pub fn time_copy(&mut self, bytes: u64, count: usize) -> Result<f64, EngineError> {
        self.context.check()?;
        let before = self.context.allocated;
        let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffers = ["copy from", "copy to"].map(|label| self.context.buffer(label, bytes, usage));
        // They are gone when this returns.
        self.context.allocated = before;
        let [from, to] = buffers;
        let (from, to) = (from?, to?);
        // Zeros might be copied faster than numbers, and buffers are cleared before their first use: that is done here.
        let words: Vec<u32> = (0..(bytes / 4).min(1 << 20) as u32).map(|i| i.wrapping_mul(2_654_435_769)).collect();
        let piece: &[u8] = bytemuck::cast_slice(&words);
        for offset in (0..bytes).step_by(piece.len().max(16)) {
            let size = (bytes - offset).min(piece.len() as u64) as usize;
            self.context.queue.write_buffer(&from, offset, &piece[..size]);
        }
        let copy = |encoder: &mut wgpu::CommandEncoder| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, Some(bytes));
        let submit = |encoder: wgpu::CommandEncoder| self.context.queue.submit([encoder.finish()]);
        let new = || self.context.device.create_command_encoder(&Default::default());
        let mut first = new();
        copy(&mut first);
        self.context.wait(Some(submit(first)))?;
        let mut best = f64::INFINITY;
        if self.context.timestamps < Timestamps::Everywhere {
            for _ in 0..count {
                let start = Instant::now();
                let mut encoder = new();
                copy(&mut encoder);
                self.context.wait(Some(submit(encoder)))?;
                best = best.min(start.elapsed().as_secs_f64());
            }
            return Ok(best);
        }
        let stamps = count as u32 + 1;
        let set = self.context.guarded("the timestamps", || {
            let (label, ty) = (Some("timestamps"), wgpu::QueryType::Timestamp);
            self.context.device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count: stamps })
        })?;
        // One submission for each, so that none is long.
        for i in 0..stamps {
            let mut encoder = new();
            if i > 0 {
                copy(&mut encoder);
            }
            encoder.write_timestamp(&set, i);
            submit(encoder);
        }
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.context.buffer("timestamps", u64::from(stamps) * 8, usage);
        self.context.allocated = before;
        let resolved = resolved?;
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&set, 0..stamps, &resolved, 0);
        self.context.queue.submit([encoder.finish()]);
        let words = readback::read(&mut self.context, &resolved, u64::from(stamps) * 8)?;
        let ticks: Vec<u64> = words.chunks_exact(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32).collect();
        let second = f64::from(self.context.queue.get_timestamp_period()) * 1e-9;
        for pair in ticks.windows(2).filter(|pair| pair[1] > pair[0]) {
            best = best.min((pair[1] - pair[0]) as f64 * second);
        }
        Ok(best)
    }
}
