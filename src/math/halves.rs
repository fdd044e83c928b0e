//! Numbers in half precision, two in a word.

use half::f16;

/// Numbers as a device holds them in half precision: two a word, the first in the low half.
pub fn pack(values: &[f32]) -> Vec<u32> {
    let half = |x: Option<&f32>| u32::from(f16::from_f32(x.copied().unwrap_or_default()).to_bits());
    values.chunks(2).map(|pair| half(pair.first()) | half(pair.get(1)) << 16).collect()
}

/// The numbers in words of two halves each.
pub fn unpack(words: &[u32]) -> impl Iterator<Item = f32> {
    words.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]).map(|bits| f16::from_bits(bits).to_f32())
}
