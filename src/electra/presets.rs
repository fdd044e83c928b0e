//! Named starting points.

use super::{
    Config, ConfigError, DataConfig, GeneratorConfig, ModelConfig, ObjectiveConfig, OptimizerConfig, TrainingConfig,
};

/// The presets' names, smallest first.
pub const PRESETS: [&str; 5] = ["tiny", "mini", "small", "small++", "base"];

/// A preset's settings. `small`, `small++` and `base` are the paper's; `tiny` shows all of it learning within minutes
/// on a CPU, and `mini` is for an evening or a small text.
pub fn preset(name: &str) -> Result<Config, ConfigError> {
    let small = small();
    Ok(match name {
        "tiny" => tiny(small),
        "mini" => mini(small),
        "small" => small,
        // The checkpoint that was released as Small: four times the steps, longer input, a generator of full width.
        "small++" => Config {
            preset: "small++".into(),
            generator: GeneratorConfig { hidden: 256, layers: 12, heads: 4, feed_forward: 1024 },
            data: DataConfig { length: 512, ..small.data },
            training: TrainingConfig { steps: 4_000_000, ..small.training },
            ..small
        },
        "base" => Config {
            preset: "base".into(),
            model: ModelConfig { embedding: 768, hidden: 768, heads: 12, feed_forward: 3072, ..small.model },
            generator: GeneratorConfig { hidden: 256, layers: 12, heads: 4, feed_forward: 1024 },
            data: DataConfig { length: 512, ..small.data },
            optimizer: OptimizerConfig { learning_rate: 2e-4, ..small.optimizer },
            training: TrainingConfig { steps: 766_000, batch: 256, ..small.training },
            ..small
        },
        _ => return Err(ConfigError::Preset { found: name.to_string() }),
    })
}

fn small() -> Config {
    Config {
        preset: "small".into(),
        seed: 1,
        model: ModelConfig {
            vocabulary: 30_522,
            positions: 512,
            types: 2,
            embedding: 128,
            hidden: 256,
            layers: 12,
            heads: 4,
            feed_forward: 1024,
            dropout: 0.1,
            attention_dropout: 0.1,
            initializer_range: 0.02,
        },
        generator: GeneratorConfig { hidden: 64, layers: 12, heads: 1, feed_forward: 256 },
        objective: ObjectiveConfig {
            masked_fraction: 0.15,
            mask_probability: 0.85,
            generator_weight: 1.0,
            discriminator_weight: 50.0,
        },
        data: DataConfig { length: 128, held_out: 0.05, cased: false },
        optimizer: OptimizerConfig {
            learning_rate: 5e-4,
            warmup: 10_000,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            weight_decay: 0.01,
            clip_norm: 1.0,
            bias_correction: false,
        },
        training: TrainingConfig { steps: 1_000_000, batch: 128, log_every: 100, evaluation_examples: 512 },
    }
}

/// Few layers and words, no dropout: so few steps on so little text leave nothing to overfit.
fn tiny(small: Config) -> Config {
    Config {
        preset: "tiny".into(),
        model: ModelConfig {
            vocabulary: 2048,
            positions: 128,
            embedding: 64,
            hidden: 128,
            layers: 3,
            heads: 2,
            feed_forward: 512,
            dropout: 0.0,
            attention_dropout: 0.0,
            ..small.model
        },
        generator: GeneratorConfig { hidden: 64, layers: 3, heads: 1, feed_forward: 256 },
        data: DataConfig { length: 64, ..small.data },
        optimizer: OptimizerConfig { learning_rate: 2e-3, warmup: 100, ..small.optimizer },
        training: TrainingConfig { steps: 1_000, batch: 32, log_every: 20, evaluation_examples: 256 },
        ..small
    }
}

fn mini(small: Config) -> Config {
    Config {
        preset: "mini".into(),
        model: ModelConfig {
            vocabulary: 8192,
            positions: 128,
            embedding: 128,
            hidden: 192,
            layers: 6,
            heads: 3,
            feed_forward: 768,
            ..small.model
        },
        generator: GeneratorConfig { hidden: 64, layers: 6, heads: 1, feed_forward: 256 },
        optimizer: OptimizerConfig { learning_rate: 1e-3, warmup: 500, ..small.optimizer },
        training: TrainingConfig { steps: 20_000, batch: 32, log_every: 50, evaluation_examples: 512 },
        ..small
    }
}
