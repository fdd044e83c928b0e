//! Everything that decides a run, as TOML with every default written out.

mod presets;

pub use presets::{PRESETS, preset};

use crate::batch::Masking;
use crate::model::{EPSILONS, ModelConfig};
use crate::text::Reading;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No preset of that name.
    #[error("no preset {found:?}; there are {}", PRESETS.join(", "))]
    Preset {
        /// What was asked for.
        found: String,
    },
    /// The TOML does not parse, or has an unknown key or a value of the wrong type.
    #[error("{place}: {reason}")]
    Toml {
        /// The file or flag.
        place: String,
        /// What the parser said, on one line.
        reason: String,
    },
    /// Numbers that cannot go together.
    #[error("{key} is {found}, expected {expected}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
}

/// A run's settings. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The preset the numbers started from.
    pub preset: String,
    /// Decides initial weights, batches, masks, dropout and samples.
    pub seed: u64,
    /// The discriminator, and what both networks share.
    pub model: ModelConfig,
    /// The generator, where it differs.
    pub generator: GeneratorConfig,
    /// Masking and the joint loss.
    pub objective: ObjectiveConfig,
    /// Text.
    pub data: DataConfig,
    /// AdamW and the learning rate.
    pub optimizer: OptimizerConfig,
    /// Steps and batches.
    pub training: TrainingConfig,
}

/// Sizes of the generator's layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Width of the layers.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
}

/// Masking and the weights of the joint loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Fraction of an example's tokens that are drawn.
    pub masked_fraction: f64,
    /// Probability that a drawn token becomes `[MASK]`; else it stays.
    pub mask_probability: f64,
    /// Weight of the generator's loss.
    pub generator_weight: f32,
    /// Weight of the discriminator's loss.
    pub discriminator_weight: f32,
}

/// How text becomes examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Tokens an example.
    pub length: usize,
    /// Fraction of the documents that are held out.
    pub held_out: f64,
    /// Whether the vocabulary keeps case.
    pub cased: bool,
    /// Whether it drops accents and other marks. Not set in what older programs wrote, where lower case dropped them too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_accents: Option<bool>,
    /// The files and folders of text; none is the sample. `--text` sets it.
    #[serde(default)]
    pub text: Vec<PathBuf>,
    /// The folder of a prepared dataset, which takes the text's place. `--data` sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<PathBuf>,
    /// How the files of text are read.
    #[serde(default = "Reading::before")]
    pub reading: Reading,
}

impl DataConfig {
    /// Whether accents and other marks are dropped.
    pub fn strips_accents(&self) -> bool {
        self.strip_accents.unwrap_or(!self.cased)
    }
}

/// AdamW and the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up; multiplied with the linear decay to 0 over all steps.
    pub warmup: u64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added outside the root.
    pub epsilon: f64,
    /// Decoupled; not on biases and layer norms.
    pub weight_decay: f64,
    /// Largest global norm of the gradients.
    pub clip_norm: f64,
    /// Adam's bias correction; off in the reference code.
    pub bias_correction: bool,
}

/// Steps and batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples a step.
    pub batch: usize,
    /// What activations and the weights of matrix products are stored in. `--precision` sets it.
    pub precision: Precision,
    /// Steps between two lines of metrics.
    pub log_every: u64,
    /// Hours after which the run ends. The learning rate then follows the clock: after half of the hours it is where it would
    /// be after half of `steps`, however many were done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<f64>,
    /// A folder with a generator, a discriminator or both to start from instead of random weights. `--init-from` sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// Held-out examples that an evaluation takes.
    pub evaluation_examples: usize,
    /// Steps between two evaluations of the held-out text; there is one at the start and one at the end in any case.
    pub evaluate_every: u64,
    /// Steps between two checkpoints. There is also one at the end, when a run is interrupted, and wherever the held-out
    /// text went better than ever.
    pub checkpoint_every: u64,
    /// Minutes between two checkpoints, where steps are slow; 0 for none by the clock.
    pub checkpoint_minutes: f64,
    /// Checkpoints that are kept, the newest; the one that did best on the held-out text stays as well.
    pub keep_checkpoints: usize,
}

