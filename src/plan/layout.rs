//! How a GPU engine lays out what a plan needs beside its tensors, so that its size is known before there is a device.

use super::Plan;
use std::collections::HashMap;
use std::ops::Range;

/// Offsets of uniforms and of windows are multiples of this many bytes everywhere.
const ALIGNMENT: u64 = 256;

/// Most buffers in a program's ring: steps whose outputs are on their way.
pub(crate) const MOST_STAGING: usize = 4;

/// Bytes of the buffer for `bytes`: whole vectors of four words, at least one.
pub(crate) fn size(bytes: u64) -> u64 {
    bytes.max(16).next_multiple_of(16)
}

/// A dispatch's window of the buffer of uniforms: offset and size in bytes, `None` without a uniform.
pub(crate) type Places = Vec<Option<(u64, u64)>>;

/// The contents of one buffer for the uniforms of all dispatches, and where each one's is; equal ones are stored once.
pub(crate) fn lay_out_uniforms<'a>(uniforms: impl Iterator<Item = &'a [u32]>) -> (Vec<u8>, Places) {
    let mut bytes: Vec<u8> = Vec::new();
    let mut known: HashMap<&[u32], (u64, u64)> = HashMap::new();
    let mut places = Vec::new();
    for words in uniforms {
        if words.is_empty() {
            places.push(None);
            continue;
        }
        let place = *known.entry(words).or_insert_with(|| {
            let start = bytes.len() as u64;
            bytes.extend_from_slice(bytemuck::cast_slice(words));
            let size = (words.len() as u64 * 4).next_multiple_of(16);
            bytes.resize((start + size).next_multiple_of(ALIGNMENT) as usize, 0);
            (start, size)
        });
        places.push(Some(place));
    }
    (bytes, places)
}

/// Where in a staging buffer each output lies, in bytes.
pub(crate) fn windows(plan: &Plan) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    plan.outputs().iter().map(move |&tensor| {
        let start = end;
        end += plan.region(tensor).map_or(0, |region| region.len * 4);
        start..end
    })
}
