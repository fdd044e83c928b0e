//! Slots: buffers that tensors use one after another.
//!
//! Who needs room from when to when is known before anything is placed, so places are given to the largest first: a slot is then
//! never smaller than what comes later, and what is large shares slots with what is large.

/// Slots being planned.
#[derive(Debug, Default)]
pub(super) struct Slots {
    uses: Vec<Use>,
    clock: usize,
}

/// A tensor, or several of which each is computed in place of the one before, in need of room.
#[derive(Debug, Clone, Copy)]
struct Use {
    len: usize,
    /// When it is taken and given back, on a clock that goes on with each.
    from: usize,
    to: usize,
}

/// Uses with their slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// By use: its slot.
    pub slots: Vec<usize>,
    /// Every slot's size.
    pub sizes: Vec<usize>,
    /// The most that is in use at once: no assignment can do with less.
    pub least: usize,
}

impl Slots {
    /// Room for `len`: the number of a use.
    pub fn take(&mut self, len: usize) -> usize {
        self.uses.push(Use { len: len.max(1).next_multiple_of(64), from: self.clock, to: usize::MAX });
        self.clock += 1;
        self.uses.len() - 1
    }

    /// Ends a use.
    pub fn free(&mut self, used: usize) {
        debug_assert!(self.uses[used].to == usize::MAX, "use {used} ended twice");
        self.uses[used].to = self.clock;
        self.clock += 1;
    }

    /// Gives every use a slot: the largest first, of those alike the first; each the smallest slot that is free all the time, of
    /// those alike the one that is not used for the shortest time before, else a new one.
    pub fn assign(&self) -> Assignment {
        let mut order: Vec<usize> = (0..self.uses.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(self.uses[i].len), self.uses[i].from));
        let mut slots = vec![0; self.uses.len()];
        let mut sizes: Vec<usize> = Vec::new();
        let mut taken: Vec<Vec<Use>> = Vec::new();
        for index in order {
            let new = self.uses[index];
            let free = |slot: &usize| taken[*slot].iter().all(|u| u.to < new.from || new.to < u.from);
            let idle = |slot: usize| {
                let before = taken[slot].iter().map(|u| u.to).filter(|&to| to < new.from).max();
                before.map_or(usize::MAX, |to| new.from - to)
            };
            let slot =
                (0..sizes.len()).filter(free).min_by_key(|&slot| (sizes[slot], idle(slot))).unwrap_or(sizes.len());
            if slot == sizes.len() {
                sizes.push(new.len);
                taken.push(Vec::new());
            }
            taken[slot].push(new);
            slots[index] = slot;
        }
        Assignment { slots, sizes, least: self.least() }
    }

    fn least(&self) -> usize {
        let mut changes: Vec<(usize, bool, usize)> = Vec::new();
        for u in &self.uses {
            changes.push((u.from, true, u.len));
            changes.push((u.to, false, u.len));
        }
        changes.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, taken, len) in changes {
            now = if taken { now + len } else { now - len };
            most = most.max(now);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::{Rng as _, SeedableRng as _};
    use rand_pcg::Pcg64Mcg;

    #[test]
    fn the_large_share_with_the_large() {
        let mut slots = Slots::default();
        let (a, b) = (slots.take(64), slots.take(640));
        slots.free(a);
        slots.free(b);
        let (c, d) = (slots.take(60), slots.take(1_000));
        let found = slots.assign();
        assert_eq!(found.sizes, [1_024, 64]);
        assert_eq!([a, b, c, d].map(|u| found.slots[u]), [1, 0, 1, 0]);
        assert_eq!(found.least, 1_024 + 64);
    }

    #[test]
    fn nothing_overlaps_and_everything_fits() {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        let mut random = |n: usize| rng.next_u32() as usize % n;
        let mut slots = Slots::default();
        let mut held = Vec::new();
        for _ in 0..400 {
            if held.is_empty() || random(2) == 0 {
                held.push(slots.take(random(3_000)));
            } else {
                let freed = held.swap_remove(random(held.len()));
                slots.free(freed);
            }
        }
        let found = slots.assign();
        assert!(found.sizes.iter().sum::<usize>() >= found.least);
        for (i, a) in slots.uses.iter().enumerate() {
            assert!(a.len <= found.sizes[found.slots[i]]);
            for (j, b) in slots.uses.iter().enumerate().skip(i + 1) {
                let apart = a.to < b.from || b.to < a.from;
                assert!(apart || found.slots[i] != found.slots[j], "uses {i} and {j} overlap");
            }
        }
    }
}
