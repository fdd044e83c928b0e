//! The heads that are fine-tuned against PyTorch and transformers: logits, loss and every parameter's gradient, and the folders
//! that transformers saves and loads. `golden/make_tasks.py` makes the numbers.

mod common;

use common::{Golden, close, compare_banks, gpu};
use leyden::batch::{
    Batch, CLASSES, EXAMPLE_WEIGHTS, IDS, LENGTHS, NUMBERS, Shape, TAG_WEIGHTS, TAGS, TARGETS, TYPES, WEIGHTS,
};
use leyden::config::fine_tuning;
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, Recompute};
use leyden::model::{Architecture, ClassifierKind, Model, ModelConfig};
use leyden::objective::{LOSS, ObjectiveConfig};
use leyden::op::StepState;
use leyden::plan::{Engine, Target};
use leyden::task::Task;
use leyden::task::objective::outputs::LOGITS;
use leyden::train::Recipe;
use leyden::train::step::{GRADIENT_NORM, training_step};
use leyden::transformers::{Pretrained, config_json, entries, read_config_json, to_bytes};
use serde_json::Value;
use std::path::Path;

const CASES: [&str; 6] = ["single", "regression", "multi", "linear", "tokens", "span"];

struct Case {
    name: &'static str,
    golden: Golden,
    recipe: Recipe,
    model: Model,
    batch: Batch,
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_string()
}

/// The task's objective, with the labels that `transformers` has.
fn objective(name: &str, labels: Vec<String>) -> ObjectiveConfig {
    let task = match name {
        "single" | "linear" => "classify",
        "regression" => "regress",
        "multi" => "multi-label",
        "tokens" => "tag",
        _ => "squad1",
    };
    let mut objective = Task::named(task).unwrap().objective();
    match &mut objective {
        ObjectiveConfig::Classification(objective) => {
            objective.labels = labels;
            objective.head = if name == "linear" { ClassifierKind::Linear } else { ClassifierKind::Dense };
        }
        ObjectiveConfig::Tagging(objective) => objective.labels = labels,
        _ => {}
    }
    objective
}

impl Case {
    fn new(name: &'static str) -> Self {
        let golden = Golden::open(&format!("task_{name}"));
        let (sizes, shape) = (golden.meta("config"), golden.meta("shape"));
        let names = sizes["id2label"].as_object();
        let labels = names.map(|ids| (0..ids.len()).map(|i| text(&ids[&i.to_string()])).collect()).unwrap_or_default();
        let mut config = fine_tuning(&Task::named("classify").unwrap());
        config.objective = objective(name, labels);
        config.model = read_config_json(&sizes.to_string()).unwrap().config;
        if golden.has_steps() {
            let t = golden.meta("training");
            let number = |key: &str| t[key].as_f64().unwrap();
            let optimizer = &mut config.optimizer;
            (optimizer.beta1, optimizer.beta2, optimizer.epsilon) =
                (number("beta1"), number("beta2"), number("epsilon"));
            (optimizer.weight_decay, optimizer.clip_norm) = (number("weight_decay"), number("clip"));
            optimizer.layer_decay = Some(number("layer_decay"));
        }
        let size = |key: &str| shape[key].as_u64().unwrap() as usize;
        let (examples, length) = (size("batch"), size("length"));
        let shape = Shape { examples, length, slots: config.objective.slots(length) };
        let recipe = Recipe { shape, ..Recipe::new(&config) };
        let batch = batch(name, &golden, shape);
        Self { name, golden, model: recipe.model.clone(), recipe, batch }
    }

    /// Runs a step over `weights` of `model`, and compares it with what PyTorch found.
    fn run(&self, model: &Model, weights: &[f32], engine: &mut dyn Engine, target: Target, tolerance: f32) {
        let recipe = Recipe { model: model.clone(), ..self.recipe.clone() };
        let step = training_step(&recipe, recipe.shape, target, Recompute::Off, &[]).unwrap();
        let program = engine.load(step.plan.clone()).unwrap();
        engine.write_bank(Bank::Parameters, weights).unwrap();
        step.write(engine, program, &self.batch, &self.batch);
        engine.submit(program, &StepState::default(), true).unwrap();
        let out = step.results(engine.collect(true).unwrap().unwrap());
        close(&format!("{}: loss", self.name), out.scalar(LOSS).unwrap(), self.golden.reals("loss")[0], tolerance);
        let expected = self.golden.reals("logits");
        assert_eq!(out.reals(LOGITS).len(), expected.len());
        for (i, (&found, expected)) in out.reals(LOGITS).iter().zip(expected).enumerate() {
            close(&format!("{}: logit {i}", self.name), found, expected, 5.0 * tolerance);
        }
        let expected = self.golden.bank(model, "grad.");
        compare_banks(model, "grad.", &engine.read_bank(Bank::Gradients).unwrap(), &expected, 5.0 * tolerance);
    }

