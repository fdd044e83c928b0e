//! shared: logarithm, finite
// From what vocabulary_cross_entropy.wgsl or vocabulary_tiles_merge.wgsl left of each row: the log-sum-exp, the words, and these
// rows' share of the mean loss. One workgroup. Twin: ops/vocabulary_cross_entropy.rs.

struct Arguments {
    rows: u32,       // M
    vocabulary: u32, // V
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> state: array<u32>;         // [M, 8]
@group(0) @binding(2) var<storage, read> weights: array<f32>;       // [M]
@group(0) @binding(3) var<storage, read> count: array<f32>;         // [1]: drawn positions of the whole batch
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;    // [1]
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;     // [M]
@group(0) @binding(6) var<storage, read_write> sampled: array<u32>; // [M]
@group(0) @binding(7) var<storage, read_write> best: array<u32>;    // [M]

var<workgroup> sums: array<f32, 256>; // of weighted losses

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var row = local; row < arguments.rows; row += 256u) {
        let at = row * 8u;
        let total = bitcast<f32>(state[at + 1u]);
        // The logarithm's series makes a number of what is none.
        let x = select(total, bitcast<f32>(state[at]) + logarithm(total), finite(total));
        let weight = weights[row];
        if weight > 0.0 {
            sum += weight * (x - bitcast<f32>(state[at + 5u]));
        }
        lse[row] = x;
        // Where no logit is a number there is no word, and an index beyond the vocabulary would be read elsewhere.
        best[row] = select(0u, state[at + 2u], state[at + 2u] < arguments.vocabulary);
        sampled[row] = select(0u, state[at + 4u], state[at + 4u] < arguments.vocabulary);
    }
    sums[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        loss[0] = sums[0] / (count[0] + 1e-6);
    }
}
