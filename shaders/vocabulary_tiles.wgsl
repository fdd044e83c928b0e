//! shared: step, random, logarithm, vocabulary_state, vocabulary_rows, vocabulary_access, vocabulary_tile
//! elements: X, Word
// The vocabulary's logits by tiles, used where they are made (shared/vocabulary_rows.wgsl). Twin: ops/vocabulary_nll.rs.

// In workgroup memory lies one half at a time.
fn logits4(half: u32, at: u32, word: u32) -> vec4f {
    return tile[at];
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let first_row = group.x * TILE;
    let upper = first_row + local / 4u;
    let lower = upper + 32u;
    let start = group.y * arguments.tiles;
    let end = min(start + arguments.tiles, (arguments.vocabulary + TILE - 1u) / TILE);
    var above = nothing();
    var below = nothing();
    for (var t = start; t < end; t++) {
        let block = logits(first_row, t * TILE, local);
        lay_out(block, 0u, local);
        above = take_in(above, 0u, upper, t * TILE, local);
        lay_out(block, 1u, local);
        below = take_in(below, 1u, lower, t * TILE, local);
    }
    store(above, upper, group.y, local);
    store(below, lower, group.y, local);
}
