//! Examples in memory.

use sha2::{Digest as _, Sha256};

/// The shortest examples that can be asked for.
pub const MINIMUM_LENGTH: usize = 8;
/// The longest examples that can be asked for.
pub const MAXIMUM_LENGTH: usize = 4_096;

/// Examples of at most `length` tokens, end to end in memory: 2 bytes a token while ids are below 65,536, else 4.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    length: usize,
    ids: Ids,
    /// Where each example ends in `ids`.
    ends: Vec<usize>,
    /// Index in the example of the first token of segment B; the example's length if there is none.
    boundaries: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq)]
enum Ids {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Examples {
    /// No examples yet, of at most `length` tokens each.
    pub fn new(length: usize) -> Self {
        Self { length, ids: Ids::Narrow(Vec::new()), ends: Vec::new(), boundaries: Vec::new() }
    }

    /// Appends an example: its ids, special tokens included, and the index of the first token of segment B (`ids.len()` if
    /// there is none). What exceeds the length is cut off.
    pub fn push(&mut self, ids: &[u32], boundary: usize) {
        let ids = &ids[..ids.len().min(self.length)];
        if let Ids::Narrow(narrow) = &self.ids
            && ids.iter().any(|&id| id > u32::from(u16::MAX))
        {
            self.ids = Ids::Wide(narrow.iter().map(|&id| u32::from(id)).collect());
        }
        let end = match &mut self.ids {
            Ids::Narrow(narrow) => {
                narrow.extend(ids.iter().map(|&id| id as u16));
                narrow.len()
            }
            Ids::Wide(wide) => {
                wide.extend_from_slice(ids);
                wide.len()
            }
        };
        self.ends.push(end);
        self.boundaries.push(boundary.min(ids.len()) as u16);
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// L, the most tokens an example may have.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Tokens of all examples, special tokens included.
    pub fn tokens(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// SHA-256 over everything the examples are: equal for equal examples.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.length as u64).to_le_bytes());
        match &self.ids {
            Ids::Narrow(ids) => ids.iter().for_each(|&id| hash.update(u32::from(id).to_le_bytes())),
            Ids::Wide(ids) => ids.iter().for_each(|id| hash.update(id.to_le_bytes())),
        }
        self.ends.iter().for_each(|&end| hash.update((end as u64).to_le_bytes()));
        self.boundaries.iter().for_each(|boundary| hash.update(boundary.to_le_bytes()));
        hash.finalize().into()
    }

    /// Copies the ids of example `index` to the start of `row`, which has at least its length, and gives
    /// (length, boundary): its number of tokens and the index of the first token of segment B.
    ///
    /// # Panics
    /// If there is no such example or `row` is too short, as for a slice.
    pub fn copy(&self, index: usize, row: &mut [u32]) -> (usize, usize) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let range = start..self.ends[index];
        let row = &mut row[..range.len()];
        match &self.ids {
            Ids::Narrow(ids) => {
                for (to, &id) in row.iter_mut().zip(&ids[range]) {
                    *to = u32::from(id);
                }
            }
            Ids::Wide(ids) => row.copy_from_slice(&ids[range]),
        }
        (row.len(), usize::from(self.boundaries[index]))
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
}
