//! [`GpuEngine`]: loads plans, submits steps and hands their outputs back.

use super::command::{self, Pace};
use super::context::{Context, WAITS};
use super::pipelines::{Key, Pipelines};
use super::profile::Profiler;
use super::program::Loaded;
use super::readback::{self, Reading, Staging};
use super::{Adapter, AdapterInfo};
use crate::graph::{Bank, DType, Tensor, TensorType};
use crate::math::{pack, unpack};
use crate::op::{DeviceTraits, Dispatch, StepState};
use crate::plan::layout::{MOST_STAGING, size};
use crate::plan::{Engine, EngineError, Fetched, Limits, Plan, Program};
use std::collections::VecDeque;
use web_time::{Duration, Instant};

/// Most steps that may be queued: more would only make a pause or a stop late.
const MOST_RUNNING: usize = 4;

/// A step whose outputs are on their way.
#[derive(Debug)]
struct Pending {
    program: Program,
    step: u32,
    staging: usize,
    submission: wgpu::SubmissionIndex,
}

/// The buffers of the banks there are.
pub(super) type Banks = [Option<wgpu::Buffer>; Bank::ALL.len()];

/// The GPU engine: plans as compute dispatches over buffers that live as long as the engine.
#[derive(Debug)]
pub struct GpuEngine {
    pub(super) context: Context,
    pub(super) info: AdapterInfo,
    traits: DeviceTraits,
    pipelines: Pipelines,
    /// By [`Bank::index`]; none until used.
    banks: Banks,
    bank_len: usize,
    state: wgpu::Buffer,
    pub(super) step: wgpu::BindGroup,
    /// By [`Program`]; none where it was unloaded.
    programs: Vec<Option<Loaded>>,
    /// Where steps are being timed.
    pub(super) profiler: Option<Profiler>,
    running: VecDeque<wgpu::SubmissionIndex>,
    pending: VecDeque<Pending>,
    done: VecDeque<Fetched>,
    /// A bank that is being read by somebody who cannot wait.
    reading: Option<Reading>,
    encoding: Duration,
    pace: Pace,
}

impl GpuEngine {
    /// An engine on `adapter` whose banks have `bank_len` elements ([`crate::graph::ParameterTable::len`]).
    ///
    /// # Errors
    /// [`EngineError::NoDevice`] where the driver gives no device, [`EngineError::Limit`] where a bank is larger than a
    /// buffer may be.
    pub async fn new_async(adapter: &Adapter, bank_len: usize) -> Result<Self, EngineError> {
        let mut context = Context::new(adapter).await?;
        let pipelines = Pipelines::new(&context)?;
        let what = || "a bank of all parameters, in bytes,".to_string();
        context.within(what, bank_len as u64 * 4, context.limits.max_buffer_size)?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let state = context.buffer("step", size_of::<StepState>() as u64, usage)?;
        let step = context.guarded("the step's state", || {
            let entries = [wgpu::BindGroupEntry { binding: 0, resource: state.as_entire_binding() }];
            let layout = &pipelines.step_layout;
            let descriptor = wgpu::BindGroupDescriptor { label: Some("step"), layout, entries: &entries };
            context.device.create_bind_group(&descriptor)
        })?;
        let pace = Pace::new(context.software, WAITS);
        Ok(Self {
            context,
            pace,
            info: adapter.info().clone(),
            traits: adapter.info().traits(),
            pipelines,
            banks: Banks::default(),
            bank_len,
            state,
            step,
            programs: Vec::new(),
            profiler: None,
            running: VecDeque::new(),
            pending: VecDeque::new(),
            done: VecDeque::new(),
            reading: None,
            encoding: Duration::ZERO,
        })
    }

    /// The adapter it runs on.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What a plan for this engine has to know: [`crate::plan::Target::Gpu`] of it.
    pub fn traits(&self) -> DeviceTraits {
        self.traits
    }

    /// Replaces [`Self::traits`], as by those that name the fastest kernels.
    pub fn set_traits(&mut self, traits: DeviceTraits) {
        self.traits = traits;
    }

    /// CPU time spent on recording commands since the last call. The driver's own work while submitting is not in it: a
    /// software driver computes the whole step there.
    pub fn take_encoding_time(&mut self) -> Duration {
        std::mem::take(&mut self.encoding)
    }

    /// Begins to compile what these dispatches need, on another thread; a plan that has them waits for it.
    pub(crate) fn compile(&mut self, dispatches: &[Dispatch]) {
        let keys: Vec<Key> = dispatches.iter().map(Key::new).collect();
        self.pipelines.begin(&self.context, &keys);
    }

    /// Waits until everything that was submitted is done.
    pub(crate) fn wait(&self) -> Result<(), EngineError> {
        self.context.wait(None)
    }

