// Sums of weight * value over each 1,024 rows; weighted_mean_finish.wgsl divides. A row of weight 0 does not count, whatever its
// value is. Twin: ops/weighted_mean.rs.

struct Arguments {
    rows: u32, // M
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> values: array<f32>;     // [M]
@group(0) @binding(2) var<storage, read> weights: array<f32>;    // [M]
@group(0) @binding(3) var<storage, read_write> sums: array<f32>; // [ceil(M / 1024)]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var k = 0u; k < 4u; k++) {
        let row = workgroup.x * 1024u + k * 256u + local;
        if row < arguments.rows && weights[row] != 0.0 {
            sum += weights[row] * values[row];
        }
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
        sums[workgroup.x] = lane_sums[0];
    }
}
