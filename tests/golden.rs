//! The whole of ELECTRA against PyTorch and transformers: losses, logits, every parameter's gradient, and ten steps.
//! `golden/make_electra.py` makes the numbers.

mod common;

use common::{Golden, close, compare_banks};
use leyden::batch::Shape;
use leyden::config::{Config, preset};
use leyden::cpu::{CpuEngine, Precision};
use leyden::gpu::GpuEngine;
use leyden::graph::{Bank, Recompute};
use leyden::math::Activation;
use leyden::model::Model;
use leyden::objective::electra::{Electra, SAMPLED, outputs};
use leyden::objective::{Generator, GeneratorSizes};
use leyden::op::StepState;
use leyden::plan::{Engine, Program, Target};
use leyden::train::Recipe;
use leyden::train::step::{GRADIENT_NORM, PlannedStep, training_step};
use serde_json::Value;

struct Case {
    golden: Golden,
    config: Config,
    model: Model,
    shape: Shape,
}

impl Case {
    fn new(name: &str) -> Self {
        let golden = Golden::open(name);
        let (d, g, s) = (golden.meta("discriminator"), golden.meta("generator"), golden.meta("shape"));
        let size = |v: &Value, key: &str| v[key].as_u64().unwrap() as usize;
        let mut config = preset("small").unwrap();
        config.model.vocabulary = size(&d, "vocab_size");
        config.model.positions = size(&d, "max_position_embeddings");
        config.model.embedding = size(&d, "embedding_size");
        config.model.hidden = size(&d, "hidden_size");
        config.model.layers = size(&d, "num_hidden_layers");
        config.model.heads = size(&d, "num_attention_heads");
        config.model.feed_forward = size(&d, "intermediate_size");
        (config.model.dropout, config.model.attention_dropout) = (0.0, 0.0);
        config.model.activation = Activation::named(d["hidden_act"].as_str().unwrap()).unwrap();
        config.model.layer_norm_epsilon = d["layer_norm_eps"].as_f64().unwrap();
        let generator = GeneratorSizes {
            hidden: size(&g, "hidden_size"),
            layers: size(&g, "num_hidden_layers"),
            heads: size(&g, "num_attention_heads"),
            feed_forward: size(&g, "intermediate_size"),
        };
        config.objective = Electra { generator: Generator::Sizes(generator), ..Electra::default() }.into();
        if golden.has_steps() {
            let t = golden.meta("training");
            config.optimizer.learning_rate = t["learning_rate"].as_f64().unwrap();
            config.optimizer.warmup = t["warmup_steps"].as_u64().unwrap();
            config.training.steps = t["total_steps"].as_u64().unwrap();
        }
        let shape = Shape { examples: size(&s, "batch"), length: size(&s, "length"), slots: size(&s, "drawn") };
        let model = Model::new(&config);
        Self { golden, config, model, shape }
    }

    fn bank(&self, prefix: &str) -> Vec<f32> {
        self.golden.bank(&self.model, prefix)
    }

    fn step(&self, target: Target) -> PlannedStep {
        training_step(&Recipe::new(&self.config), self.shape, target, Recompute::Off, &[outputs::SAMPLED]).unwrap()
    }

    fn write(&self, engine: &mut dyn Engine, program: Program, step: &PlannedStep, sampled: &[u32]) {
        let batch = self.golden.batch(self.shape).with(SAMPLED, sampled.to_vec());
        step.write(engine, program, &batch, &batch);
    }

    /// Every tensor of `found` against the golden ones under `prefix`, relative to the tensor's largest element.
    fn compare(&self, prefix: &str, found: &[f32], tolerance: f32) {
        compare_banks(&self.model, prefix, found, &self.bank(prefix), tolerance);
    }
}

