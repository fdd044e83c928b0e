// The sums of weighted_mean.wgsl, added up, over the total of the weights of the whole batch. Twin: ops/weighted_mean.rs.

struct Arguments {
    sums: u32, // ceil(M / 1024)
    tiny: f32, // keeps the quotient finite
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> sums: array<f32>;      // [ceil(M / 1024)]
@group(0) @binding(2) var<storage, read> total: array<f32>;     // [1]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [1]

var<workgroup> totals: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < arguments.sums; i += 256u) {
        sum += sums[i];
    }
    totals[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if local < half {
            totals[local] += totals[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        out[0] = totals[0] / (total[0] + arguments.tiny);
    }
}
