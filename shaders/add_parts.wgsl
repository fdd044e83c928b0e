//! elements: First
// Adds up parts: the slices of a matrix product whose k is split, those of its row sums, and what the blocks of
// layer_norm_backward.wgsl have of dgamma and dbeta. Several such sums at once; always in one order.
//
// A sum of up to 16 parts has an invocation an element, one of more 8, each of which takes every eighth part. Twin: none of
// its own, ops/kernels/parts.rs says who is added up.

// Adds to what is there instead of replacing it.
override accumulate: bool = false;

struct Sum {
    group: u32,  // the first workgroup
    len: u32,    // elements
    parts: u32,
    stride: u32, // elements from a part to the next
    start: u32,  // where the first part begins
    to: u32,     // where the sum begins
    read: u32,   // which of the four that are read
    write: u32,  // which of the two that are written
}

struct Arguments {
    groups: u32, // workgroups in x
    count: u32,  // sums
    unused: vec2u,
    sums: array<Sum, 16>,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> parts_0: array<f32>;
@group(0) @binding(2) var<storage, read> parts_1: array<f32>;
@group(0) @binding(3) var<storage, read> parts_2: array<f32>;
@group(0) @binding(4) var<storage, read> parts_3: array<f32>;
@group(0) @binding(5) var<storage, read_write> first: array<First>;
@group(0) @binding(6) var<storage, read_write> second: array<f32>;

var<workgroup> lane_sums: array<f32, 256>;

fn part(which: u32, i: u32) -> f32 {
    switch which {
        case 0u: {
            return parts_0[i];
        }
        case 1u: {
            return parts_1[i];
        }
        case 2u: {
            return parts_2[i];
        }
        default: {
            return parts_3[i];
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let group = workgroup.y * arguments.groups + workgroup.x;
    var index = 0u;
    for (var i = 1u; i < arguments.count; i++) {
        if group >= arguments.sums[i].group {
            index = i;
        }
    }
    let sum = arguments.sums[index];
    let lanes = select(1u, 8u, sum.parts > 16u);
    let width = 256u / lanes;
    let element = (group - sum.group) * width + local % width;
    var total = 0.0;
    if element < sum.len {
        for (var i = local / width; i < sum.parts; i += lanes) {
            total += part(sum.read, sum.start + i * sum.stride + element);
        }
    }
    lane_sums[local] = total;
    workgroupBarrier();
    if local < width && element < sum.len {
        for (var lane = 1u; lane < lanes; lane++) {
            total += lane_sums[lane * width + local];
        }
        let to = sum.to + element;
        if sum.write == 0u {
            if accumulate {
                total += f32(first[to]);
            }
            first[to] = First(total);
        } else {
            if accumulate {
                total += second[to];
            }
            second[to] = total;
        }
    }
}