fn losses_logits_and_gradients(name: &str, engine: &mut dyn Engine, target: Target, tolerance: f32) {
    let case = Case::new(name);
    let step = case.step(target);
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.bank("")).unwrap();
    case.write(engine, program, &step, &case.golden.words("batch.sampled"));
    let state = StepState { correction1: 1.0, correction2: 1.0, ..StepState::default() };
    engine.submit(program, &state, true).unwrap();
    let out = step.results(engine.collect(true).unwrap().unwrap());
    close(
        "generator loss",
        out.scalar(outputs::GENERATOR_LOSS).unwrap(),
        case.golden.reals("loss.generator")[0],
        tolerance,
    );
    close(
        "discriminator loss",
        out.scalar(outputs::DISCRIMINATOR_LOSS).unwrap(),
        case.golden.reals("loss.discriminator")[0],
        tolerance,
    );
    assert_eq!(out.words(outputs::LABELS), case.golden.words("batch.labels"), "labels");
    let lengths = case.golden.words("batch.lengths");
    let logits = case.golden.reals("discriminator.logits");
    for (i, (found, expected)) in out.reals(outputs::LOGITS).iter().zip(logits).enumerate() {
        if i % case.shape.length < lengths[i / case.shape.length] as usize {
            close(&format!("discriminator logit {i}"), *found, expected, 10.0 * tolerance);
        }
    }
    let weights = case.golden.reals("batch.weights");
    let words = case.config.model.vocabulary;
    for (m, row) in case.golden.reals("generator.logits").chunks(words).enumerate() {
        let best = (0..words).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert!(weights[m] == 0.0 || out.words(outputs::BEST)[m] as usize == best, "best guess of slot {m}");
    }
    close("gradient norm", out.scalar(GRADIENT_NORM).unwrap(), case.golden.reals("grad.norm")[0], tolerance);
    case.compare("grad.", &engine.read_bank(Bank::Gradients).unwrap(), 5.0 * tolerance);
}

fn ten_steps(engine: &mut dyn Engine, target: Target, tolerance: f32, bias_correction: bool) {
    let mut case = Case::new("electra");
    case.config.optimizer.bias_correction = bias_correction;
    let prefix = if bias_correction { "corrected" } else { "steps" };
    let step = case.step(target);
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.bank("")).unwrap();
    let samples = case.golden.words("steps.sampled");
    let [g, d, n] = ["loss_generator", "loss_discriminator", "grad_norm"]
        .map(|name| case.golden.reals(&format!("{prefix}.{name}")));
    for (t, sampled) in samples.chunks(case.shape.examples * case.shape.slots).enumerate() {
        case.write(engine, program, &step, sampled);
        let state = Recipe::new(&case.config).step_state(t as u64);
        close("learning rate", state.learning_rate, case.golden.reals("steps.lr")[t], 1e-6);
        engine.submit(program, &state, true).unwrap();
        let out = step.results(engine.collect(true).unwrap().unwrap());
        close(&format!("{prefix} generator loss {t}"), out.scalar(outputs::GENERATOR_LOSS).unwrap(), g[t], tolerance);
        close(
            &format!("{prefix} discriminator loss {t}"),
            out.scalar(outputs::DISCRIMINATOR_LOSS).unwrap(),
            d[t],
            tolerance,
        );
        close(&format!("{prefix} gradient norm {t}"), out.scalar(GRADIENT_NORM).unwrap(), n[t], 5.0 * tolerance);
    }
    if !bias_correction {
        case.compare("after.", &engine.read_bank(Bank::Parameters).unwrap(), 10.0 * tolerance);
    }
}

fn cpu<R: Precision>(name: &str) -> CpuEngine<R> {
    CpuEngine::new(Case::new(name).model.table.len())
}

/// Every pair; the last two have another activation and another epsilon.
const PAIRS: [&str; 4] = ["electra", "electra_square", "electra_gelu_new", "electra_relu"];

#[test]
fn cpu_gradients_in_double_precision() {
    for name in PAIRS {
        losses_logits_and_gradients(name, &mut cpu::<f64>(name), Target::Cpu, 1e-6);
    }
}

#[test]
fn cpu_gradients() {
    for name in PAIRS {
        losses_logits_and_gradients(name, &mut cpu::<f32>(name), Target::Cpu, 5e-6);
    }
}

#[test]
fn cpu_ten_steps() {
    ten_steps(&mut cpu::<f64>("electra"), Target::Cpu, 2e-6, false);
    ten_steps(&mut cpu::<f32>("electra"), Target::Cpu, 1e-5, false);
}

#[test]
fn cpu_ten_steps_with_bias_correction() {
    ten_steps(&mut cpu::<f32>("electra"), Target::Cpu, 2e-5, true);
}

fn gpu(name: &str) -> (GpuEngine, Target) {
    let engine = common::gpu(Case::new(name).model.table.len());
    let target = Target::Gpu(engine.traits());
    (engine, target)
}

#[test]
fn gpu_gradients() {
    for name in PAIRS {
        let (mut engine, target) = gpu(name);
        losses_logits_and_gradients(name, &mut engine, target, 5e-6);
    }
}

#[test]
fn gpu_ten_steps() {
    let (mut engine, target) = gpu("electra");
    // A software driver's exponentials are less exact; the tenth step's norm is off by 1.00e-4.
    ten_steps(&mut engine, target, 2.5e-5, false);
}
