//! The engine's own behaviour, on the tests' device: a software driver unless `LEYDEN_TEST_DEVICE` names another.

use super::command::next_submission;
use super::context::Context;
use super::profile::Timestamps;
use super::shaders::SHARED;
use super::*;
use crate::graph::{Bank, DType, Graph, GraphError, Initialization, Node, ParameterTable, Tensor, TensorType};
use crate::math::{Real, uniform};
use crate::op::{DeviceTraits, Dispatch, Op, Shapes, StepState, Twin};
use crate::ops;
use crate::plan::{Engine, EngineError, Plan, Program, Target};
use std::sync::Arc;

fn device() -> Adapter {
    let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
    let adapter = choose(&Choice::Named(name)).unwrap_or_else(|error| panic!("{error}; install mesa-vulkan-drivers"));
    adapter.expect("a named choice")
}

fn engine(bank_len: usize) -> GpuEngine {
    GpuEngine::new(&device(), bank_len).expect("an engine")
}

fn table(shapes: &[&[usize]]) -> Arc<ParameterTable> {
    let spec = |(i, shape): (usize, &&[usize])| (format!("p{i}"), shape.to_vec(), true, Initialization::Zeros);
    Arc::new(ParameterTable::new(shapes.iter().enumerate().map(spec).collect()))
}

/// `x + value`, with x an input of `n` elements.
fn adds(n: usize, value: f32, table: Arc<ParameterTable>) -> (Arc<Graph>, Tensor, Tensor) {
    let mut g = Graph::new(table);
    let x = g.input("x", DType::F32, &[n]);
    let c = ops::constant(&mut g, value, &[n]).expect("a constant");
    let y = ops::add(&mut g, c, x).expect("a sum");
    (Arc::new(g), x, y)
}

fn load(engine: &mut GpuEngine, n: usize, value: f32) -> (Program, Tensor) {
    let (graph, x, y) = adds(n, value, table(&[&[64]]));
    let plan = Plan::new(graph, &[y], Target::Gpu(engine.traits()));
    (engine.load(plan).expect("a program"), x)
}

fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn at(step: u32) -> StepState {
    StepState { step, ..StepState::default() }
}

#[test]
fn steps_come_back_in_order_however_many_are_queued() {
    let mut engine = engine(128);
    let (a, x) = load(&mut engine, 5, 1.0);
    let (b, z) = load(&mut engine, 3, 100.0);
    assert_eq!(engine.collect(true), Ok(None));
    for step in 0..11 {
        let (program, input, n) = if step % 3 == 0 { (b, z, 3) } else { (a, x, 5) };
        engine.write(program, input, &words(&vec![step as f32; n]));
        engine.submit(program, &at(step), true).expect("submitted");
        engine.submit(program, &at(99), false).expect("submitted");
    }
    for step in 0..11 {
        let fetched = engine.collect(true).expect("no error").expect("a step");
        let (program, n, c) = if step % 3 == 0 { (b, 3, 100.0) } else { (a, 5, 1.0) };
        assert_eq!((fetched.program, fetched.step), (program, step));
        assert_eq!(fetched.real(0), vec![step as f32 + c; n]);
    }
    assert_eq!(engine.collect(false), Ok(None));
}

