//! Runs a plan with the CPU twins.

use super::threads::{self, Pace};
use crate::graph::{Bank, DType, Graph, Tensor, TensorType};
use crate::math::{Real, pack, parallel, unpack};
use crate::numbers::counted;
use crate::op::{Op, StepState, Twin, View, ViewMut};
use crate::plan::{Engine, EngineError, Fetched, Kind, Limits, Plan, Program, Region, Step, Timed};
use half::{f16, slice::HalfFloatSliceExt as _};
use std::collections::{BTreeMap, VecDeque};
use web_time::Instant;

/// A precision the twins run in.
pub trait Precision: Real {
    /// Runs an op's twin.
    fn run(op: &dyn Op, t: Twin<'_, Self>);
}

impl Precision for f32 {
    fn run(op: &dyn Op, t: Twin<'_, f32>) {
        op.twin_f32(t);
    }
}

impl Precision for f64 {
    fn run(op: &dyn Op, t: Twin<'_, f64>) {
        op.twin_f64(t);
    }
}

/// Memory for one buffer; unsigned tensors use the first half of their elements in double precision.
type Memory<R> = Vec<R>;

struct Loaded<R> {
    plan: Plan,
    /// By buffer; empty for banks.
    memory: Vec<Memory<R>>,
    pace: Pace,
}

/// The CPU engine: all cores that are free, the twins of [`crate::ops`], single precision unless asked otherwise.
pub struct CpuEngine<R: Precision = f32> {
    /// By [`Bank::index`]; empty until used.
    banks: [Memory<R>; Bank::ALL.len()],
    bank_len: usize,
    /// By [`Program`]; none where it was unloaded.
    programs: Vec<Option<Loaded<R>>>,
    done: VecDeque<Fetched>,
    /// Seconds by op since the engine was made.
    seconds: BTreeMap<&'static str, f64>,
    /// Where steps are being timed.
    profile: Option<Profile>,
    /// What was wrong with a write; the next submission tells.
    fault: Option<EngineError>,
}

/// What came of timing steps.
struct Profile {
    since: Instant,
    steps: usize,
    timed: Vec<Timed>,
}

/// A program that is not there.
fn unknown(program: Program) -> EngineError {
    EngineError::Kernel {
        adapter: "the CPU engine".into(),
        what: format!("program {}", program.0),
        reason: "it is not loaded into this engine".into(),
    }
}

impl<R: Precision> CpuEngine<R> {
    /// An engine whose banks have `len` elements.
    pub fn new(len: usize) -> Self {
        Self {
            banks: Default::default(),
            bank_len: len,
            programs: Vec::new(),
            done: VecDeque::new(),
            seconds: BTreeMap::new(),
            profile: None,
            fault: None,
        }
    }

    /// A bank's contents.
    pub fn bank(&mut self, bank: Bank) -> &mut Vec<R> {
        let memory = &mut self.banks[bank.index()];
        memory.resize(bank.ty(self.bank_len).len(), R::ZERO);
        memory
    }

    fn loaded(&self, program: Program) -> Result<&Loaded<R>, EngineError> {
        self.programs.get(program.0).and_then(Option::as_ref).ok_or_else(|| unknown(program))
    }

    /// The program to write to; that there is none is told by the next submission.
    fn writable(&mut self, program: Program) -> Option<&mut Loaded<R>> {
        let found = self.programs.get_mut(program.0).and_then(Option::as_mut);
        if found.is_none() {
            self.fault.get_or_insert(unknown(program));
        }
        found
    }

    /// A floating-point tensor's contents after a step; a tensor that is no output may have been overwritten. Nothing of a
    /// program that is not loaded.
    pub fn real(&self, program: Program, tensor: Tensor) -> Vec<R> {
        let Ok(loaded) = self.loaded(program) else { return Vec::new() };
        let Some(r) = loaded.plan.region(tensor) else { return Vec::new() };
        let memory = match loaded.plan.buffers()[r.buffer].kind {
            Kind::Bank(bank) => &self.banks[bank.index()],
            _ => &loaded.memory[r.buffer],
        };
        memory[r.offset..r.offset + r.len].to_vec()
    }

