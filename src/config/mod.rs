//! Everything that decides a run, as TOML with every default written out.

mod merge;
mod presets;
mod task;

pub use presets::{PRESETS, preset};
pub use task::{TaskConfig, fine_tuning, learning_rate};

use crate::corpus::Sample;
use crate::math::bf16::Products;
use crate::measure::Measures;
use crate::model::{Builder, EPSILONS, Model, ModelConfig, Problem};
use crate::objective::{BadValue, ObjectiveConfig, Setting};
use crate::task::TaskKind;
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
    /// No objective of that name.
    #[error("no objective {found:?}; there are {}", ObjectiveConfig::NAMES.join(", "))]
    Objective {
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

impl From<BadValue> for ConfigError {
    fn from(BadValue { key, found, expected }: BadValue) -> Self {
        Self::Value { key, found, expected }
    }
}

/// A run's settings. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The preset the numbers started from.
    pub preset: String,
    /// Decides initial weights, batches, masks, dropout and samples.
    pub seed: u64,
    /// The network that is kept, and what it shares with others that are trained with it.
    pub model: ModelConfig,
    /// What is learnt.
    pub objective: ObjectiveConfig,
    /// Text.
    pub data: DataConfig,
    /// Labelled data, where an objective learns from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskConfig>,
    /// AdamW and the learning rate.
    pub optimizer: OptimizerConfig,
    /// Steps and batches.
    pub training: TrainingConfig,
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
    /// The text inside the program that is read where no other is named.
    #[serde(default, skip_serializing_if = "Sample::is_usual")]
    pub sample: Sample,
    /// The files and folders of text; none is the sample. `--text` sets it.
    #[serde(default)]
    pub text: Vec<PathBuf>,
    /// The folder of a prepared dataset, which takes the text's place. `--data` sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<PathBuf>,
    /// Whether all pieces of a word are selected or none, whatever the objective does with selected tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_words: bool,
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
    /// How much slower each layer learns than the one above it, as in fine-tuning ([`Rates::ByLayer`](crate::train::Rates)); all alike
    /// without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f64>,
}

/// Steps and batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples a step.
    pub batch: usize,
    /// What is stored or multiplied in 16 bits. `--precision` sets it.
    pub precision: Precision,
    /// Steps between two lines of metrics.
    pub log_every: u64,
    /// Hours after which the run ends. The learning rate then follows the clock: after half of the hours it is where it would
    /// be after half of `steps`, however many were done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<f64>,
    /// A folder with a generator, a discriminator, both or an encoder to start from instead of random weights. `--init-from` sets it.
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
    /// Evaluations without a better one after which the run ends before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
}

/// What is stored and multiplied in how many bits. Checkpoints are in single precision either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Whatever is fastest of what learns the same: [`Precision::Bf16`] on a processor that is fast at it, else
    /// [`Precision::F32`]. A run's settings have what was chosen; what is left as it is counts as the latter.
    #[default]
    Auto,
    /// Everything in 32 bits.
    F32,
    /// Activations and copies of the weights in 16 bits; sums, master weights, moments and losses in 32
    /// (`graph/mixed.rs`). The loss is scaled (`ops/loss_scale.rs`). A GPU's; the CPU engine rounds as one would.
    Mixed,
    /// Layers and vocabulary multiply numbers of 16 bits with the range of 32, and add up in 32 (`math/bf16`); everything else is as in
    /// [`Precision::F32`]. The CPU engine's.
    Bf16,
}

/// [`Precision::Bf16`] was asked of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("precision bf16 is the CPU engine's: expected --device cpu, or for a new run --precision mixed")]
pub struct NotOnGpu;

impl Precision {
    /// What it means for a run that begins on a GPU or on the CPU engine: there [`Precision::Mixed`] is [`Precision::Bf16`] where the
    /// processor has instructions for it, else nothing would be gained and it is [`Precision::F32`].
    ///
    /// # Errors
    /// [`NotOnGpu`].
    pub fn beginning(self, on_gpu: bool) -> Result<Self, NotOnGpu> {
        match self {
            Self::Auto if !on_gpu && Products::Halves.is_fast() => Ok(Self::Bf16),
            Self::Auto => Ok(Self::F32),
            Self::Bf16 if on_gpu => Err(NotOnGpu),
            Self::Mixed if !on_gpu && Products::Halves.is_there() => Ok(Self::Bf16),
            Self::Mixed if !on_gpu => Ok(Self::F32),
            other => Ok(other),
        }
    }

