//! The tensors of a folder: one safetensors file, several with an index, or the same as PyTorch pickles them. A pickle is
//! read by a parser that runs none of its code.

use super::{CheckpointError, FolderError};
use crate::numbers::shortened;
use half::{bf16, f16};
use pytorch_reader::PytorchReader;
use safetensors::SafeTensors;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The weights where they are in one file.
pub(super) const SAFETENSORS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const PICKLE: &str = "pytorch_model.bin";

/// The type of a tensor's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
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
    fn named(name: &str) -> Self {
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

/// One tensor: where its bytes are.
struct Found {
    element: Element,
    shape: Vec<usize>,
    place: Place,
}

enum Place {
    /// In the bytes of a file that was read.
    Bytes(usize, Range<usize>),
    /// In a pickle.
    Pickled(Box<pytorch_reader::Tensor>),
}

/// All tensors of a folder's weights.
pub(super) struct Weights {
    /// The file they are in, or its index.
    pub path: PathBuf,
    /// Bytes of all files.
    pub size: u64,
    files: Vec<Vec<u8>>,
    found: BTreeMap<String, Found>,
}

impl Weights {
    /// Opens the first that is there of `model.safetensors`, its shards, `pytorch_model.bin` and its shards, as
    /// `transformers` does.
    pub(super) fn open(folder: &Path) -> Result<Self, FolderError> {
        for (name, pickled) in [(SAFETENSORS, false), (PICKLE, true)] {
            let path = folder.join(name);
            if crate::fs::is_file(&path) {
                let mut weights = Self { path, size: 0, files: Vec::new(), found: BTreeMap::new() };
                weights.add(&weights.path.clone(), pickled, None)?;
                return Ok(weights);
            }
            let index = folder.join(format!("{name}.index.json"));
            if crate::fs::is_file(&index) {
                return Self::open_shards(index, folder, pickled);
            }
        }
        Err(FolderError::NoWeights { path: folder.into(), other: Other::find(folder) })
    }

    fn open_shards(index: PathBuf, folder: &Path, pickled: bool) -> Result<Self, FolderError> {
        let bad = |what: String| FolderError::Checkpoint { path: index.clone(), source: CheckpointError::Index(what) };
        let text =
            crate::fs::read_to_string(&index).map_err(|source| FolderError::Read { path: index.clone(), source })?;
        let json: Value = serde_json::from_str(&text).map_err(|e| bad(format!("not JSON ({e})")))?;
        let map = json["weight_map"].as_object().filter(|map| !map.is_empty());
        let map: &Map<String, Value> =
            map.ok_or_else(|| bad("no weight_map, expected a file for each tensor".into()))?;
        let mut shards: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, file) in map {
            // A shard lies beside its index; a path could lead anywhere.
            let file = file.as_str().filter(|file| Path::new(file).file_name() == Some(file.as_ref()));
            let file = file.ok_or_else(|| bad(format!("weight_map has no file's name for {name}")))?;
            shards.entry(file).or_default().insert(name);
        }
        if let Some(missing) = shards.keys().find(|file| !crate::fs::is_file(&folder.join(file))) {
            return Err(bad(format!("{missing} is missing, one of {} shards", shards.len())));
        }
        let mut weights = Self { path: index.clone(), size: 0, files: Vec::new(), found: BTreeMap::new() };
        for (file, names) in &shards {
            weights.add(&folder.join(file), pickled, Some(names))?;
            if let Some(name) = names.iter().find(|&&name| !weights.found.contains_key(name)) {
                return Err(bad(format!("{name} should be in {file} and is not")));
            }
        }
        Ok(weights)
    }

    /// Adds a file's tensors; of a shard those that the index says are there.
    fn add(&mut self, path: &Path, pickled: bool, names: Option<&BTreeSet<&str>>) -> Result<(), FolderError> {
        let unreadable = |source| FolderError::Read { path: path.into(), source };
        let misfit = |source| FolderError::Checkpoint { path: path.into(), source };
        let wanted = |name: &str| names.is_none_or(|names| names.contains(name));
        self.size += crate::fs::metadata(path).map_err(unreadable)?.len();
        if pickled {
            let reader =
                PytorchReader::new(path).map_err(|e| misfit(CheckpointError::Pickle(brief(&e.to_string()))))?;
            for (name, tensor) in reader.into_tensors().into_iter().filter(|(name, _)| wanted(name)) {
                let element = Element::named(&format!("{:?}", tensor.dtype()));
                let shape = tensor.shape().to_vec();
                self.found.insert(name, Found { element, shape, place: Place::Pickled(Box::new(tensor)) });
            }
            return Ok(());
        }
        self.add_bytes(crate::fs::read(path).map_err(unreadable)?, wanted).map_err(misfit)
    }

    /// The tensors of a safetensors file that was read.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Result<Self, CheckpointError> {
        let mut weights = Self { path: PathBuf::new(), size: 0, files: Vec::new(), found: BTreeMap::new() };
        weights.add_bytes(bytes, |_| true).map(|()| weights)
    }

    fn add_bytes(&mut self, bytes: Vec<u8>, wanted: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
        let start = bytes.as_ptr() as usize;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| CheckpointError::Safetensors(brief(&e.to_string())))?;
        for (name, view) in file.iter().filter(|(name, _)| wanted(name)) {
            let from = view.data().as_ptr() as usize - start;
            let place = Place::Bytes(self.files.len(), from..from + view.data().len());
            let element = Element::named(&format!("{:?}", view.dtype()));
            self.found.insert(name.to_string(), Found { element, shape: view.shape().to_vec(), place });
        }
        self.files.push(bytes);
        Ok(())
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// A tensor's sizes.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.found.get(name).map(|found| &found.shape[..])
    }

    /// A tensor's numbers; an error if it is not of that shape.
    pub(super) fn read(&self, name: &str, shape: &[usize], to: &mut [f32]) -> Result<(), CheckpointError> {
        let error = |found: String, expected: String| CheckpointError::Tensor { name: name.into(), found, expected };
        let found = self.found.get(name).ok_or_else(|| error("missing".into(), format!("{shape:?}")))?;
        if matches!(found.element, Element::Other(_)) || found.shape != shape {
            let found = format!("{}{:?}", found.element.name(), found.shape);
            return Err(error(found, format!("F32{shape:?}, or F16, BF16 or F64 of that shape")));
        }
        match &found.place {
            Place::Bytes(file, range) => found.element.decode(&self.files[*file][range.clone()], to),
            Place::Pickled(tensor) => {
                let bytes = tensor.read().map_err(|e| CheckpointError::Pickle(format!("{name}: {e}")))?;
                found.element.decode(&bytes, to);
            }
        }
        match to.iter().find(|x| !x.is_finite()) {
            Some(found) => Err(error(format!("{found} somewhere"), "finite numbers".into())),
            None => Ok(()),
        }
    }
}

