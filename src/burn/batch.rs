//! What goes into the networks, as burn's tensors.

use crate::batch::{self, IDS, LENGTHS, MASKED_IDS, POSITIONS, Shape, TARGETS, TYPES, WEIGHTS};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Tokens for one network.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// [B, L]
    pub ids: Tensor<2, Int>,
    /// Segments: [B, L].
    pub types: Tensor<2, Int>,
    /// True where there is no token: [B, L].
    pub padding: Tensor<2, Bool>,
}

impl Tokens {
    /// One sentence of one segment, without padding.
    pub fn sentence(ids: &[u32], device: &Device) -> Self {
        let shape = [1, ids.len()];
        let ids = words(ids, shape, device);
        Self { types: ids.zeros_like(), padding: padding(&[shape[1] as u32], shape, device), ids }
    }

    /// The same places with other tokens in them.
    pub fn with(&self, ids: Tensor<2, Int>) -> Self {
        Self { ids, ..self.clone() }
    }
}

/// A batch of masked text, as [`crate::batch::Batches`] makes it.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The original tokens.
    pub tokens: Tokens,
    /// What the generator sees: [B, L].
    pub masked_ids: Tensor<2, Int>,
    /// Selected tokens as rows of B L: `[M]`.
    pub positions: Tensor<1, Int>,
    /// The original tokens there: `[M]`.
    pub targets: Tensor<1, Int>,
    /// 1 for a selected token, 0 for a slot that is not used: `[M]`.
    pub weights: Tensor<1>,
    /// How many are selected.
    pub selected: f32,
    /// How many tokens there are, padding not counted.
    pub total: f32,
}

impl Batch {
    /// Uploads a batch.
    pub fn new(batch: &batch::Batch, device: &Device) -> Self {
        let Shape { examples, length, slots } = batch.shape();
        let (shape, all) = ([examples, length], [examples * slots]);
        let column = |column: batch::Column| words(batch.column(column.name), shape, device);
        let row = |(slot, &position): (usize, &u32)| (slot / slots * length) as u32 + position;
        let rows: Vec<u32> = batch.column(POSITIONS.name).iter().enumerate().map(row).collect();
        Self {
            tokens: Tokens {
                ids: column(IDS),
                types: column(TYPES),
                padding: padding(batch.column(LENGTHS.name), shape, device),
            },
            masked_ids: column(MASKED_IDS),
            positions: words(&rows, all, device),
            targets: words(batch.column(TARGETS.name), all, device),
            weights: Tensor::from_data(TensorData::new(batch.reals(WEIGHTS.name).to_vec(), all), device),
            selected: batch.total(WEIGHTS.name),
            total: batch.total(LENGTHS.name),
        }
    }

    /// Words to stand at the drawn positions in place of the generator's own samples: `[M]`.
    pub fn samples(&self, samples: &[u32]) -> Tensor<1, Int> {
        words(samples, [samples.len()], &self.positions.device())
    }
}

fn words<const D: usize>(words: &[u32], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    // Ids, positions and rows are far below 2^31.
    let words: Vec<i32> = words.iter().map(|&word| word as i32).collect();
    Tensor::from_data(TensorData::new(words, shape), device)
}

fn padding(lengths: &[u32], [rows, length]: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    let places = (0..rows * length).map(|i| i % length >= lengths[i / length] as usize).collect();
    Tensor::from_data(TensorData::new::<bool, _>(places, [rows, length]), device)
}
