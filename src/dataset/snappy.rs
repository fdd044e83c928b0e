//! Snappy, as the pages of most parquet files are compressed (format: `format_description.txt` of google/snappy).
//!
//! A block is its decoded length as a variable-length number, then elements: literals, and copies of what was decoded
//! before.

/// No element makes more bytes of one: a copy of 64 bytes takes 3.
const MOST_EXPANSION: usize = 64;

/// Decodes a block; says what is wrong otherwise.
pub(super) fn decode(block: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (length, mut rest) = length(block).ok_or("a snappy block without a length")?;
    if length > block.len().saturating_mul(MOST_EXPANSION) {
        return Err("a snappy block with an impossible length");
    }
    let mut out = Vec::with_capacity(length);
    while let Some((&tag, after)) = rest.split_first() {
        rest = element(tag, after, &mut out).ok_or("a broken snappy element")?;
        if out.len() > length {
            return Err("a snappy block longer than it says");
        }
    }
    if out.len() == length { Ok(out) } else { Err("a snappy block shorter than it says") }
}

/// The number at the start, 7 bits a byte from the lowest, and what is behind it.
fn length(block: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0u64;
    for (index, &byte) in block.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((usize::try_from(length).ok()?, &block[index + 1..]));
        }
    }
    None
}

/// Decodes an element and gives what is behind it.
fn element<'a>(tag: u8, rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
    let high = usize::from(tag >> 2);
    let (length, offset, rest) = match tag & 3 {
        0 => {
            // Lengths to 60 are in the tag, others in the 1 to 4 bytes behind it.
            let (length, rest) = match high.checked_sub(59).filter(|&bytes| bytes > 0) {
                None => (high, rest),
                Some(bytes) => {
                    let (length, rest) = rest.split_at_checked(bytes)?;
                    (number(length), rest)
                }
            };
            let (literal, rest) = rest.split_at_checked(length + 1)?;
            out.extend_from_slice(literal);
            return Some(rest);
        }
        1 => {
            let (low, rest) = rest.split_first()?;
            (4 + (high & 7), (high >> 3) << 8 | usize::from(*low), rest)
        }
        kind => {
            let (offset, rest) = rest.split_at_checked(if kind == 2 { 2 } else { 4 })?;
            (1 + high, number(offset), rest)
        }
    };
    let start = out.len().checked_sub(offset).filter(|_| offset > 0)?;
    // A copy may reach into what it makes itself, which repeats the last bytes.
    for from in start..start + length {
        out.push(out[from]);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_decoded() {
        assert_eq!(decode(&[0]).unwrap(), b"");
        // A literal of 3, a copy of 7 from 3 back (two kinds), a literal with its length behind the tag.
        assert_eq!(decode(&[10, 2 << 2, b'a', b'b', b'c', 3 << 2 | 1, 3]).unwrap(), b"abcabcabca");
        assert_eq!(decode(&[10, 2 << 2, b'a', b'b', b'c', 6 << 2 | 2, 3, 0]).unwrap(), b"abcabcabca");
        let long = [&[0xc8, 0x01, 60 << 2, 199][..], &[b'x'; 200]].concat();
        assert_eq!(decode(&long).unwrap(), [b'x'; 200]);
    }

    #[test]
    fn broken_blocks_are_refused() {
        for broken in
            [&[][..], &[0x80], &[5, 0, b'a'], &[4, 0, b'a', 1, 2], &[1, 1 << 2, b'a', b'b'], &[255, 255, 255, 255, 15]]
        {
            assert!(decode(broken).is_err(), "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
