//! Training as a whole: a batch learnt by heart, both engines alike, the same bits every time, and parts of a batch that
//! are as good as the whole.

mod common;

use common::{MEMORISED as SHAPE, memorised_batch as batch, memorising as config};
use leyden::batch::{IDS, TARGETS, WEIGHTS};
use leyden::config::Config;
use leyden::cpu::{CpuEngine, Precision};
use leyden::graph::{Bank, Recompute};
use leyden::model::Model;
use leyden::objective::Results;
use leyden::objective::electra::outputs::{BEST, DISCRIMINATOR_LOSS, GENERATOR_LOSS, LABELS, LOGITS, SAMPLED};
use leyden::ops::LossScale;
use leyden::plan::{Engine, Target};
use leyden::train::step::{GRADIENT_NORM, LOSS_SCALE};
use leyden::train::{Fit, MicroBatches, Plans, Recipe, TrainingStep};

/// A step in `parts` parts that keeps everything.
fn in_parts(parts: usize) -> Fit {
    Fit { micro_batches: MicroBatches::new(SHAPE.examples, parts), recompute: Recompute::Off }
}

/// Takes `steps` steps on the one batch; what each left.
fn steps(engine: &mut dyn Engine, target: Target, config: &Config, steps: u64, fit: Fit) -> Vec<Results> {
    let recipe = Recipe::new(config);
    let model = &recipe.model;
    let plans = Plans::new(&recipe, fit, target).unwrap();
    let mut step = TrainingStep::load(engine, &plans).unwrap();
    assert_eq!(step.fit(), fit);
    engine.write_bank(Bank::Parameters, &model.initial(config.seed)).unwrap();
    // What stands there before a first part must not matter.
    engine.write_bank(Bank::Accumulated, &vec![f32::NAN; model.table.len()]).unwrap();
    let mut fetched = Vec::new();
    for t in 0..steps {
        step.submit(engine, &batch(), &recipe.step_state(t)).unwrap();
        fetched.push(step.collect(engine, SHAPE.examples, true).unwrap().unwrap());
    }
    fetched
}

/// As [`steps`] at once; the weights at the end as well.
fn run(engine: &mut dyn Engine, target: Target, config: &Config, count: u64) -> (Vec<Results>, Vec<f32>) {
    let fetched = steps(engine, target, config, count, in_parts(1));
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
    let loss = |f: &Results, name: &str| f.scalar(name).unwrap();
    assert!((loss(first, GENERATOR_LOSS) - 70f32.ln()).abs() < 1.0, "{}", loss(first, GENERATOR_LOSS));
    assert!(loss(last, GENERATOR_LOSS) < 0.02, "generator {}", loss(last, GENERATOR_LOSS));
    assert!(loss(last, DISCRIMINATOR_LOSS) < 0.02, "discriminator {}", loss(last, DISCRIMINATOR_LOSS));
    let drawn = batch().reals(WEIGHTS.name).iter().filter(|&&w| w > 0.0).count();
    assert_eq!(last.words(BEST)[..drawn], batch().column(TARGETS.name)[..drawn]);
}

#[test]
fn both_engines_train_alike() {
    let config = config(0.1);
    let (expected, _) = run(&mut cpu(&config), Target::Cpu, &config, 8);
    let mut gpu = common::gpu(Model::new(&config).table.len());
    let target = Target::Gpu(gpu.traits());
    let (found, _) = run(&mut gpu, target, &config, 8);
    for (t, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(f.words(SAMPLED), e.words(SAMPLED), "samples of step {t}");
        for output in [GENERATOR_LOSS, DISCRIMINATOR_LOSS, GRADIENT_NORM] {
            let (f, e) = (f.scalar(output).unwrap(), e.scalar(output).unwrap());
            assert!((f - e).abs() < 2e-3 * e.abs().max(1.0), "{output} of step {t}: {f}, on the CPU {e}");
        }
    }
}