#[test]
fn long_plans_are_split_and_copies_keep_their_place() {
    let (n, rounds) = (3, 400);
    let mut g = Graph::new(table(&[&[64]]));
    let x = g.input("x", DType::F32, &[n]);
    let one = ops::constant(&mut g, 1.0, &[n]).expect("a constant");
    let (mut sum, mut outputs) = (x, Vec::new());
    for round in 0..rounds {
        sum = ops::add(&mut g, sum, one).expect("a sum");
        if round % 100 == 0 {
            // An output is still needed when the next sum takes it over: a copy.
            outputs.push(sum);
        }
    }
    outputs.push(sum);
    let mut engine = engine(128);
    let plan = Plan::new(Arc::new(g), &outputs, Target::Gpu(engine.traits()));
    let calls = plan.calls();
    assert_eq!(calls.iter().filter(|call| call.node.is_none() && call.bytes == 2 * 4 * n as u64).count(), 5);
    let program = engine.load(plan).expect("a program");
    let commands = &engine.loaded(program).expect("loaded").commands;
    let first = next_submission(commands, u64::MAX).0;
    assert!(first < commands.len() && next_submission(&commands[first..], u64::MAX).0 == commands.len() - first);
    engine.write(program, x, &words(&[0.0, 1.0, 2.0]));
    engine.submit(program, &at(0), true).expect("submitted");
    let fetched = engine.collect(true).expect("no error").expect("a step");
    for (i, expected) in [1.0, 101.0, 201.0, 301.0, 400.0].into_iter().enumerate() {
        assert_eq!(fetched.real(i), [expected, expected + 1.0, expected + 2.0]);
    }

    // Steps that are profiled, more calls than a set has timestamps for, compute the same and are the plan's calls.
    let most = engine.context.timestamps;
    let steps = 6;
    for timestamps in [Timestamps::Everywhere, Timestamps::Passes, Timestamps::None] {
        if timestamps > most {
            continue;
        }
        engine.context.timestamps = timestamps;
        engine.begin_profile();
        for step in 0..steps {
            engine.submit(program, &at(step), true).expect("submitted");
        }
        let timed = engine.take_profile().expect("a profile");
        for _ in 0..steps {
            assert_eq!(engine.collect(true).expect("no error").expect("a step").outputs, fetched.outputs);
        }
        assert_eq!(timed.len(), steps as usize * calls.len());
        let (mut end, mut submissions) = (0.0, Vec::new());
        for (t, (i, call)) in timed.iter().zip(calls.iter().enumerate().cycle()) {
            assert_eq!((t.program, t.call, t.name), (program, i, call.name));
            submissions.push(t.submission);
            let timed = call.node.is_some() || timestamps != Timestamps::Passes;
            assert_eq!(t.span.is_some(), timed, "{timestamps:?}: {t:?}");
            if let Some(span) = &t.span {
                assert!(end <= span.start && span.start <= span.end, "{timestamps:?}: {t:?} begins before {end}");
                end = span.end;
            }
        }
        // Each step has two, or where each command is waited for, one a command.
        submissions.dedup();
        let each = if timestamps == Timestamps::None { calls.len() } else { 2 };
        assert_eq!(submissions, (0..steps as usize * each).collect::<Vec<_>>());
        assert_eq!(engine.times_inside_passes(), timestamps == Timestamps::Everywhere);
    }
}

#[test]
fn an_engine_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<GpuEngine>();
}

#[test]
fn allocates_what_the_plan_says_and_nothing_in_a_step() {
    let mut engine = engine(128);
    let banks = engine.allocated();
    assert_eq!(banks, size_of::<StepState>(), "a bank that nobody needs");
    let (graph, x, y) = adds(1_000, 1.0, table(&[&[64]]));
    let plan = Plan::new(graph, &[y], Target::Gpu(engine.traits()));
    let planned = plan.bytes(|kind| !matches!(kind, crate::plan::Kind::Bank(_))) as usize;
    let program = engine.load(plan).expect("a program");
    // Two dispatches with uniforms of their own.
    assert_eq!(engine.allocated(), banks + planned + 2 * 256);
    engine.write(program, x, &vec![0; 1_000]);
    engine.submit(program, &at(0), true).expect("submitted");
    let first = engine.allocated();
    assert_eq!(first, banks + planned + 2 * 256 + 4_000);
    for step in 1..5 {
        engine.collect(true).expect("no error").expect("a step");
        engine.submit(program, &at(step), true).expect("submitted");
    }
    assert_eq!(engine.allocated(), first);
}

