//! Every objective in parts of a batch, with activations computed again, in mixed precision, and on both engines.

mod common;

use common::{MEMORISED as SHAPE, memorised_batch as batch, memorising};
use leyden::config::Config;
use leyden::cpu::{CpuEngine, Precision};
use leyden::graph::{Bank, Recompute};
use leyden::model::Model;
use leyden::objective::{LOSS, ObjectiveConfig, Results};
use leyden::ops::LossScale;
use leyden::plan::{Engine, Target};
use leyden::train::step::GRADIENT_NORM;
use leyden::train::{Fit, MicroBatches, Plans, Recipe, TrainingStep};

/// All objectives that learn from text, with dropout, and what else may put in words.
fn all() -> impl Iterator<Item = (String, Config)> {
    let others = ["frozen", "unigram", "uniform"].map(|by| ("electra", format!("objective.replaced_by='{by}'")));
    let named = ObjectiveConfig::NAMES.iter().map(|name| (*name, String::new())).chain(others);
    named.map(|(name, setting)| {
        let settings = ["objective.masked_fraction=0.25", &setting].into_iter().filter(|setting| !setting.is_empty());
        let config = settings.fold(memorising(0.1).with_objective(name).unwrap(), |c, setting| c.set(setting).unwrap());
        config.objective.check(&config.model).unwrap();
        (format!("{name} {setting}"), config)
    })
}

/// Some steps of an objective's last phase on the one batch, in `parts` parts.
fn steps(engine: &mut dyn Engine, target: Target, config: &Config, parts: usize, recompute: Recompute) -> Vec<Results> {
    let recipe = Recipe::new(config);
    let recipe = recipe.in_phase(config.objective.phases().len() - 1);
    let fit = Fit { micro_batches: MicroBatches::new(SHAPE.examples, parts), recompute };
    let mut step = TrainingStep::load(engine, &Plans::new(&recipe, fit, target).unwrap()).unwrap();
    engine.write_bank(Bank::Parameters, &recipe.model.initial(config.seed)).unwrap();
    let mut scale = LossScale::initial();
    scale[0] = 1_024.0;
    engine.write_bank(Bank::LossScale, &scale).unwrap();
    let mut take = |t| {
        step.submit(engine, &batch(), &recipe.step_state(t)).unwrap();
        step.collect(engine, SHAPE.examples, true).unwrap().unwrap()
    };
    (0..3).map(&mut take).collect()
}

fn on_cpu<R: Precision>(config: &Config, parts: usize, recompute: Recompute) -> (Vec<Results>, Vec<f64>) {
    let mut engine = CpuEngine::<R>::new(Model::new(config).table.len());
    let results = steps(&mut engine, Target::Cpu, config, parts, recompute);
    (results, engine.bank(Bank::Parameters).iter().map(|w| w.wide()).collect())
}

/// The numbers of each step that are to be alike: its loss and its gradient's norm.
fn numbers(results: &[Results]) -> Vec<f64> {
    results.iter().flat_map(|step| [step.mean(LOSS), step.mean(GRADIENT_NORM)]).collect()
}

fn near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            f.is_finite() && (f - e).abs() <= tolerance * e.abs().max(1.0),
            "{what}, number {i}: {f}, expected {e}"
        );
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    for (name, config) in all() {
        let (whole, weights) = on_cpu::<f64>(&config, 1, Recompute::Off);
        for parts in [2, 5] {
            let (found, after) = on_cpu::<f64>(&config, parts, Recompute::Off);
            // What a step leaves is in single precision.
            near(&format!("{name} in {parts} parts"), &numbers(&found), &numbers(&whole), 1e-6);
            near(&format!("{name}'s weights"), &after, &weights, 1e-8);
        }
    }
}

#[test]
fn activations_computed_again_change_no_bit() {
    for (name, config) in all() {
        for config in [config.clone(), config.set("training.precision='mixed'").unwrap()] {
            let expected = on_cpu::<f32>(&config, 1, Recompute::Off);
            for recompute in [Recompute::Selective, Recompute::Full] {
                assert!(on_cpu::<f32>(&config, 1, recompute) == expected, "{name}, {recompute:?}");
            }
        }
    }
}

#[test]
fn both_engines_train_alike_and_near_in_mixed_precision() {
    for (name, config) in all() {
        let (expected, _) = on_cpu::<f32>(&config, 1, Recompute::Off);
        let gpu = |config: &Config, parts| {
            let mut engine = common::gpu(Model::new(config).table.len());
            let target = Target::Gpu(engine.traits());
            steps(&mut engine, target, config, parts, Recompute::Off)
        };
        let single = gpu(&config, 1);
        for (found, expected) in single.iter().zip(&expected) {
            for ((output, found), (_, expected)) in found.outputs.iter().zip(&expected.outputs) {
                assert_eq!(found.len(), expected.len(), "{name}, {output}");
            }
        }
        near(&name, &numbers(&single), &numbers(&expected), 1e-3);
        near(&format!("{name} in parts"), &numbers(&gpu(&config, 2)), &numbers(&expected), 1e-3);
        let mixed = config.set("training.precision='mixed'").unwrap();
        // A sample that falls the other way makes another batch of it; the first step's is the same.
        near(&format!("{name}, mixed"), &numbers(&gpu(&mixed, 1))[..1], &numbers(&expected)[..1], 5e-2);
    }
}
