//! Examples, in memory or in mapped files.

use super::mapped::MappedShard;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The shortest examples that can be asked for.
pub const MINIMUM_LENGTH: usize = 8;
/// The longest examples that can be asked for.
pub const MAXIMUM_LENGTH: usize = 4_096;

/// Examples of at most `length` tokens, end to end: 2 bytes a token while ids are below 65,536, else 4. They lie in memory,
/// or in the files of a [dataset](crate::dataset), of which only what is used is in memory.
#[derive(Clone, Debug)]
pub struct Examples {
    length: usize,
    storage: Storage,
}

#[derive(Clone, Debug)]
enum Storage {
    Memory(Memory),
    Mapped(Arc<Mapped>),
}

/// Examples in memory.
#[derive(Clone, Debug)]
struct Memory {
    ids: Ids,
    /// Where each example ends in `ids`.
    ends: Vec<u64>,
    /// Index in the example of the first token of segment B; the example's length if there is none.
    boundaries: Vec<u16>,
}

#[derive(Clone, Debug)]
enum Ids {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

/// Examples in files.
#[derive(Debug)]
struct Mapped {
    shards: Vec<MappedShard>,
    /// Number of examples before each shard, and behind the last.
    starts: Vec<usize>,
}

/// A run of examples as the slices they lie in, wherever these are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The ids of all examples.
    pub ids: IdSlice<'a>,
    /// Where each example ends in `ids`.
    pub ends: &'a [u64],
    /// Index in the example of the first token of segment B; the example's length if there is none.
    pub boundaries: &'a [u16],
}

/// Ids of either width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdSlice<'a> {
    Narrow(&'a [u16]),
    Wide(&'a [u32]),
}

impl IdSlice<'_> {
    /// Number of ids.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    /// The largest id; `None` of nothing.
    pub fn max(&self) -> Option<u32> {
        match self {
            Self::Narrow(ids) => ids.iter().max().map(|&id| u32::from(id)),
            Self::Wide(ids) => ids.iter().max().copied(),
        }
    }

    /// Calls `each` with every id, in order.
    pub fn for_each(&self, mut each: impl FnMut(u32)) {
        match self {
            Self::Narrow(ids) => ids.iter().for_each(|&id| each(u32::from(id))),
            Self::Wide(ids) => ids.iter().for_each(|&id| each(id)),
        }
    }
}

impl Memory {
    fn view(&self) -> View<'_> {
        let ids = match &self.ids {
            Ids::Narrow(ids) => IdSlice::Narrow(ids),
            Ids::Wide(ids) => IdSlice::Wide(ids),
        };
        View { ids, ends: &self.ends, boundaries: &self.boundaries }
    }

    fn widen(&mut self) -> &mut Vec<u32> {
        if let Ids::Narrow(narrow) = &self.ids {
            self.ids = Ids::Wide(narrow.iter().map(|&id| u32::from(id)).collect());
        }
        match &mut self.ids {
            Ids::Wide(wide) => wide,
            Ids::Narrow(_) => unreachable!("widened above"),
        }
    }

    fn push(&mut self, ids: &[u32], boundary: usize) {
        match &mut self.ids {
            Ids::Narrow(narrow) if ids.iter().all(|&id| id <= u32::from(u16::MAX)) => {
                narrow.extend(ids.iter().map(|&id| id as u16));
            }
            _ => self.widen().extend_from_slice(ids),
        }
        self.ends.push(self.view().ids.len() as u64);
        self.boundaries.push(boundary as u16);
    }

    fn append(&mut self, more: View<'_>) {
        let before = self.view().ids.len() as u64;
        match (&mut self.ids, more.ids) {
            (Ids::Narrow(ids), IdSlice::Narrow(more)) => ids.extend_from_slice(more),
            (_, IdSlice::Narrow(more)) => self.widen().extend(more.iter().map(|&id| u32::from(id))),
            (_, IdSlice::Wide(more)) => self.widen().extend_from_slice(more),
        }
        self.ends.extend(more.ends.iter().map(|end| before + end));
        self.boundaries.extend_from_slice(more.boundaries);
    }
}

