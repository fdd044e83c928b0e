//! Numbers that PyTorch and transformers made, from `tests/golden`.

use super::parameter_key;
use leyden::batch::{Batch, IDS, LENGTHS, MASKED_IDS, POSITIONS, Shape, TARGETS, TYPES, WEIGHTS};
use leyden::model::Model;
use leyden::transformers::entries;
use safetensors::SafeTensors;
use serde_json::Value;

/// A file of tensors, and what its metadata says of them as JSON.
pub struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        // The project may be elsewhere than where this was built.
        let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
        let path = format!("{root}/tests/golden/{name}.safetensors");
        Self { bytes: std::fs::read(path).unwrap() }
    }

    pub fn words(&self, name: &str) -> Vec<u32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        tensor.data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
    }

    pub fn reals(&self, name: &str) -> Vec<f32> {
        self.words(name).into_iter().map(f32::from_bits).collect()
    }

    pub fn meta(&self, name: &str) -> Value {
        let (_, meta) = SafeTensors::read_metadata(&self.bytes).unwrap();
        serde_json::from_str(&meta.metadata().as_ref().unwrap()[name]).unwrap()
    }

    /// A bank of the tensors under `prefix`.
    pub fn bank(&self, model: &Model, prefix: &str) -> Vec<f32> {
        let mut bank = vec![0.0; model.table.len()];
        for network in &model.networks {
            for entry in entries(model, network).into_iter().filter(|entry| !entry.alias) {
                let values = self.reals(&format!("{prefix}{}", parameter_key(network, &entry.name)));
                bank[entry.offset..entry.offset + values.len()].copy_from_slice(&values);
            }
        }
        bank
    }

    /// The columns of a batch of masked text.
    pub fn batch(&self, shape: Shape) -> Batch {
        let columns = [(TYPES, "type_ids")]
            .into_iter()
            .chain([IDS, MASKED_IDS, LENGTHS, POSITIONS, TARGETS, WEIGHTS].map(|column| (column, column.name)));
        columns.fold(Batch::new(shape, &[]), |batch, (column, name)| {
            let mut words = self.words(&format!("batch.{name}"));
            if column == POSITIONS {
                // There they are rows of B L.
                words.iter_mut().for_each(|row| *row %= shape.length as u32);
            }
            batch.with(column, words)
        })
    }

    pub fn has_steps(&self) -> bool {
        let (_, meta) = SafeTensors::read_metadata(&self.bytes).unwrap();
        meta.metadata().as_ref().unwrap().contains_key("training")
    }
}
