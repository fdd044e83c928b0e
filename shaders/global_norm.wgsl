// Sums of squares over `groups` parts of x; global_norm_root.wgsl adds them up. Twin: ops/global_norm.rs.

struct Arguments {
    len: u32,
    per_group: u32, // elements a workgroup, a multiple of 1,024
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [len]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [groups]

var<workgroup> lane_sums: array<f32, 256>;

fn square(i: u32, end: u32) -> f32 {
    if i >= end {
        return 0.0;
    }
    return x[i] * x[i];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let start = workgroup.x * arguments.per_group;
    let end = min(start + arguments.per_group, arguments.len);
    // Four sums at once: their loads need not wait for each other.
    var sum = vec4f(0.0, 0.0, 0.0, 0.0);
    for (var i = start + local; i < end; i += 1024u) {
        sum += vec4f(square(i, end), square(i + 256u, end), square(i + 512u, end), square(i + 768u, end));
    }
    lane_sums[local] = (sum.x + sum.y) + (sum.z + sum.w);
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
