//! The second implementation: leyden's losses, logits and gradients against burn's autodiff, on burn's wgpu backend, which
//! shares no kernel and no gradient rule with leyden's engines; and what the burn modules promise to a Rust program.

mod common;
#[path = "common/program.rs"]
mod program;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, activation};
use common::{Seeded, close, compare_banks};
use leyden::batch::{self, IDS, LENGTHS, MASKED_IDS, MASKED_TEXT, POSITIONS, Shape, TARGETS, TYPES, WEIGHTS};
use leyden::burn::{Batch, BurnError, Discriminator, Electra, Optimizer, Tokens, VERSION, gelu};
use leyden::config::{Config, preset};
use leyden::cpu::{CpuEngine, Precision};
use leyden::graph::{Bank, Recompute};
use leyden::math::Activation;
use leyden::model::Architecture;
use leyden::model::{Model, ModelConfig};
use leyden::objective::electra::{Electra as Settings, SAMPLED, outputs};
use leyden::objective::{Generator, GeneratorSizes};
use leyden::op::StepState;
use leyden::plan::{Engine, Target};
use leyden::train::Recipe;
use leyden::train::step::{GRADIENT_NORM, learning_rate, training_step};
use leyden::transformers::{Pretrained, config_json, entries, to_bytes};
use std::path::{Path, PathBuf};

/// burn's device on the tests' adapter.
fn device() -> Device {
    leyden::burn::device(common::adapter()).unwrap_or_else(|error| panic!("{error}"))
}

/// A small model with random weights, a batch for it, and what stands at the drawn positions.
struct Case {
    config: Config,
    model: Model,
    bank: Vec<f32>,
    batch: batch::Batch,
    samples: Vec<u32>,
}

/// Odd sizes: both projections and none, one head and several, padding, unused slots, three segment types.
fn cases() -> Vec<Case> {
    let small = preset("small").unwrap();
    let config = |model: ModelConfig, hidden: usize, layers: usize, heads: usize, feed_forward: usize| {
        let model = ModelConfig { dropout: 0.0, attention_dropout: 0.0, ..model };
        let generator = Generator::Sizes(GeneratorSizes { hidden, layers, heads, feed_forward });
        Config { model, objective: Settings { generator, ..Settings::default() }.into(), ..small.clone() }
    };
    let projected = ModelConfig {
        vocabulary: 53,
        positions: 17,
        embedding: 12,
        hidden: 20,
        layers: 2,
        heads: 2,
        feed_forward: 36,
        ..small.model.clone()
    };
    let square = ModelConfig {
        vocabulary: 101,
        positions: 13,
        types: 3,
        embedding: 28,
        hidden: 28,
        layers: 1,
        heads: 7,
        feed_forward: 44,
        ..small.model.clone()
    };
    vec![
        Case::new(config(projected, 8, 3, 1, 20), Shape { examples: 3, length: 7, slots: 3 }, 1),
        Case::new(config(square, 28, 2, 4, 12), Shape { examples: 5, length: 13, slots: 4 }, 2),
    ]
}

/// The same with other activations and epsilons.
fn others() -> Vec<Case> {
    let others = [(Activation::GeluNew, 1e-3), (Activation::Relu, 1e-5)];
    let cases = cases().into_iter().zip(others).zip(3..);
    cases
        .map(|((mut case, (activation, epsilon)), seed)| {
            (case.config.model.activation, case.config.model.layer_norm_epsilon) = (activation, epsilon);
            let shape = case.shape();
            Case::new(case.config, shape, seed)
        })
        .collect()
}

impl Case {
    fn new(config: Config, shape: Shape, seed: u64) -> Self {
        let model = Model::new(&config);
        let mut random = Seeded::new(seed);
        // Biases, scales and shifts away from 0 and 1 too, so that none can be mistaken for another.
        let mut bank = vec![0.0; model.table.len()];
        for p in model.table.parameters() {
            let center = if p.name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
            bank[p.range()].fill_with(|| (center + 0.3 * random.real()) as f32);
        }
        let batch = batch(&config, shape, &mut random);
        // Every third sample hits the original.
        let words = config.model.vocabulary as u32;
        let samples: Vec<u32> = (batch.column(TARGETS.name).iter().enumerate())
            .map(|(i, &target)| if i % 3 == 0 { target } else { random.below(words) })
            .collect();
        Self { config, model, bank, batch, samples }
    }

