//! Objectives beside ELECTRA's own against PyTorch and transformers: losses, every parameter's gradient, and ten steps with given samples.
//! `golden/make_objectives.py` and `golden/make_followups.py` make the numbers.

mod common;

use common::{Golden, close};
use leyden::batch::{Batch, Column, Extent, Shape};
use leyden::config::{Config, preset};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, Recompute};
use leyden::objective::{Generator, GeneratorSizes, LOSS};
use leyden::op::StepState;
use leyden::plan::{Engine, Target};
use leyden::train::Recipe;
use leyden::train::step::{GRADIENT_NORM, PlannedStep, training_step};
use leyden::transformers::entries;
use serde_json::Value;

/// A file, the objective, its settings, the outputs of its losses, the phase that it is of, and what is given in place of what is drawn.
struct Of {
    file: &'static str,
    objective: &'static str,
    settings: &'static [&'static str],
    losses: &'static [&'static str],
    phase: usize,
    given: &'static [&'static str],
}

const ELECTRA: Of = Of {
    file: "",
    objective: "electra",
    settings: &[],
    losses: &["generator_loss", "discriminator_loss"],
    phase: 0,
    given: &["sampled"],
};

const ALL: [Of; 10] = [
    Of { file: "electra_selected", settings: &["objective.over='selected'"], ..ELECTRA },
    Of { file: "electra_untied", settings: &["objective.tying='none'"], ..ELECTRA },
    Of { file: "electra_one", settings: &["objective.tying='all'"], ..ELECTRA },
    Of { file: "two_stage", objective: "two-stage", phase: 1, ..ELECTRA },
    Of { file: "adversarial", objective: "adversarial", ..ELECTRA },
    Of { file: "replace_mlm", objective: "replace-mlm", losses: &["generator_loss", "encoder_loss"], ..ELECTRA },
    Of { file: "all_tokens", objective: "all-tokens", losses: &["generator_loss", "encoder_loss"], ..ELECTRA },
    Of {
        file: "mc_bert",
        objective: "mc-bert",
        losses: &["generator_loss", "encoder_loss"],
        given: &["sampled", "candidates"],
        ..ELECTRA
    },
    Of {
        file: "teams",
        objective: "teams",
        losses: &["generator_loss", "discriminator_loss", "selection_loss"],
        given: &["sampled", "candidates"],
        ..ELECTRA
    },
    Of { file: "xlnet", objective: "xlnet", losses: &["permutation_loss"], given: &["order"], ..ELECTRA },
];

struct Case {
    golden: Golden,
    recipe: Recipe,
    shape: Shape,
    given: &'static [&'static str],
    /// The step that its phase begins with.
    first: u64,
}

fn size(of: &Value, key: &str) -> usize {
    of[key].as_u64().unwrap() as usize
}

impl Case {
    fn new(of: &Of) -> Self {
        let golden = Golden::open(of.file);
        let [kept, small, shape, training] =
            ["kept", "generator", "shape", "training"].map(|section| golden.meta(section));
        let mut config: Config = preset("small").unwrap().with_objective(of.objective).unwrap();
        config.model.vocabulary = size(&kept, "vocab_size");
        config.model.positions = size(&kept, "max_position_embeddings");
        config.model.embedding = size(&kept, "embedding_size");
        config.model.hidden = size(&kept, "hidden_size");
        config.model.layers = size(&kept, "num_hidden_layers");
        config.model.heads = size(&kept, "num_attention_heads");
        config.model.feed_forward = size(&kept, "intermediate_size");
        (config.model.dropout, config.model.attention_dropout) = (0.0, 0.0);
        if let Some(generator) = config.objective.generator_mut() {
            *generator = Generator::Sizes(GeneratorSizes {
                hidden: size(&small, "hidden_size"),
                layers: size(&small, "num_hidden_layers"),
                heads: size(&small, "num_attention_heads"),
                feed_forward: size(&small, "intermediate_size"),
            });
        }
        let mut config = of.settings.iter().fold(config, |config, setting| config.set(setting).unwrap());
        config.optimizer.learning_rate = training["learning_rate"].as_f64().unwrap();
        config.optimizer.warmup = training["warmup_steps"].as_u64().unwrap();
        let steps = training["total_steps"].as_u64().unwrap();
        let phases = config.objective.phases();
        config.training.steps = steps * phases.len() as u64;
        config.objective.check(&config.model).unwrap();
        let shape =
            Shape { examples: size(&shape, "batch"), length: size(&shape, "length"), slots: size(&shape, "drawn") };
        let recipe = Recipe::new(&config).in_phase(of.phase);
        Self { golden, recipe, shape, given: of.given, first: of.phase as u64 * steps }
    }

    fn engine<R>(&self, new: impl FnOnce(usize) -> R) -> R {
        new(self.recipe.model.table.len())
    }

    /// Every parameter's name in the file and its place in a bank.
    fn places(&self) -> Vec<(String, std::ops::Range<usize>)> {
        let model = &self.recipe.model;
        let mut places = Vec::new();
        for network in &model.networks {
            let named = entries(model, network).into_iter().filter(|entry| !entry.alias);
            places.extend(named.map(|entry| (format!("{}.{}", network.name, entry.name), entry.range())));
            for (name, layer) in &network.own {
                for (kind, parameter) in [("weight", layer.weight), ("bias", layer.bias)] {
                    let range = model.table.parameters()[parameter].range();
                    places.push((format!("{}.{name}.{kind}", network.name), range));
                }
            }
        }
        places
    }

