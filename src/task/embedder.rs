//! An encoder on a device, and texts as vectors.

use super::features::{Cut, Row, texts};
use super::forward::{Forward, Page};
use super::{PredictError, Record};
use crate::config::Precision;
use crate::model::Network;
use crate::plan::{Engine, Target};
use crate::transformers::Pretrained;

/// How the H numbers that an encoder has for each token become those of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean over all tokens that are no padding, `[CLS]` and `[SEP]` included, as in `sentence-transformers`.
    Mean,
    /// Those of `[CLS]`.
    Cls,
}

/// An encoder on a device.
pub struct Embedder {
    forward: Forward,
    pooling: Pooling,
}

impl Embedder {
    /// Puts the weights of an encoder ([`Pretrained::load_encoder`]) on `engine`, whose banks must have the length of its table; plans
    /// are made for `target`.
    ///
    /// # Errors
    /// [`PredictError::Engine`].
    pub fn new(found: Pretrained, device: (Box<dyn Engine>, Target), pooling: Pooling) -> Result<Self, PredictError> {
        let page: Page = match pooling {
            Pooling::Mean => Network::encode,
            Pooling::Cls => Network::encode_first,
        };
        Ok(Self { forward: Forward::of(found, device, page)?, pooling })
    }

    /// The same in another precision than f32; asked before anything else.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { forward: self.forward.in_precision(precision), ..self }
    }

    /// H, the numbers of a vector.
    pub fn width(&self) -> usize {
        self.forward.network().config.hidden
    }

    /// The longest row in tokens.
    pub fn longest(&self) -> usize {
        self.forward.longest()
    }

    /// A vector of H numbers for each record that is a text or a pair, in their order, and how many were cut at the longest row.
    ///
    /// # Errors
    /// [`PredictError`].
    pub fn embed(&mut self, records: &[Record]) -> Result<(Vec<Vec<f32>>, Cut), PredictError> {
        let (rows, cut) = texts(records, self.forward.tokenizer(), self.longest())?;
        let rows: Vec<&Row> = rows.iter().collect();
        let (width, pooling) = (self.width(), self.pooling);
        let mut vectors = vec![Vec::new(); rows.len()];
        self.forward.run(&rows, |row, hidden| {
            vectors[row] = match pooling {
                Pooling::Mean => mean(&hidden[..rows[row].ids.len() * width], width),
                Pooling::Cls => hidden.to_vec(),
            };
        })?;
        Ok((vectors, cut))
    }
}

/// The mean of rows of `width` numbers, of which there is one at least.
fn mean(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0f64; width];
    for row in rows.chunks(width) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let count = (rows.len() / width) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