#[test]
fn an_unloaded_program_leaves_the_others_and_what_it_computed() {
    let mut engine = engine(128);
    let (kept, x) = load(&mut engine, 5, 1.0);
    engine.write(kept, x, &words(&[2.0; 5]));
    engine.submit(kept, &at(0), true).expect("submitted");
    let before = engine.allocated();
    let (program, z) = load(&mut engine, 1_000, 2.0);
    engine.write(program, z, &words(&[3.0; 1_000]));
    for step in 1..4 {
        engine.submit(program, &at(step), true).expect("submitted");
    }
    engine.submit(kept, &at(4), false).expect("submitted");
    assert!(engine.allocated() > before + 5 * 4_000);
    engine.unload(program).expect("unloaded");
    assert_eq!(engine.allocated(), before);
    for (step, program, values) in [(0, kept, &[3.0; 5][..]), (1, program, &[5.0; 1_000]), (2, program, &[5.0; 1_000])]
    {
        let fetched = engine.collect(true).expect("no error").expect("a step");
        assert_eq!((fetched.program, fetched.step, fetched.real(0)), (program, step, values.to_vec()));
    }
    assert!(matches!(engine.submit(program, &at(5), true), Err(EngineError::Kernel { .. })));
    assert!(matches!(engine.profile(program, &at(5)), Err(EngineError::Kernel { .. })));
    // What was left of it comes before what is submitted now.
    engine.submit(kept, &at(6), true).expect("submitted");
    let steps = [0; 2].map(|_| engine.collect(true).expect("no error").expect("a step").step);
    assert_eq!(steps, [3, 6]);
    // One that was written and never run is gone as well; so is one on a device that is lost.
    let (unused, y) = load(&mut engine, 700, 3.0);
    engine.write(unused, y, &[0; 700]);
    let (last, _) = load(&mut engine, 700, 3.0);
    engine.unload(unused).expect("unloaded");
    assert_ne!(load(&mut engine, 5, 1.0).0, unused);
    let before = engine.allocated();
    engine.context.device.destroy();
    let lost = engine.unload(last);
    assert!(matches!(lost, Err(EngineError::DeviceLost { .. })), "{lost:?}");
    assert!(engine.allocated() < before);
}

#[test]
fn banks_are_shared_and_survive_a_round_trip_in_pieces() {
    let shape: &[usize] = &[3, 43];
    let table = table(&[shape, &[5_000_000], shape]);
    let mut engine = engine(table.len());
    let data: Vec<f32> = (0..table.len()).map(|i| i as f32).collect();
    let before = engine.allocated();
    engine.write_bank(Bank::Parameters, &data).expect("written");
    assert_eq!(engine.read_bank(Bank::Parameters).as_ref(), Ok(&data));
    assert_eq!(engine.read_bank(Bank::Moment2).map(|bank| bank.iter().all(|&x| x == 0.0)), Ok(true));
    assert_eq!(engine.allocated() - before, table.len() * 4, "one bank");
    for index in [0, 2] {
        let mut g = Graph::new(table.clone());
        let p = g.parameter(index);
        let c = ops::constant(&mut g, 0.5, shape).expect("a constant");
        let y = ops::add(&mut g, c, p).expect("a sum");
        let program = engine.load(Plan::new(Arc::new(g), &[y], Target::Gpu(engine.traits()))).expect("a program");
        engine.submit(program, &at(0), true).expect("submitted");
        let found = engine.collect(true).expect("no error").expect("a step").real(0);
        let expected: Vec<f32> = data[table.parameters()[index].range()].iter().map(|x| x + 0.5).collect();
        assert_eq!(found, expected);
    }
    let error = engine.write_bank(Bank::Moment1, &[0.0; 3]).expect_err("too short");
    assert!(matches!(error, EngineError::Size { found: 3, .. }), "{error}");
}

#[test]
fn a_profile_names_every_dispatch() {
    let mut engine = engine(128);
    let (program, _) = load(&mut engine, 700, 1.0);
    let most = engine.context.timestamps;
    for timestamps in [Timestamps::Everywhere, Timestamps::Passes, Timestamps::None] {
        if timestamps > most {
            continue;
        }
        engine.context.timestamps = timestamps;
        let times = engine.profile(program, &at(0)).expect("a profile");
        assert_eq!(times.iter().map(|t| t.0).collect::<Vec<_>>(), ["constant", "add"]);
        assert!(times.iter().all(|&(_, seconds)| seconds > 0.0 && seconds < 1.0), "{times:?}");
    }
}