    /// Sets a floating-point input in the engine's own precision.
    pub fn write_real(&mut self, program: Program, input: Tensor, data: &[R]) {
        let Some(loaded) = self.writable(program) else { return };
        if let Some(r) = loaded.plan.region(input) {
            loaded.memory[r.buffer][..r.len].copy_from_slice(data);
        }
    }

    fn words(&self, program: Program, tensor: Tensor) -> Vec<u32> {
        let Ok(loaded) = self.loaded(program) else { return Vec::new() };
        match loaded.plan.graph().ty(tensor).dtype {
            DType::F32 => self.real(program, tensor).iter().map(|x| (x.wide() as f32).to_bits()).collect(),
            DType::F16 => pack(&self.real(program, tensor).iter().map(|x| x.wide() as f32).collect::<Vec<_>>()),
            DType::U32 => {
                let Some(r) = loaded.plan.region(tensor) else { return Vec::new() };
                bytemuck::cast_slice::<R, u32>(&loaded.memory[r.buffer])[..r.len].to_vec()
            }
        }
    }

    /// From now on every step that is submitted is timed, call by call, until [`CpuEngine::take_profile`].
    pub fn begin_profile(&mut self) {
        self.profile = Some(Profile { since: Instant::now(), steps: 0, timed: Vec::new() });
    }

    /// When each call of the steps since [`CpuEngine::begin_profile`] ran, in order. Empty if it was not called.
    pub fn take_profile(&mut self) -> Vec<Timed> {
        self.profile.take().map_or(Vec::new(), |profile| profile.timed)
    }

    /// Runs one step and returns the seconds of each of [`Plan::steps`] in order, with the op's name, or "copy".
    fn times(&mut self, program: Program, state: &StepState) -> Result<Vec<(&'static str, f64)>, EngineError> {
        let mut times = Vec::with_capacity(self.loaded(program)?.plan.steps().len());
        let mut last = Instant::now();
        let threads = self.loaded(program)?.pace.threads();
        threads::run(threads, || {
            self.run(program, state, |name| {
                let now = Instant::now();
                times.push((name, (now - last).as_secs_f64()));
                last = now;
            })
        })?;
        Ok(times)
    }

