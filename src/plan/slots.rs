//! Slots: buffers that tensors use one after another.

/// Slots planned so far; sizes may still grow.
#[derive(Debug, Default)]
pub(super) struct Slots {
    sizes: Vec<usize>,
    free: Vec<usize>,
}

impl Slots {
    /// A slot of at least `len` elements: the smallest free one that fits, else the largest free one, grown, else a
    /// new one.
    pub fn take(&mut self, len: usize) -> usize {
        let len = len.max(1).next_multiple_of(64);
        let fits = self.free.iter().copied().filter(|&s| self.sizes[s] >= len).min_by_key(|&s| self.sizes[s]);
        let slot = fits.or_else(|| self.free.iter().copied().max_by_key(|&s| self.sizes[s])).unwrap_or_else(|| {
            self.sizes.push(len);
            self.sizes.len() - 1
        });
        self.free.retain(|&s| s != slot);
        self.sizes[slot] = self.sizes[slot].max(len);
        slot
    }

    /// Gives a slot back.
    pub fn free(&mut self, slot: usize) {
        debug_assert!(!self.free.contains(&slot), "slot {slot} freed twice");
        self.free.push(slot);
    }

    /// Every slot's size in elements.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn reuses_the_smallest_that_fits_and_grows_the_largest() {
        let mut slots = Slots::default();
        let (a, b) = (slots.take(64), slots.take(640));
        slots.free(a);
        slots.free(b);
        assert_eq!(slots.take(60), a);
        assert_eq!(slots.take(1_000), b);
        assert_eq!(slots.sizes(), &[64, 1_024]);
    }
}
