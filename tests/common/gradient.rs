//! A gradient against central differences, in double precision.

use super::input::{Contents, Given, Input, Seeded};
use super::kernel::report;
use super::state;
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, DType, Graph, GraphError, Node, Tensor, TensorType};
use leyden::math::Real;
use leyden::op::{DeviceTraits, Dispatch, Halves, Op, Shapes, Twin};
use leyden::ops;
use leyden::plan::{Engine, Plan, Program, Target};
use std::sync::Arc;

/// As [`check_gradient_with`] with h = 1e-5, a tolerance of 1e-6 and one seed.
pub fn check_gradient(
    name: &str,
    inputs: &[Input],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
) {
    check_gradient_with(name, inputs, 1e-5, 1e-6, &[1], build);
}

/// Builds a graph over `inputs`, weights its floating-point outputs at random into a loss, and compares the gradient
/// of every element of every parameter with (loss(x + h) - loss(x - h)) / 2h. The tolerance is relative to the
/// parameter's largest gradient. All that differs is listed.
///
/// # Panics
/// If anything differs, if a gradient is zero all over (a weighting at random does not do that), or if there is no
/// parameter.
pub fn check_gradient_with(
    name: &str,
    inputs: &[Input],
    h: f64,
    tolerance: f64,
    seeds: &[u64],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
) {
    check_gradient_passed(name, inputs, (h, tolerance), seeds, build, |_| Ok(()));
}

/// As [`check_gradient`] of a gradient whose graph `pass` was let loose on; the loss is computed without.
pub fn check_gradient_passed(
    name: &str,
    inputs: &[Input],
    (h, tolerance): (f64, f64),
    seeds: &[u64],
    build: impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError>,
    pass: impl Fn(&mut Graph) -> Result<(), GraphError>,
) {
    let mut bad = Vec::new();
    for &seed in seeds {
        let mut given = Given::new(inputs, seed);
        assert!(!given.parameters.is_empty(), "{name}: no parameter to differentiate by");
        let outputs = build(&mut given.graph, &given.tensors).unwrap_or_else(|error| panic!("{error}"));
        let loss = weighted_loss(&mut given, &outputs, seed).unwrap_or_else(|error| panic!("{error}"));
        let forward = Arc::new(given.graph.clone());
        given.graph.backward(loss, |_| true).unwrap_or_else(|error| panic!("{error}"));
        pass(&mut given.graph).unwrap_or_else(|error| panic!("{error}"));
        let table = given.graph.table().clone();

        let mut engine = CpuEngine::<f64>::new(table.len());
        let backward = load(&mut engine, &given, Plan::new(Arc::new(given.graph.clone()), &[loss], Target::Cpu));
        let forward = load(&mut engine, &given, Plan::new(forward, &[loss], Target::Cpu));
        // Parameters that an op changes (an optimizer) start anew in every run.
        engine.bank(Bank::Parameters).clone_from(&given.bank);
        run(&mut engine, backward, seed);
        let gradients = engine.bank(Bank::Gradients).clone();
        let mut loss_at = |element: usize, value: f64| {
            engine.bank(Bank::Parameters).clone_from(&given.bank);
            engine.bank(Bank::Parameters)[element] = value;
            run(&mut engine, forward, seed);
            engine.real(forward, loss)[0]
        };
        for parameter in table.parameters() {
            let slope = |i: usize| (given.bank[i] + h, given.bank[i] - h);
            let expected: Vec<f64> = parameter
                .range()
                .map(|i| {
                    let (above, below) = slope(i);
                    (loss_at(i, above) - loss_at(i, below)) / (above - below)
                })
                .collect();
            let found = &gradients[parameter.range()];
            let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            let wide = parameter.shape.last().copied().unwrap_or(1).max(1);
            let wrong =
                |i: &usize| (found[*i] - expected[*i]).abs() > tolerance * largest.max(1e-3) || found[*i].is_nan();
            let line = |i: usize| format!("[{}, {}] {} for {}", i / wide, i % wide, found[i], expected[i]);
            let what = format!("seed {seed}, {} {:?}", parameter.name, parameter.shape);
            if largest == 0.0 {
                bad.push(format!("  {what}: the loss does not depend on it"));
            }
            report(&what, (0..found.len()).filter(wrong).map(line).collect(), &mut bad);
        }
    }
    assert!(bad.is_empty(), "{name}: gradient and differences differ\ninputs {inputs:?}\n{}", bad.join("\n"));
}

fn load(engine: &mut CpuEngine<f64>, given: &Given, plan: Plan) -> Program {
    let program = engine.load(plan).unwrap_or_else(|error| panic!("{error}"));
    for (tensor, contents) in &given.inputs {
        match contents {
            Contents::Real(values) => engine.write_real(program, *tensor, values),
            Contents::Half(_) => engine.write(program, *tensor, &contents.words()),
            Contents::Words(words) => engine.write(program, *tensor, words),
        }
    }
    program
}

fn run(engine: &mut CpuEngine<f64>, program: Program, seed: u64) {
    engine.submit(program, &state(seed), false).unwrap_or_else(|error| panic!("{error}"));
}

/// Adds a loss: every element of every floating-point output times a random number, summed. On a GPU only its backward
/// pass can run.
pub fn weighted_loss(given: &mut Given, outputs: &[Tensor], seed: u64) -> Result<Tensor, GraphError> {
    let g = &mut given.graph;
    let mut loss = None;
    let real: Vec<Tensor> = outputs.iter().copied().filter(|&t| g.ty(t).dtype.is_real()).collect();
    for (i, &output) in real.iter().enumerate() {
        let mut random = Seeded::new(seed.wrapping_add(77 + i as u64));
        let shape = g.shape(output).to_vec();
        let weights = g.input(&format!("weights {i}"), DType::F32, &shape);
        let contents = (0..g.ty(output).len()).map(|_| f64::from(random.real() as f32)).collect();
        given.inputs.push((weights, Contents::Real(contents)));
        let part = g.add1(Weighted, &[output, weights])?;
        loss = Some(match loss {
            Some(sum) => ops::add(g, sum, part)?,
            None => part,
        });
    }
    Ok(loss.expect("a floating-point output"))
}

/// Sum of a tensor's elements, each times its weight: a summand of the loss, so that its own gradient is 1.
#[derive(Debug)]
struct Weighted;

impl Weighted {
    fn sum<R: Real>(mut t: Twin<'_, R>) {
        let (x, weights) = (t.real(0), t.real(1));
        t.out(0)[0] = x.iter().zip(weights).map(|(&x, &w)| x * w).sum();
    }
}

impl Op for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![TensorType::f32(&[1])])
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[] }
    }

    fn backward(&self, g: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        // A node's tensor, so that ops may take its memory over, which they may not with an input's.
        let shape = g.shape(node.inputs[1]).to_vec();
        let zero = ops::constant(g, 0.0, &shape)?;
        Ok(vec![Some(ops::add(g, zero, node.inputs[1])?), None])
    }

    fn dispatches(&self, _: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        panic!("the loss of a test runs on the CPU only; do not fetch it from a GPU")
    }

    fn twin_f32(&self, t: Twin<'_, f32>) {
        Self::sum(t);
    }

    fn twin_f64(&self, t: Twin<'_, f64>) {
        Self::sum(t);
    }
}
