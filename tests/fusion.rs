//! Fused ops against their CPU twins and finite differences, and the whole model with and without fusion.

mod common;

use common::{
    Input, MEMORISED as SHAPE, Tolerance, check_fused, check_gradient_passed, check_passed, memorised_batch as batch,
    memorising, pass,
};
use leyden::batch::Shape;
use leyden::config::{Config, preset};
use leyden::cpu::{CpuEngine, Precision};
use leyden::graph::{Bank, DType, Graph, GraphError, Tensor};
use leyden::math::Activation;
use leyden::model::Model;
use leyden::objective::electra::outputs::{DISCRIMINATOR_LOSS, GENERATOR_LOSS, SAMPLED};
use leyden::objective::{Inputs, Merge, Mode, Output};
use leyden::op::{DeviceTraits, Operand};
use leyden::ops::{self, AdamW, EPSILON};
use leyden::plan::{Engine, Plan, Region, Step, Target};
use leyden::train::Recipe;
use leyden::train::step::{GRADIENT_NORM, PlannedStep};
use std::sync::Arc;

type Built = Result<Vec<Tensor>, GraphError>;
type Build = fn(&mut Graph, &[Tensor]) -> Built;

/// T, K, N: a layer from K to N.
const SHAPES: [[usize; 3]; 3] = [[3, 5, 2], [33, 64, 36], [70, 24, 130]];

/// T, N: square layers.
const SQUARES: [[usize; 2]; 3] = [[3, 7], [33, 36], [70, 130]];

/// x [T, K], W [N, K], b [N], and the way back, [K, N] and [K].
fn there_and_back([t, k, n]: [usize; 3]) -> [Input; 5] {
    [&[t, k][..], &[n, k], &[n], &[k, n], &[k]].map(Input::parameter)
}

/// Two layers with an activation between them: of the gradients, one through it.
fn through(g: &mut Graph, t: &[Tensor], activation: Activation) -> Built {
    let wide = ops::linear_activation(g, t[0], t[1], t[2], activation)?;
    Ok(vec![ops::linear(g, wide, t[3], t[4])?])
}

fn feed_forward(g: &mut Graph, t: &[Tensor]) -> Built {
    through(g, t, Activation::Gelu)
}

fn feed_forward_gelu_new(g: &mut Graph, t: &[Tensor]) -> Built {
    through(g, t, Activation::GeluNew)
}

fn feed_forward_relu(g: &mut Graph, t: &[Tensor]) -> Built {
    through(g, t, Activation::Relu)
}

/// A layer and what it was given, each on its way through another: the gradient of the first has two summands.
fn branches(g: &mut Graph, t: &[Tensor]) -> Built {
    let wide = ops::linear(g, t[0], t[1], t[2])?;
    let narrow = ops::linear(g, wide, t[3], t[4])?;
    let activated = ops::linear_activation(g, wide, t[3], t[4], Activation::Gelu)?;
    Ok(vec![ops::add(g, narrow, activated)?])
}

/// x [T, N], W [N, N] and three vectors [N]: a bias, gamma and beta.
fn square([t, n]: [usize; 2]) -> [Input; 5] {
    [&[t, n][..], &[n, n], &[n], &[n], &[n]].map(Input::parameter)
}

/// Layers with layer norm and dropout between them, and what goes around the last. Of the gradients one is through dropout,
/// and one has two summands.
fn around(g: &mut Graph, t: &[Tensor]) -> Built {
    let x = ops::linear(g, t[0], t[1], t[2])?;
    let x = ops::layer_norm(g, x, (t[3], t[4]), EPSILON)?;
    let x = ops::dropout(g, x, 0.3)?;
    let x = ops::linear(g, x, t[1], t[2])?;
    let y = ops::linear(g, x, t[1], t[2])?;
    Ok(vec![ops::residual_layer_norm(g, y, x, (t[3], t[4]), EPSILON, 0.4)?])
}

/// The same without dropout.
fn around_all(g: &mut Graph, t: &[Tensor]) -> Built {
    let x = ops::linear(g, t[0], t[1], t[2])?;
    let y = ops::linear(g, x, t[1], t[2])?;
    Ok(vec![ops::residual_layer_norm(g, y, x, (t[3], t[4]), EPSILON, 0.0)?])
}

