//! What an engine is to the trainer.

use super::Plan;
use crate::graph::{Bank, Tensor};
use crate::op::StepState;
use std::ops::Range;

/// Why an engine could not go on. One line each, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No adapter of that name, or none at all.
    #[error("no GPU adapter {wanted}; found {found}; see `leyden devices`, or use --device cpu")]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// Names of the adapters there are.
        found: String,
    },
    /// The driver would not give a device.
    #[error("{adapter} gave no device: {reason}; update its driver, or use --device cpu")]
    NoDevice {
        /// The adapter.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// A limit of the device is too small for the plan.
    #[error("{what} needs {needed} but {adapter} allows {limit}; use a smaller --batch or preset, or --device cpu")]
    Limit {
        /// What would not fit.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there may be.
        limit: u64,
        /// The adapter.
        adapter: String,
    },
    /// The plan has tensors in half precision, which the device's kernels cannot use.
    #[error("{adapter} has no 16-bit floating point; use --precision f32")]
    NoHalves {
        /// The adapter.
        adapter: String,
    },
    /// Device memory ran out.
    #[error("{adapter} has no memory for {needed} MiB; use a smaller --batch, --length or preset")]
    OutOfMemory {
        /// The adapter.
        adapter: String,
        /// The plan's peak in MiB.
        needed: u64,
    },
    /// The caller gave a tensor or a bank of the wrong size: a bug in leyden.
    #[error("{what} was given {found} words, expected {expected}; please report it")]
    Size {
        /// Which tensor or bank.
        what: String,
        /// How many words were given.
        found: usize,
        /// How many it takes.
        expected: usize,
    },
    /// The device went away: a driver reset, a closed lid, an unplugged GPU.
    #[error("{adapter} was lost: {reason}; start again, or use --device cpu")]
    DeviceLost {
        /// The adapter.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// A kernel was refused: a bug in leyden or in the driver.
    #[error("{adapter} refused {what}: {reason}; please report it, and use --device cpu meanwhile")]
    Kernel {
        /// The adapter.
        adapter: String,
        /// Which kernel.
        what: String,
        /// What was said.
        reason: String,
    },
}

/// A plan loaded into an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Program(pub(crate) usize);

/// What a finished step left for the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Which program ran.
    pub program: Program,
    /// [`StepState::step`] of the run.
    pub step: u32,
    /// The contents of [`Plan::outputs`], in order, as words; floating-point tensors as their bits.
    pub outputs: Vec<Vec<u32>>,
}

impl Fetched {
    /// Floating-point output `i`.
    pub fn real(&self, i: usize) -> Vec<f32> {
        self.outputs[i].iter().map(|&w| f32::from_bits(w)).collect()
    }

    /// The only element of floating-point output `i`.
    pub fn scalar(&self, i: usize) -> f32 {
        self.outputs[i].first().map_or(f32::NAN, |&w| f32::from_bits(w))
    }
}

/// One of [`Plan::calls`] as it ran while an engine was profiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// Which program it is of.
    pub program: Program,
    /// Index into its plan's [`Plan::calls`].
    pub call: usize,
    /// The call's name.
    pub name: &'static str,
    /// Which submission to the device it was part of, counted from where profiling began.
    pub submission: usize,
    /// When it began and ended, in seconds on the device's own clock; none where the device does not tell.
    pub span: Option<Range<f64>>,
}

impl Timed {
    /// Seconds that it took; 0 where that is not known.
    pub fn seconds(&self) -> f64 {
        self.span.as_ref().map_or(0.0, |span| span.end - span.start)
    }
}

/// How much a device can hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest buffer.
    pub buffer: u64,
    /// The largest window of a buffer that a kernel may see.
    pub binding: u64,
    /// Memory for everything, where it is known.
    pub memory: Option<u64>,
}

/// Runs plans over banks that live across steps. Every plan of an engine is over the same parameter table. A bank is
/// allocated, all zero, when a plan first uses it or it is written.
pub trait Engine {
    /// The device, in words.
    fn describe(&self) -> String;

    /// What fits.
    fn limits(&self) -> Limits;

    /// Takes a plan in: allocates its buffers and prepares everything that a step needs.
    fn load(&mut self, plan: Plan) -> Result<Program, EngineError>;

    /// Gives a program's memory back, once its submitted steps are over; what they left may still be collected. The program is
    /// unknown from then on. Banks stay.
    ///
    /// # Errors
    /// [`EngineError::Kernel`], where there is no such program; the device's, and its memory is given back all the same.
    fn unload(&mut self, program: Program) -> Result<(), EngineError>;

    /// Sets an input (unsigned or the bits of floating-point numbers) for the next submissions. The number of words
    /// must be the tensor's.
    fn write(&mut self, program: Program, input: Tensor, words: &[u32]);

    /// Starts one step. Does not wait for it. With `fetch`, [`Engine::collect`] will give the outputs.
    fn submit(&mut self, program: Program, state: &StepState, fetch: bool) -> Result<(), EngineError>;

    /// The oldest step's outputs that have not been collected: `None` if there are none, or if they are not ready
    /// yet and `wait` is not set. An engine that cannot wait gives `None` while [`Engine::under_way`] is not 0.
    fn collect(&mut self, wait: bool) -> Result<Option<Fetched>, EngineError>;

    /// Of an engine that cannot wait, as in a browser, whose page and devices stand still while anything does: submissions whose
    /// outputs were not collected. 0 of one that can; [`collect`](super::collect) is for both.
    fn under_way(&self) -> usize {
        0
    }

    /// Reads a whole bank; waits for submitted steps. One that was never used is zero.
    fn read_bank(&mut self, bank: Bank) -> Result<Vec<f32>, EngineError>;

    /// [`Engine::read_bank`] of an engine that cannot wait: `None` until what was begun is there, and to be called again then.
    /// [`read_bank`](super::read_bank) is for both.
    fn poll_bank(&mut self, bank: Bank) -> Result<Option<Vec<f32>>, EngineError> {
        self.read_bank(bank).map(Some)
    }

    /// Gives everything back, as if new: no program that was loaded before is known any more, and the banks are zero.
    fn reset(&mut self);

    /// Overwrites a whole bank.
    fn write_bank(&mut self, bank: Bank, data: &[f32]) -> Result<(), EngineError>;

    /// Bytes of device memory that the engine holds.
    fn allocated(&self) -> usize;

    /// Seconds spent so far by each kind of operation; none where measuring would slow a step down.
    fn seconds_by_op(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}