    fn electra(&self, device: &Device) -> Electra {
        Electra::from_bank(&self.config, &self.model, &self.bank, device).unwrap()
    }

    fn shape(&self) -> Shape {
        self.batch.shape()
    }
}

/// A batch of random words with padding, unused slots and segments.
fn batch(config: &Config, shape: Shape, random: &mut Seeded) -> batch::Batch {
    let Shape { examples, length, slots } = shape;
    let words = config.model.vocabulary as u32;
    let lengths: Vec<u32> =
        (0..examples).map(|b| if b == 0 { length as u32 } else { 4 + random.below(length as u32 - 3) }).collect();
    let mut all = batch::Batch::new(shape, &MASKED_TEXT).with(LENGTHS, lengths.clone());
    for (b, &tokens) in lengths.iter().enumerate() {
        for i in 0..tokens as usize {
            all.column_mut(IDS.name)[b * length + i] = 5 + random.below(words - 5);
            all.column_mut(TYPES.name)[b * length + i] = (i * config.model.types / length) as u32;
        }
    }
    let ids = all.column(IDS.name).to_vec();
    let mut all = all.with(MASKED_IDS, ids.clone());
    for (b, &tokens) in lengths.iter().enumerate() {
        // The last example leaves a slot unused.
        let used = if b + 1 == examples { slots - 1 } else { slots };
        let start = random.below(tokens - used as u32 + 1) as usize;
        for k in 0..used {
            let (slot, place) = (b * slots + k, b * length + start + k);
            all.column_mut(POSITIONS.name)[slot] = (start + k) as u32;
            all.column_mut(TARGETS.name)[slot] = ids[place];
            all.column_mut(WEIGHTS.name)[slot] = 1f32.to_bits();
            if random.below(4) > 0 {
                all.column_mut(MASKED_IDS.name)[place] = 4;
            }
        }
    }
    all
}

/// What one side makes of a case: both losses, labels, logits and the gradients.
struct Outcome {
    losses: [f32; 2],
    labels: Vec<u32>,
    logits: Vec<f32>,
    gradients: Vec<f32>,
}

fn by_burn(case: &Case) -> Outcome {
    let device = device().autodiff();
    let electra = case.electra(&device);
    let batch = Batch::new(&case.batch, &device);
    let out = electra.forward(&batch, Some(batch.samples(&case.samples)));
    let labels = out.labels.try_into_vec_as::<i32>().unwrap().into_iter().map(|y| y as u32).collect();
    let gradients = electra.gradients(out.loss.backward(), &case.model).unwrap();
    Outcome {
        losses: [out.generator_loss, out.discriminator_loss].map(|x| x.into_scalar()),
        labels,
        logits: out.logits.try_into_vec_as().unwrap(),
        gradients,
    }
}

fn by_leyden(case: &Case, engine: &mut dyn Engine, target: Target) -> Outcome {
    let step =
        training_step(&Recipe::new(&case.config), case.shape(), target, Recompute::Off, &[outputs::SAMPLED]).unwrap();
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.bank).unwrap();
    let batch = case.batch.clone().with(SAMPLED, case.samples.clone());
    step.write(engine, program, &batch, &batch);
    let state = StepState { correction1: 1.0, correction2: 1.0, ..StepState::default() };
    engine.submit(program, &state, true).unwrap();
    let out = step.results(engine.collect(true).unwrap().unwrap());
    Outcome {
        losses: [outputs::GENERATOR_LOSS, outputs::DISCRIMINATOR_LOSS].map(|name| out.scalar(name).unwrap()),
        labels: out.words(outputs::LABELS).to_vec(),
        logits: out.reals(outputs::LOGITS).to_vec(),
        gradients: engine.read_bank(Bank::Gradients).unwrap(),
    }
}