impl Examples {
    /// No examples yet, of at most `length` tokens each.
    pub fn new(length: usize) -> Self {
        let memory = Memory { ids: Ids::Narrow(Vec::new()), ends: Vec::new(), boundaries: Vec::new() };
        Self { length, storage: Storage::Memory(memory) }
    }

    /// Examples in mapped files, which were checked to have at most `length` tokens each.
    pub(crate) fn mapped(length: usize, shards: Vec<MappedShard>) -> Self {
        let mut starts = vec![0];
        for shard in &shards {
            starts.push(starts[starts.len() - 1] + shard.view().ends.len());
        }
        Self { length, storage: Storage::Mapped(Arc::new(Mapped { shards, starts })) }
    }

    /// Appends an example: its ids, special tokens included, and the index of the first token of segment B (`ids.len()` if
    /// there is none). What exceeds the length is cut off. Examples in files are read into memory first.
    pub fn push(&mut self, ids: &[u32], boundary: usize) {
        let ids = &ids[..ids.len().min(self.length)];
        self.memory().push(ids, boundary.min(ids.len()));
    }

    /// Appends examples of the same length.
    pub(crate) fn append(&mut self, more: &Examples) {
        debug_assert_eq!(self.length, more.length);
        for view in more.views() {
            self.memory().append(view);
        }
    }

    fn memory(&mut self) -> &mut Memory {
        if let Storage::Mapped(mapped) = &self.storage {
            let mapped = mapped.clone();
            *self = Self::new(self.length);
            for shard in &mapped.shards {
                self.memory().append(shard.view());
            }
        }
        match &mut self.storage {
            Storage::Memory(memory) => memory,
            Storage::Mapped(_) => unreachable!("read into memory above"),
        }
    }

    /// The examples as runs that each lie in one piece, in order.
    pub(crate) fn views(&self) -> Vec<View<'_>> {
        match &self.storage {
            Storage::Memory(memory) => vec![memory.view()],
            Storage::Mapped(mapped) => mapped.shards.iter().map(MappedShard::view).collect(),
        }
    }

    /// The run in which example `index` lies, and its index there.
    fn locate(&self, index: usize) -> (View<'_>, usize) {
        match &self.storage {
            Storage::Memory(memory) => (memory.view(), index),
            Storage::Mapped(mapped) => {
                let shard = mapped.starts.partition_point(|&start| start <= index) - 1;
                (mapped.shards[shard].view(), index - mapped.starts[shard])
            }
        }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        match &self.storage {
            Storage::Memory(memory) => memory.ends.len(),
            Storage::Mapped(mapped) => mapped.starts.last().copied().unwrap_or(0),
        }
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// L, the most tokens an example may have.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Tokens of all examples, special tokens included.
    pub fn tokens(&self) -> usize {
        self.views().iter().map(|view| view.ids.len()).sum()
    }

    /// Tokens of example `index`, which there is.
    pub fn length_of(&self, index: usize) -> usize {
        let (view, index) = self.locate(index);
        let start = if index == 0 { 0 } else { view.ends[index - 1] };
        (view.ends[index] - start) as usize
    }

    /// Copies the ids of example `index` to the start of `row`, which has at least its length, and gives
    /// (length, boundary): its number of tokens and the index of the first token of segment B.
    ///
    /// # Panics
    /// If there is no such example or `row` is too short, as for a slice.
    pub fn copy(&self, index: usize, row: &mut [u32]) -> (usize, usize) {
        let (view, index) = self.locate(index);
        let start = if index == 0 { 0 } else { view.ends[index - 1] as usize };
        let range = start..view.ends[index] as usize;
        let row = &mut row[..range.len()];
        match view.ids {
            IdSlice::Narrow(ids) => {
                for (to, &id) in row.iter_mut().zip(&ids[range]) {
                    *to = u32::from(id);
                }
            }
            IdSlice::Wide(ids) => row.copy_from_slice(&ids[range]),
        }
        (row.len(), usize::from(view.boundaries[index]))
    }

    /// The SHA-256 of the length (u64), every id (u32), where every example ends (u64) and every boundary (u16), all
    /// little-endian: equal for equal examples, wherever they lie.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.length as u64).to_le_bytes());
        let mut buffer = Vec::with_capacity(1 << 16);
        let put = |hash: &mut Sha256, buffer: &mut Vec<u8>, bytes: &[u8]| {
            buffer.extend_from_slice(bytes);
            if buffer.len() >= (1 << 16) - 8 {
                hash.update(&buffer);
                buffer.clear();
            }
        };
        for view in self.views() {
            view.ids.for_each(|id| put(&mut hash, &mut buffer, &id.to_le_bytes()));
        }
        let mut before = 0;
        for view in self.views() {
            view.ends.iter().for_each(|end| put(&mut hash, &mut buffer, &(before + end).to_le_bytes()));
            before += view.ids.len() as u64;
        }
        for view in self.views() {
            view.boundaries.iter().for_each(|boundary| put(&mut hash, &mut buffer, &boundary.to_le_bytes()));
        }
        hash.update(&buffer);
        hash.finalize().into()
    }
}

