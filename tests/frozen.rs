//! Training a part of a model: what is frozen stays as it is, and costs no backward pass.

mod common;

use common::Seeded;
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, DType, Graph, GraphError, Initialization, Parameter, ParameterTable, Tensor};
use leyden::ops::{self, AdamW, MOST_SPANS};
use leyden::plan::{Engine, Plan, Program, Target};
use std::sync::Arc;

const ROWS: usize = 5;
const WIDTH: usize = 150;
const BANKS: [Bank; 3] = [Bank::Parameters, Bank::Moment1, Bank::Moment2];

/// Three layers, one behind the other.
fn table() -> Arc<ParameterTable> {
    let specs = (0..3).flat_map(|i| {
        let bias = (format!("layer.{i}.bias"), vec![WIDTH], false, Initialization::Zeros);
        [(format!("layer.{i}.weight"), vec![WIDTH, WIDTH], true, Initialization::Zeros), bias]
    });
    Arc::new(ParameterTable::new(specs.collect()))
}

/// A training step of the layers of `table`; the last layer is left out of the loss where `short`.
fn step(table: &Arc<ParameterTable>, rate: impl Fn(&Parameter) -> Option<f32>, short: bool) -> (Graph, Tensor) {
    let build = || -> Result<(Graph, Tensor), GraphError> {
        let mut g = Graph::new(table.clone());
        let x = g.input("x", DType::F32, &[ROWS, WIDTH]);
        let labels = g.input("labels", DType::U32, &[ROWS, WIDTH]);
        let mut y = x;
        for layer in 0..if short { 2 } else { 3 } {
            let (weight, bias) = (g.parameter(2 * layer), g.parameter(2 * layer + 1));
            y = ops::linear(&mut g, y, weight, bias)?;
        }
        let count = g.input("count", DType::F32, &[1]);
        let nll = ops::binary_nll(&mut g, y, labels)?;
        let weights = ops::constant(&mut g, 1.0, &[ROWS, WIDTH])?;
        let loss = ops::weighted_mean(&mut g, nll, weights, count)?;
        g.backward(loss, |p| rate(p).is_some())?;
        let gradients = g.bank(Bank::Gradients);
        let norm = ops::global_norm(&mut g, gradients)?;
        let settings = AdamW { beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weight_decay: 0.5, clip_norm: 0.1 };
        let spans = table.spans(rate);
        ops::adamw(&mut g, gradients, norm, false, settings, spans)?;
        Ok((g, norm))
    };
    build().unwrap_or_else(|error| panic!("{error}"))
}

fn load(engine: &mut dyn Engine, target: Target, (graph, norm): (Graph, Tensor)) -> Program {
    let inputs: Vec<Tensor> = ["x", "labels", "count"]
        .map(|name| graph.values().iter().position(|v| v.name == name).expect("an input"))
        .map(|index| input(&graph, index))
        .to_vec();
    let program = engine.load(Plan::new(Arc::new(graph), &[norm], target)).expect("a program");
    let mut random = Seeded::new(7);
    let mut real = || (random.real() as f32).to_bits();
    let x: Vec<u32> = (0..ROWS * WIDTH).map(|_| real()).collect();
    let labels: Vec<u32> = (0..ROWS * WIDTH).map(|i| (i % 3 == 0) as u32).collect();
    engine.write(program, inputs[0], &x);
    engine.write(program, inputs[1], &labels);
    engine.write(program, inputs[2], &[((ROWS * WIDTH) as f32).to_bits()]);
    program
}

/// The tensor of a graph's value, which nothing else tells.
fn input(graph: &Graph, index: usize) -> Tensor {
    graph.nodes().iter().flat_map(|n| &n.inputs).copied().find(|t| t.index() == index).expect("a tensor that is read")
}

fn run(engine: &mut dyn Engine, program: Program, times: u32) {
    for step in 0..times {
        let state = leyden::op::StepState { step, ..common::state(1) };
        engine.submit(program, &state, false).expect("submitted");
    }
}

fn banks(engine: &mut dyn Engine) -> [Vec<f32>; 3] {
    BANKS.map(|bank| engine.read_bank(bank).expect("read"))
}

fn on_both_engines(test: impl Fn(&mut dyn Engine, Target)) {
    let len = table().len();
    test(&mut CpuEngine::<f32>::new(len), Target::Cpu);
    let mut gpu = common::gpu(len);
    let target = Target::Gpu(gpu.traits());
    test(&mut gpu, target);
}

fn fill(engine: &mut dyn Engine) {
    let mut random = Seeded::new(3);
    for bank in BANKS {
        let mut content = vec![0.0; table().len()];
        for p in table().parameters() {
            content[p.range()].iter_mut().for_each(|x| *x = (0.1 + 0.1 * random.real()) as f32);
        }
        engine.write_bank(bank, &content).expect("written");
    }
}