#[test]
fn bad_input_is_an_error_of_the_next_call() {
    let mut engine = engine(128);
    let (program, x) = load(&mut engine, 5, 1.0);
    engine.write(program, x, &[1, 2, 3]);
    let error = engine.submit(program, &at(0), false).expect_err("three words for five");
    let (what, found, expected) = ("input \"x\"".into(), 3, 5);
    assert_eq!(error, EngineError::Size { what, found, expected });
    assert!(engine.submit(program, &at(0), false).is_ok(), "an error is told once");
    assert!(matches!(engine.submit(Program(7), &at(0), true), Err(EngineError::Kernel { .. })));

    let (graph, _, y) = adds(5, 1.0, table(&[&[64]]));
    let error = engine.load(Plan::new(graph, &[y], Target::Cpu)).expect_err("a plan for the CPU");
    assert!(error.to_string().contains("it was made for the CPU"), "{error}");
    let (graph, _, y) = adds(5, 1.0, table(&[&[256]]));
    let error = engine.load(Plan::new(graph, &[y], Target::Gpu(engine.traits()))).expect_err("another table");
    assert!(matches!(error, EngineError::Size { found: 256, expected: 128, .. }), "{error}");
}

#[test]
fn halves_are_refused_where_a_device_has_none() {
    let mut engine = engine(128);
    engine.info.f16 = false;
    let mut g = Graph::new(table(&[&[64]]));
    let x = g.input("x", DType::F16, &[4]);
    let one = ops::constant(&mut g, 1.0, &[4]).expect("a constant");
    let y = ops::add(&mut g, one, x).expect("a sum");
    let plan = Plan::new(Arc::new(g), &[y], Target::Gpu(engine.traits()));
    let error = engine.load(plan).expect_err("no 16-bit numbers");
    assert!(matches!(error, EngineError::NoHalves { .. }), "{error}");
    assert!(error.to_string().contains("--precision f32"), "{error}");
}

/// An op that nobody has written a kernel for.
#[derive(Debug)]
struct Unwritten;

impl Op for Unwritten {
    fn name(&self) -> &'static str {
        "unwritten"
    }
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![inputs[0].clone()])
    }
    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None])
    }
    fn dispatches(&self, _: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        Vec::new()
    }
    fn twin_f32(&self, _: Twin<'_, f32>) {}
    fn twin_f64(&self, _: Twin<'_, f64>) {}
}

#[test]
fn an_op_without_a_kernel_is_refused_by_name() {
    let mut engine = engine(128);
    let mut g = Graph::new(table(&[&[64]]));
    let x = g.input("x", DType::F32, &[3]);
    let y = g.add1(Unwritten, &[x]).expect("a node");
    let error = engine.load(Plan::new(Arc::new(g), &[y], Target::Gpu(engine.traits()))).expect_err("no kernel");
    assert!(error.to_string().contains("refused op unwritten: it has no kernel"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_allocated() {
    let mut engine = engine(128);
    engine.context.limits.max_storage_buffer_binding_size = 4_096;
    let before = engine.allocated();
    let (graph, _, y) = adds(1_025, 1.0, table(&[&[64]]));
    let error = engine.load(Plan::new(graph, &[y], Target::Gpu(engine.traits()))).expect_err("too large");
    assert!(matches!(error, EngineError::Limit { needed: 4_112, limit: 4_096, .. }), "{error}");
    assert!(error.to_string().contains("in shader constant"), "{error}");
    assert_eq!(engine.allocated(), before);
    let huge = usize::try_from(engine.context.limits.max_buffer_size / 4).expect("fits") + 1;
    if let Ok(engine) = GpuEngine::new(&device(), huge) {
        panic!("banks of {huge} elements on {}", engine.describe());
    }
}

#[test]
fn a_lost_device_is_an_error_and_stays_one() {
    let mut engine = engine(128);
    let (program, x) = load(&mut engine, 5, 1.0);
    engine.submit(program, &at(0), true).expect("submitted");
    engine.context.device.destroy();
    engine.write(program, x, &[0; 5]);
    // The driver may tell on the first call or while the second waits.
    let mut lost = |f: &mut dyn FnMut(&mut GpuEngine) -> Option<EngineError>| f(&mut engine);
    let first = lost(&mut |e| e.submit(program, &at(1), true).err());
    let second = lost(&mut |e| e.collect(true).err());
    let third = lost(&mut |e| e.read_bank(Bank::Parameters).err());
    let found = [first, second, third];
    assert!(found[1..].iter().all(|e| matches!(e, Some(EngineError::DeviceLost { .. }))), "{found:?}");
}

/// Runs `body` for each of `n` invocations, which sets `out[i]` to words; shared pieces stand in front of it.
fn compute(pieces: &[&str], n: u32, state: &StepState, body: &str) -> Vec<u32> {
    let mut context = pollster::block_on(Context::new(&device())).expect("a device");
    let shared: String = pieces.iter().flat_map(|p| SHARED.iter().filter(move |s| s.0 == *p).map(|s| s.1)).collect();
    let main = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) { let i = id.x;";
    let source = wgpu::ShaderSource::Wgsl(format!("{shared}\n{main} {body} }}").into());
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let out = context.buffer("out", u64::from(n) * 4, usage).expect("a buffer");
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniform = context.buffer("step", 32, usage).expect("a buffer");
    context.queue.write_buffer(&uniform, 0, bytemuck::bytes_of(state));
    let device = &context.device;
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let bind = |index, buffer: &wgpu::Buffer| {
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(index),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
        })
    };
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind(0, &out), &[]);
        if pieces.contains(&"step") {
            pass.set_bind_group(1, &bind(1, &uniform), &[]);
        }
        pass.dispatch_workgroups(n.div_ceil(64), 1, 1);
    }
    context.queue.submit([encoder.finish()]);
    super::readback::read(&mut context, &out, u64::from(n) * 4).expect("the results")
}

