//! Weights as others saved them: older names, more tensors than a network has, or fewer.

use super::tensors::Weights;
use super::{CheckpointError, Entry, entries};
use crate::model::{Architecture, Model, Network, TIED};
use std::collections::BTreeMap;

/// A model's tensors under the names that `transformers` gives them today.
pub(super) struct Published<'a> {
    weights: &'a Weights,
    /// From today's name to the file's.
    names: BTreeMap<String, &'a str>,
}

const WORD: &str = "electra.embeddings.word_embeddings.weight";
const ENCODER: &str = "electra.";

impl<'a> Published<'a> {
    /// Finds out which tensor is which: TensorFlow's `gamma` and `beta` of layer norms are `weight` and `bias`, and an
    /// encoder that was saved alone has no `electra.` in front.
    ///
    /// # Errors
    /// [`CheckpointError::Twice`].
    pub fn new(weights: &'a Weights) -> Result<Self, CheckpointError> {
        let mut names = BTreeMap::new();
        for name in weights.names() {
            let today = today(name);
            if let Some(other) = names.insert(today, name) {
                return Err(CheckpointError::Twice { name: name.into(), other: other.into() });
            }
        }
        Ok(Self { weights, names })
    }

    /// Whether the head is there, or a part of it.
    pub fn has_head(&self, architecture: Architecture) -> bool {
        self.names.keys().any(|name| architecture.prefixes().iter().any(|prefix| name.starts_with(prefix)))
    }

    /// Rows of a tensor of `network`.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] where it is not there, or has none.
    pub fn rows(&self, name: &str, network: &'static str) -> Result<usize, CheckpointError> {
        let shape = self.names.get(name).and_then(|name| self.weights.shape(name)).unwrap_or_default();
        // No more than there are bytes, whatever a shape says.
        let rows = shape.first().copied().filter(|&rows| rows > 0 && rows as u64 <= self.weights.size);
        rows.ok_or_else(|| CheckpointError::Missing { count: 1, first: name.into(), network })
    }

    /// A tensor that is no part of the encoder.
    pub fn foreign(&self) -> Option<&str> {
        self.names.keys().find(|name| !name.starts_with(ENCODER)).map(String::as_str)
    }

    /// Whether there is an output matrix that is not the word embeddings.
    ///
    /// # Errors
    /// As [`Published::read`].
    pub fn has_own_output(&self) -> Result<bool, CheckpointError> {
        let values = |name: &str| {
            let Some(shape) = self.names.get(name).and_then(|name| self.weights.shape(name)) else { return Ok(None) };
            let mut values = vec![0.0; shape.iter().product()];
            self.values(name, shape, &mut values).map(|()| Some(values))
        };
        Ok(match (values(TIED)?, values(WORD)?) {
            (Some(own), Some(word)) => own != word,
            _ => false,
        })
    }

    /// Reads the weights of `network`, one of `model`'s, into `bank`. Every tensor must be there, in the shape that the network
    /// has. Returns the names of those that are no part of it.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn read(&self, model: &Model, network: &Network, bank: &mut [f32]) -> Result<Vec<String>, CheckpointError> {
        let entries: Vec<Entry> = entries(model, network).into_iter().filter(|entry| !entry.alias).collect();
        let missing: Vec<&Entry> = entries.iter().filter(|e| !self.names.contains_key(&e.name)).collect();
        if let Some(first) = missing.first() {
            let (count, first) = (missing.len(), first.name.clone());
            return Err(CheckpointError::Missing { count, first, network: network.name });
        }
        for entry in &entries {
            self.values(&entry.name, &entry.shape, &mut bank[entry.range()])?;
            entry.unscale(bank);
        }
        let known = |name: &str| {
            name == TIED || name.ends_with("embeddings.position_ids") || entries.iter().any(|e| e.name == name)
        };
        Ok(self.names.iter().filter(|(today, _)| !known(today)).map(|(_, name)| name.to_string()).collect())
    }

    fn values(&self, name: &str, shape: &[usize], to: &mut [f32]) -> Result<(), CheckpointError> {
        self.weights.read(self.names.get(name).copied().unwrap_or(name), shape, to)
    }
}

/// What `transformers` calls a tensor today.
fn today(name: &str) -> String {
    let bare = ["embeddings.", "embeddings_project.", "encoder."].iter().any(|prefix| name.starts_with(prefix));
    let prefix = if bare { ENCODER } else { "" };
    let named = match (name.strip_suffix("LayerNorm.gamma"), name.strip_suffix("LayerNorm.beta")) {
        (Some(stem), _) => format!("{stem}LayerNorm.weight"),
        (_, Some(stem)) => format!("{stem}LayerNorm.bias"),
        _ => name.to_string(),
    };
    format!("{prefix}{named}")
}
