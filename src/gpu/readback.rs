//! What comes back: a ring of buffers that the outputs of a step are copied to and that the CPU maps later.

use super::context::{Context, WAITS};
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

/// A buffer that is being read, in pieces of a few MiB.
#[derive(Debug)]
pub(super) struct Reading {
    from: wgpu::Buffer,
    bytes: u64,
    staging: wgpu::Buffer,
    piece: Piece,
    words: Vec<u32>,
}

/// A piece that is under way.
#[derive(Debug)]
struct Piece {
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    state: Arc<AtomicU8>,
}

impl Reading {
    /// Begins to read the first `bytes` of a buffer.
    pub fn begin(context: &mut Context, from: &wgpu::Buffer, bytes: u64) -> Result<Self, EngineError> {
        const MOST: u64 = 16 << 20;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let before = context.allocated;
        let staging = context.buffer("bank readback", bytes.min(MOST), usage);
        // It is gone when all is read.
        context.allocated = before;
        let staging = staging?;
        let piece = Piece::begin(context, from, 0, &staging, bytes.min(MOST));
        Ok(Self { from: from.clone(), bytes, staging, piece, words: Vec::with_capacity(bytes as usize / 4) })
    }

    /// Takes what has come, and waits for the piece that is under way where there is waiting: all of it, once it is there.
    pub fn advance(&mut self, context: &Context) -> Result<Option<Vec<u32>>, EngineError> {
        context.wait(Some(self.piece.submission.clone()))?;
        match self.piece.state.load(Ordering::Acquire) {
            READY => {}
            PENDING if !WAITS => return Ok(None),
            _ => return Err(context.refused("the readback", "its buffer could not be mapped")),
        }
        {
            let view = self.staging.slice(..self.piece.bytes).get_mapped_range();
            let view = view.map_err(|error| context.refused("the readback", error.to_string()))?;
            self.words.extend(words(&view));
        }
        self.staging.unmap();
        let read = self.words.len() as u64 * 4;
        if read >= self.bytes {
            context.check()?;
            return Ok(Some(std::mem::take(&mut self.words)));
        }
        let bytes = self.staging.size().min(self.bytes - read);
        self.piece = Piece::begin(context, &self.from, read, &self.staging, bytes);
        Ok(None)
    }
}

impl Piece {
    fn begin(context: &Context, from: &wgpu::Buffer, offset: u64, staging: &wgpu::Buffer, bytes: u64) -> Self {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(from, offset, staging, 0, Some(bytes));
        let state = Arc::new(AtomicU8::new(PENDING));
        let mapped = state.clone();
        encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, .., move |result| {
            mapped.store(if result.is_ok() { READY } else { FAILED }, Ordering::Release);
        });
        Self { bytes, submission: context.queue.submit([encoder.finish()]), state }
    }
}

/// Reads the first `bytes` of a buffer; waits.
pub(super) fn read(context: &mut Context, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u32>, EngineError> {
    let mut reading = Reading::begin(context, buffer, bytes)?;
    loop {
        if let Some(words) = reading.advance(context)? {
            return Ok(words);
        }
    }
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