/// A library's message, of which a damaged file may make a very long one.
fn brief(message: &str) -> String {
    shortened(message, 160)
}

/// Weights that only other programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Nothing.
    None,
    /// TensorFlow's, as Google published the first ELECTRAs.
    TensorFlow,
    /// TensorFlow's, as `transformers` saved them.
    Keras,
    /// Flax's, as `transformers` saved them.
    Flax,
}

impl Other {
    /// What lies in `folder` in place of weights.
    pub(super) fn find(folder: &Path) -> Self {
        let names = crate::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let kind = |name: &str| match name {
            "tf_model.h5" => Some(Self::Keras),
            "flax_model.msgpack" => Some(Self::Flax),
            _ if name.contains(".ckpt") && name.ends_with(".index") => Some(Self::TensorFlow),
            _ => None,
        };
        let mut kinds: Vec<Self> = names.filter_map(|name| kind(name.to_str()?)).collect();
        kinds.sort_by_key(|&kind| kind as u8);
        kinds.last().copied().unwrap_or(Self::None)
    }

    /// The command that makes weights that can be read, as the end of a message. It writes a new file and touches no other.
    pub(super) fn hint(self, folder: &Path) -> String {
        let read = |name: &str| crate::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let class = if read(CONFIG).contains("MaskedLM") { "ElectraForMaskedLM" } else { "ElectraForPreTraining" };
        let (what, packages, load) = match self {
            Self::None => return String::new(),
            Self::TensorFlow => {
                let names = crate::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
                let names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".index")?.to_string()));
                let name = names.max().unwrap_or_else(|| "model.ckpt".into());
                let load = format!(
                    "from transformers.models.electra.modeling_electra import *; M={class}; \
                     m=M(M.config_class.from_pretrained('.')); load_tf_weights_in_electra(m,m.config,'./{name}')"
                );
                ("TensorFlow's", "tensorflow", load)
            }
            Self::Keras => ("tf_model.h5", "tensorflow tf-keras", Self::loader("tf", "tf2", class, "tf_model.h5")),
            Self::Flax => ("flax_model.msgpack", "flax", Self::loader("flax", "flax", class, "flax_model.msgpack")),
        };
        format!(
            ", only {what}; in that folder, with its config.json, run: pip install 'transformers<5' torch {packages} && python -c \
             \"import torch; {load}; torch.save(m.state_dict(),'pytorch_model.bin')\""
        )
    }

    /// Python that makes `m` of a file that another framework's classes saved.
    fn loader(module: &str, function: &str, class: &str, file: &str) -> String {
        let more = if module == "tf" { ",allow_missing_keys=True" } else { "" };
        format!(
            "from transformers import {class} as M; from transformers.modeling_{module}_pytorch_utils import \
             load_{function}_checkpoint_in_pytorch_model as l; m=M(M.config_class.from_pretrained('.')); l(m,'{file}'{more})"
        )
    }
}
