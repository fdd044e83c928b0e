//! Flags that decide a run's configuration, shared by `train`, `compare`, `plan` and `bench`.

use super::Failure;
use crate::config::{Config, Precision, preset};
use crate::objective::ObjectiveConfig;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

/// Where the settings start and what is changed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// tiny, mini, small, small++ or base [default: tiny]
    #[arg(long)]
    pub preset: Option<String>,
    /// What is learnt [default: electra]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(ObjectiveConfig::NAMES))]
    pub objective: Option<String>,
    /// A TOML file with any of the settings that the run's config.toml lists
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, as in model.layers=4; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Examples a step
    #[arg(long)]
    pub batch: Option<usize>,
    /// Tokens an example
    #[arg(long)]
    pub length: Option<usize>,
    /// Training steps
    #[arg(long)]
    pub steps: Option<u64>,
    /// Decides weights, batches, masks, dropout and samples
    #[arg(long)]
    pub seed: Option<u64>,
    /// auto: whatever is fastest of what learns the same; f32; or mixed: on a GPU with f16 activations and the weights of matrix
    /// products in 16 bits, on a CPU with AMX or AVX512-BF16 matrix products of 16 bits, which is bf16, elsewhere f32
    #[arg(long, value_name = "auto|f32|mixed|bf16")]
    pub precision: Option<Precision>,
    /// Peak learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
}

impl Settings {
    /// The first flag that was given of those that a run which goes on cannot take.
    pub(crate) fn fixed_flag(&self) -> Option<&'static str> {
        let given = [
            (self.preset.is_some(), "--preset"),
            (self.objective.is_some(), "--objective"),
            (self.config.is_some(), "--config"),
            (!self.set.is_empty(), "--set"),
            (self.batch.is_some(), "--batch"),
            (self.length.is_some(), "--length"),
            (self.seed.is_some(), "--seed"),
            (self.precision.is_some(), "--precision"),
            (self.learning_rate.is_some(), "--learning-rate"),
        ];
        given.into_iter().find(|g| g.0).map(|g| g.1)
    }

    /// The configuration: the preset, then the objective, then the file, then `--set`, then the other flags. A file that names
    /// another objective than the flag gives way.
    pub(crate) fn resolve(&self) -> Result<Config, Failure> {
        let start = |name: &str| {
            let config = preset(name)?;
            self.objective.as_deref().map_or(Ok(config.clone()), |objective| config.with_objective(objective))
        };
        let mut config = start(self.preset.as_deref().unwrap_or("tiny")).map_err(Failure::input)?;
        if let Some(path) = &self.config {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| Failure::Input(format!("{place}: {e}")))?;
            // A file may say which preset the numbers that it leaves out are from.
            let named = Config::merge(&config, &text, &place).map_err(Failure::input)?.preset;
            if self.preset.is_none() && named != config.preset {
                config = start(&named).map_err(Failure::input)?;
            }
            config = Config::merge(&config, &text, &place).map_err(Failure::input)?;
            if let Some(objective) = self.objective.as_deref().filter(|name| *name != config.objective.name()) {
                config = config.with_objective(objective).map_err(Failure::input)?;
            }
        }
        for assignment in &self.set {
            if assignment.trim_start().starts_with("preset") {
                return Err(Failure::Input(format!("--set {assignment}: use --preset")));
            }
            if assignment.trim_start().starts_with("objective.name") {
                return Err(Failure::Input(format!("--set {assignment}: use --objective")));
            }
            config = config.set(assignment).map_err(Failure::input)?;
        }
        if let Some(batch) = self.batch {
            config.training.batch = batch;
        }
        if let Some(length) = self.length {
            config.data.length = length;
            config.model.positions = config.model.positions.max(length);
        }
        if let Some(steps) = self.steps {
            config.training.steps = steps;
        }
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        if let Some(precision) = self.precision {
            config.training.precision = precision;
        }
        if let Some(rate) = self.learning_rate {
            config.optimizer.learning_rate = rate;
        }
        config.check().map_err(Failure::input)?;
        Ok(config)
    }
}
