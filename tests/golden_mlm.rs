//! Masked language modelling against PyTorch and transformers: loss, guesses, every parameter's gradient, and ten steps.
//! `golden/make_mlm.py` makes the numbers.

mod common;

use common::{Golden, close, compare_banks};
use leyden::batch::Shape;
use leyden::config::{Config, preset};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, Recompute};
use leyden::objective::LOSS;
use leyden::objective::mlm::outputs::{BEST, MLM_LOSS};
use leyden::op::StepState;
use leyden::plan::{Engine, Target};
use leyden::train::Recipe;
use leyden::train::step::{GRADIENT_NORM, training_step};

/// Masked as BERT does it, and never with a random word; the second has embeddings as wide as its layers.
const CASES: [&str; 2] = ["mlm", "mlm_all_masked"];

struct Case {
    golden: Golden,
    recipe: Recipe,
    shape: Shape,
}

impl Case {
    fn new(name: &str) -> Self {
        let golden = Golden::open(name);
        let (e, s) = (golden.meta("encoder"), golden.meta("shape"));
        let size = |key: &str| e[key].as_u64().unwrap() as usize;
        let mut config: Config = preset("small").unwrap().with_objective("mlm").unwrap();
        config.model.vocabulary = size("vocab_size");
        config.model.positions = size("max_position_embeddings");
        config.model.embedding = size("embedding_size");
        config.model.hidden = size("hidden_size");
        config.model.layers = size("num_hidden_layers");
        config.model.heads = size("num_attention_heads");
        config.model.feed_forward = size("intermediate_size");
        (config.model.dropout, config.model.attention_dropout) = (0.0, 0.0);
        if golden.has_steps() {
            let t = golden.meta("training");
            config.optimizer.learning_rate = t["learning_rate"].as_f64().unwrap();
            config.optimizer.warmup = t["warmup_steps"].as_u64().unwrap();
            config.training.steps = t["total_steps"].as_u64().unwrap();
        }
        let size = |key: &str| s[key].as_u64().unwrap() as usize;
        let shape = Shape { examples: size("batch"), length: size("length"), slots: size("drawn") };
        Self { golden, recipe: Recipe::new(&config), shape }
    }

    fn len(&self) -> usize {
        self.recipe.model.table.len()
    }

    fn compare(&self, prefix: &str, found: &[f32], tolerance: f32) {
        let model = &self.recipe.model;
        compare_banks(model, prefix, found, &self.golden.bank(model, prefix), tolerance);
    }
}

fn loss_and_gradients(name: &str, engine: &mut dyn Engine, target: Target, tolerance: f32) {
    let case = Case::new(name);
    let step = training_step(&case.recipe, case.shape, target, Recompute::Off, &[]).unwrap();
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.golden.bank(&case.recipe.model, "")).unwrap();
    let batch = case.golden.batch(case.shape);
    step.write(engine, program, &batch, &batch);
    let state = StepState { correction1: 1.0, correction2: 1.0, ..StepState::default() };
    engine.submit(program, &state, true).unwrap();
    let out = step.results(engine.collect(true).unwrap().unwrap());
    let expected = case.golden.reals("loss")[0];
    for loss in [LOSS, MLM_LOSS] {
        close(loss, out.scalar(loss).unwrap(), expected, tolerance);
    }
    let (weights, logits) = (case.golden.reals("batch.weights"), case.golden.reals("logits"));
    let words = logits.len() / weights.len();
    for (m, row) in logits.chunks(words).enumerate() {
        let best = (0..words).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert!(weights[m] == 0.0 || out.words(BEST)[m] as usize == best, "best guess of slot {m}");
    }
    close("gradient norm", out.scalar(GRADIENT_NORM).unwrap(), case.golden.reals("grad.norm")[0], tolerance);
    case.compare("grad.", &engine.read_bank(Bank::Gradients).unwrap(), 5.0 * tolerance);
}

fn ten_steps(engine: &mut dyn Engine, target: Target, tolerance: f32) {
    let case = Case::new("mlm");
    let step = training_step(&case.recipe, case.shape, target, Recompute::Off, &[]).unwrap();
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.golden.bank(&case.recipe.model, "")).unwrap();
    let batch = case.golden.batch(case.shape);
    let [losses, norms, rates] = ["loss", "grad_norm", "lr"].map(|name| case.golden.reals(&format!("steps.{name}")));
    for t in 0..losses.len() {
        step.write(engine, program, &batch, &batch);
        let state = case.recipe.step_state(t as u64);
        close("learning rate", state.learning_rate, rates[t], 1e-6);
        engine.submit(program, &state, true).unwrap();
        let out = step.results(engine.collect(true).unwrap().unwrap());
        close(&format!("loss {t}"), out.scalar(MLM_LOSS).unwrap(), losses[t], tolerance);
        close(&format!("gradient norm {t}"), out.scalar(GRADIENT_NORM).unwrap(), norms[t], 5.0 * tolerance);
    }
    case.compare("after.", &engine.read_bank(Bank::Parameters).unwrap(), 10.0 * tolerance);
}

#[test]
fn cpu_gradients() {
    for name in CASES {
        let len = Case::new(name).len();
        loss_and_gradients(name, &mut CpuEngine::<f64>::new(len), Target::Cpu, 1e-6);
        loss_and_gradients(name, &mut CpuEngine::<f32>::new(len), Target::Cpu, 5e-6);
    }
}

#[test]
fn cpu_ten_steps() {
    let len = Case::new("mlm").len();
    ten_steps(&mut CpuEngine::<f64>::new(len), Target::Cpu, 2e-6);
    ten_steps(&mut CpuEngine::<f32>::new(len), Target::Cpu, 1e-5);
}

#[test]
fn gpu_gradients_and_ten_steps() {
    for name in CASES {
        let mut engine = common::gpu(Case::new(name).len());
        let target = Target::Gpu(engine.traits());
        loss_and_gradients(name, &mut engine, target, 5e-6);
    }
    let mut engine = common::gpu(Case::new("mlm").len());
    let target = Target::Gpu(engine.traits());
    ten_steps(&mut engine, target, 2.5e-5);
}
