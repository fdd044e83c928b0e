//! A network's weights under their names in `transformers`, as safetensors.

use super::CheckpointError;
use super::published::Published;
use super::tensors::Weights;
use crate::model::{Model, Network, Part};
use safetensors::tensor::{Dtype, TensorView};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// A tensor of a network's checkpoint and its place in a bank.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The name in `transformers`.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// First element in a bank.
    pub offset: usize,
    /// Whether it is a second name of an entry before it, which a file may leave out.
    pub alias: bool,
    /// What the bank's numbers are multiplied with in the file, a power of two.
    pub scale: f32,
}

impl Entry {
    /// The window in a bank.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.iter().product::<usize>()
    }

    /// Its numbers as a file has them.
    fn of<'b>(&self, bank: &'b [f32]) -> Cow<'b, [f32]> {
        let numbers = &bank[self.range()];
        if self.scale == 1.0 { numbers.into() } else { numbers.iter().map(|x| x * self.scale).collect() }
    }

    /// Puts a file's numbers, which lie in their place, into the bank's units.
    pub(super) fn unscale(&self, bank: &mut [f32]) {
        if self.scale != 1.0 {
            bank[self.range()].iter_mut().for_each(|x| *x /= self.scale);
        }
    }
}

/// The tensors of the checkpoint of one of `model`'s networks.
pub fn entries(model: &Model, network: &Network) -> Vec<Entry> {
    let mut offsets = BTreeSet::new();
    let entry = |part: &Part| {
        let p = &model.table.parameters()[part.parameter];
        let shape = [&[part.rows.len()], &p.shape[1..]].concat();
        let offset = p.offset + part.rows.start * p.shape[1..].iter().product::<usize>();
        Entry { name: part.name.clone(), shape, offset, alias: !offsets.insert(offset), scale: part.scale }
    };
    network.parts.iter().map(entry).collect()
}

/// A network's weights as the bytes of a safetensors file.
pub fn to_bytes(model: &Model, network: &Network, bank: &[f32]) -> Result<Vec<u8>, CheckpointError> {
    let entries = entries(model, network);
    let error = |e: safetensors::SafeTensorError| CheckpointError::Safetensors(e.to_string());
    let scaled: Vec<Cow<'_, [f32]>> = entries.iter().map(|e| e.of(bank)).collect();
    let mut views = Vec::with_capacity(entries.len());
    for (entry, numbers) in entries.iter().zip(&scaled) {
        let data = bytemuck::cast_slice(numbers);
        views.push((entry.name.clone(), TensorView::new(Dtype::F32, entry.shape.clone(), data).map_err(error)?));
    }
    // `transformers` refuses a file that does not say which framework its layout follows.
    let about = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(views, Some(about)).map_err(error)
}

/// Reads a network's weights from the bytes of a safetensors file into `bank`. Every tensor must be there, in the shape that
/// the network has, and no other.
///
/// # Errors
/// [`CheckpointError`].
pub fn from_bytes(model: &Model, network: &Network, bytes: Vec<u8>, bank: &mut [f32]) -> Result<(), CheckpointError> {
    let left = Published::new(&Weights::of_bytes(bytes)?)?.read(model, network, bank)?;
    let unexpected = |first: &String| {
        let (count, first) = (left.len(), first.clone());
        CheckpointError::Unexpected { count, first, network: network.name }
    };
    left.first().map_or(Ok(()), |first| Err(unexpected(first)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    fn small_model(vocabulary: usize) -> Model {
        let mut config = preset("tiny").unwrap();
        config.model.vocabulary = vocabulary;
        Model::new(&config)
    }

    #[test]
    fn both_networks_come_back_whole() {
        let model = small_model(50);
        let bank = model.initial(5);
        let mut back = vec![0.0; bank.len()];
        for network in &model.networks {
            let bytes = to_bytes(&model, network, &bank).unwrap();
            from_bytes(&model, network, bytes, &mut back).unwrap();
        }
        assert_eq!(back, bank);
    }

    #[test]
    fn refuses_what_does_not_belong() {
        let model = small_model(50);
        let [generator, discriminator] = &model.networks[..] else { panic!("two networks") };
        let mut bank = model.initial(5);
        let bytes = to_bytes(&model, generator, &bank).unwrap();
        let error = from_bytes(&model, discriminator, bytes.clone(), &mut bank).unwrap_err().to_string();
        assert!(error.contains("missing") && error.contains("discriminator"), "{error}");
        let error = from_bytes(&model, generator, bytes[..100].to_vec(), &mut bank).unwrap_err().to_string();
        assert!(error.contains("safetensors"), "{error}");
        let other = small_model(51);
        let error = from_bytes(&other, &other.networks[0], bytes, &mut other.initial(1)).unwrap_err().to_string();
        assert!(error.contains("word_embeddings") && error.contains("[51, 64]"), "{error}");
    }
}
