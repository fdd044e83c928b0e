//! What goes into the networks, as burn's tensors.

use crate::data;
use crate::train::step::Counts;
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

/// A batch of examples with drawn positions, as [`crate::data::Batches`] makes them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The original tokens.
    pub tokens: Tokens,
    /// What the generator sees: [B, L].
    pub masked_ids: Tensor<2, Int>,
    /// Drawn positions as rows of B L: `[M]`.
    pub positions: Tensor<1, Int>,
    /// The original tokens there: `[M]`.
    pub targets: Tensor<1, Int>,
    /// 1 for a drawn position, 0 for an unused slot: `[M]`.
    pub weights: Tensor<1>,
    /// What the losses are means over.
    pub counts: Counts,
}

impl Batch {
    /// Uploads a batch.
    pub fn new(batch: &data::Batch, device: &Device) -> Self {
        let (shape, slots) = ([batch.batch_size, batch.length], [batch.batch_size * batch.predictions]);
        Self {
            tokens: Tokens {
                ids: words(&batch.ids, shape, device),
                types: words(&batch.type_ids, shape, device),
                padding: padding(&batch.lengths, shape, device),
            },
            masked_ids: words(&batch.masked_ids, shape, device),
            positions: words(&batch.positions, slots, device),
            targets: words(&batch.targets, slots, device),
            weights: Tensor::from_data(TensorData::new(batch.weights.clone(), slots), device),
            counts: Counts::of(batch),
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