/// What is stored in how many bits while training. Checkpoints are in single precision either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything in 32 bits.
    #[default]
    F32,
    /// Activations and copies of the weights in 16 bits; sums, master weights, moments and losses in 32
    /// (`graph/mixed.rs`). The loss is scaled (`ops/loss_scale.rs`).
    Mixed,
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "f32" => Ok(Self::F32),
            "mixed" => Ok(Self::Mixed),
            _ => Err(format!("no precision {s:?}; there are f32, mixed")),
        }
    }
}

impl Config {
    /// Reads a TOML text that may set any key of `base`; the others keep their value. `place` names it in errors.
    /// Whether the numbers go together is for [`Config::check`] to say, once all of them are set.
    pub fn merge(base: &Config, text: &str, place: &str) -> Result<Config, ConfigError> {
        let toml_error = |e: &dyn std::fmt::Display| ConfigError::Toml {
            place: place.to_string(),
            reason: e.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let over: toml::Table = text.parse().map_err(|e: toml::de::Error| toml_error(&e.message()))?;
        let mut all = toml::Table::try_from(base).map_err(|e| toml_error(&e))?;
        // A whole [data] without the key is of a run that was begun before there was one.
        let data = over.get("data").and_then(toml::Value::as_table);
        let whole = |data: &toml::Table| ["length", "held_out", "cased"].iter().all(|key| data.contains_key(*key));
        if let (true, Some(toml::Value::Table(base))) = (data.is_some_and(whole), all.get_mut("data")) {
            base.remove("strip_accents");
        }
        overlay(&mut all, over);
        all.try_into().map_err(|e: toml::de::Error| toml_error(&e.message()))
    }

    /// Sets one key, written `section.key=value`, as a flag does.
    pub fn set(&self, assignment: &str) -> Result<Config, ConfigError> {
        let place = format!("--set {assignment}");
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(ConfigError::Toml { place, reason: "expected KEY=VALUE, as in model.layers=4".into() });
        };
        Self::merge(self, &format!("{} = {}", key.trim(), value.trim()), &place)
    }