    /// Runs one step; `done` is told of every part of it.
    fn run(
        &mut self,
        program: Program,
        state: &StepState,
        mut done: impl FnMut(&'static str),
    ) -> Result<(), EngineError> {
        let Some(Some(Loaded { plan, memory, .. })) = self.programs.get_mut(program.0) else {
            return Err(unknown(program));
        };
        let graph = plan.graph().clone();
        // One base pointer a buffer: a node's tensors lie in different regions (the plan sees to it), but several may
        // be windows of one bank, which the borrow checker cannot split in one go.
        let mut bases: Vec<*mut R> = memory.iter_mut().map(|m| m.as_mut_ptr()).collect();
        for (base, bank) in bases.iter_mut().zip(plan.banks()) {
            *base = self.banks[bank.index()].as_mut_ptr();
        }
        for step in plan.steps() {
            match step {
                Step::Copy { from, to } => {
                    // SAFETY: both windows lie inside their buffers, and a plan copies between different regions.
                    unsafe {
                        let (from, n) = (bases[from.buffer].add(from.offset), from.len);
                        std::ptr::copy(from, bases[to.buffer].add(to.offset), n);
                    }
                    done("copy");
                }
                Step::Run { node, .. } => {
                    let node = &graph.nodes()[*node];
                    let t = arguments(&graph, plan, &bases, &node.inputs, &node.outputs, node.op.in_place(), state);
                    R::run(&*node.op, t);
                    round(&graph, plan, &bases, &node.outputs);
                    done(node.op.name());
                }
            }
        }
        Ok(())
    }
}

/// The slices of one node. The lifetime is that of the buffers, which outlive the call.
fn arguments<'a, R: Precision>(
    graph: &'a Graph,
    plan: &Plan,
    bases: &[*mut R],
    inputs: &[Tensor],
    outputs: &[Tensor],
    in_place: &[(usize, usize)],
    state: &StepState,
) -> Twin<'a, R> {
    let place = |t: Tensor| -> (Region, &'a TensorType) {
        let region = plan.region(t).unwrap_or(Region { buffer: 0, offset: 0, len: 0 });
        (region, graph.ty(t))
    };
    // SAFETY: regions lie inside their buffers; outputs are disjoint from each other and from every input that the
    // op may look at. An input that is worked on in place is given as an empty slice, so nothing is aliased.
    let view = |(i, &t): (usize, &Tensor)| unsafe {
        let (r, ty) = place(t);
        let len = if in_place.iter().any(|&(input, _)| input == i) { 0 } else { r.len };
        let base = bases[r.buffer].add(r.offset);
        match ty.dtype {
            DType::F32 | DType::F16 => View::Real(std::slice::from_raw_parts(base, len)),
            DType::U32 => View::Int(std::slice::from_raw_parts(base.cast(), len)),
        }
    };
    let view_mut = |&t: &Tensor| unsafe {
        let (r, ty) = place(t);
        let base = bases[r.buffer].add(r.offset);
        match ty.dtype {
            DType::F32 | DType::F16 => ViewMut::Real(std::slice::from_raw_parts_mut(base, r.len)),
            DType::U32 => ViewMut::Int(std::slice::from_raw_parts_mut(base.cast(), r.len)),
        }
    };
    Twin {
        inputs: inputs.iter().enumerate().map(view).collect(),
        outputs: outputs.iter().map(view_mut).collect(),
        input_types: inputs.iter().map(|&t| graph.ty(t)).collect(),
        output_types: outputs.iter().map(|&t| graph.ty(t)).collect(),
        step: *state,
        products: graph.products(),
    }
}

/// Rounds a node's outputs of half precision to what a device would keep of them.
fn round<R: Precision>(graph: &Graph, plan: &Plan, bases: &[*mut R], outputs: &[Tensor]) {
    for &output in outputs.iter().filter(|&&t| graph.ty(t).dtype == DType::F16) {
        let Some(r) = plan.region(output) else { continue };
        // SAFETY: the region lies inside its buffer, and nothing else looks at it between two nodes.
        let values = unsafe { std::slice::from_raw_parts_mut(bases[r.buffer].add(r.offset), r.len) };
        parallel::rows(values, 1, |_, values| {
            const PIECE: usize = 512;
            let (mut single, mut halves) = ([0.0f32; PIECE], [f16::ZERO; PIECE]);
            for values in values.chunks_mut(PIECE) {
                let (single, halves) = (&mut single[..values.len()], &mut halves[..values.len()]);
                single.iter_mut().zip(&*values).for_each(|(s, x)| *s = x.wide() as f32);
                halves.convert_from_f32_slice(single);
                halves.convert_to_f32_slice(single);
                values.iter_mut().zip(&*single).for_each(|(x, &s)| *x = R::of(f64::from(s)));
            }
        });
    }
}

impl<R: Precision> Engine for CpuEngine<R> {
    fn describe(&self) -> String {
        format!("CPU ({})", counted(rayon::current_num_threads() as u64, "thread"))
    }

    /// Three quarters of the machine's memory: the rest is the system's, the text's and the batches'. The same on every
    /// day, so that a run is worked through in the same parts.
    fn limits(&self) -> Limits {
        Limits { buffer: isize::MAX as u64, binding: u64::MAX, memory: super::memory().map(|bytes| bytes / 4 * 3) }
    }