fn compare(case: &Case, name: &str, found: &Outcome, expected: &Outcome, tolerance: f32) {
    for (network, (f, x)) in ["generator", "discriminator"].iter().zip(found.losses.iter().zip(expected.losses)) {
        close(&format!("{name}: {network} loss"), *f, x, tolerance);
    }
    assert_eq!(found.labels, expected.labels, "{name}: labels");
    let (length, lengths) = (case.shape().length, case.batch.column(LENGTHS.name));
    for (i, (&f, &x)) in found.logits.iter().zip(&expected.logits).enumerate() {
        if i % length < lengths[i / length] as usize {
            close(&format!("{name}: logit {i}"), f, x, 10.0 * tolerance);
        }
    }
    compare_banks(
        &case.model,
        &format!("{name}: gradient of "),
        &found.gradients,
        &expected.gradients,
        5.0 * tolerance,
    );
}

fn cpu<R: Precision>(case: &Case) -> Outcome {
    by_leyden(case, &mut CpuEngine::<R>::new(case.model.table.len()), Target::Cpu)
}

#[test]
fn cpu_gradients_are_burns() {
    for case in cases().into_iter().chain(others()) {
        let burn = by_burn(&case);
        compare(&case, "double precision", &cpu::<f64>(&case), &burn, 5e-6);
        compare(&case, "single precision", &cpu::<f32>(&case), &burn, 5e-6);
    }
}

/// Why the modules have a GELU of their own. Once this fails, burn's has the right gradient, and `leyden::burn::gelu` can go.
#[test]
fn burns_gelu_has_another_gradient() {
    let points: Vec<f32> = (-30..=30).map(|i| i as f32 / 10.0).collect();
    let device = device().autodiff();
    let gradient = |gelu: fn(Tensor<1>) -> Tensor<1>| {
        let x = Tensor::<1>::from_floats(points.as_slice(), &device).require_grad();
        let mut gradients = gelu(x.clone()).sum().backward();
        x.grad_remove(&mut gradients).unwrap().try_into_vec_as::<f32>().unwrap()
    };
    // By the central difference in double precision.
    let exact = |x: f64| x * 0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2));
    let expected: Vec<f64> =
        points.iter().map(|&x| (exact(f64::from(x) + 1e-4) - exact(f64::from(x) - 1e-4)) / 2e-4).collect();
    let error = |found: &[f32]| found.iter().zip(&expected).map(|(&f, x)| (f64::from(f) - x).abs()).fold(0.0, f64::max);
    let (ours, burns) = (error(&gradient(gelu)), error(&gradient(activation::gelu)));
    assert!(ours < 2e-6, "off by {ours}");
    assert!(burns > 5e-4, "burn {VERSION} is off by {burns} only");
}

#[test]
fn gpu_gradients_are_burns() {
    for case in cases().into_iter().chain(others()) {
        let mut engine = common::gpu(case.model.table.len());
        let target = Target::Gpu(engine.traits());
        compare(&case, "kernels", &by_leyden(&case, &mut engine, target), &by_burn(&case), 5e-6);
    }
}

