//! shared: step, random, index
// A random order of each example's slots: a slot's rank is 1 and how many have a smaller random number. Twin: ops/two_streams.rs.

struct Arguments {
    len: u32,   // B * K
    slots: u32, // K
    stream: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> weights: array<f32>;     // [B, K], 0: an unused slot
@group(0) @binding(2) var<storage, read_write> ranks: array<u32>; // [B, K], 0 for those

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i >= arguments.len {
        return;
    }
    var rank = 0u;
    if weights[i] > 0.0 {
        let first = i / arguments.slots * arguments.slots;
        let start = step.part * arguments.len;
        let own = draw(arguments.stream, start + i);
        rank = 1u;
        for (var other = first; other < first + arguments.slots; other++) {
            let number = draw(arguments.stream, start + other);
            if weights[other] > 0.0 && (number < own || (number == own && other < i)) {
                rank += 1u;
            }
        }
    }
    ranks[i] = rank;
}