    fn load(&mut self, plan: Plan) -> Result<Program, EngineError> {
        // Memory is given out before it is there: ask first, or the system ends the program half-way.
        let missing = plan.banks().filter(|bank| self.banks[bank.index()].is_empty());
        let banks: u64 = missing.map(|bank| bank.ty(self.bank_len).len() as u64).sum();
        let elements = banks + plan.bytes(|kind| !matches!(kind, Kind::Bank(_))) / 4;
        let wanted = self.allocated() as u64 + elements * size_of::<R>() as u64;
        if super::memory().is_some_and(|there| wanted > there) {
            return Err(EngineError::OutOfMemory { adapter: self.describe(), needed: wanted >> 20 });
        }
        for bank in plan.banks() {
            self.bank(bank);
        }
        let memory = plan.buffers().iter().map(|b| match b.kind {
            Kind::Bank(_) => Vec::new(),
            _ => vec![R::ZERO; b.len],
        });
        let memory = memory.collect();
        self.programs.push(Some(Loaded { plan, memory, pace: Pace::new() }));
        Ok(Program(self.programs.len() - 1))
    }

    fn unload(&mut self, program: Program) -> Result<(), EngineError> {
        let loaded = self.programs.get_mut(program.0).and_then(Option::take);
        loaded.map(drop).ok_or_else(|| unknown(program))
    }

    fn write(&mut self, program: Program, input: Tensor, words: &[u32]) {
        let Some(loaded) = self.writable(program) else { return };
        let Some(r) = loaded.plan.region(input) else { return };
        let memory = &mut loaded.memory[r.buffer];
        match loaded.plan.graph().ty(input).dtype {
            DType::U32 => bytemuck::cast_slice_mut::<R, u32>(memory)[..r.len].copy_from_slice(words),
            DType::F16 => {
                for (m, x) in memory[..r.len].iter_mut().zip(unpack(words)) {
                    *m = R::of(f64::from(x));
                }
            }
            DType::F32 => {
                for (m, &w) in memory.iter_mut().zip(words) {
                    *m = R::of(f64::from(f32::from_bits(w)));
                }
            }
        }
    }

    fn submit(&mut self, program: Program, state: &StepState, fetch: bool) -> Result<(), EngineError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let start = Instant::now();
        let times = self.times(program, state)?;
        if let Some(Some(loaded)) = self.programs.get_mut(program.0) {
            loaded.pace.step(start.elapsed().as_secs_f64());
        }
        for &(op, seconds) in &times {
            *self.seconds.entry(op).or_default() += seconds;
        }
        if let Some(Profile { since, steps, timed }) = &mut self.profile {
            // Each call begins where the one before ended.
            let (mut end, submission) = ((start - *since).as_secs_f64(), *steps);
            timed.extend(times.into_iter().enumerate().map(|(call, (name, seconds))| {
                let begin = end;
                end += seconds;
                Timed { program, call, name, submission, span: Some(begin..end) }
            }));
            *steps += 1;
        }
        if fetch {
            let outputs = self.loaded(program)?.plan.outputs().to_vec();
            let outputs = outputs.into_iter().map(|t| self.words(program, t)).collect();
            self.done.push_back(Fetched { program, step: state.step, outputs });
        }
        Ok(())
    }

    fn collect(&mut self, _wait: bool) -> Result<Option<Fetched>, EngineError> {
        Ok(self.done.pop_front())
    }

    fn read_bank(&mut self, bank: Bank) -> Result<Vec<f32>, EngineError> {
        let memory = &self.banks[bank.index()];
        if memory.is_empty() {
            return Ok(vec![0.0; bank.ty(self.bank_len).len()]);
        }
        Ok(memory.iter().map(|x| x.wide() as f32).collect())
    }

    fn write_bank(&mut self, bank: Bank, data: &[f32]) -> Result<(), EngineError> {
        for (b, &x) in self.bank(bank).iter_mut().zip(data) {
            *b = R::of(f64::from(x));
        }
        Ok(())
    }

    fn reset(&mut self) {
        *self = Self::new(self.bank_len);
    }

    fn allocated(&self) -> usize {
        let banks: usize = self.banks.iter().map(Vec::len).sum();
        let programs: usize = self.programs.iter().flatten().flat_map(|p| &p.memory).map(Vec::len).sum();
        (banks + programs) * size_of::<R>()
    }

    fn seconds_by_op(&self) -> Vec<(&'static str, f64)> {
        self.seconds.iter().map(|(&op, &seconds)| (op, seconds)).collect()
    }
}