    /// Parses a complete configuration, as [`Config::to_toml`] wrote it.
    pub fn from_toml(text: &str, place: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|e| ConfigError::Toml {
            place: place.to_string(),
            reason: e.message().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        config.check()?;
        Ok(config)
    }

    /// All settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// Which tokens are selected, and what becomes of them.
    pub fn masking(&self) -> Masking {
        let o = &self.objective;
        Masking { fraction: o.masked_fraction, mask_probability: o.mask_probability }
    }

    /// Whether the numbers can go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, found: &dyn ToString, expected: &str| {
            Err(ConfigError::Value { key, found: found.to_string(), expected: expected.to_string() })
        };
        let (m, g, t) = (&self.model, &self.generator, &self.training);
        let sizes = [
            ("model.embedding", m.embedding),
            ("model.hidden", m.hidden),
            ("model.layers", m.layers),
            ("model.heads", m.heads),
            ("model.feed_forward", m.feed_forward),
            ("model.types", m.types),
            ("generator.hidden", g.hidden),
            ("generator.layers", g.layers),
            ("generator.heads", g.heads),
            ("generator.feed_forward", g.feed_forward),
            ("training.batch", t.batch),
            ("training.log_every", t.log_every as usize),
            ("training.evaluation_examples", t.evaluation_examples),
            ("training.keep_checkpoints", t.keep_checkpoints),
        ];
        for (key, size) in sizes {
            // Layer norm's kernel keeps a row of at most 4,096; nothing else of these is ever near it.
            let wide = key.starts_with("training.") || key.ends_with(".feed_forward");
            let most = if wide { 1 << 20 } else { 4_096 };
            if size == 0 || size > most {
                return bad(key, &size, &format!("1 to {most}"));
            }
        }
        if !PRESETS.contains(&self.preset.as_str()) {
            return Err(ConfigError::Preset { found: self.preset.clone() });
        }
        if m.types < 2 {
            return bad("model.types", &m.types, "at least 2, one for each segment");
        }
        // TOML's integers are signed.
        let most = i64::MAX as u64;
        for (key, n) in [
            ("seed", self.seed),
            ("optimizer.warmup", self.optimizer.warmup),
            ("training.evaluate_every", t.evaluate_every),
            ("training.checkpoint_every", t.checkpoint_every),
        ] {
            if n > most {
                return bad(key, &n, &format!("at most {most}"));
            }
        }
        if !m.hidden.is_multiple_of(m.heads) {
            return bad("model.heads", &m.heads, &format!("a divisor of model.hidden, {}", m.hidden));
        }
        if !g.hidden.is_multiple_of(g.heads) {
            return bad("generator.heads", &g.heads, &format!("a divisor of generator.hidden, {}", g.hidden));
        }
        if m.vocabulary < 32 || m.vocabulary >= 1 << 20 {
            return bad("model.vocabulary", &m.vocabulary, "32 to 1,048,575");
        }
        if m.positions > 4_096 {
            return bad("model.positions", &m.positions, "at most 4,096");
        }
        if self.data.length < 8 || self.data.length > m.positions {
            return bad("data.length", &self.data.length, &format!("8 to model.positions, {}", m.positions));
        }
        for (key, n) in
            [("training.evaluate_every", t.evaluate_every), ("training.checkpoint_every", t.checkpoint_every)]
        {
            if n == 0 {
                return bad(key, &0, "at least 1");
            }
        }
        if let Some(hours) = t.hours.filter(|hours| !(*hours > 0.0 && *hours <= 100_000.0)) {
            return bad("training.hours", &hours, "more than 0 and at most 100,000");
        }
        if !(0.0..=1e6).contains(&t.checkpoint_minutes) {
            return bad("training.checkpoint_minutes", &t.checkpoint_minutes, "0 to 1,000,000");
        }
        if t.steps == 0 || t.steps > u64::from(u32::MAX) {
            return bad("training.steps", &t.steps, "1 to 4,294,967,295");
        }
        for (key, p) in [("model.dropout", m.dropout), ("model.attention_dropout", m.attention_dropout)] {
            if !(0.0..1.0).contains(&p) {
                return bad(key, &p, "at least 0 and less than 1");
            }
        }
        if !EPSILONS.contains(&m.layer_norm_epsilon) {
            return bad("model.layer_norm_epsilon", &m.layer_norm_epsilon, "1e-30 to 1");
        }
        let o = &self.objective;
        for (key, p, most) in [
            ("objective.masked_fraction", o.masked_fraction, 0.9),
            ("objective.mask_probability", o.mask_probability, 1.0),
            ("data.held_out", self.data.held_out, 0.5),
        ] {
            if !(p > 0.0 && p <= most) {
                return bad(key, &p, &format!("more than 0 and at most {most}"));
            }
        }
        let a = &self.optimizer;
        for (key, x) in [
            ("model.initializer_range", m.initializer_range),
            ("optimizer.learning_rate", a.learning_rate),
            ("optimizer.epsilon", a.epsilon),
            ("optimizer.weight_decay", a.weight_decay),
            ("objective.generator_weight", f64::from(o.generator_weight)),
            ("objective.discriminator_weight", f64::from(o.discriminator_weight)),
        ] {
            if !(0.0..=1e6).contains(&x) {
                return bad(key, &x, "0 to 1,000,000");
            }
        }
        if a.clip_norm.is_nan() || a.clip_norm <= 0.0 {
            return bad("optimizer.clip_norm", &a.clip_norm, "more than 0");
        }
        for (key, b) in [("optimizer.beta1", a.beta1), ("optimizer.beta2", a.beta2)] {
            if !(0.0..1.0).contains(&b) {
                return bad(key, &b, "at least 0 and less than 1");
            }
        }
        Ok(())
    }
}

fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) => overlay(inner, over),
            // 1 where a number with a point stood is meant as 1.0.
            (Some(toml::Value::Float(f)), toml::Value::Integer(i)) => *f = i as f64,
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_known_keys_and_refuses_others() {
        let base = preset("small").unwrap();
        let merged = Config::merge(&base, "seed = 9\n[model]\nlayers = 3\ndropout = 0", "test").unwrap();
        assert_eq!((merged.seed, merged.model.layers, merged.model.dropout), (9, 3, 0.0));
        assert_eq!(merged.model.hidden, base.model.hidden);
        let error = Config::merge(&base, "[model]\nlayer = 3", "my.toml").unwrap_err().to_string();
        assert!(error.contains("my.toml") && error.contains("layer"), "{error}");
        let odd = base.set("model.heads=3").unwrap();
        assert!(odd.check().unwrap_err().to_string().contains("divisor"));
        odd.set("model.hidden=96").unwrap().check().unwrap();
        assert!(base.set("model.heads").is_err());
        assert!(base.set("optimizer.learning_rate=nan").unwrap().check().is_err());
    }

    #[test]
    fn accents_mean_what_they_meant() {
        let base = preset("small").unwrap();
        assert!(!base.data.strips_accents());
        let set = |text: &str| Config::merge(&base, text, "test").unwrap().data.strips_accents();
        assert!(!set("[data]\ncased = false"));
        assert!(set("[data]\nstrip_accents = true"));
        // As older programs wrote it.
        assert!(set("[data]\nlength = 128\nheld_out = 0.05\ncased = false\ntext = []"));
        assert!(!set("[data]\nlength = 128\nheld_out = 0.05\ncased = true\ntext = []"));
        let old = base.to_toml().replace("strip_accents = false\n", "");
        let old = Config::from_toml(&old, "test").unwrap();
        assert!(old.data.strips_accents());
        assert!(!old.to_toml().contains("strip_accents"));
    }

    #[test]
    fn toml_round_trip_keeps_everything() {
        for name in PRESETS {
            let config = preset(name).unwrap();
            assert_eq!(Config::from_toml(&config.to_toml(), "test").unwrap(), config);
        }
    }

    #[test]
    fn activation_and_epsilon_are_kept_and_may_be_missing() {
        let base = preset("tiny").unwrap();
        let other = base.set("model.activation='gelu_new'").unwrap().set("model.layer_norm_epsilon=1e-5").unwrap();
        let text = other.to_toml();
        assert!(text.contains("activation = \"gelu_new\"") && text.contains("layer_norm_epsilon = 0.00001"), "{text}");
        assert_eq!(Config::from_toml(&text, "test").unwrap(), other);
        // As runs of before have it.
        let lines = |text: &str| {
            let old = |line: &&str| !line.starts_with("activation") && !line.starts_with("layer_norm_epsilon");
            text.lines().filter(old).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(Config::from_toml(&lines(&text), "test").unwrap(), base);
        let error = base.set("model.activation='silu'").unwrap_err().to_string();
        assert!(error.contains("silu") && error.contains("gelu_new"), "{error}");
        for epsilon in ["0", "-1e-5", "2.0", "nan", "1e-50"] {
            let error =
                base.set(&format!("model.layer_norm_epsilon={epsilon}")).unwrap().check().unwrap_err().to_string();
            assert!(error.contains("layer_norm_epsilon") && error.contains("1e-30 to 1"), "{error}");
        }
    }

    #[test]
    fn small_selects_nineteen_tokens() {
        assert_eq!(preset("small").unwrap().masking().slots(128), 19);
    }
}