#[test]
fn rows_without_a_token_are_never_sampled() {
    let config = config(0.0);
    let recipe = Recipe::new(&config);
    let model = &recipe.model;
    let has_token = |id: u32| batch().column(IDS.name).contains(&id);
    let sampled = |engine: &mut dyn Engine, target: Target, silence: bool| {
        let plans = Plans::new(&recipe, in_parts(1), target).unwrap();
        let mut step = TrainingStep::load(engine, &plans).unwrap();
        let mut weights = model.initial(config.seed);
        if silence {
            model.silence(&mut weights, has_token);
        }
        engine.write_bank(Bank::Parameters, &weights).unwrap();
        // What the run before left would move them.
        for bank in [Bank::Moment1, Bank::Moment2] {
            engine.write_bank(bank, &vec![0.0; model.table.len()]).unwrap();
        }
        let mut all = Vec::new();
        for t in 0..8 {
            step.submit(engine, &batch(), &recipe.step_state(t)).unwrap();
            let fetched = step.collect(engine, SHAPE.examples, true).unwrap().unwrap();
            assert!(fetched.scalar(GENERATOR_LOSS).unwrap().is_finite());
            all.extend_from_slice(fetched.words(SAMPLED));
        }
        // Training leaves their bias where it was: it has no gradient.
        let after = engine.read_bank(Bank::Parameters).unwrap();
        let bias = model.table.parameters()[model.networks[0].masked_lm().unwrap().bias].range();
        let unmoved = (0..).zip(bias).filter(|(id, _)| !has_token(*id)).all(|(_, i)| after[i] == weights[i]);
        (all, unmoved)
    };
    let mut gpu = common::gpu(model.table.len());
    let target = Target::Gpu(gpu.traits());
    for (engine, target) in [(&mut cpu(&config) as &mut dyn Engine, Target::Cpu), (&mut gpu, target)] {
        let (open, moved) = sampled(engine, target, false);
        assert!(!open.iter().all(|&id| has_token(id)) && !moved, "the case is one");
        let (silent, unmoved) = sampled(engine, target, true);
        assert!(silent.iter().all(|&id| has_token(id)), "{}: {silent:?}", engine.describe());
        assert!(unmoved, "{}", engine.describe());
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

/// Every step's outputs and the weights at the end against those of whole batches; the tolerances are relative to the
/// largest weight, and to a loss or a logit of at least 1.
fn alike(what: &str, found: &[Results], expected: &[Results], weights: [&[f64]; 2], tolerance: f64) {
    for (t, (f, e)) in found.iter().zip(expected).enumerate() {
        for output in [BEST, SAMPLED, LABELS] {
            assert_eq!(f.words(output), e.words(output), "{what}, {output} of step {t}");
        }
        for output in [GENERATOR_LOSS, DISCRIMINATOR_LOSS, LOGITS, GRADIENT_NORM] {
            let (f, e) = (f.reals(output), e.reals(output));
            assert_eq!(f.len(), e.len());
            for (f, e) in f.iter().zip(e).map(|(&f, &e)| (f64::from(f), f64::from(e))) {
                let allowed = tolerance.max(1e-7) * e.abs().max(1.0);
                assert!((f - e).abs() <= allowed, "{what}, {output} of step {t}: {f}, of a whole batch {e}");
            }
        }
    }
    let [found, expected] = weights;
    let largest = expected.iter().fold(0.0f64, |most, w| most.max(w.abs()));
    let worst = found.iter().zip(expected).fold(0.0f64, |worst, (f, e)| worst.max((f - e).abs()));
    assert!(worst <= tolerance * largest, "{what}: weights differ by {worst} of {largest}");
}

fn parts_on_the_cpu<R: Precision>(tolerance: f64) {
    let config = config(0.1);
    let run = |parts| {
        let mut engine = CpuEngine::<R>::new(Model::new(&config).table.len());
        let fetched = steps(&mut engine, Target::Cpu, &config, 6, in_parts(parts));
        let weights: Vec<f64> = engine.bank(Bank::Parameters).iter().map(|w| w.wide()).collect();
        (fetched, weights)
    };
    let (expected, whole) = run(1);
    // 3 + 2 and 2 + 2 + 1 examples, and one at a time.
    for parts in [2, 3, 5] {
        let (found, weights) = run(parts);
        alike(&format!("{parts} parts"), &found, &expected, [&weights, &whole], tolerance);
    }
}

#[test]
fn parts_add_up_to_the_whole_in_double_precision() {
    parts_on_the_cpu::<f64>(1e-9);
}

#[test]
fn parts_add_up_to_the_whole() {
    parts_on_the_cpu::<f32>(1e-4);
}

#[test]
fn parts_add_up_to_the_whole_on_a_gpu() {
    let config = config(0.1);
    let run = |parts| {
        let mut gpu = common::gpu(Model::new(&config).table.len());
        let target = Target::Gpu(gpu.traits());
        let fetched = steps(&mut gpu, target, &config, 4, in_parts(parts));
        let weights: Vec<f64> = gpu.read_bank(Bank::Parameters).unwrap().into_iter().map(f64::from).collect();
        (fetched, weights)
    };
    let (expected, whole) = run(1);
    for parts in [2, 3] {
        let (found, weights) = run(parts);
        alike(&format!("{parts} parts"), &found, &expected, [&weights, &whole], 1e-4);
    }
}

/// The configuration in mixed precision.
fn mixed(dropout: f32) -> Config {
    config(dropout).set("training.precision=\"mixed\"").unwrap()
}

/// As [`steps`] with the loss scale that a run of so small a model comes down to.
fn mixed_steps(engine: &mut dyn Engine, target: Target, count: u64, parts: usize) -> Vec<Results> {
    let mut scale = LossScale::initial();
    scale[0] = 1_024.0;
    engine.write_bank(Bank::LossScale, &scale).unwrap();
    steps(engine, target, &mixed(0.1), count, in_parts(parts))
}

#[test]
fn mixed_precision_learns_a_batch_by_heart() {
    let config = mixed(0.0);
    let mut engine = cpu(&config);
    engine.write_bank(Bank::LossScale, &LossScale::initial()).unwrap();
    let (fetched, _) = run(&mut engine, Target::Cpu, &config, 400);
    let last = fetched.last().unwrap();
    for output in [GENERATOR_LOSS, DISCRIMINATOR_LOSS] {
        // In a step in which the generator's sample is not its guess, which is one of ten, there is a fake to be found.
        let mut losses: Vec<f32> = fetched[350..].iter().map(|step| step.scalar(output).unwrap()).collect();
        losses.sort_by(f32::total_cmp);
        assert!(losses[25] < 0.03, "{output} {losses:?}");
    }
    // Where the loss times the scale was too large at first, the scale came down and training went on.
    assert!(last.scalar(GRADIENT_NORM).unwrap().is_finite() && last.scalar(LOSS_SCALE).unwrap() >= 1.0);
}

#[test]
fn both_engines_train_alike_in_mixed_precision() {
    let config = mixed(0.1);
    let expected = mixed_steps(&mut cpu(&config), Target::Cpu, 6, 1);
    let mut gpu = common::gpu(Model::new(&config).table.len());
    let target = Target::Gpu(gpu.traits());
    let found = mixed_steps(&mut gpu, target, 6, 1);
    for (t, (f, e)) in found.iter().zip(&expected).enumerate() {
        for output in [GENERATOR_LOSS, DISCRIMINATOR_LOSS, GRADIENT_NORM, LOSS_SCALE] {
            let (f, e) = (f.scalar(output).unwrap(), e.scalar(output).unwrap());
            let close = (f - e).abs() < 2e-2 * e.abs().max(1.0) || (!f.is_finite() && !e.is_finite());
            assert!(close, "{output} of step {t}: {f}, on the CPU {e}");
        }
    }
    let halves = gpu.read_bank(Bank::Halves).unwrap();
    assert!(halves.iter().any(|&h| h != 0.0), "no weight was read as a half");
}

#[test]
fn mixed_precision_stays_near_single_precision() {
    // Dropout and samples are drawn from the same numbers; what differs is rounding.
    // Later on a sample that falls the other way makes another batch of it.
    let (expected, _) = run(&mut cpu(&config(0.1)), Target::Cpu, &config(0.1), 5);
    let found = mixed_steps(&mut cpu(&mixed(0.1)), Target::Cpu, 5, 1);
    let skipped = found.iter().filter(|f| !f.scalar(GRADIENT_NORM).unwrap().is_finite()).count();
    assert_eq!(skipped, 0, "the scale is too large for so small a model");
    for (t, (f, e)) in found.iter().zip(&expected).enumerate() {
        for output in [GENERATOR_LOSS, DISCRIMINATOR_LOSS, GRADIENT_NORM] {
            let (f, e) = (f.scalar(output).unwrap(), e.scalar(output).unwrap());
            assert!((f - e).abs() < 5e-2 * e.abs().max(1.0), "{output} of step {t}: {f}, in single precision {e}");
        }
    }
}

#[test]
fn parts_add_up_to_the_whole_in_mixed_precision() {
    let weights = |parts: usize| {
        let mut engine = cpu(&mixed(0.1));
        mixed_steps(&mut engine, Target::Cpu, 3, parts);
        engine.read_bank(Bank::Parameters).unwrap()
    };
    let whole = weights(1);
    for parts in [2, 5] {
        let worst = weights(parts).iter().zip(&whole).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 5e-3, "{parts} parts: weights differ by {worst}");
    }
}

/// What there is after some steps, as bits: every step's outputs, the last step's gradients, and the weights.
fn left(engine: &mut dyn Engine, target: Target, config: &Config, fit: Fit) -> (Vec<Vec<Vec<u32>>>, [Vec<u32>; 2]) {
    let mut scale = LossScale::initial();
    scale[0] = 1_024.0;
    engine.write_bank(Bank::LossScale, &scale).unwrap();
    let outputs = steps(engine, target, config, 3, fit)
        .into_iter()
        .map(|step| step.outputs.into_iter().map(|(_, words)| words).collect())
        .collect();
    let gradients = if fit.micro_batches.count > 1 { Bank::Accumulated } else { Bank::Gradients };
    let bits = [gradients, Bank::Parameters].map(|bank| {
        let bank = engine.read_bank(bank).unwrap();
        bank.into_iter().map(f32::to_bits).collect()
    });
    (outputs, bits)
}

/// Computing activations again changes no bit, whole or in parts, in either precision. `new` opens an engine whose banks have
/// the given length.
fn computed_again(new: impl Fn(usize) -> (Box<dyn Engine>, Target)) {
    for mut config in [config(0.1), mixed(0.1)] {
        // All layers but the discriminator's last are computed again.
        config = config.set("model.layers=3").unwrap().set("generator.layers=2").unwrap();
        // One engine, so that its kernels are compiled once.
        let (mut engine, target) = new(Model::new(&config).table.len());
        for parts in [1, 2] {
            let mut run = |recompute| {
                engine.reset();
                left(&mut *engine, target, &config, Fit { recompute, ..in_parts(parts) })
            };
            let (outputs, banks) = run(Recompute::Off);
            assert!(banks[0].iter().any(|&bits| bits != 0), "no gradients");
            for setting in [Recompute::Selective, Recompute::Full] {
                let what = format!("{setting:?}, {:?}, {parts} parts", config.training.precision);
                let (found, [gradients, weights]) = run(setting);
                assert!(found == outputs, "{what}: outputs differ");
                assert!(gradients == banks[0], "{what}: gradients differ");
                assert!(weights == banks[1], "{what}: weights differ");
            }
        }
    }
}

#[test]
fn activations_computed_again_change_no_bit() {
    computed_again(|len| (Box::new(CpuEngine::<f32>::new(len)), Target::Cpu));
}

#[test]
fn activations_computed_again_change_no_bit_on_a_gpu() {
    computed_again(|len| {
        let gpu = common::gpu(len);
        let target = Target::Gpu(gpu.traits());
        (Box::new(gpu), target)
    });
}