#[test]
fn optimizer_takes_leydens_steps() {
    let mut case = cases().swap_remove(0);
    case.config.optimizer.bias_correction = true;
    case.config.optimizer.clip_norm = 1.0;
    case.config.optimizer.warmup = 2;
    case.config.training.steps = 10;
    let mut engine = CpuEngine::<f64>::new(case.model.table.len());
    let step =
        training_step(&Recipe::new(&case.config), case.shape(), Target::Cpu, Recompute::Off, &[outputs::SAMPLED])
            .unwrap();
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &case.bank).unwrap();

    let device = device().autodiff();
    let batch = Batch::new(&case.batch, &device);
    let mut electra = case.electra(&device);
    let mut optimizer = Optimizer::new(&case.config.optimizer, &electra);
    for t in 0..5 {
        let given = case.batch.clone().with(SAMPLED, case.samples.clone());
        step.write(&mut engine, program, &given, &given);
        engine.submit(program, &Recipe::new(&case.config).step_state(t), true).unwrap();
        let out = step.results(engine.collect(true).unwrap().unwrap());
        let scalar = |name| out.scalar(name).unwrap();
        assert!(scalar(GRADIENT_NORM) > 1.0, "the norm {} is not clipped", scalar(GRADIENT_NORM));

        let found = electra.forward(&batch, Some(batch.samples(&case.samples)));
        close(
            &format!("generator loss {t}"),
            found.generator_loss.into_scalar(),
            scalar(outputs::GENERATOR_LOSS),
            2e-5,
        );
        close(
            &format!("discriminator loss {t}"),
            found.discriminator_loss.into_scalar(),
            scalar(outputs::DISCRIMINATOR_LOSS),
            2e-5,
        );
        electra = optimizer.step(
            learning_rate(&case.config.optimizer, case.config.training.steps, t as f64),
            electra,
            &found.loss,
        );
    }
    let (found, expected) = (electra.to_bank(&case.model).unwrap(), engine.read_bank(Bank::Parameters).unwrap());
    let moved = |bank: &[f32]| bank.iter().zip(&case.bank).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(moved(&found) > 5e-4, "nothing moved");
    compare_banks(&case.model, "after.", &found, &expected, 1e-4);
}

#[test]
fn weights_come_back_as_they_went() {
    for case in cases() {
        assert_eq!(case.electra(&device()).to_bank(&case.model).unwrap(), case.bank);
    }
    // A bank of another model is refused.
    let case = cases().swap_remove(0);
    let error = Electra::from_bank(&case.config, &case.model, &case.bank[..50], &device()).unwrap_err();
    assert!(matches!(error, BurnError::Parameter { .. }) && error.to_string().contains("bank of 50"), "{error}");
}

#[test]
fn dropout_is_for_training_only() {
    let mut case = cases().swap_remove(0);
    (case.config.model.dropout, case.config.model.attention_dropout) = (0.5, 0.5);
    case.model = Model::new(&case.config);
    let loss = |electra: &Electra, device: &Device| {
        let batch = Batch::new(&case.batch, device);
        electra.forward(&batch, Some(batch.samples(&case.samples))).loss.into_scalar::<f32>()
    };
    let training = device().autodiff();
    let electra = case.electra(&training);
    assert_ne!(loss(&electra, &training), loss(&electra, &training));
    let valid = electra.valid();
    assert_eq!(loss(&valid, &device()), loss(&valid, &device()));
    (case.config.model.dropout, case.config.model.attention_dropout) = (0.0, 0.0);
    case.model = Model::new(&case.config);
    let expected = loss(&case.electra(&device()), &device());
    close("loss without dropout", loss(&valid, &device()), expected, 1e-5);
}