    /// What `transformers` saves, and the tokenizer of another model that has as many words.
    fn save(&self, folder: &Path) {
        let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/probe");
        for file in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
            std::fs::copy(probe.join(file), folder.join(file)).unwrap();
        }
        let weights = to_bytes(&self.model, &self.model.networks[0], &self.golden.bank(&self.model, "")).unwrap();
        std::fs::write(folder.join("model.safetensors"), weights).unwrap();
        std::fs::write(folder.join("config.json"), self.golden.meta("config").to_string()).unwrap();
    }
}

/// The columns of a labelled batch.
fn batch(name: &str, golden: &Golden, shape: Shape) -> Batch {
    let words = |part: &str| golden.words(&format!("batch.{part}"));
    let ones = |count: usize| vec![1f32.to_bits(); count];
    let Shape { examples, slots, .. } = shape;
    let batch = Batch::new(shape, &[]);
    let batch = batch.with(IDS, words("ids")).with(TYPES, words("type_ids")).with(LENGTHS, words("lengths"));
    let labels = words("labels");
    match name {
        "single" | "linear" => batch.with(CLASSES, labels).with(EXAMPLE_WEIGHTS, ones(examples)),
        "regression" => batch.with(NUMBERS, labels).with(EXAMPLE_WEIGHTS, ones(examples)),
        "tokens" => batch.with(TAGS, labels).with(TAG_WEIGHTS, words("weights")),
        _ => batch.with(TARGETS, labels).with(WEIGHTS, ones(examples * slots)),
    }
}

#[test]
fn cpu() {
    for name in CASES {
        let case = Case::new(name);
        let (len, weights) = (case.model.table.len(), case.golden.bank(&case.model, ""));
        case.run(&case.model, &weights, &mut CpuEngine::<f64>::new(len), Target::Cpu, 1e-6);
        case.run(&case.model, &weights, &mut CpuEngine::<f32>::new(len), Target::Cpu, 5e-6);
    }
}

#[test]
fn kernels() {
    for name in CASES {
        let case = Case::new(name);
        let mut engine = gpu(case.model.table.len());
        let target = Target::Gpu(engine.traits());
        case.run(&case.model, &case.golden.bank(&case.model, ""), &mut engine, target, 5e-6);
    }
}

/// Ten steps whose rates fall towards the input.
fn ten_steps(case: &Case, engine: &mut dyn Engine, target: Target, tolerance: f32) {
    let step = training_step(&case.recipe, case.recipe.shape, target, Recompute::Off, &[]).unwrap();
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.golden.bank(&case.model, "")).unwrap();
    let [rates, losses, norms] = ["lr", "loss", "grad_norm"].map(|name| case.golden.reals(&format!("steps.{name}")));
    for (t, &learning_rate) in rates.iter().enumerate() {
        step.write(engine, program, &case.batch, &case.batch);
        let state = StepState { learning_rate, correction1: 1.0, correction2: 1.0, ..StepState::default() };
        engine.submit(program, &state, true).unwrap();
        let out = step.results(engine.collect(true).unwrap().unwrap());
        close(&format!("{}: loss {t}", case.name), out.scalar(LOSS).unwrap(), losses[t], tolerance);
        let norm = out.scalar(GRADIENT_NORM).unwrap();
        close(&format!("{}: norm {t}", case.name), norm, norms[t], 5.0 * tolerance);
    }
    let (found, mut expected) = (engine.read_bank(Bank::Parameters).unwrap(), case.golden.bank(&case.model, "after."));
    // What shifts all places of an answer alike has no gradient, and Adam makes steps out of its rounding.
    let gradients = case.golden.bank(&case.model, "grad.");
    for entry in entries(&case.model, &case.model.networks[0]) {
        if gradients[entry.range()].iter().all(|gradient| gradient.abs() < 1e-12) {
            expected[entry.range()].copy_from_slice(&found[entry.range()]);
        }
    }
    compare_banks(&case.model, "after.", &found, &expected, 10.0 * tolerance);
}

