//! What comes back: a ring of buffers that the outputs of a step are copied to and that the CPU maps later.

use super::context::Context;
use super::program::Loaded;
use crate::plan::layout::windows;
use crate::plan::{EngineError, Plan};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const IDLE: u8 = 0;
const PENDING: u8 = 1;
const READY: u8 = 2;
const FAILED: u8 = 3;

/// A buffer of the ring.
#[derive(Debug)]
pub(super) struct Staging {
    buffer: wgpu::Buffer,
    state: Arc<AtomicU8>,
}

impl Staging {
    pub fn new(context: &mut Context, plan: &Plan) -> Result<Self, EngineError> {
        let bytes = windows(plan).last().map_or(0, |window| window.end) as u64;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let buffer = context.buffer("readback", bytes, usage)?;
        Ok(Self { buffer, state: Arc::new(AtomicU8::new(IDLE)) })
    }

    pub fn bytes(&self) -> u64 {
        self.buffer.size()
    }

    pub fn idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }

    /// Records the copies of the plan's outputs, and that the buffer is mapped once they are done.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, loaded: &Loaded) {
        for (tensor, window) in loaded.plan.outputs().iter().zip(windows(&loaded.plan)) {
            if let Some(region) = loaded.plan.region(*tensor).filter(|region| region.len > 0) {
                let (buffer, offset) = loaded.place(region);
                let bytes = Some(region.len as u64 * 4);
                encoder.copy_buffer_to_buffer(buffer, offset, &self.buffer, window.start as u64, bytes);
            }
        }
        self.state.store(PENDING, Ordering::Release);
        let state = self.state.clone();
        encoder.map_buffer_on_submit(&self.buffer, wgpu::MapMode::Read, .., move |mapped| {
            state.store(if mapped.is_ok() { READY } else { FAILED }, Ordering::Release);
        });
    }

    /// The outputs, once they are there; the buffer is free again then.
    pub fn take(&self, context: &Context, plan: &Plan) -> Result<Option<Vec<Vec<u32>>>, EngineError> {
        match self.state.load(Ordering::Acquire) {
            READY => {}
            FAILED => {
                self.state.store(IDLE, Ordering::Release);
                context.check()?;
                return Err(context.refused("the readback", "its buffer could not be mapped"));
            }
            _ => return Ok(None),
        }
        let outputs = {
            let view = self.buffer.slice(..).get_mapped_range();
            let view = view.map_err(|error| context.refused("the readback", error.to_string()))?;
            windows(plan).map(|window| words(&view[window])).collect()
        };
        self.buffer.unmap();
        self.state.store(IDLE, Ordering::Release);
        Ok(Some(outputs))
    }
}

/// Bytes as words, wherever they lie.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytemuck::pod_collect_to_vec(bytes)
}

/// Reads `bytes` of a buffer in pieces of a few MiB; waits.
pub(super) fn read(context: &mut Context, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u32>, EngineError> {
    const PIECE: u64 = 16 << 20;
    let size = bytes.min(PIECE);
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let before = context.allocated;
    let staging = context.buffer("bank readback", size, usage);
    // It is gone when this returns.
    context.allocated = before;
    let staging = staging?;
    let mut all = Vec::with_capacity(bytes as usize / 4);
    let mut offset = 0;
    while offset < bytes {
        let piece = size.min(bytes - offset);
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, Some(piece));
        // Whether it worked is seen when the mapped range is asked for.
        encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., |_| {});
        let submission = context.queue.submit([encoder.finish()]);
        context.wait(Some(submission))?;
        {
            let view = staging.slice(..piece).get_mapped_range();
            let view = view.map_err(|error| context.refused("the readback", error.to_string()))?;
            all.extend(words(&view));
        }
        staging.unmap();
        offset += piece;
    }
    context.check()?;
    Ok(all)
}

/// Overwrites a buffer in pieces of a few MiB, so that no copy of all of it is held.
pub(super) fn write(context: &Context, buffer: &wgpu::Buffer, bytes: &[u8]) -> Result<(), EngineError> {
    const PIECE: usize = 16 << 20;
    for (i, piece) in bytes.chunks(PIECE).enumerate() {
        context.queue.write_buffer(buffer, (i * PIECE) as u64, piece);
        let submission = context.queue.submit([]);
        context.wait(Some(submission))?;
    }
    context.check()
}