    fn bank(&self, prefix: &str) -> Vec<f32> {
        let mut bank = vec![0.0; self.recipe.model.table.len()];
        for (name, range) in self.places() {
            bank[range].copy_from_slice(&self.golden.reals(&format!("{prefix}{name}")));
        }
        bank
    }

    fn compare(&self, prefix: &str, found: &[f32], tolerance: f32) {
        let expected = self.bank(prefix);
        for (name, range) in self.places() {
            let (found, expected) = (&found[range.clone()], &expected[range]);
            let scale = expected.iter().fold(0.1f32, |most, x| most.max(x.abs()));
            let worst = found.iter().zip(expected).fold(0.0f32, |most, (f, x)| most.max((f - x).abs()));
            assert!(worst <= tolerance * scale, "{prefix}{name}: off by {worst} of {scale}");
            assert!(found.iter().all(|x| x.is_finite()), "{prefix}{name}");
        }
    }

    /// The batch of a step, with what is given.
    fn batch(&self, step: usize) -> Batch {
        let given = |batch: Batch, name: &&'static str| {
            let words = self.golden.words(&format!("steps.{name}"));
            let each = words.len() / self.golden.reals("steps.loss").len();
            let words = words[step * each..][..each].to_vec();
            let per = each / self.shape.examples;
            let extent = if per.is_multiple_of(self.shape.length) { Extent::Token } else { Extent::Slot };
            let places = if extent == Extent::Token { self.shape.length } else { self.shape.slots };
            let column = Column::words(name, extent);
            batch.with(if per == places { column } else { column.times(per / places) }, words)
        };
        self.given.iter().fold(self.golden.batch(self.shape), given)
    }

    fn step(&self, target: Target) -> PlannedStep {
        training_step(&self.recipe, self.shape, target, Recompute::Off, self.given).unwrap()
    }
}

fn loss_and_gradients(of: &Of, case: &Case, engine: &mut dyn Engine, target: Target, tolerance: f32) {
    let step = case.step(target);
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.bank("")).unwrap();
    let batch = case.batch(0);
    step.write(engine, program, &batch, &batch);
    let state = StepState { correction1: 1.0, correction2: 1.0, ..StepState::default() };
    engine.submit(program, &state, true).unwrap();
    let out = step.results(engine.collect(true).unwrap().unwrap());
    let keys = ["loss.first", "loss.second", "loss.third"];
    for (name, key) in of.losses.iter().copied().zip(keys).chain([(LOSS, "loss")]) {
        let expected = case.golden.reals(key)[0];
        close(&format!("{} {name}", of.file), out.scalar(name).unwrap(), expected, tolerance);
    }
    close("gradient norm", out.scalar(GRADIENT_NORM).unwrap(), case.golden.reals("grad.norm")[0], tolerance);
    case.compare("grad.", &engine.read_bank(Bank::Gradients).unwrap(), 5.0 * tolerance);
}

fn ten_steps(case: &Case, engine: &mut dyn Engine, target: Target, tolerance: f32) {
    let step = case.step(target);
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.bank("")).unwrap();
    let [losses, norms, rates] = ["loss", "grad_norm", "lr"].map(|name| case.golden.reals(&format!("steps.{name}")));
    for t in 0..losses.len() {
        let batch = case.batch(t);
        step.write(engine, program, &batch, &batch);
        let state = case.recipe.step_state(case.first + t as u64);
        close("learning rate", state.learning_rate, rates[t], 1e-6);
        engine.submit(program, &state, true).unwrap();
        let out = step.results(engine.collect(true).unwrap().unwrap());
        close(&format!("loss {t}"), out.scalar(LOSS).unwrap(), losses[t], tolerance);
        close(&format!("gradient norm {t}"), out.scalar(GRADIENT_NORM).unwrap(), norms[t], 5.0 * tolerance);
    }
    case.compare("after.", &engine.read_bank(Bank::Parameters).unwrap(), 10.0 * tolerance);
}

#[test]
fn cpu_gradients() {
    for of in &ALL {
        let case = Case::new(of);
        loss_and_gradients(of, &case, &mut case.engine(CpuEngine::<f64>::new), Target::Cpu, 1e-6);
        loss_and_gradients(of, &case, &mut case.engine(CpuEngine::<f32>::new), Target::Cpu, 5e-6);
    }
}

#[test]
fn cpu_ten_steps() {
    for of in &ALL {
        let case = Case::new(of);
        ten_steps(&case, &mut case.engine(CpuEngine::<f64>::new), Target::Cpu, 2e-6);
        ten_steps(&case, &mut case.engine(CpuEngine::<f32>::new), Target::Cpu, 1e-5);
    }
}

#[test]
fn gpu_gradients_and_ten_steps() {
    for of in &ALL {
        let case = Case::new(of);
        let mut engine = case.engine(common::gpu);
        let target = Target::Gpu(engine.traits());
        loss_and_gradients(of, &case, &mut engine, target, 5e-6);
        let mut engine = case.engine(common::gpu);
        ten_steps(&case, &mut engine, target, 2.5e-5);
    }
}