/// Every builder with its inputs.
fn cases() -> Vec<(&'static str, Vec<Input>, Build)> {
    let mut cases: Vec<(_, _, Build)> = Vec::new();
    for shape in SHAPES {
        let inputs = there_and_back(shape).map(|input| input.scaled(0.5)).to_vec();
        cases.push(("feed_forward", inputs.clone(), feed_forward));
        cases.push(("feed_forward_gelu_new", inputs.clone(), feed_forward_gelu_new));
        cases.push(("feed_forward_relu", inputs.clone(), feed_forward_relu));
        cases.push(("branches", inputs, branches));
    }
    for shape in SQUARES {
        cases.push(("around", square(shape).to_vec(), around));
    }
    cases.push(("around_all", square([9, 20]).to_vec(), around_all));
    cases
}

#[test]
fn fused_ops() {
    let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };
    for ((name, inputs, build), seed) in cases().into_iter().zip(1..) {
        check_fused(name, &inputs, tolerance, &[seed], build);
    }
}

#[test]
fn fused_ops_of_halves() {
    let halve = |g: &mut Graph, keep: &[Tensor]| -> Result<(), GraphError> {
        g.fuse(keep)?;
        g.halve(keep)?;
        let halves = g.values().iter().filter(|value| value.ty.dtype == DType::F16).count();
        assert!(halves > 4, "{halves} tensors are in half precision");
        Ok(())
    };
    let tolerance = Tolerance { absolute: 0.03, relative: 0.02 };
    for ((name, inputs, build), seed) in cases().into_iter().zip(1..) {
        // In halves between an op before and one behind that can do both.
        let passing = |g: &mut Graph, t: &[Tensor]| -> Built {
            let x = pass(g, t[0])?;
            let outputs = build(g, &[&[x][..], &t[1..]].concat())?;
            outputs.into_iter().map(|y| pass(g, y)).collect()
        };
        check_passed(name, &inputs, tolerance, &[seed], passing, halve);
    }
}

#[test]
fn gradients_against_finite_differences() {
    let fuse = |g: &mut Graph| -> Result<(), GraphError> {
        let ops = |g: &Graph| g.nodes().iter().map(|node| format!("{:?}", node.op)).collect::<Vec<_>>();
        let before = ops(g);
        g.fuse(&[])?;
        assert!(ops(g) != before, "nothing was fused");
        Ok(())
    };
    for shape in [[1, 4, 5], [4, 3, 7]] {
        for build in [feed_forward as Build, feed_forward_gelu_new, feed_forward_relu, branches] {
            check_gradient_passed("layers", &there_and_back(shape), (1e-5, 1e-6), &[1], build, fuse);
        }
    }
    for shape in [[1, 5], [4, 7]] {
        for build in [around as Build, around_all] {
            check_gradient_passed("around", &square(shape), (1e-6, 1e-5), &[1], build, fuse);
        }
    }
}

fn config() -> Config {
    let mut config = memorising(0.1);
    // Clipped, and moving from the first steps on.
    (config.optimizer.clip_norm, config.optimizer.warmup) = (1.0, 2);
    config
}

/// A whole training step, forward, backward and update.
fn step(config: &Config, shape: Shape, target: Target, fuse: bool) -> Result<PlannedStep, GraphError> {
    let model = Model::new(config);
    let mut g = Graph::new(model.table.clone());
    let mut inputs = Inputs::new(shape);
    let o = config.objective.build(&mut g, &model, &mut inputs, Mode { dropout: true, ..Mode::default() })?;
    g.backward(o.loss(), |_| true)?;
    if fuse {
        g.fuse(&o.tensors())?;
    }
    let bank = g.bank(Bank::Gradients);
    let norm = ops::global_norm(&mut g, bank)?;
    let s = &config.optimizer;
    let settings = AdamW {
        beta1: s.beta1,
        beta2: s.beta2,
        epsilon: s.epsilon,
        weight_decay: s.weight_decay,
        clip_norm: s.clip_norm,
    };
    let spans = g.table().spans(|_| Some(1.0));
    ops::adamw(&mut g, bank, norm, false, settings, spans)?;
    let mut outputs = o.into_list();
    outputs.push(Output { name: GRADIENT_NORM, tensor: norm, merge: Merge::Sum });
    let tensors: Vec<Tensor> = outputs.iter().map(|output| output.tensor).collect();
    Ok(PlannedStep { plan: Plan::new(Arc::new(g), &tensors, target), inputs: inputs.into_bound(), outputs })
}

/// What a few steps leave.
struct Left {
    losses: Vec<[f32; 3]>,
    sampled: Vec<Vec<u32>>,
    gradients: Vec<f32>,
    weights: Vec<f32>,
}