#[test]
fn random_numbers_are_those_of_the_twin() {
    let state = StepState { seed: [0x89ab_cdef, 0x1234_5678], step: 7, ..StepState::default() };
    let (n, stream) = (4_096, 11);
    for part in [0, 3, u32::MAX / 4 + 9] {
        let state = StepState { part, ..state };
        let draws = state.draws(stream, 4_097);
        let found = compute(&["step", "random"], n, &state, "out[i] = draw(11u, step.part * 4097u + i);");
        assert_eq!(found, (0..n).map(|i| draws.element(i as usize)).collect::<Vec<_>>(), "part {part}");
        let found = compute(&["step", "random"], n, &state, "out[i] = draw4_from(11u, step.part * 4097u + i).w;");
        assert_eq!(found, (3..n + 3).map(|i| draws.element(i as usize)).collect::<Vec<_>>(), "part {part}");
    }
    let draws = state.draws(stream, 4_096);
    let found = compute(&["step", "random"], n, &state, "out[i] = bitcast<u32>(uniform01(draw4(11u, i).z));");
    assert_eq!(found, (0..n).map(|i| uniform(draws.quad(i)[2]).to_bits()).collect::<Vec<_>>());
}

#[test]
fn gelu_and_its_derivative_are_close_to_the_exact_ones() {
    let n = 4_096;
    let x = |i: u32| (f64::from(i) - 2_048.0) / 128.0;
    fn phi(x: f64) -> f64 {
        0.5 * (1.0 + Real::erf(x / std::f64::consts::SQRT_2))
    }
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let exact = |name: &str, x: f64| if name == "gelu" { x * phi(x) } else { phi(x) + x * density(x) };
    for (name, function) in [("gelu", "activation4"), ("gelu_derivative", "activation_gradient4")] {
        let body = format!("out[i] = bitcast<u32>({function}(vec4f((f32(i) - 2048.0) / 128.0)).x);");
        for (i, word) in (0..).zip(compute(&["activation"], n, &StepState::default(), &body)) {
            let (found, expected) = (f64::from(f32::from_bits(word)), exact(name, x(i)));
            assert!((found - expected).abs() < 3e-6, "{name}({}) = {found}, expected {expected}", x(i));
        }
    }
}
