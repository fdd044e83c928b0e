//! A kernel against its CPU twin.

use super::gradient::weighted_loss;
use super::input::{Given, Input};
use super::{agreement, gpu, state};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, DType, Graph, GraphError, Tensor};
use leyden::math::unpack;
use leyden::op::DeviceTraits;
use leyden::plan::{Engine, Fetched, Plan, Target};
use std::cell::Cell;
use std::sync::Arc;

/// How far a kernel may be from its twin: |a - b| <= absolute + relative * |b|. Unsigned outputs must be equal.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    pub absolute: f32,
    pub relative: f32,
}

impl Tolerance {
    /// For what was made of halves: two neighbouring halves differ by a thousandth.
    pub const HALVES: Self = Self { absolute: 4e-3, relative: 4e-3 };

    /// This, or a difference of one in the last place of half precision where that is more: two values on either side of a
    /// border between two halves are rounded apart.
    fn or_half(self) -> Self {
        Self { absolute: self.absolute.max(6e-8), relative: self.relative.max(1.0 / 1024.0) }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { absolute: 1e-5, relative: 1e-4 }
    }
}

/// As [`check_with`] with the usual tolerance and three seeds.
pub fn check(name: &str, inputs: &[Input], build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>) {
    check_with(name, inputs, Tolerance::default(), &[1, 2, 3], build);
}

/// Builds a graph over `inputs`, runs it with the twins and on the device, and compares every output and all
/// banks afterwards. Where a parameter is among the inputs, then also the gradients of a random weighting of the
/// outputs. All that differs is listed.
///
/// # Panics
/// If anything differs, or does not run.
pub fn check_with(
    name: &str,
    inputs: &[Input],
    tolerance: Tolerance,
    seeds: &[u64],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
) {
    check_under(name, inputs, tolerance, seeds, Conditions::default(), build);
}

/// Picks the tensors of a graph that stay in single precision.
pub type Keep<'a> = &'a dyn Fn(&Graph) -> Vec<Tensor>;

/// What a kernel is checked under beside its inputs.
#[derive(Default, Clone, Copy)]
pub struct Conditions<'a> {
    /// Plans for a device with these traits, to try kernels that the tests' device would not be given.
    pub traits: Option<DeviceTraits>,
    /// Halves the graph before it is run ([`Graph::halve`]), but for the tensors that this picks and the outputs.
    pub keep: Option<Keep<'a>>,
}

impl Conditions<'_> {
    fn graph(&self, graph: &Graph, outputs: &[Tensor]) -> Graph {
        let mut graph = graph.clone();
        if let Some(keep) = self.keep {
            let kept: Vec<Tensor> = keep(&graph).into_iter().chain(outputs.iter().copied()).collect();
            graph.halve(&kept).unwrap_or_else(|error| panic!("{error}"));
        }
        graph
    }
}

/// As [`check_with`] under `conditions`.
///
/// # Panics
/// As [`check_with`].
pub fn check_under(
    name: &str,
    inputs: &[Input],
    tolerance: Tolerance,
    seeds: &[u64],
    conditions: Conditions<'_>,
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
) {
    let mut bad = Vec::new();
    for &seed in seeds {
        let mut given = Given::new(inputs, seed);
        let outputs = build(&mut given.graph, &given.tensors).unwrap_or_else(|error| panic!("{error}"));
        compare(&given, &outputs, tolerance, seed, "forward", conditions, &mut bad);
        let real = outputs.iter().any(|&t| given.graph.ty(t).dtype == DType::F32);
        if real && !given.parameters.is_empty() {
            let loss = weighted_loss(&mut given, &outputs, seed).unwrap_or_else(|error| panic!("{error}"));
            given.graph.backward(loss, |_| true).unwrap_or_else(|error| panic!("{error}"));
            compare(&given, &[], tolerance, seed, "backward", conditions, &mut bad);
        }
    }
    assert!(bad.is_empty(), "{name}: kernel and twin differ\ninputs {inputs:?}\n{}", bad.join("\n"));
}