#[test]
fn what_is_frozen_stays_and_so_do_its_moments() {
    let table = table();
    // The middle layer is frozen, the last learns at half of the rate.
    let rate = |p: &Parameter| match &p.name[..7] {
        "layer.0" => Some(1.0),
        "layer.1" => None,
        _ => Some(0.5),
    };
    on_both_engines(|engine, target| {
        let program = load(engine, target, step(&table, rate, false));
        fill(engine);
        let before = banks(engine);
        run(engine, program, 3);
        let after = banks(engine);
        for p in table.parameters() {
            for (before, after) in before.iter().zip(&after) {
                let (before, after) = (&before[p.range()], &after[p.range()]);
                let moved = before.iter().zip(after).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                let expected = if rate(p).is_none() { 0 } else { p.len() };
                assert_eq!(moved, expected, "{} of {}", p.name, engine.describe());
            }
        }
    });
}

#[test]
fn what_leads_to_nothing_that_is_trained_has_no_backward_nodes() {
    let table = table();
    let flops = |rate: &dyn Fn(&Parameter) -> Option<f32>| {
        let (graph, norm) = step(&table, rate, false);
        Plan::new(Arc::new(graph), &[norm], Target::Cpu).flops()
    };
    let product = 2 * (ROWS * WIDTH * WIDTH) as u64;
    // Three forward; of each layer that is trained its weights' gradient, and the inputs' of those behind it.
    assert_eq!(flops(&|_| Some(1.0)), 3 * product + 3 * product + 2 * product);
    assert_eq!(flops(&|p| p.name.starts_with("layer.2").then_some(1.0)), 3 * product + product);
    assert_eq!(flops(&|p| p.name.starts_with("layer.1").then_some(1.0)), 3 * product + product + product);
}

#[test]
fn a_second_plan_never_sees_the_gradients_of_the_first() {
    let table = table();
    let last_only = |p: &Parameter| p.name.starts_with("layer.2").then_some(1.0);
    let all = |_: &Parameter| Some(1.0);
    on_both_engines(|engine, target| {
        // Another part of the model is trained, or all of it by a loss that leaves some out.
        let seconds: [&dyn Fn() -> (Graph, Tensor); 2] =
            [&|| step(&table, last_only, false), &|| step(&table, all, true)];
        for second in seconds {
            engine.reset();
            let program = load(engine, target, second());
            fill(engine);
            run(engine, program, 2);
            let alone = banks(engine);
            engine.reset();
            let first = load(engine, target, step(&table, all, false));
            let program = load(engine, target, second());
            fill(engine);
            run(engine, first, 1);
            fill(engine);
            run(engine, program, 2);
            assert!(banks(engine) == alone, "{}", engine.describe());
        }
    });
}

#[test]
fn spans_are_as_few_as_can_be() {
    let table = table();
    let ends = |rate: &dyn Fn(&Parameter) -> Option<f32>| -> Vec<(usize, usize, f32, bool)> {
        table.spans(rate).into_iter().map(|s| (s.elements.start, s.elements.end, s.rate, s.decay)).collect()
    };
    let (matrix, vector) = ((WIDTH * WIDTH).next_multiple_of(128), WIDTH.next_multiple_of(128));
    let vectors = 3 * matrix;
    assert_eq!(ends(&|_| Some(1.0)), [(0, vectors, 1.0, true), (vectors, vectors + 3 * vector, 1.0, false)]);
    assert_eq!(
        ends(&|p| (!p.name.starts_with("layer.1")).then_some(1.0)),
        [
            (0, matrix, 1.0, true),
            (2 * matrix, 3 * matrix, 1.0, true),
            (vectors, vectors + vector, 1.0, false),
            (vectors + 2 * vector, vectors + 3 * vector, 1.0, false)
        ]
    );
    assert!(ends(&|_| None).is_empty());
    let specs = (0..=MOST_SPANS).map(|i| (i.to_string(), vec![1], true, Initialization::Zeros)).collect();
    let mut g = Graph::new(Arc::new(ParameterTable::new(specs)));
    let spans = g.table().spans(|p| p.name.parse().ok());
    let gradients = g.bank(Bank::Gradients);
    let norm = ops::global_norm(&mut g, gradients).expect("fits");
    let settings = AdamW { beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weight_decay: 0.5, clip_norm: 0.1 };
    let error = ops::adamw(&mut g, gradients, norm, false, settings, spans).unwrap_err().to_string();
    assert!(error.contains("65 spans") && error.contains("64"), "{error}");
}
