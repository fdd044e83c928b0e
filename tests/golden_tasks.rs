//! The heads that are fine-tuned against PyTorch and transformers: logits, loss and every parameter's gradient, and the folders
//! that transformers saves and loads. `golden/make_tasks.py` makes the numbers.

mod common;

use common::{Golden, close, compare_banks, gpu};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, DType, Graph, GraphError, Tensor};
use leyden::model::{Architecture, Builder, ClassifierKind, Encoded, Head, Model, ModelConfig, Problem};
use leyden::op::StepState;
use leyden::ops::{self, AdamW};
use leyden::plan::{Engine, Plan, Target};
use leyden::train::Rates;
use leyden::transformers::{Pretrained, config_json, entries, read_config_json, to_bytes};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

const CASES: [&str; 6] = ["single", "regression", "multi", "linear", "tokens", "span"];

struct Case {
    name: &'static str,
    golden: Golden,
    model: Model,
    examples: usize,
    length: usize,
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_string()
}

impl Case {
    /// A network put together by hand from what `transformers` says of it.
    fn new(name: &'static str) -> Self {
        let golden = Golden::open(&format!("task_{name}"));
        let (config, shape) = (golden.meta("config"), golden.meta("shape"));
        let sizes = read_config_json(&config.to_string()).unwrap().config;
        let names = config["id2label"].as_object();
        let labels = names.map(|ids| (0..ids.len()).map(|i| text(&ids[&i.to_string()])).collect()).unwrap_or_default();
        let mut b = Builder::default();
        let mut network = b.network("model", &sizes);
        match name {
            "single" => b.sequence_classification(&mut network, ClassifierKind::Dense, Problem::SingleLabel, labels),
            "regression" => b.sequence_classification(&mut network, ClassifierKind::Dense, Problem::Regression, labels),
            "multi" => b.sequence_classification(&mut network, ClassifierKind::Dense, Problem::MultiLabel, labels),
            "linear" => b.sequence_classification(&mut network, ClassifierKind::Linear, Problem::SingleLabel, labels),
            "tokens" => b.token_classification(&mut network, labels),
            _ => b.question_answering(&mut network, None),
        }
        let size = |key: &str| shape[key].as_u64().unwrap() as usize;
        let (examples, length) = (size("batch"), size("length"));
        Self { name, golden, model: b.finish(vec![network]), examples, length }
    }

