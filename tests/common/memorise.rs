//! One batch, and a model small enough to learn it by heart in no time.

use leyden::data::Batch;
use leyden::electra::{Config, GeneratorConfig, preset};
use leyden::train::step::StepShape;

/// The shape of [`memorised_batch`].
pub const MEMORISED: StepShape = StepShape { batch: 5, length: 12, drawn: 3 };

/// A model of odd sizes that learns [`memorised_batch`] by heart within its 400 steps.
pub fn memorising(dropout: f32) -> Config {
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
    config.training.batch = MEMORISED.batch;
    config.data.length = MEMORISED.length;
    // Three of twelve tokens.
    config.objective.masked_fraction = 0.25;
    config
}

/// One batch: ids that have nothing in common, and three drawn positions an example, of which the last has one only.
pub fn memorised_batch() -> Batch {
    let n = MEMORISED.batch * MEMORISED.length;
    let ids: Vec<u32> = (0..n).map(|i| 5 + (i * 29 + i * i) as u32 % 65).collect();
    let positions: Vec<u32> =
        (0..MEMORISED.batch).flat_map(|b| [1, 4, 7].map(|p| (b * MEMORISED.length + p + b % 2) as u32)).collect();
    let mut masked_ids = ids.clone();
    positions.iter().for_each(|&p| masked_ids[p as usize] = 4);
    let mut weights = vec![1.0; positions.len()];
    weights[positions.len() - 2..].fill(0.0);
    Batch {
        batch_size: MEMORISED.batch,
        length: MEMORISED.length,
        predictions: MEMORISED.drawn,
        targets: positions.iter().map(|&p| ids[p as usize]).collect(),
        type_ids: (0..n).map(|i| u32::from(i % MEMORISED.length > 6)).collect(),
        lengths: vec![12, 9, 12, 11, 8],
        ids,
        masked_ids,
        positions,
        weights,
    }
}