impl PartialEq for Examples {
    /// The same examples in the same order, wherever they lie.
    fn eq(&self, other: &Self) -> bool {
        if (self.length, self.len()) != (other.length, other.len()) {
            return false;
        }
        let (mut a, mut b) = (vec![0; self.length], vec![0; self.length]);
        (0..self.len()).all(|index| {
            let (left, right) = (self.copy(index, &mut a), other.copy(index, &mut b));
            left == right && a[..left.0] == b[..left.0]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_16_bits_are_kept() {
        let mut examples = Examples::new(8);
        examples.push(&[2, 65_535, 3], 3);
        examples.push(&[2, 65_536, 3, 250_000, 3], 3);
        examples.push(&[2, 7, 3], 3);
        let mut row = [0; 8];
        assert_eq!(examples.copy(0, &mut row), (3, 3));
        assert_eq!(row[..3], [2, 65_535, 3]);
        assert_eq!(examples.copy(1, &mut row), (5, 3));
        assert_eq!(row[..5], [2, 65_536, 3, 250_000, 3]);
        assert_eq!(examples.copy(2, &mut row), (3, 3));
        assert_eq!((examples.len(), examples.tokens()), (3, 11));
    }

    #[test]
    fn what_exceeds_the_length_is_cut_off() {
        let mut examples = Examples::new(4);
        examples.push(&[2, 7, 8, 9, 10, 3], 6);
        assert_eq!(examples.copy(0, &mut [0; 4]), (4, 4));
    }

    #[test]
    fn appended_examples_are_as_if_pushed() {
        let rows: [(&[u32], usize); 3] = [(&[2, 7, 3], 3), (&[2, 70_000, 3, 8, 3], 3), (&[2, 9, 3], 3)];
        for cut in 0..=rows.len() {
            let of = |rows: &[(&[u32], usize)]| {
                let mut examples = Examples::new(8);
                rows.iter().for_each(|(ids, boundary)| examples.push(ids, *boundary));
                examples
            };
            let mut first = of(&rows[..cut]);
            first.append(&of(&rows[cut..]));
            assert_eq!(first, of(&rows));
            assert_eq!(first.fingerprint(), of(&rows).fingerprint());
        }
    }

    #[test]
    fn fingerprints_tell_examples_apart() {
        let of = |length: usize, rows: &[(&[u32], usize)]| {
            let mut examples = Examples::new(length);
            rows.iter().for_each(|(ids, boundary)| examples.push(ids, *boundary));
            examples.fingerprint()
        };
        let one = of(8, &[(&[2, 7, 3, 8, 3], 3)]);
        for other in [
            of(9, &[(&[2, 7, 3, 8, 3], 3)]),
            of(8, &[(&[2, 7, 3, 9, 3], 3)]),
            of(8, &[(&[2, 7, 3, 8, 3], 5)]),
            of(8, &[(&[2, 7, 3], 3), (&[8, 3], 2)]),
            of(8, &[]),
        ] {
            assert_ne!(one, other);
        }
    }
}
