//! One batch, and a model small enough to learn it by heart in no time.

use leyden::batch::{Batch, IDS, LENGTHS, MASKED_IDS, POSITIONS, Shape, TARGETS, TYPES, WEIGHTS};
use leyden::config::{Config, preset};
use leyden::objective::electra::Electra;
use leyden::objective::{Generator, GeneratorSizes};

/// The shape of [`memorised_batch`].
pub const MEMORISED: Shape = Shape { examples: 5, length: 12, slots: 3 };

/// A model of odd sizes that learns [`memorised_batch`] by heart within its 400 steps.
pub fn memorising(dropout: f32) -> Config {
    let mut config = preset("small").unwrap();
    config.model.vocabulary = 70;
    config.model.positions = 16;
    (config.model.embedding, config.model.hidden, config.model.layers, config.model.heads) = (20, 36, 2, 3);
    config.model.feed_forward = 52;
    (config.model.dropout, config.model.attention_dropout) = (dropout, dropout);
    let generator = Generator::Sizes(GeneratorSizes { hidden: 24, layers: 2, heads: 2, feed_forward: 44 });
    // Three of twelve tokens.
    config.objective = Electra { masked_fraction: 0.25, generator, ..Electra::default() }.into();
    config.model.initializer_range = 0.1;
    config.optimizer.learning_rate = 5e-3;
    config.optimizer.warmup = 10;
    config.optimizer.clip_norm = 1e3;
    config.training.steps = 400;
    config.training.batch = MEMORISED.examples;
    config.data.length = MEMORISED.length;
    config
}

/// One batch: ids that have nothing in common, and three selected tokens an example, of which the last has one only.
pub fn memorised_batch() -> Batch {
    let Shape { examples, length, slots } = MEMORISED;
    let n = examples * length;
    let ids: Vec<u32> = (0..n).map(|i| 5 + (i * 29 + i * i) as u32 % 65).collect();
    let positions: Vec<u32> = (0..examples).flat_map(|b| [1, 4, 7].map(|p| (p + b % 2) as u32)).collect();
    let places: Vec<usize> = positions.iter().zip(0..).map(|(&p, slot)| slot / slots * length + p as usize).collect();
    let mut masked_ids = ids.clone();
    places.iter().for_each(|&place| masked_ids[place] = 4);
    let mut weights = vec![1f32.to_bits(); positions.len()];
    weights[positions.len() - 2..].fill(0);
    Batch::new(MEMORISED, &[])
        .with(TARGETS, places.iter().map(|&place| ids[place]).collect())
        .with(TYPES, (0..n).map(|i| u32::from(i % length > 6)).collect())
        .with(LENGTHS, vec![12, 9, 12, 11, 8])
        .with(IDS, ids)
        .with(MASKED_IDS, masked_ids)
        .with(POSITIONS, positions)
        .with(WEIGHTS, weights)
}
