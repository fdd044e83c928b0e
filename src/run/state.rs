//! `state.json`: what a checkpoint says of itself, under a hash of its own.

use super::RunError;
use crate::config::{Config, DataConfig, OptimizerConfig, Precision, TrainingConfig};
use crate::files::sha256;
use crate::fs;
use crate::measure::Better;
use crate::model::ModelConfig;
use crate::objective::electra::Electra;
use crate::objective::{GeneratorSizes, ObjectiveConfig};
use crate::text::Reading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of a checkpoint's layout, and the one before, whose moments are whole banks.
const VERSION: u32 = 4;
const BEFORE: u32 = 3;
pub(super) const STATE: &str = "state.json";

/// Where a run was when a checkpoint was made, beside the weights and moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Of the layout.
    pub version: u32,
    /// Steps done.
    pub step: u64,
    /// Which of the objective's phases they were of.
    #[serde(default, skip_serializing_if = "is_first")]
    pub phase: usize,
    /// The seed in use: the configuration's unless the run was rolled back.
    pub seed: u64,
    /// Seconds of training so far, over all sittings.
    pub seconds: f64,
    /// Fingerprint of the settings that a run cannot change; see [`settings_fingerprint`].
    pub settings: String,
    /// Fingerprint of the training and held-out examples.
    pub text: String,
    /// Of the held-out examples, the measure that chooses the best checkpoint, where they were measured at this step.
    pub held_out: Option<f64>,
    /// Which way that is better.
    #[serde(default = "lower", skip_serializing_if = "is_lower")]
    pub better: Better,
    /// Evaluations since the best one.
    #[serde(default, skip_serializing_if = "is_none")]
    pub since_best: u64,
    /// Floating-point operations so far; not there in checkpoints of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<f64>,
    /// Elements of a bank, padding included, where the version is that of moments that are banks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<usize>,
    /// In mixed precision, the loss scale and the good steps since it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<[f32; 2]>,
    /// SHA-256 of every other file of the checkpoint, by its path in the folder.
    pub files: BTreeMap<String, String>,
}

fn lower() -> Better {
    Better::Lower
}

fn is_first(phase: &usize) -> bool {
    *phase == 0
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

fn is_lower(better: &Better) -> bool {
    *better == Better::Lower
}

/// The file: the state, and the hash of the state's compact JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sha256: String,
    state: serde_json::Value,
}

impl State {
    /// The layout's version as written now.
    pub(super) const fn version() -> u32 {
        VERSION
    }

    /// The file's content.
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let state = serde_json::to_value(self)?;
        let sealed = Sealed { sha256: sha256(state.to_string().as_bytes()), state };
        serde_json::to_vec_pretty(&sealed)
    }

    /// Reads a checkpoint folder's state.
    pub(super) fn read(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(STATE);
        let damaged = |reason: String| RunError::Damaged { path: path.clone(), reason };
        let bytes = fs::read(&path).map_err(|e| damaged(e.to_string()))?;
        let sealed: Sealed = serde_json::from_slice(&bytes).map_err(|e| damaged(format!("{e}")))?;
        // serde_json reads back the very numbers that it wrote (`float_roundtrip`), so a good file hashes to the same.
        if sha256(sealed.state.to_string().as_bytes()) != sealed.sha256 {
            return Err(damaged("its content does not match its checksum".into()));
        }
        let version = sealed.state["version"].as_u64();
        if ![BEFORE, VERSION].map(|version| Some(version.into())).contains(&version) {
            let found = version.map_or("none".into(), |v| v.to_string());
            return Err(damaged(format!("it is of version {found}, expected {BEFORE} or {VERSION}")));
        }
        let state: Self = serde_json::from_value(sealed.state).map_err(|e| damaged(e.to_string()))?;
        if state.bank.is_some() != (state.version == BEFORE) {
            return Err(damaged(format!("version {} and bank do not go together", state.version)));
        }
        Ok(state)
    }
}

/// A fingerprint of everything in `config` that must be the same for a checkpoint to be of this run. Left out is what a
/// run may change on its way: how long it goes on, how often it writes, where its text lies, and bf16 for f32.
pub fn settings_fingerprint(config: &Config) -> String {
    fingerprint_in(config, Precision::F32)
}

/// Whether a checkpoint with such a fingerprint is of a run with these settings. Those of before 2026-11-30 told bf16 from f32.
pub(super) fn is_of(fingerprint: &str, config: &Config) -> bool {
    [Precision::F32, Precision::Bf16].iter().any(|&precision| fingerprint == fingerprint_in(config, precision))
}

/// The fingerprint, of `precision` unless the run is in [`Precision::Mixed`].
fn fingerprint_in(config: &Config, precision: Precision) -> String {
    let mut config = config.clone();
    if config.training.precision != Precision::Mixed {
        config.training.precision = precision;
    }
    let t = &mut config.training;
    (t.steps, t.hours, t.patience) = (0, None, None);
    (t.log_every, t.evaluate_every, t.checkpoint_every, t.checkpoint_minutes, t.keep_checkpoints) = (0, 0, 0, 0.0, 0);
    config.data.text.clear();
    (config.data.dataset, config.training.init_from) = (None, None);
    config.data.reading = Reading::default();
    if let Some(task) = &mut config.task {
        (task.train, task.dev, task.epochs) = (None, None, None);
    }
    let text = match &config.objective {
        ObjectiveConfig::Electra(electra) if electra.is_usual() => before(&config, electra),
        _ => config.to_toml(),
    };
    let text = LATER.iter().fold(text, |text, later| text.replacen(later, "", 1));
    sha256(text.as_bytes())
}

