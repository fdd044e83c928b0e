// Square root of the sum of the sums of global_norm.wgsl. Twin: ops/global_norm.rs.

struct Arguments {
    sums: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> sums: array<f32>;      // [groups]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [1]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < arguments.sums; i += 256u) {
        sum += sums[i];
    }
    lane_sums[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if local < half {
            lane_sums[local] += lane_sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        out[0] = sqrt(lane_sums[0]);
    }
}