    /// What went wrong since the last call, if anything.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.context.check()
    }

    /// The program, if it is one of this engine's.
    pub(super) fn loaded(&self, program: Program) -> Result<&Loaded, EngineError> {
        self.programs.get(program.0).and_then(Option::as_ref).ok_or_else(|| self.unknown(program))
    }

    fn unknown(&self, program: Program) -> EngineError {
        self.context.refused(format!("program {}", program.0), "it is not loaded into this engine")
    }

    /// Sets what the step's kernels find in group 1, for the next submission.
    pub(super) fn set_state(&self, state: &StepState) {
        self.context.queue.write_buffer(&self.state, 0, bytemuck::bytes_of(state));
    }

    /// A free buffer of the program's ring; waits for the oldest outputs if all are on their way.
    fn staging(&mut self, program: Program) -> Result<usize, EngineError> {
        loop {
            let Some(Some(loaded)) = self.programs.get_mut(program.0) else { return Err(self.unknown(program)) };
            if let Some(free) = loaded.staging.iter().position(Staging::idle) {
                return Ok(free);
            }
            let count = loaded.staging.len();
            if count < MOST_STAGING || !WAITS {
                loaded.staging.push(Staging::new(&mut self.context, &loaded.plan)?);
                return Ok(count);
            }
            match self.finish(true)? {
                Some(oldest) => self.done.push_back(oldest),
                None => return Err(self.context.refused("the readback", "its buffers are in use for no step")),
            }
        }
    }

    /// The oldest step's outputs that are on their way, if they are there.
    fn finish(&mut self, wait: bool) -> Result<Option<Fetched>, EngineError> {
        let Some(front) = self.pending.front() else { return Ok(None) };
        if wait {
            self.context.wait(Some(front.submission.clone()))?;
        } else {
            self.context.poll(wgpu::PollType::Poll)?;
        }
        let loaded = self.loaded(front.program)?;
        let Some(outputs) = loaded.staging[front.staging].take(&self.context, &loaded.plan)? else {
            let missing = || self.context.refused("the readback", "the step is over but its outputs are not there");
            return if wait && WAITS { Err(missing()) } else { Ok(None) };
        };
        let fetched = Fetched { program: front.program, step: front.step, outputs };
        self.pending.pop_front();
        Ok(Some(fetched))
    }

    /// Waits until nothing that was written to or submitted of the program is under way. Outputs wait to be collected.
    fn finish_all(&mut self, program: Program) -> Result<(), EngineError> {
        while WAITS && self.pending.iter().any(|pending| pending.program == program) {
            let oldest = self.finish(true)?;
            self.done.extend(oldest);
        }
        // Takes along what was written and no step has used.
        let submission = self.context.queue.submit([]);
        self.context.wait(Some(submission))
    }

    /// The buffer of a bank, made where there is none yet.
    fn bank(&mut self, bank: Bank) -> Result<wgpu::Buffer, EngineError> {
        if let Some(buffer) = &self.banks[bank.index()] {
            return Ok(buffer.clone());
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = self.context.buffer(bank.name(), bank.ty(self.bank_len).bytes() as u64, usage)?;
        self.banks[bank.index()] = Some(buffer.clone());
        Ok(buffer)
    }

    fn load_with_banks(&mut self, plan: Plan) -> Result<Loaded, EngineError> {
        let (found, expected) = (plan.graph().table().len(), self.bank_len);
        if found != expected {
            return Err(EngineError::Size { what: "the table of parameters".into(), found, expected });
        }
        if !self.info.f16 && plan.graph().values().iter().any(|value| value.ty.dtype == DType::F16) {
            return Err(EngineError::NoHalves { adapter: self.info.to_string() });
        }
        for bank in plan.banks() {
            self.bank(bank)?;
        }
        Loaded::new(&mut self.context, &mut self.pipelines, &self.banks, &self.step, plan)
    }
}

/// A bank's words as numbers.
fn numbers(ty: &TensorType, words: Vec<u32>) -> Vec<f32> {
    match ty.dtype {
        DType::F16 => unpack(&words).take(ty.len()).collect(),
        _ => bytemuck::cast_vec(words),
    }
}

impl Engine for GpuEngine {
    fn describe(&self) -> String {
        self.info.to_string()
    }

    fn limits(&self) -> Limits {
        self.info.limits()
    }

    fn load(&mut self, plan: Plan) -> Result<Program, EngineError> {
        self.context.check()?;
        let before = (self.context.allocated, self.banks.clone());
        let loaded = self.load_with_banks(plan).inspect_err(|_| (self.context.allocated, self.banks) = before)?;
        self.programs.push(Some(loaded));
        Ok(Program(self.programs.len() - 1))
    }

    fn unload(&mut self, program: Program) -> Result<(), EngineError> {
        self.loaded(program)?;
        let finished = self.finish_all(program);
        self.pending.retain(|pending| pending.program != program);
        if let Some(loaded) = self.programs.get_mut(program.0).and_then(Option::take) {
            self.context.allocated -= loaded.bytes();
        }
        finished
    }