fn train(engine: &mut dyn Engine, target: Target, fuse: bool) -> Left {
    let config = config();
    let planned = step(&config, SHAPE, target, fuse).unwrap();
    let program = engine.load(planned.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &Model::new(&config).initial(config.seed)).unwrap();
    let (mut losses, mut sampled) = (Vec::new(), Vec::new());
    for t in 0..4 {
        planned.write(engine, program, &batch(), &batch());
        engine.submit(program, &Recipe::new(&config).step_state(t), true).unwrap();
        let results = planned.results(engine.collect(true).unwrap().unwrap());
        losses.push([GENERATOR_LOSS, DISCRIMINATOR_LOSS, GRADIENT_NORM].map(|name| results.scalar(name).unwrap()));
        sampled.push(results.words(SAMPLED).to_vec());
    }
    let [gradients, weights] = [Bank::Gradients, Bank::Parameters].map(|bank| engine.read_bank(bank).unwrap());
    Left { losses, sampled, gradients, weights }
}

/// The tolerance is relative to the largest gradient or weight, and to a loss of at least 1.
fn alike(found: &Left, expected: &Left, tolerance: f32) {
    assert_eq!(found.sampled, expected.sampled);
    for (t, (found, expected)) in found.losses.iter().zip(&expected.losses).enumerate() {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= tolerance * e.abs().max(1.0), "step {t}: {found:?}, without fusion {expected:?}");
        }
    }
    for (what, found, expected) in
        [("gradients", &found.gradients, &expected.gradients), ("weights", &found.weights, &expected.weights)]
    {
        let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let worst = found.iter().zip(expected).fold(0.0f32, |worst, (f, e)| worst.max((f - e).abs()));
        assert!(largest > 0.0 && worst <= tolerance * largest, "{what} differ by {worst} of {largest}");
    }
}

fn on_the_cpu<R: Precision>(tolerance: f32) {
    let train = |fuse| train(&mut CpuEngine::<R>::new(Model::new(&config()).table.len()), Target::Cpu, fuse);
    alike(&train(true), &train(false), tolerance);
}

#[test]
fn fusion_changes_nothing_in_double_precision() {
    // What is compared was rounded to single precision.
    on_the_cpu::<f64>(1e-7);
}

#[test]
fn fusion_changes_nothing_on_the_cpu() {
    on_the_cpu::<f32>(1e-4);
}

#[test]
fn fusion_changes_nothing_on_a_gpu() {
    let train = |fuse| {
        let mut gpu = common::gpu(Model::new(&config()).table.len());
        let target = Target::Gpu(gpu.traits());
        train(&mut gpu, target, fuse)
    };
    alike(&train(true), &train(false), 1e-4);
}

/// Dispatches, copies, and bytes of all that they bind: each tensor once a dispatch.
fn cost(plan: &Plan) -> (usize, usize, usize) {
    let Target::Gpu(device) = plan.target() else { return (0, 0, 0) };
    let (mut dispatches, mut copies, mut bytes) = (0, 0, 0);
    for step in plan.steps() {
        match step {
            Step::Copy { from, .. } => {
                copies += 1;
                bytes += 8 * from.len;
            }
            Step::Run { node, scratch } => {
                let shapes = plan.shapes(*node);
                let node = &plan.graph().nodes()[*node];
                let place = |operand| match operand {
                    Operand::Input(i) => plan.region(node.inputs[i]),
                    Operand::Output(i) => plan.region(node.outputs[i]),
                    Operand::Scratch(i) => Some(scratch[i]),
                };
                for dispatch in node.op.dispatches(&shapes, &device) {
                    dispatches += 1;
                    let mut regions: Vec<Region> = dispatch.bindings.iter().filter_map(|b| place(b.operand)).collect();
                    regions.sort_unstable_by_key(|r| (r.buffer, r.offset));
                    regions.dedup();
                    bytes += regions.iter().map(|r| 4 * r.len).sum::<usize>();
                }
            }
        }
    }
    (dispatches, copies, bytes)
}

#[test]
fn a_fused_step_moves_less() {
    let config = preset("small").unwrap();
    let target = Target::Gpu(DeviceTraits::default());
    let [plain, fused] =
        [false, true].map(|fuse| cost(&step(&config, Recipe::new(&config).shape, target, fuse).unwrap().plan));
    assert!(fused.0 < plain.0 && fused.1 <= plain.1 && fused.2 < plain.2, "{fused:?}, without fusion {plain:?}");
}
