//! shared: index, logarithm, finite
// From what vocabulary_nll.wgsl or vocabulary_tiles_merge.wgsl left of each row: its negative log-likelihood, the log-sum-exp,
// and the words. Twin: ops/vocabulary_nll.rs.

struct Arguments {
    rows: u32,       // M
    vocabulary: u32, // V
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> state: array<u32>;         // [M, 8]
@group(0) @binding(2) var<storage, read_write> nll: array<f32>;     // [M]
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;     // [M]
@group(0) @binding(4) var<storage, read_write> sampled: array<u32>; // [M]
@group(0) @binding(5) var<storage, read_write> best: array<u32>;    // [M]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = element_index(workgroup, workgroups, local, 256u);
    if row >= arguments.rows {
        return;
    }
    let at = row * 8u;
    let total = bitcast<f32>(state[at + 1u]);
    // The logarithm's series makes a number of what is none.
    let x = select(total, bitcast<f32>(state[at]) + logarithm(total), finite(total));
    nll[row] = x - bitcast<f32>(state[at + 5u]);
    lse[row] = x;
    // Where no logit is a number there is no word, and an index beyond the vocabulary would be read elsewhere.
    best[row] = select(0u, state[at + 2u], state[at + 2u] < arguments.vocabulary);
    sampled[row] = select(0u, state[at + 4u], state[at + 4u] < arguments.vocabulary);
}
