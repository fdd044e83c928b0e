//! Named starting points.

use super::{Config, ConfigError, DataConfig, OptimizerConfig, Precision, TrainingConfig};
use crate::corpus::Sample;
use crate::math::Activation;
use crate::model::{ModelConfig, PositionInitialization};
use crate::objective::electra::Electra;
use crate::objective::{Generator, GeneratorSizes, ObjectiveConfig};
use crate::ops::EPSILON;
use crate::text::Reading;

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
            objective: electra(256, 12, 4, 1024),
            data: DataConfig { length: 512, ..small.data },
            training: TrainingConfig { steps: 4_000_000, ..small.training },
            ..small
        },
        "base" => Config {
            preset: "base".into(),
            model: ModelConfig { embedding: 768, hidden: 768, heads: 12, feed_forward: 3072, ..small.model },
            objective: electra(256, 12, 4, 1024),
            data: DataConfig { length: 512, ..small.data },
            optimizer: OptimizerConfig { learning_rate: 2e-4, ..small.optimizer },
            training: TrainingConfig { steps: 766_000, batch: 256, ..small.training },
            ..small
        },
        _ => return Err(ConfigError::Preset { found: name.to_string() }),
    })
}

/// ELECTRA with a generator of these sizes.
fn electra(hidden: usize, layers: usize, heads: usize, feed_forward: usize) -> ObjectiveConfig {
    let generator = Generator::Sizes(GeneratorSizes { hidden, layers, heads, feed_forward });
    Electra { generator, ..Electra::default() }.into()
}

fn small() -> Config {
    Config {
        task: None,
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
            position_initialization: PositionInitialization::Normal,
            activation: Activation::Gelu,
            layer_norm_epsilon: EPSILON,
        },
        objective: electra(64, 12, 1, 256),
        data: DataConfig {
            sample: Sample::default(),
            length: 128,
            held_out: 0.05,
            cased: false,
            strip_accents: Some(false),
            text: Vec::new(),
            dataset: None,
            whole_words: false,
            reading: Reading::default(),
        },
        optimizer: OptimizerConfig {
            learning_rate: 5e-4,
            warmup: 10_000,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            weight_decay: 0.01,
            clip_norm: 1.0,
            bias_correction: false,
            layer_decay: None,
        },
        training: TrainingConfig {
            steps: 1_000_000,
            batch: 128,
            precision: Precision::Auto,
            hours: None,
            init_from: None,
            log_every: 100,
            evaluation_examples: 512,
            evaluate_every: 1_000,
            checkpoint_every: 1_000,
            checkpoint_minutes: 15.0,
            keep_checkpoints: 3,
            patience: None,
        },
    }
}

/// What makes a short run on a small model learn at all, where the paper's settings are still at
/// word frequencies after thousands of steps:
///
/// * Gradients are hardly clipped. The discriminator's, fifty times weighted, dominate the global norm, and after clipping
///   to 1 the generator's are so small that Adam's epsilon swallows them.
/// * Weights start larger, since in so narrow layers .02 leaves attention and feed-forward parts all but silent: at .1 in `tiny`,
///   which at .05 learns no order, and at .05 in `mini`, whose encoder is then worth more once it is fine-tuned.
/// * Position embeddings start as waves, so that attention finds neighbours soon.
/// * Adam's bias correction is on, since the uncorrected first steps are three times too large.
fn short_run(small: &Config, learning_rate: f64, initializer_range: f64) -> (ModelConfig, OptimizerConfig) {
    let model = ModelConfig {
        positions: 128,
        dropout: 0.0,
        attention_dropout: 0.0,
        initializer_range,
        position_initialization: PositionInitialization::Sinusoidal,
        ..small.model.clone()
    };
    let optimizer = OptimizerConfig {
        learning_rate,
        warmup: 500,
        clip_norm: 1_000.0,
        bias_correction: true,
        ..small.optimizer.clone()
    };
    (model, optimizer)
}

/// Two layers, short examples and a generator so weak that its fakes can be found: within three minutes on two cores. Twice
/// as wide, it leaves the discriminator at its base rate for most of so short a run.
fn tiny(small: Config) -> Config {
    let (model, optimizer) = short_run(&small, 2e-3, 0.1);
    Config {
        preset: "tiny".into(),
        model: ModelConfig {
            vocabulary: 2048,
            embedding: 64,
            hidden: 128,
            layers: 2,
            heads: 8,
            feed_forward: 512,
            ..model
        },
        objective: electra(8, 1, 1, 16),
        data: DataConfig { length: 32, ..small.data },
        optimizer,
        training: TrainingConfig { steps: 4_500, batch: 32, log_every: 50, evaluate_every: 500, ..small.training },
        ..small
    }
}

/// For an evening, or a small text. Rate and first weights are those after which the encoder finds chunks of words best once it is
/// fine-tuned; twice both, and 20,000 steps leave it worse than random weights.
fn mini(small: Config) -> Config {
    let (model, optimizer) = short_run(&small, 5e-4, 0.05);
    Config {
        preset: "mini".into(),
        model: ModelConfig {
            vocabulary: 8192,
            embedding: 128,
            hidden: 192,
            layers: 4,
            heads: 6,
            feed_forward: 768,
            ..model
        },
        objective: electra(64, 2, 2, 256),
        data: DataConfig { length: 64, ..small.data },
        optimizer,
        training: TrainingConfig { steps: 20_000, batch: 32, log_every: 50, ..small.training },
        ..small
    }
}