/// As [`check_with`] in mixed precision: what the ops allow to be halves are halves, in the forward and the backward
/// part. Inputs that are to be halves are given as [`Input::half`]; weights become halves by themselves.
pub fn check_halves(
    name: &str,
    inputs: &[Input],
    tolerance: Tolerance,
    seeds: &[u64],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
) {
    check_passed(name, inputs, tolerance, seeds, build, |g, _| {
        g.halve(&[])?;
        let halves = g.values().iter().filter(|value| value.ty.dtype == DType::F16).count();
        assert!(halves > 0, "{name}: nothing is in half precision");
        Ok(())
    });
}

/// As [`check_with`] with everything fused that can be, in the forward and the backward part.
///
/// # Panics
/// As [`check_with`], and if nothing is fused.
pub fn check_fused(
    name: &str,
    inputs: &[Input],
    tolerance: Tolerance,
    seeds: &[u64],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
) {
    let fused = Cell::new(0);
    check_passed(name, inputs, tolerance, seeds, build, |g, keep| {
        let ops = |g: &Graph| g.nodes().iter().map(|node| format!("{:?}", node.op)).collect::<Vec<_>>();
        let before = ops(g);
        g.fuse(keep)?;
        fused.set(fused.get() + usize::from(ops(g) != before));
        Ok(())
    });
    assert!(fused.get() >= seeds.len(), "{name}: fused {} times in {} runs", fused.get(), 2 * seeds.len());
}

/// As [`check_with`] of graphs that `pass` was let loose on; it is told what is read of them.
pub fn check_passed(
    name: &str,
    inputs: &[Input],
    tolerance: Tolerance,
    seeds: &[u64],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
    pass: impl Fn(&mut Graph, &[Tensor]) -> Result<(), GraphError>,
) {
    let mut bad = Vec::new();
    for &seed in seeds {
        let built =
            |given: &mut Given| build(&mut given.graph, &given.tensors).unwrap_or_else(|error| panic!("{error}"));
        let passed =
            |given: &mut Given, keep: &[Tensor]| pass(&mut given.graph, keep).unwrap_or_else(|e| panic!("{e}"));
        let mut given = Given::new(inputs, seed);
        let outputs = built(&mut given);
        passed(&mut given, &outputs);
        compare(&given, &outputs, tolerance, seed, "forward", Conditions::default(), &mut bad);
        if !given.parameters.is_empty() {
            let mut given = Given::new(inputs, seed);
            let outputs = built(&mut given);
            let loss = weighted_loss(&mut given, &outputs, seed).unwrap_or_else(|error| panic!("{error}"));
            given.graph.backward(loss, |_| true).unwrap_or_else(|error| panic!("{error}"));
            passed(&mut given, &[]);
            compare(&given, &[], tolerance, seed, "backward", Conditions::default(), &mut bad);
        }
    }
    assert!(bad.is_empty(), "{name}: kernel and twin differ\ninputs {inputs:?}\n{}", bad.join("\n"));
}

