//! Weights as others saved them: other types of numbers, older names, more tensors than a network has, or fewer.

use super::{CheckpointError, Entry, entries};
use crate::model::{Architecture, Model, Network, TIED};
use half::{bf16, f16};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The type of a tensor's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
    /// 16 bits, 11 of them for the digits.
    F16,
    /// 16 bits, 8 of them for the digits.
    BF16,
    /// One that weights do not have.
    Other(String),
}

impl Element {
    /// From the name that safetensors and PyTorch share.
    pub fn named(name: &str) -> Self {
        match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            other => Self::Other(other.into()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Other(name) => name.clone(),
            known => format!("{known:?}"),
        }
    }

    /// Little-endian numbers to 32 bits. A number that is too large becomes an infinity.
    fn decode(&self, bytes: &[u8], to: &mut [f32]) {
        fn each<const N: usize>(bytes: &[u8], to: &mut [f32], decode: impl Fn([u8; N]) -> f32) {
            to.iter_mut().zip(bytes.as_chunks::<N>().0).for_each(|(to, from)| *to = decode(*from));
        }
        match self {
            Self::F64 => each(bytes, to, |x| f64::from_le_bytes(x) as f32),
            Self::F32 => each(bytes, to, f32::from_le_bytes),
            Self::F16 => each(bytes, to, |x| f16::from_le_bytes(x).to_f32()),
            Self::BF16 => each(bytes, to, |x| bf16::from_le_bytes(x).to_f32()),
            Self::Other(_) => {}
        }
    }
}

/// What is known of a tensor before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<'a> {
    /// The type of its numbers.
    pub element: Element,
    /// Sizes.
    pub shape: &'a [usize],
}

/// Tensors by name, wherever they are.
pub trait Tensors {
    /// All names.
    fn names(&self) -> Vec<&str>;
    /// One of them.
    fn get(&self, name: &str) -> Option<Stored<'_>>;
    /// Its numbers, as many as its shape says.
    ///
    /// # Errors
    /// [`CheckpointError`] where a file is damaged.
    fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, CheckpointError>;
}

/// A model's tensors under the names that `transformers` gives them today.
pub struct Published<'a> {
    tensors: &'a dyn Tensors,
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
    pub fn new(tensors: &'a dyn Tensors) -> Result<Self, CheckpointError> {
        let mut names = BTreeMap::new();
        for name in tensors.names() {
            let today = today(name);
            if let Some(other) = names.insert(today, name) {
                return Err(CheckpointError::Twice { name: name.into(), other: other.into() });
            }
        }
        Ok(Self { tensors, names })
    }

    /// Whether the head is there, or a part of it.
    pub fn has_head(&self, architecture: Architecture) -> bool {
        self.names.keys().any(|name| architecture.prefixes().iter().any(|prefix| name.starts_with(prefix)))
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
            let Some(stored) = self.names.get(name).and_then(|name| self.tensors.get(name)) else { return Ok(None) };
            let mut values = vec![0.0; stored.shape.iter().product()];
            self.values(name, stored.shape, &mut values).map(|()| Some(values))
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
            self.values(&entry.name, &entry.shape, &mut bank[entry.offset..entry.offset + entry.len()])?;
        }
        let known = |name: &str| {
            name == TIED || name.ends_with("embeddings.position_ids") || entries.iter().any(|e| e.name == name)
        };
        Ok(self.names.iter().filter(|(today, _)| !known(today)).map(|(_, name)| name.to_string()).collect())
    }

    /// A tensor's numbers; an error if it is not of that shape.
    fn values(&self, name: &str, shape: &[usize], to: &mut [f32]) -> Result<(), CheckpointError> {
        let file = self.names.get(name).copied().unwrap_or(name);
        let error = |found: String, expected: String| CheckpointError::Tensor { name: file.into(), found, expected };
        let stored = self.tensors.get(file).ok_or_else(|| error("missing".into(), format!("{shape:?}")))?;
        if matches!(stored.element, Element::Other(_)) || stored.shape != shape {
            let found = format!("{}{:?}", stored.element.name(), stored.shape);
            return Err(error(found, format!("F32{shape:?}, or F16, BF16 or F64 of that shape")));
        }
        stored.element.decode(&self.tensors.bytes(file)?, to);
        match to.iter().find(|x| !x.is_finite()) {
            Some(found) => Err(error(format!("{found} somewhere"), "finite numbers".into())),
            None => Ok(()),
        }
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