    /// What a person who asked for this should know, where it `became` something else at the beginning.
    pub fn remark(self, became: Self) -> Option<&'static str> {
        match (self, became) {
            (Self::Mixed, Self::F32) => Some("this processor has no instructions for bf16: it is done in f32"),
            (_, Self::Bf16) if !Products::Halves.is_there() => Some(
                "this processor has no instructions for bf16: numbers are rounded to it and multiplied in f32, which takes longer",
            ),
            (_, Self::Bf16) if !Products::Halves.is_fast() => {
                Some("this processor is slower in bf16 than in f32: --precision f32 is faster")
            }
            _ => None,
        }
    }

    /// As in `a step in bf16`; nothing of the usual one.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Auto | Self::F32 => "",
            Self::Mixed => " in mixed precision",
            Self::Bf16 => " in bf16",
        }
    }

    /// How layers and vocabulary are multiplied.
    pub fn products(self) -> Products {
        if self == Self::Bf16 { Products::Halves } else { Products::Single }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "mixed" => Ok(Self::Mixed),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!("no precision {s:?}; there are auto, f32, mixed, bf16")),
        }
    }
}

impl Config {
    /// All settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// What is measured in a run of them, on a text whose words' frequencies have this entropy in nats.
    pub fn measures(&self, unigram_entropy: f64) -> Measures {
        self.objective.measures(&Setting {
            vocabulary: self.model.vocabulary as u64,
            unigram_entropy,
            learning_rate: self.optimizer.learning_rate,
            clip_norm: self.optimizer.clip_norm,
        })
    }

    /// What a run's folder is called that was given no name: its preset, and its objective where that is not the usual one.
    pub fn run_name(&self) -> String {
        match (&self.task, self.objective.name()) {
            (Some(task), _) => task.name.clone(),
            (None, name) if name == ObjectiveConfig::USUAL => self.preset.clone(),
            (None, other) => format!("{}-{other}", self.preset),
        }
    }

    /// What is learnt on what, in words: the objective, and the task or the preset.
    pub fn in_words(&self) -> String {
        let of = self.task.as_ref().map_or(self.preset.as_str(), TaskConfig::title);
        format!("{} {of}", self.objective.title())
    }

    /// Whether the numbers can go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, found: &dyn ToString, expected: &str| {
            Err(ConfigError::Value { key, found: found.to_string(), expected: expected.to_string() })
        };
        let (m, t) = (&self.model, &self.training);
        let sizes = [
            ("model.embedding", m.embedding),
            ("model.hidden", m.hidden),
            ("model.layers", m.layers),
            ("model.heads", m.heads),
            ("model.feed_forward", m.feed_forward),
            ("model.types", m.types),
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
        if self.task.is_some() != task::is_task(&self.objective) {
            let (found, expected) = match self.task {
                Some(_) => (self.objective.name(), "one that learns from labelled data, as [task] is there"),
                None => (self.objective.name(), "one that learns from text, as there is no [task]"),
            };
            return bad("objective.name", &found, expected);
        }
        if self.task.as_ref().is_some_and(|task| task.balanced)
            && self.objective.task_kind() != Some(TaskKind::Classification(Problem::SingleLabel))
        {
            return bad("task.balanced", &true, "false but where a text has one of some classes");
        }
        if self.task.is_none() && !PRESETS.contains(&self.preset.as_str()) {
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
        if t.patience == Some(0) {
            return bad("training.patience", &0, "at least 1");
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
        if !(self.data.held_out > 0.0 && self.data.held_out <= 0.5) {
            return bad("data.held_out", &self.data.held_out, "more than 0 and at most 0.5");
        }
        self.objective.check(m)?;
        let a = &self.optimizer;
        for (key, x) in [
            ("model.initializer_range", m.initializer_range),
            ("optimizer.learning_rate", a.learning_rate),
            ("optimizer.epsilon", a.epsilon),
            ("optimizer.weight_decay", a.weight_decay),
        ] {
            if !(0.0..=1e6).contains(&x) {
                return bad(key, &x, "0 to 1,000,000");
            }
        }
        if let Some(decay) = a.layer_decay.filter(|decay| !(*decay > 0.0 && *decay <= 1.0)) {
            return bad("optimizer.layer_decay", &decay, "more than 0 and at most 1");
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

impl Model {
    /// The networks of a run of these settings.
    pub fn new(config: &Config) -> Self {
        let mut b = Builder::default();
        let networks = config.objective.networks(&mut b, &config.model);
        b.finish(networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(preset("small").unwrap().objective.slots(128), 19);
    }
}