#[test]
fn samples_follow_the_generators_probabilities() {
    let mut case = cases().swap_remove(0);
    // A generator that knows nothing but its output bias: word 7 three times as likely as word 9, the rest never.
    for e in entries(&case.model, case.model.network("generator").unwrap()) {
        let range = e.range();
        if e.name.starts_with("generator_predictions.LayerNorm") {
            case.bank[range].fill(0.0);
        } else if e.name == "generator_lm_head.bias" {
            let bias = &mut case.bank[range];
            bias.fill(-50.0);
            (bias[7], bias[9]) = (3f32.ln(), 0.0);
        }
    }
    let device = device();
    device.seed(1);
    let (electra, batch) = (case.electra(&device), Batch::new(&case.batch, &device));
    let mut counts = [0, 0];
    for _ in 0..50 {
        for word in electra.forward(&batch, None).sampled.try_into_vec_as::<i32>().unwrap() {
            assert!(word == 7 || word == 9, "word {word}");
            counts[usize::from(word == 9)] += 1;
        }
    }
    // 450 draws of probability 3/4: five deviations are .1.
    let share = f64::from(counts[0]) / f64::from(counts[0] + counts[1]);
    assert!((share - 0.75).abs() < 0.1, "{counts:?}");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The golden generator and discriminator in one folder, as a run has them.
fn checkpoint_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [("probe", "discriminator"), ("probe_generator", "generator")] {
        let to = folder.path().join(to);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(golden(from)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    folder
}

#[test]
fn checkpoint_says_what_transformers_says() {
    let folder = checkpoint_folder();
    let pretrained = Pretrained::load(folder.path(), Architecture::PreTraining).unwrap();
    let device = device();
    let discriminator = Discriminator::from_pretrained(&pretrained, &device).unwrap();
    let (electra, config) = Electra::load(folder.path(), &device).unwrap();
    assert_eq!(
        (config.model.hidden, config.objective.electra().unwrap().generator.sizes(&config.model).hidden),
        (40, 20)
    );
    let text = std::fs::read_to_string(golden("probe.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    // Each sentence is another shape, for which burn tries its kernels anew: a few are enough.
    for case in cases.iter().take(3) {
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let expected: Vec<f32> = serde_json::from_value(case["p_replaced"].clone()).unwrap();
        let tokens = Tokens::sentence(&ids, &device);
        for network in [&discriminator, &electra.discriminator] {
            let found = activation::sigmoid(network.forward(&tokens)).try_into_vec_as::<f32>().unwrap();
            assert_eq!(found.len(), expected.len());
            for (f, x) in found.iter().zip(&expected) {
                close("probability", *f, *x, 1e-5);
                compared += 1;
            }
        }
    }
    assert!(compared > 60);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = checkpoint_folder();
    let error = Electra::load(&folder.path().join("generator"), &device()).unwrap_err().to_string();
    assert!(error.contains("discriminator"), "{error}");
    let config = folder.path().join("generator/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::remove_dir_all(folder.path().join("generator")).unwrap();
    let error = Electra::load(folder.path(), &device()).unwrap_err().to_string();
    assert!(error.contains("generator") && error.lines().count() == 1, "{error}");
    assert!(text.contains("\"max_position_embeddings\": 40"));
    // A generator with fewer positions.
    let mut case = cases().swap_remove(0);
    case.config.model.embedding = 24;
    let model = Model::new(&case.config);
    let generator = model.network("generator").unwrap();
    let to = folder.path().join("generator");
    std::fs::create_dir_all(&to).unwrap();
    std::fs::write(to.join("config.json"), config_json(generator)).unwrap();
    let bytes = to_bytes(&model, generator, &model.initial(1)).unwrap();
    std::fs::write(to.join("model.safetensors"), bytes).unwrap();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
    std::fs::write(to.join("vocab.txt"), words).unwrap();
    let error = Electra::load(folder.path(), &device()).unwrap_err();
    assert!(matches!(error, BurnError::Mismatch { what: "vocabulary", .. }), "{error}");
}

#[test]
fn bench_measures_both_in_turns() {
    let run = |device: &str| {
        let mut command = program::leyden();
        command.args(["bench", "--against", "burn", "--device", device, "--batch", "2", "--length", "16"]);
        command.args(["--steps", "2", "--set", "model.vocabulary=200", "--json"]);
        command.assert()
    };
    let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
    let out = run(&name).success().get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let burn = &report["burn"];
    assert_eq!(burn["version"], leyden::burn::VERSION);
    assert_eq!((burn["rounds"].as_array().unwrap().len(), report["steps"].as_u64()), (3, Some(6)));
    assert!(burn["tokens_per_second"].as_f64() > Some(0.0) && burn["ratio"].as_f64() > Some(0.0), "{burn}");
    let error = String::from_utf8(run("cpu").code(2).get_output().stderr.clone()).unwrap();
    assert!(error.contains("--device") && error.lines().count() == 1, "{error}");
}
