//! elements: X
// Sums of squares over `groups` parts of what is expected. Twin: tune/agreement.rs.

struct Arguments {
    len: u32,       // elements that are compared by size
    all: u32,       // those and the guard behind them
    per_group: u32, // elements a workgroup
    groups: u32,
    slack: f32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> expected: array<X>;     // [all]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [groups]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let start = workgroup.x * arguments.per_group;
    let end = min(start + arguments.per_group, arguments.len);
    var sum = 0.0;
    for (var i = start + local; i < end; i += 256u) {
        let x = f32(expected[i]);
        sum += x * x;
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