    /// The forward pass and the loss, of inputs whose contents are returned with them.
    fn build(&self, g: &mut Graph, model: &Model) -> Result<Built, GraphError> {
        let (b, l) = (self.examples, self.length);
        let mut inputs = Vec::new();
        let mut input = |g: &mut Graph, name: &'static str, dtype: DType, shape: &[usize]| {
            let tensor = g.input(name, dtype, shape);
            inputs.push((tensor, self.golden.words(&format!("batch.{name}"))));
            tensor
        };
        let ids = input(g, "ids", DType::U32, &[b, l]);
        let types = input(g, "type_ids", DType::U32, &[b, l]);
        let lengths = input(g, "lengths", DType::U32, &[b]);
        let network = &model.networks[0];
        let hidden = network.encode(g, ids, Encoded { types, lengths, dropout: true })?;
        let (logits, nll) = match &network.heads[0] {
            Head::SequenceClassification(head) => {
                let logits = head.logits(g, hidden, b, true)?;
                let nll = match head.problem {
                    Problem::SingleLabel => {
                        let labels = input(g, "labels", DType::U32, &[b]);
                        ops::softmax_nll(g, logits, labels)?.nll
                    }
                    Problem::Regression => {
                        let labels = input(g, "labels", DType::F32, &[b]);
                        ops::squared_error(g, logits, labels)?
                    }
                    Problem::MultiLabel => {
                        let labels = input(g, "labels", DType::U32, &[b, head.labels.len()]);
                        ops::binary_nll(g, logits, labels)?
                    }
                };
                (logits, nll)
            }
            Head::TokenClassification(head) => {
                let logits = head.logits(g, hidden, true)?;
                let labels = input(g, "labels", DType::U32, &[b, l]);
                (logits, ops::softmax_nll(g, logits, labels)?.nll)
            }
            Head::QuestionAnswering(head) => {
                let logits = head.logits(g, hidden)?;
                let labels = input(g, "labels", DType::U32, &[b, 2]);
                (logits, ops::span_nll(g, logits, labels, lengths)?.nll)
            }
            other => panic!("{other:?}"),
        };
        let rows = g.ty(nll).len();
        let (weights, total) = match self.name {
            "tokens" => {
                let total = self.golden.reals("batch.weights").iter().sum();
                (input(g, "weights", DType::F32, &[rows]), total)
            }
            _ => (ops::constant(g, 1.0, &[rows])?, rows as f32),
        };
        let total = ops::constant(g, total, &[1])?;
        let loss = ops::weighted_mean(g, nll, weights, total)?;
        Ok(Built { inputs, logits, loss })
    }

    /// Runs a step over `weights` of `model`, and compares it with what PyTorch found.
    fn run(&self, model: &Model, weights: &[f32], engine: &mut dyn Engine, target: Target, tolerance: f32) {
        let mut g = Graph::new(model.table.clone());
        let built = self.build(&mut g, model).unwrap();
        g.backward(built.loss, |_| true).unwrap();
        g.fuse(&[built.loss, built.logits]).unwrap();
        let plan = Plan::new(Arc::new(g), &[built.loss, built.logits], target);
        let program = engine.load(plan).unwrap();
        engine.write_bank(Bank::Parameters, weights).unwrap();
        built.inputs.iter().for_each(|(tensor, words)| engine.write(program, *tensor, words));
        engine.submit(program, &StepState::default(), true).unwrap();
        let out = engine.collect(true).unwrap().unwrap();
        close(&format!("{}: loss", self.name), out.real(0)[0], self.golden.reals("loss")[0], tolerance);
        let expected = self.golden.reals("logits");
        assert_eq!(out.real(1).len(), expected.len());
        for (i, (&found, expected)) in out.real(1).iter().zip(expected).enumerate() {
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

struct Built {
    inputs: Vec<(Tensor, Vec<u32>)>,
    logits: Tensor,
    loss: Tensor,
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
    let t = case.golden.meta("training");
    let number = |key: &str| t[key].as_f64().unwrap();
    let mut g = Graph::new(case.model.table.clone());
    let built = case.build(&mut g, &case.model).unwrap();
    g.backward(built.loss, |_| true).unwrap();
    g.fuse(&[built.loss]).unwrap();
    let bank = g.bank(Bank::Gradients);
    let norm = ops::global_norm(&mut g, bank).unwrap();
    let settings = AdamW {
        beta1: number("beta1"),
        beta2: number("beta2"),
        epsilon: number("epsilon"),
        weight_decay: number("weight_decay"),
        clip_norm: number("clip"),
    };
    let factors = Rates::ByLayer(number("layer_decay") as f32).factors(&case.model);
    let spans = g.table().spans(|parameter| Some(factors(parameter)));
    // Two for each depth: what decays and what does not.
    assert_eq!(spans.len(), 2 * (2 + case.model.networks[0].encoder.layers.len()));
    ops::adamw(&mut g, bank, norm, false, settings, spans).unwrap();
    let program = engine.load(Plan::new(Arc::new(g), &[built.loss, norm], target)).unwrap();
    engine.write_bank(Bank::Parameters, &case.golden.bank(&case.model, "")).unwrap();
    let [rates, losses, norms] = ["lr", "loss", "grad_norm"].map(|name| case.golden.reals(&format!("steps.{name}")));
    for (step, &learning_rate) in rates.iter().enumerate() {
        built.inputs.iter().for_each(|(tensor, words)| engine.write(program, *tensor, words));
        let state = StepState { learning_rate, correction1: 1.0, correction2: 1.0, ..StepState::default() };
        engine.submit(program, &state, true).unwrap();
        let out = engine.collect(true).unwrap().unwrap();
        close(&format!("{}: loss {step}", case.name), out.real(0)[0], losses[step], tolerance);
        close(&format!("{}: norm {step}", case.name), out.real(1)[0], norms[step], 5.0 * tolerance);
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
