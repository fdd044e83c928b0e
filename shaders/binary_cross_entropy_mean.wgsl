// The sums of binary_cross_entropy.wgsl over the number of tokens that are not padding. Twin:
// ops/binary_cross_entropy.rs.

struct Arguments {
    sums: u32,     // ceil(T / 1024)
    examples: u32, // B
    length: u32,   // L
    tiny: f32,     // keeps the quotient finite
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> sums: array<f32>;      // [ceil(T / 1024)]
@group(0) @binding(2) var<storage, read> lengths: array<u32>;   // [B]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [1]

var<workgroup> totals: array<f32, 256>;
var<workgroup> counts: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < arguments.sums; i += 256u) {
        sum += sums[i];
    }
    var count = 0u;
    for (var b = local; b < arguments.examples; b += 256u) {
        count += min(lengths[b], arguments.length);
    }
    totals[local] = sum;
    counts[local] = count;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if local < half {
            totals[local] += totals[local + half];
            counts[local] += counts[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        out[0] = totals[0] / (f32(counts[0]) + arguments.tiny);
    }
}