/// ELECTRA's settings as they were written when there was no other objective, which checkpoints' fingerprints are of.
fn before(config: &Config, electra: &Electra) -> String {
    #[derive(Serialize)]
    struct Objective {
        masked_fraction: f64,
        mask_probability: f64,
        generator_weight: f32,
        discriminator_weight: f32,
    }
    #[derive(Serialize)]
    struct Before<'a> {
        preset: &'a str,
        seed: u64,
        model: &'a ModelConfig,
        generator: GeneratorSizes,
        objective: Objective,
        data: &'a DataConfig,
        optimizer: &'a OptimizerConfig,
        training: &'a TrainingConfig,
    }
    let Config { preset, seed, model, data, optimizer, training, .. } = config;
    let Electra { masked_fraction, mask_probability, generator_weight, discriminator_weight, generator, .. } = *electra;
    let objective = Objective { masked_fraction, mask_probability, generator_weight, discriminator_weight };
    let generator = generator.sizes(model);
    let before = Before { preset, seed: *seed, model, generator, objective, data, optimizer, training };
    toml::to_string_pretty(&before).unwrap_or_default()
}

/// Settings that checkpoints of earlier versions were written without, at the values that stand for their absence. How text is
/// read is none of a checkpoint's settings: the fingerprint of the text itself is beside them.
const LATER: [&str; 3] = [
    "activation = \"gelu\"\n",
    "layer_norm_epsilon = 0.000000000001\n",
    "[data.reading]\nfield = \"text\"\ndocuments = \"auto\"\nencoding = \"utf-8\"\nstrict = false\ndedup = false\n\n",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            version: VERSION,
            step: 7,
            phase: 2,
            seed: 1,
            seconds: 0.1 + 0.2,
            settings: "a".into(),
            text: "b".into(),
            held_out: Some(1.0 / 3.0),
            better: Better::Higher,
            since_best: 2,
            flops: Some(1e18),
            bank: None,
            loss_scale: Some([65_536.0, 7.0]),
            files: BTreeMap::from([("generator/model.safetensors".into(), "c".into())]),
        }
    }

    #[test]
    fn comes_back_and_every_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STATE);
        let good = state().to_json().unwrap();
        fs::write(&path, &good).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), state());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            // A space that becomes another kind of white space says the same.
            if let Ok(found) = State::read(folder.path()) {
                assert_eq!(found, state(), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_best_checkpoint_is_the_one_whose_measure_is_better() {
        let folder = tempfile::tempdir().unwrap();
        let best = |better: Better, values: [f64; 3]| {
            let saved = values.iter().zip(1..).map(|(&value, step)| {
                let place = folder.path().join(format!("step-{step:06}"));
                fs::create_dir_all(&place).unwrap();
                let state = State { step, held_out: Some(value), better, ..state() };
                fs::write(place.join(STATE), state.to_json().unwrap()).unwrap();
                (step, place)
            });
            super::super::checkpoint::best(&saved.collect::<Vec<_>>())
        };
        assert_eq!(best(Better::Lower, [2.0, 1.0, 3.0]), Some((2, 1.0)));
        assert_eq!(best(Better::Higher, [0.5, 0.9, 0.2]), Some((2, 0.9)));
        assert_eq!(best(Better::Higher, [f64::NAN, 0.1, f64::NAN]).map(|b| b.0), Some(2));
        // What was measured in a phase says nothing of the next.
        let list: Vec<_> = (1..=4).map(|step| (step, folder.path().join(format!("step-{step:06}")))).collect();
        fs::create_dir_all(&list[3].1).unwrap();
        let next = |held_out| State { step: 4, phase: 3, held_out, ..state() };
        for held_out in [None, Some(0.05)] {
            fs::write(list[3].1.join(STATE), next(held_out).to_json().unwrap()).unwrap();
            assert_eq!(super::super::checkpoint::best(&list), held_out.map(|value| (4, value)));
        }
    }

    #[test]
    fn a_run_may_change_its_length_but_not_its_model() {
        let config = crate::config::preset("tiny").unwrap();
        let print = settings_fingerprint(&config);
        assert_eq!(print, settings_fingerprint(&config.set("training.steps=9").unwrap()));
        assert_ne!(print, settings_fingerprint(&config.set("seed=9").unwrap()));
        for precision in ["f32", "bf16"] {
            let changed = config.set(&format!("training.precision='{precision}'")).unwrap();
            assert!(is_of(&print, &changed) && settings_fingerprint(&changed) == print, "{precision}");
            assert!(is_of(&fingerprint_in(&config, Precision::Bf16), &changed), "{precision}, as it was");
        }
        let mixed = config.set("training.precision='mixed'").unwrap();
        assert!(!is_of(&print, &mixed) && !is_of(&settings_fingerprint(&mixed), &config));
        assert_ne!(print, settings_fingerprint(&config.set("model.layers=9").unwrap()));
        assert_ne!(print, settings_fingerprint(&config.set("model.activation='relu'").unwrap()));
        // What a checkpoint of an earlier version holds, and one of before there were these settings.
        assert_eq!(print, "51c1ed3a59de6bc30d6810ced3d5534c14813e0a5c2b5674c5d058d7f11bf994");
        let old = before(&config, &Electra::default());
        assert!(LATER.iter().all(|later| old.contains(later)), "{old}");
        let old = LATER.iter().fold(config.to_toml(), |text, later| text.replacen(later, "", 1));
        assert_eq!(print, settings_fingerprint(&Config::from_toml(&old, "old").unwrap()));
        let mlm = config.with_objective("mlm").unwrap();
        assert_ne!(print, settings_fingerprint(&mlm));
        assert_ne!(
            settings_fingerprint(&mlm),
            settings_fingerprint(&mlm.set("objective.mask_probability=0.85").unwrap())
        );
    }
}