    fn write(&mut self, program: Program, input: Tensor, words: &[u32]) {
        let loaded = match self.loaded(program) {
            Ok(loaded) => loaded,
            Err(error) => return self.context.record(error),
        };
        let Some(region) = loaded.plan.region(input) else { return };
        if words.len() != region.len {
            let name = &loaded.plan.graph().values()[input.index()].name;
            let (found, expected) = (words.len(), region.len);
            return self.context.record(EngineError::Size { what: format!("input {name:?}"), found, expected });
        }
        let (buffer, offset) = loaded.place(region);
        self.context.queue.write_buffer(buffer, offset, bytemuck::cast_slice(words));
    }

    fn submit(&mut self, program: Program, state: &StepState, fetch: bool) -> Result<(), EngineError> {
        self.context.check()?;
        self.loaded(program)?;
        while self.running.len() >= MOST_RUNNING {
            self.context.wait(self.running.pop_front())?;
        }
        let staging = if fetch { Some(self.staging(program)?) } else { None };
        self.set_state(state);
        let (mut profiler, mut pace) = (self.profiler.take(), self.pace.clone());
        let loaded = self.loaded(program)?;
        let (mut last, mut encoding, mut begin) = (None, Duration::ZERO, 0);
        while begin < loaded.commands.len() || last.is_none() {
            let (count, work) = command::next_submission(&loaded.commands[begin..], pace.most());
            let range = begin..begin + count;
            begin = range.end;
            let start = Instant::now();
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            match &mut profiler {
                None => command::record(&mut encoder, &loaded.commands[range], &self.step),
                Some(profiler) => {
                    profiler.record(&self.context, &mut encoder, (program, loaded), range, &self.step)?;
                }
            }
            if let Some(staging) = staging.filter(|_| begin == loaded.commands.len()) {
                loaded.staging[staging].record(&mut encoder, loaded);
            }
            let commands = encoder.finish();
            encoding += start.elapsed();
            // Timestamps take time themselves, and without any each command has been waited for already.
            let timed = profiler.is_none() && pace.wants(work);
            if timed {
                // Nothing before it counts.
                self.context.wait(None)?;
            }
            let start = Instant::now();
            let submission = self.context.queue.submit([commands]);
            if timed {
                self.context.wait(Some(submission.clone()))?;
                pace.read(work, start.elapsed());
            }
            last = Some(submission);
        }
        self.pace = pace;
        self.encoding += encoding;
        self.profiler = profiler;
        if let Some(submission) = last {
            self.running.push_back(submission.clone());
            if let Some(staging) = staging {
                self.pending.push_back(Pending { program, step: state.step, staging, submission });
            }
        }
        self.context.check()
    }

    fn collect(&mut self, wait: bool) -> Result<Option<Fetched>, EngineError> {
        self.context.check()?;
        match self.done.pop_front() {
            Some(fetched) => Ok(Some(fetched)),
            None => self.finish(wait),
        }
    }

    fn read_bank(&mut self, bank: Bank) -> Result<Vec<f32>, EngineError> {
        self.context.check()?;
        let ty = bank.ty(self.bank_len);
        let Some(buffer) = self.banks[bank.index()].clone() else { return Ok(vec![0.0; ty.len()]) };
        let words = readback::read(&mut self.context, &buffer, ty.words() as u64 * 4)?;
        Ok(numbers(&ty, words))
    }

    fn under_way(&self) -> usize {
        if WAITS { 0 } else { self.pending.len() + self.done.len() }
    }

    fn poll_bank(&mut self, bank: Bank) -> Result<Option<Vec<f32>>, EngineError> {
        if WAITS {
            return self.read_bank(bank).map(Some);
        }
        self.context.check()?;
        let ty = bank.ty(self.bank_len);
        let Some(buffer) = self.banks[bank.index()].clone() else { return Ok(Some(vec![0.0; ty.len()])) };
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => Reading::begin(&mut self.context, &buffer, ty.words() as u64 * 4)?,
        };
        match reading.advance(&self.context)? {
            Some(words) => Ok(Some(numbers(&ty, words))),
            None => {
                self.reading = Some(reading);
                Ok(None)
            }
        }
    }

    fn write_bank(&mut self, bank: Bank, data: &[f32]) -> Result<(), EngineError> {
        self.context.check()?;
        let ty = bank.ty(self.bank_len);
        if data.len() != ty.len() {
            let (found, expected) = (data.len(), ty.len());
            return Err(EngineError::Size { what: format!("the bank of {}", bank.name()), found, expected });
        }
        let buffer = self.bank(bank)?;
        match ty.dtype {
            DType::F16 => readback::write(&self.context, &buffer, bytemuck::cast_slice(&pack(data))),
            _ => readback::write(&self.context, &buffer, bytemuck::cast_slice(data)),
        }
    }

    fn reset(&mut self) {
        self.programs.clear();
        self.profiler = None;
        self.running.clear();
        self.pending.clear();
        self.done.clear();
        self.reading = None;
        self.banks = Banks::default();
        self.context.allocated = size(size_of::<StepState>() as u64);
        // Buffers go when the device has nothing left to do with them; a fault is told by the next call.
        if let Err(error) = self.context.wait(None) {
            self.context.record(error);
        }
    }

    fn allocated(&self) -> usize {
        self.context.allocated as usize
    }
}