#[test]
fn ten_steps_are_slower_towards_the_input() {
    for name in CASES.into_iter().filter(|&name| name != "linear") {
        let case = Case::new(name);
        let len = case.model.table.len();
        ten_steps(&case, &mut CpuEngine::<f64>::new(len), Target::Cpu, 2e-6);
        ten_steps(&case, &mut CpuEngine::<f32>::new(len), Target::Cpu, 2e-5);
        let mut engine = gpu(len);
        let target = Target::Gpu(engine.traits());
        ten_steps(&case, &mut engine, target, 5e-5);
    }
}

#[test]
fn a_folder_that_transformers_saved_is_read_as_what_it_is() {
    for name in CASES {
        let case = Case::new(name);
        let folder = tempfile::tempdir().unwrap();
        case.save(folder.path());
        let found = Pretrained::load_fine_tuned(folder.path()).unwrap();
        assert_eq!((&found.model, &found.notes), (&case.model, &Vec::new()), "{name}");
        let mut engine = CpuEngine::<f32>::new(found.model.table.len());
        case.run(&found.model, &found.weights, &mut engine, Target::Cpu, 5e-6);

        // Written by leyden it says the same of itself.
        let network = found.network();
        let (theirs, ours) = (case.golden.meta("config"), config_json(network));
        let ours: Value = serde_json::from_str(&ours).unwrap();
        for key in ["architectures", "id2label", "label2id", "problem_type"] {
            assert_eq!(ours.get(key), theirs.get(key), "{name}: {key}");
        }
        let config = read_config_json(&ours.to_string()).unwrap();
        assert_eq!(config.architecture, Some(network.heads[0].architecture()));
        assert_eq!(ModelConfig { ..config.config }, network.config);

        // For pre-training it is an encoder.
        let encoder = Pretrained::load_encoder(folder.path()).unwrap();
        assert!(encoder.network().heads.is_empty());
        let class = network.heads[0].architecture().name();
        let note = format!("fine-tuned for another task ({class}); only its encoder is taken");
        assert!(encoder.notes[0].contains(&note), "{:?}", encoder.notes);
        let embeddings = |found: &Pretrained| {
            let entry = entries(&found.model, found.network()).into_iter().next().unwrap();
            found.weights[entry.range()].to_vec()
        };
        assert_eq!(embeddings(&encoder), embeddings(&found));
        for architecture in Architecture::PRE_TRAINED {
            let error = Pretrained::load(folder.path(), architecture).unwrap_err().to_string();
            assert!(error.contains("fine-tuned for another task"), "{error}");
        }
    }
}

#[test]
fn what_is_not_fine_tuned_is_refused_with_what_it_is() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, class) in [("probe", "ElectraForPreTraining"), ("probe_generator", "ElectraForMaskedLM")] {
        let error = Pretrained::load_fine_tuned(&golden.join(name)).unwrap_err().to_string();
        let what = format!("{name} is an {class}; expected a fine-tuned model: ");
        assert!(error.contains(&what) && error.contains("ElectraForQuestionAnswering"), "{error}");
    }
    let case = Case::new("single");
    let folder = tempfile::tempdir().unwrap();
    case.save(folder.path());
    let error = Pretrained::load(folder.path(), Architecture::TokenClassification).unwrap_err().to_string();
    assert!(error.contains("another task (ElectraForSequenceClassification)"), "{error}");
    // A run's folder, and one in which a class has lost its name.
    let run = tempfile::tempdir().unwrap();
    let inside = run.path().join("checkpoints/step-7/model");
    std::fs::create_dir_all(&inside).unwrap();
    case.save(&inside);
    assert_eq!(Pretrained::load_fine_tuned(run.path()).unwrap().folder, inside);
    let config = inside.join("config.json");
    let mut json = case.golden.meta("config");
    json["architectures"] = Value::Null;
    std::fs::write(&config, json.to_string()).unwrap();
    assert_eq!(Pretrained::load_fine_tuned(run.path()).unwrap().model, case.model);
    json["id2label"] = serde_json::json!({"0": "no", "1": "yes"});
    std::fs::write(&config, json.to_string()).unwrap();
    let error = Pretrained::load_fine_tuned(run.path()).unwrap_err().to_string();
    assert!(error.contains("id2label has 2 labels, but the weights have 3 outputs"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = Pretrained::load_fine_tuned(empty.path()).unwrap_err().to_string();
    assert!(error.contains("holds no model; expected config.json, or model/"), "{error}");
}
