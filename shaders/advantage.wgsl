//! shared: index, softplus
// How much better a draw did than its baseline, weighted. Twin: ops/advantage.rs.

struct Arguments {
    rows: u32, // M
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> rewards: array<f32>;   // [M]
@group(0) @binding(2) var<storage, read> logits: array<f32>;    // [M]
@group(0) @binding(3) var<storage, read> weights: array<f32>;   // [M]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [M]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.rows {
        out[i] = weights[i] * (rewards[i] - softplus(-logits[i]));
    }
}
