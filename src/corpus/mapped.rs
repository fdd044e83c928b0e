//! A file of examples, mapped into memory.

use super::examples::{IdSlice, View};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use std::ops::Range;

/// The tensors of a file of examples.
pub(crate) const TENSORS: [&str; 3] = ["tokens", "ends", "boundaries"];
/// The key of the header's metadata that holds the length.
pub(crate) const LENGTH: &str = "length";

/// A mapped file of examples whose layout and contents were checked.
#[derive(Debug)]
pub(crate) struct MappedShard {
    map: Mmap,
    wide: bool,
    /// Byte ranges of the tensors.
    ids: Range<usize>,
    ends: Range<usize>,
    boundaries: Range<usize>,
}

impl MappedShard {
    /// Checks that a file holds examples of at most `length` tokens, whose ids are all below `vocabulary`; says what is
    /// wrong otherwise.
    pub(crate) fn new(map: Mmap, length: usize, vocabulary: usize) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(&map).map_err(|e| format!("not a whole safetensors file ({e})"))?;
        let (_, header) = SafeTensors::read_metadata(&map).map_err(|e| format!("no safetensors header ({e})"))?;
        let said = header.metadata().as_ref().and_then(|about| about.get(LENGTH)).map_or("nothing", |s| s.as_str());
        if said != length.to_string() {
            return Err(format!("its header says {said:?} of the length, the manifest {length}"));
        }
        if tensors.len() != TENSORS.len() {
            return Err(format!("{} tensors, expected {}", tensors.len(), TENSORS.join(", ")));
        }
        let tensor = |name: &str, allowed: &[Dtype]| {
            let tensor = tensors.tensor(name).map_err(|_| format!("no tensor {name}"))?;
            if tensor.shape().len() != 1 || !allowed.contains(&tensor.dtype()) {
                let (dtype, shape) = (tensor.dtype(), tensor.shape());
                return Err(format!("{name} is {dtype:?} {shape:?}, expected one dimension of {allowed:?}"));
            }
            let start = tensor.data().as_ptr() as usize - map.as_ptr() as usize;
            Ok((start..start + tensor.data().len(), tensor.dtype()))
        };
        let (ids, dtype) = tensor(TENSORS[0], &[Dtype::U16, Dtype::U32])?;
        let (ends, _) = tensor(TENSORS[1], &[Dtype::U64])?;
        let (boundaries, _) = tensor(TENSORS[2], &[Dtype::U16])?;
        let shard = Self { wide: dtype == Dtype::U32, map, ids, ends, boundaries };
        shard.check(length, vocabulary)?;
        Ok(shard)
    }

    /// The examples.
    pub(crate) fn view(&self) -> View<'_> {
        let ids = &self.map[self.ids.clone()];
        View {
            ids: match self.wide {
                false => IdSlice::Narrow(bytemuck::cast_slice(ids)),
                true => IdSlice::Wide(bytemuck::cast_slice(ids)),
            },
            ends: bytemuck::cast_slice(&self.map[self.ends.clone()]),
            boundaries: bytemuck::cast_slice(&self.map[self.boundaries.clone()]),
        }
    }

    fn check(&self, length: usize, vocabulary: usize) -> Result<(), String> {
        // A map starts at a page, and casting a slice that does not lie as its type wants would panic.
        let aligned = |range: &Range<usize>, to: usize| (self.map.as_ptr() as usize + range.start).is_multiple_of(to);
        let id_bytes = if self.wide { 4 } else { 2 };
        if !aligned(&self.ids, id_bytes) || !aligned(&self.ends, 8) || !aligned(&self.boundaries, 2) {
            return Err("its tensors do not lie at multiples of their elements' size".into());
        }
        let view = self.view();
        if view.ends.len() != view.boundaries.len() {
            return Err(format!("{} ends and {} boundaries", view.ends.len(), view.boundaries.len()));
        }
        let mut start = 0;
        for (index, (&end, &boundary)) in view.ends.iter().zip(view.boundaries).enumerate() {
            let tokens = end.checked_sub(start).filter(|&n| n > 0 && n <= length as u64);
            if tokens.is_none_or(|tokens| u64::from(boundary) > tokens) {
                return Err(format!("example {index} from {start} to {end} with its boundary at {boundary}"));
            }
            start = end;
        }
        if start != view.ids.len() as u64 {
            return Err(format!("the examples end at {start}, the tokens at {}", view.ids.len()));
        }
        match view.ids.max() {
            Some(id) if id as usize >= vocabulary => Err(format!("a token {id} in a vocabulary of {vocabulary}")),
            _ => Ok(()),
        }
    }
}
