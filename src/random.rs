//! Random numbers for text and batches: PCG, seeded from a key, with the same values on every machine.

use rand_core::Rng as _;
use rand_pcg::Pcg64Mcg;

/// A generator keyed by (seed, stream, index): the same key gives the same numbers, different keys unrelated ones.
#[derive(Clone, Debug)]
pub struct Random(Pcg64Mcg);

impl Random {
    /// The generator of this key.
    pub fn new(seed: u64, stream: u64, index: u64) -> Self {
        let key = mix(mix(mix(seed) ^ stream) ^ index);
        Self(Pcg64Mcg::new((u128::from(key) << 64) | u128::from(mix(key))))
    }

    /// A number below `bound`, each equally likely; 0 for a bound of 0. (Lemire 2019, arXiv 1805.10941.)
    pub fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg().checked_rem(bound).unwrap_or(0) {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number from 0 up to 1, of 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Puts values in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A bijection of 64-bit numbers that spreads every input bit: the finaliser of SplitMix64 (Steele et al. 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A permutation of 0..n that is computed place by place, so that it takes no memory and any place can be asked for.
///
/// A balanced Feistel network on the smallest even number of bits that holds n, walked until it lands below n (Black and
/// Rogaway 2002, "Ciphers with arbitrary finite domains"): at most 4 steps on average.
#[derive(Clone, Debug)]
pub(crate) struct Permutation {
    size: u64,
    half_bits: u32,
    keys: [u64; 8],
}

impl Permutation {
    pub(crate) fn new(size: u64, seed: u64, stream: u64, index: u64) -> Self {
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        let mut random = Random::new(seed, stream, index);
        Self { size, half_bits: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| random.0.next_u64()) }
    }

    /// What stands at `place`, which is below the size.
    pub(crate) fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.size);
        let mask = (1u64 << self.half_bits) - 1;
        let mut value = place;
        loop {
            let (mut left, mut right) = (value >> self.half_bits, value & mask);
            for key in self.keys {
                (left, right) = (right, left ^ (mix(right ^ key) & mask));
            }
            value = (left << self.half_bits) | right;
            if value < self.size {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_never_change() {
        let mut random = Random::new(1, 2, 3);
        let drawn: Vec<u64> = (0..4).map(|_| random.below(1_000_000)).collect();
        assert_eq!(drawn, VALUES);
        let permutation = Permutation::new(10, 1, 2, 3);
        let order: Vec<u64> = (0..10).map(|place| permutation.at(place)).collect();
        assert_eq!(order, ORDER);
    }
    const VALUES: [u64; 4] = [18023, 795601, 927484, 171784];
    const ORDER: [u64; 10] = [5, 6, 4, 7, 1, 3, 2, 0, 8, 9];

    proptest! {
        #[test]
        fn permutations_hold_every_place_once(size in 1u64..700, seed: u64) {
            let permutation = Permutation::new(size, seed, 0, 0);
            let mut seen = vec![false; size as usize];
            for place in 0..size {
                let value = permutation.at(place) as usize;
                prop_assert!(!seen[value]);
                seen[value] = true;
            }
        }

        #[test]
        fn below_is_below(bound in 1u64.., seed: u64) {
            let mut random = Random::new(seed, 0, 0);
            for _ in 0..20 {
                prop_assert!(random.below(bound) < bound);
            }
        }
    }

    #[test]
    fn every_element_is_equally_likely_at_every_place() {
        const SIZE: usize = 7;
        let mut counts = [[0u32; SIZE]; SIZE];
        for seed in 0..7_000 {
            let permutation = Permutation::new(SIZE as u64, seed, 0, 0);
            for (place, counts) in counts.iter_mut().enumerate() {
                counts[permutation.at(place as u64) as usize] += 1;
            }
        }
        // 1,000 expected, standard deviation 29.
        let worst = counts.iter().flatten().map(|&count| count.abs_diff(1_000)).max();
        assert!(worst < Some(150), "{counts:?}");
    }
}
