//! shared: finite
//! elements: X
// How far what was found is from what was expected, part by part; agreement_finish.wgsl puts the parts together.
// Twin: tune/agreement.rs.

struct Arguments {
    len: u32,       // elements that are compared by size
    all: u32,       // those and the guard behind them
    per_group: u32, // elements a workgroup
    groups: u32,
    slack: f32,     // how much of the expected element a difference may be without counting
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> expected: array<X>;            // [all]
@group(0) @binding(2) var<storage, read> found: array<X>;               // [all]
@group(0) @binding(3) var<storage, read> sums: array<f32>;              // [groups]: agreement_squares.wgsl
@group(0) @binding(4) var<storage, read_write> parts: array<vec4<u32>>; // [groups]

var<workgroup> lane_sums: array<f32, 256>;
var<workgroup> lanes: array<vec4<u32>, 256>;

// The largest difference as bits, a sum of hashes, elements of other bits, and those of them in the guard.
fn both(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(max(a.x, b.x), a.y + b.y, a.z + b.z, a.w + b.w);
}

// A hash of an element and its place; sums of it do not depend on the order of adding.
fn mixed(bits: u32, i: u32) -> u32 {
    var x = (bits ^ (i * 0x9e3779b9u)) * 0x85ebca77u;
    x = (x ^ (x >> 13u)) * 0xc2b2ae3du;
    return x ^ (x >> 16u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < arguments.groups; i += 256u) {
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
    let usual = sqrt(lane_sums[0] / f32(max(arguments.len, 1u)));

    let start = workgroup.x * arguments.per_group;
    let end = min(start + arguments.per_group, arguments.all);
    var part = vec4<u32>(0u, 0u, 0u, 0u);
    for (var i = start + local; i < end; i += 256u) {
        let a = f32(found[i]);
        let b = f32(expected[i]);
        let other = bitcast<u32>(a) != bitcast<u32>(b);
        // Zeros of both signs are equal, what is no number is not.
        let differs = other && a != b && i < arguments.len;
        var error = 0.0;
        if differs {
            error = max(abs(a - b) - arguments.slack * abs(b), 0.0) / (abs(b) + usual);
        }
        // What is no number is infinitely far from everything else.
        let far = differs && (!finite(a) || !finite(b) || !finite(error) || !finite(usual));
        let outside = other && i >= arguments.len;
        let one = vec4<u32>(
            select(bitcast<u32>(error), 0x7f800000u, far),
            mixed(bitcast<u32>(a), i),
            u32(other),
            u32(outside),
        );
        part = both(part, one);
    }
    lanes[local] = part;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if local < half {
            lanes[local] = both(lanes[local], lanes[local + half]);
        }
        workgroupBarrier();
    }
    if local == 0u {
        parts[workgroup.x] = lanes[0];
    }
}
