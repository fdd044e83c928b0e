//! Training as a whole: a batch learnt by heart, both engines alike, and the same bits every time.

mod common;

use leyden::cpu::CpuEngine;
use leyden::electra::{Config, GeneratorConfig, Model, preset};
use leyden::graph::Bank;
use leyden::plan::{Engine, Fetched, Target};
use leyden::train::step::{Output, StepShape, step_state, training_step};

const SHAPE: StepShape = StepShape { batch: 4, length: 12, drawn: 3 };

fn config(dropout: f32) -> Config {
    let mut config = preset("small").unwrap();
    config.model.vocabulary = 70;
    config.model.positions = 16;
    (config.model.embedding, config.model.hidden, config.model.layers, config.model.heads) = (20, 36, 2, 3);
    config.model.feed_forward = 52;
    (config.model.dropout, config.model.attention_dropout) = (dropout, dropout);
    config.generator = GeneratorConfig { hidden: 24, layers: 2, heads: 2, feed_forward: 44 };
    config.model.initializer_range = 0.1;
    config.optimizer.learning_rate = 5e-3;
    config.optimizer.warmup = 10;
    config.optimizer.clip_norm = 1e3;
    config.training.steps = 400;
    config
}

/// One batch: ids that have nothing in common, and three drawn positions an example.
struct Batch {
    ids: Vec<u32>,
    masked: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<u32>,
    positions: Vec<u32>,
    targets: Vec<u32>,
}

impl Batch {
    fn new() -> Self {
        let n = SHAPE.batch * SHAPE.length;
        let ids: Vec<u32> = (0..n).map(|i| 5 + (i * 29 + i * i) as u32 % 65).collect();
        let lengths = vec![12, 9, 12, 11];
        let types = (0..n).map(|i| u32::from(i % SHAPE.length > 6)).collect();
        let positions: Vec<u32> =
            (0..SHAPE.batch).flat_map(|b| [1, 4, 7].map(|p| (b * SHAPE.length + p + b % 2) as u32)).collect();
        let mut masked = ids.clone();
        positions.iter().for_each(|&p| masked[p as usize] = 4);
        let targets = positions.iter().map(|&p| ids[p as usize]).collect();
        Self { ids, masked, types, lengths, positions, targets }
    }
}

/// Takes `steps` steps on the one batch; what each left, and the weights at the end.
fn run(engine: &mut dyn Engine, target: Target, config: &Config, steps: u64) -> (Vec<Fetched>, Vec<f32>) {
    let model = Model::new(config);
    let step = training_step(&model, config, SHAPE, target, false).unwrap();
    let program = engine.load(step.plan.clone()).unwrap();
    engine.write_bank(Bank::Parameters, &model.initial(config.seed)).unwrap();
    let (batch, i) = (Batch::new(), step.inputs);
    let weights = vec![1f32.to_bits(); batch.positions.len()];
    for (tensor, words) in [
        (i.ids, &batch.ids),
        (i.masked_ids, &batch.masked),
        (i.types, &batch.types),
        (i.lengths, &batch.lengths),
        (i.positions, &batch.positions),
        (i.targets, &batch.targets),
        (i.weights, &weights),
    ] {
        engine.write(program, tensor, words);
    }
    let mut fetched = Vec::new();
    for t in 0..steps {
        engine.submit(program, &step_state(config, t), true).unwrap();
        fetched.push(engine.collect(true).unwrap().unwrap());
    }
    let weights = engine.read_bank(Bank::Parameters).unwrap();
    (fetched, weights)
}

fn cpu(config: &Config) -> CpuEngine<f32> {
    CpuEngine::new(Model::new(config).table.len())
}

#[test]
fn one_batch_is_learnt_by_heart() {
    let config = config(0.0);
    let (fetched, _) = run(&mut cpu(&config), Target::Cpu, &config, 400);
    let (first, last) = (&fetched[0], fetched.last().unwrap());
    let loss = |f: &Fetched, i: Output| f.scalar(i as usize);
    assert!((loss(first, Output::GeneratorLoss) - 70f32.ln()).abs() < 1.0, "{}", loss(first, Output::GeneratorLoss));
    assert!(loss(last, Output::GeneratorLoss) < 0.02, "generator {}", loss(last, Output::GeneratorLoss));
    assert!(loss(last, Output::DiscriminatorLoss) < 0.02, "discriminator {}", loss(last, Output::DiscriminatorLoss));
    assert_eq!(last.outputs[Output::Best as usize], Batch::new().targets);
}

#[test]
fn both_engines_train_alike() {
    let config = config(0.1);
    let (expected, _) = run(&mut cpu(&config), Target::Cpu, &config, 8);
    let mut gpu = common::gpu(Model::new(&config).table.len());
    let target = Target::Gpu(gpu.traits());
    let (found, _) = run(&mut gpu, target, &config, 8);
    for (t, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(f.outputs[Output::Sampled as usize], e.outputs[Output::Sampled as usize], "samples of step {t}");
        for output in [Output::GeneratorLoss, Output::DiscriminatorLoss, Output::Norm] {
            let (f, e) = (f.scalar(output as usize), e.scalar(output as usize));
            assert!((f - e).abs() < 2e-3 * e.abs().max(1.0), "{output:?} of step {t}: {f}, on the CPU {e}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let config = config(0.1);
    let gpu = |config: &Config| {
        let mut gpu = common::gpu(Model::new(config).table.len());
        let target = Target::Gpu(gpu.traits());
        run(&mut gpu, target, config, 3)
    };
    let bits = |weights: &[f32]| weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
    let ((a, x), (b, y)) = (gpu(&config), gpu(&config));
    assert!(a.iter().zip(&b).all(|(a, b)| a.outputs == b.outputs), "two runs on the GPU differ");
    assert!(bits(&x) == bits(&y), "the weights of two runs on the GPU differ");
    let other = Config { seed: 2, ..config.clone() };
    assert!(bits(&x) != bits(&gpu(&other).1), "another seed changes nothing");
    let ((a, x), (b, y)) =
        (run(&mut cpu(&config), Target::Cpu, &config, 3), run(&mut cpu(&config), Target::Cpu, &config, 3));
    assert!(a == b && bits(&x) == bits(&y), "two runs on the CPU differ");
}