fn compare(
    given: &Given,
    outputs: &[Tensor],
    tolerance: Tolerance,
    seed: u64,
    pass: &str,
    conditions: Conditions<'_>,
    bad: &mut Vec<String>,
) {
    let graph = Arc::new(conditions.graph(&given.graph, outputs));
    let len = graph.table().len();
    let mut cpu = CpuEngine::<f32>::new(len);
    let mut gpu = gpu(len);
    let traits = conditions.traits.unwrap_or(gpu.traits());
    let planned = |target| Plan::new(graph.clone(), outputs, target);
    let kernels = planned(Target::Gpu(traits));
    agreement::compare(&kernels, bad);
    if !bad.is_empty() {
        return;
    }
    let (expected, expected_banks) = run(&mut cpu, given, planned(Target::Cpu), seed);
    let (found, found_banks) = run(&mut gpu, given, kernels, seed);
    for (i, &output) in outputs.iter().enumerate() {
        let what = format!("seed {seed}, {pass}, output {i} {}", graph.ty(output));
        let wide = graph.ty(output).columns();
        match graph.ty(output).dtype {
            DType::F32 => differences(&what, wide, &found.real(i), &expected.real(i), tolerance, bad),
            DType::F16 => {
                let halves = |words: &[u32]| unpack(words).take(graph.ty(output).len()).collect::<Vec<f32>>();
                let (found, expected) = (halves(&found.outputs[i]), halves(&expected.outputs[i]));
                differences(&what, wide, &found, &expected, tolerance.or_half(), bad);
            }
            DType::U32 => {
                let wrong: Vec<String> = (0..expected.outputs[i].len())
                    .filter(|&j| found.outputs[i].get(j) != expected.outputs[i].get(j))
                    .map(|j| format!("[{j}] {:?} for {}", found.outputs[i].get(j), expected.outputs[i][j]))
                    .collect();
                report(&what, wrong, bad);
            }
        }
    }
    for (bank, (found, expected)) in Bank::ALL.iter().zip(found_banks.iter().zip(&expected_banks)) {
        if *bank == Bank::LossScale {
            differences(&format!("seed {seed}, {pass}, {}", bank.name()), 1, found, expected, tolerance, bad);
            continue;
        }
        for parameter in graph.table().parameters() {
            let what = format!("seed {seed}, {pass}, {} of {} {:?}", bank.name(), parameter.name, parameter.shape);
            let wide = parameter.shape.last().copied().unwrap_or(1);
            let range = parameter.range();
            differences(&what, wide, &found[range.clone()], &expected[range], tolerance, bad);
        }
    }
}

fn run(engine: &mut dyn Engine, given: &Given, plan: Plan, seed: u64) -> (Fetched, Vec<Vec<f32>>) {
    let bank: Vec<f32> = given.bank.iter().map(|&x| x as f32).collect();
    engine.write_bank(Bank::Parameters, &bank).unwrap_or_else(|error| panic!("writing failed: {error}"));
    let program = engine.load(plan).unwrap_or_else(|error| panic!("loading failed: {error}"));
    for (tensor, contents) in &given.inputs {
        engine.write(program, *tensor, &contents.words());
    }
    engine.submit(program, &state(seed), true).unwrap_or_else(|error| panic!("running failed: {error}"));
    let fetched = engine.collect(true).unwrap_or_else(|error| panic!("reading failed: {error}"));
    let fetched = fetched.expect("a step was submitted");
    let banks = Bank::ALL.map(|bank| engine.read_bank(bank).unwrap_or_else(|error| panic!("{error}")));
    (fetched, banks.to_vec())
}

fn differences(what: &str, wide: usize, found: &[f32], expected: &[f32], tolerance: Tolerance, bad: &mut Vec<String>) {
    if found.len() != expected.len() {
        bad.push(format!("  {what}: {} elements, expected {}", found.len(), expected.len()));
        return;
    }
    let close = |a: f32, b: f32| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance.absolute + tolerance.relative * b.abs()
    };
    let wrong: Vec<String> = (0..found.len())
        .filter(|&i| !close(found[i], expected[i]))
        .map(|i| format!("[{}, {}] {} for {}", i / wide.max(1), i % wide.max(1), found[i], expected[i]))
        .collect();
    report(what, wrong, bad);
}

/// One line for a tensor: how many are wrong, and the first few.
pub fn report(what: &str, wrong: Vec<String>, bad: &mut Vec<String>) {
    const SHOWN: usize = 6;
    if !wrong.is_empty() {
        let dots = if wrong.len() > SHOWN { ", ..." } else { "" };
        bad.push(format!("  {what}: {} wrong: {}{dots}", wrong.len(), wrong[..wrong.len().min(SHOWN)].join(", ")));
    }
}
