//! shared: index
// 1 for an example's tokens, 0 for its padding. Twin: ops/length_mask.rs.

struct Arguments {
    tokens: u32, // B * L
    length: u32, // L
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;   // [B]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [B, L]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        out[i] = select(0.0, 1.0, i % arguments.length < lengths[i / arguments.length]);
    }
}
