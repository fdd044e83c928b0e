//! Fused ops against their CPU twins and finite differences, and the whole model with and without fusion.

mod common;

use common::{Input, Tolerance, check_fused, check_gradient_passed, check_passed, pass};
use leyden::cpu::{CpuEngine, Precision};
use leyden::data::Batch;
use leyden::electra::{Config, GeneratorConfig, Inputs, Model, electra, preset};
use leyden::graph::{Bank, DType, Graph, GraphError, Tensor};
use leyden::ops::{self, AdamW, DeviceTraits};
use leyden::plan::{Engine, Plan, Region, Step, Target};
use leyden::train::step::{Counts, Output, PlannedStep, StepShape, step_state};
use std::sync::Arc;

type Built = Result<Vec<Tensor>, GraphError>;

/// T, K, N: a layer from K to N.
const SHAPES: [[usize; 3]; 7] =
    [[1, 4, 5], [3, 5, 2], [17, 20, 36], [33, 64, 5], [40, 12, 52], [70, 24, 130], [300, 9, 7]];

/// x [T, K], W [N, K], b [N], and the way back, [K, N] and [K].
fn there_and_back([t, k, n]: [usize; 3]) -> [Input; 5] {
    [&[t, k][..], &[n, k], &[n], &[k, n], &[k]].map(Input::parameter)
}

/// Two layers with GELU between them: of the gradients, one through GELU.
fn feed_forward(g: &mut Graph, t: &[Tensor]) -> Built {
    let wide = ops::linear_gelu(g, t[0], t[1], t[2])?;
    Ok(vec![ops::linear(g, wide, t[3], t[4])?])
}

/// Two layers with dropout between them.
fn dropped(g: &mut Graph, t: &[Tensor]) -> Built {
    let wide = ops::linear(g, t[0], t[1], t[2])?;
    let wide = ops::dropout(g, wide, 0.3)?;
    Ok(vec![ops::linear(g, wide, t[3], t[4])?])
}

/// A layer and what it was given, each on its way through another: the gradient of the first has two summands.
fn branches(g: &mut Graph, t: &[Tensor]) -> Built {
    let wide = ops::linear(g, t[0], t[1], t[2])?;
    let narrow = ops::linear(g, wide, t[3], t[4])?;
    let activated = ops::linear_gelu(g, wide, t[3], t[4])?;
    Ok(vec![ops::add(g, narrow, activated)?])
}

/// A sum whose two summands share their gradient: neither product may add to what the other reads.
fn shared(g: &mut Graph, t: &[Tensor]) -> Built {
    let wide = ops::linear(g, t[0], t[1], t[2])?;
    let there = ops::linear(g, wide, t[3], t[4])?;
    let again = ops::linear(g, there, t[1], t[2])?;
    let sum = ops::add(g, again, wide)?;
    Ok(vec![ops::linear(g, sum, t[3], t[4])?])
}

#[test]
fn gradients_through_gelu_dropout_and_sums() {
    for (shape, seed) in SHAPES.into_iter().zip(1..) {
        let inputs = there_and_back(shape).map(|input| input.scaled(0.5));
        let tolerance = Tolerance { absolute: 1e-4, relative: 1e-4 };
        check_fused("feed_forward", &inputs, tolerance, &[seed], feed_forward);
        check_fused("dropped", &inputs, tolerance, &[seed], dropped);
        check_fused("branches", &inputs, tolerance, &[seed], branches);
        check_fused("shared", &inputs, tolerance, &[seed], shared);
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
    let tolerance = Tolerance { absolute: 0.02, relative: 0.01 };
    for (shape, seed) in SHAPES.into_iter().zip(1..) {
        let inputs = there_and_back(shape).map(|input| input.scaled(0.5));
        for (name, build) in [
            ("feed_forward", feed_forward as fn(&mut Graph, &[Tensor]) -> Built),
            ("dropped", dropped),
            ("branches", branches),
            ("shared", shared),
        ] {
            check_passed(name, &inputs, tolerance, &[seed], |g, t| passing(g, t, build), halve);
        }
    }
    for (t, n) in [(3, 8), (33, 36), (70, 130)] {
        let vectors = [n, n, n].map(|n| Input::parameter(&[n]));
        let inputs = [&[Input::parameter(&[t, n]), Input::parameter(&[n, n])][..], &vectors].concat();
        check_passed("linear, residual", &inputs, tolerance, &[1], |g, t| passing(g, t, residual), halve);
    }
}

/// What `build` makes of a first tensor that may be of halves, in halves if need be.
fn passing(g: &mut Graph, t: &[Tensor], build: fn(&mut Graph, &[Tensor]) -> Built) -> Built {
    let x = pass(g, t[0])?;
    let outputs = build(g, &[&[x], &t[1..]].concat())?;
    outputs.into_iter().map(|y| pass(g, y)).collect()
}

/// Two square layers, and what goes around the second.
fn residual(g: &mut Graph, t: &[Tensor]) -> Built {
    let x = ops::linear(g, t[0], t[1], t[2])?;
    let y = ops::linear(g, x, t[1], t[2])?;
    Ok(vec![ops::residual_layer_norm(g, y, x, (t[3], t[4]), 0.3)?])
}

#[test]
fn gradients_against_finite_differences() {
    let fuse = |g: &mut Graph| -> Result<(), GraphError> {
        let before = g.nodes().len();
        g.fuse(&[])?;
        assert!(g.nodes().len() < before, "nothing was fused");
        Ok(())
    };
    for shape in [[1, 4, 5], [3, 5, 2], [4, 3, 7]] {
        let inputs = there_and_back(shape);
        for (name, build) in [
            ("feed_forward", feed_forward as fn(&mut Graph, &[Tensor]) -> Built),
            ("dropped", dropped),
            ("branches", branches),
            ("shared", shared),
        ] {
            check_gradient_passed(name, &inputs, (1e-5, 1e-6), &[1], build, fuse);
        }
    }
}

#[test]
fn linear_with_dropout_and_residual() {
    for ([t, k, n], seed) in SHAPES.into_iter().filter(|shape| shape[2] > 4).zip(1..) {
        let vectors = [n, n, n].map(|n| Input::parameter(&[n]));
        let matrices = [[t, k], [n, k], [t, n]].map(|shape| Input::parameter(&shape));
        let inputs = [&matrices[..], &vectors[..]].concat();
        for probability in [0.0, 0.4] {
            let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };
            check_fused("linear, residual", &inputs, tolerance, &[seed], |g, t| {
                let x = ops::linear(g, t[0], t[1], t[3])?;
                Ok(vec![ops::residual_layer_norm(g, x, t[2], (t[4], t[5]), probability)?])
            });
        }
    }
}

#[test]
fn layer_norm_with_dropout() {
    for ([t, _, n], seed) in SHAPES.into_iter().filter(|shape| shape[2] > 4).zip(1..) {
        let inputs = [&[t, n][..], &[n], &[n]].map(Input::parameter);
        let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };
        check_fused("layer_norm, dropout", &inputs, tolerance, &[seed], |g, t| {
            let x = ops::layer_norm(g, t[0], t[1], t[2])?;
            Ok(vec![ops::dropout(g, x, 0.3)?])
        });
    }
}

const SHAPE: StepShape = StepShape { batch: 5, length: 12, drawn: 3 };

fn config() -> Config {
    let mut config = preset("small").unwrap();
    config.model.vocabulary = 70;
    config.model.positions = 16;
    (config.model.embedding, config.model.hidden, config.model.layers, config.model.heads) = (20, 36, 2, 3);
    config.model.feed_forward = 52;
    config.generator = GeneratorConfig { hidden: 24, layers: 2, heads: 2, feed_forward: 44 };
    config.model.initializer_range = 0.1;
    config.optimizer.learning_rate = 5e-3;
    config.optimizer.warmup = 2;
    config.training.batch = SHAPE.batch;
    config.data.length = SHAPE.length;
    // Three of twelve tokens.
    config.objective.masked_fraction = 0.25;
    config
}

fn batch() -> Batch {
    let n = SHAPE.batch * SHAPE.length;
    let ids: Vec<u32> = (0..n).map(|i| 5 + (i * 29 + i * i) as u32 % 65).collect();
    let positions: Vec<u32> =
        (0..SHAPE.batch).flat_map(|b| [1, 4, 7].map(|p| (b * SHAPE.length + p + b % 2) as u32)).collect();
    let mut masked_ids = ids.clone();
    positions.iter().for_each(|&p| masked_ids[p as usize] = 4);
    Batch {
        batch_size: SHAPE.batch,
        length: SHAPE.length,
        predictions: SHAPE.drawn,
        targets: positions.iter().map(|&p| ids[p as usize]).collect(),
        type_ids: (0..n).map(|i| u32::from(i % SHAPE.length > 6)).collect(),
        lengths: vec![12, 9, 12, 11, 8],
        weights: vec![1.0; positions.len()],
        ids,
        masked_ids,
        positions,
    }
}

/// A whole training step, forward, backward and update.
fn step(config: &Config, shape: StepShape, target: Target, fuse: bool) -> Result<PlannedStep, GraphError> {
    let model = Model::new(config);
    let mut g = Graph::new(model.table.clone());
    let inputs = Inputs::new(&mut g, shape.batch, shape.length, shape.drawn);
    let o = electra(&mut g, &model, config, inputs, true, None)?;
    let mut outputs = vec![o.generator_loss, o.discriminator_loss, o.best, o.sampled, o.labels, o.logits];
    g.backward(o.loss)?;
    if fuse {
        g.fuse(&outputs)?;
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
    ops::adamw(&mut g, bank, norm, false, settings)?;
    outputs.push(norm);
    Ok(PlannedStep { plan: Plan::new(Arc::new(g), &outputs, target), inputs, samples: None, objective: o })
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
        planned.write(engine, program, &batch(), Counts::of(&batch()));
        engine.submit(program, &step_state(&config, t), true).unwrap();
        let fetched = engine.collect(true).unwrap().unwrap();
        let scalars = [Output::GeneratorLoss, Output::DiscriminatorLoss, Output::Norm];
        losses.push(scalars.map(|output| fetched.scalar(output as usize)));
        sampled.push(fetched.outputs[Output::Sampled as usize].clone());
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
                    ops::Operand::Input(i) => plan.region(node.inputs[i]),
                    ops::Operand::Output(i) => plan.region(node.outputs[i]),
                    ops::Operand::Scratch(i) => Some(scratch[i]),
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
        [false, true].map(|fuse| cost(&step(&config, StepShape::of(&config), target, fuse).unwrap().plan));
    assert!(fused.0 < plain.0 && fused.1 <= plain.1 && fused.2 < plain.2, "{fused:?}, without fusion {plain:?}");
}
