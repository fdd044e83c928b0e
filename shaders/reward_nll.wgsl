//! shared: index, softplus
// The cross-entropy of sigmoid(logit) to exp(-reward). Twin: ops/reward_nll.rs.

struct Arguments {
    rows: u32, // M
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [M]
@group(0) @binding(2) var<storage, read> rewards: array<f32>;   // [M]
@group(0) @binding(3) var<storage, read_write> nll: array<f32>; // [M]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.rows {
        let x = logits[i];
        nll[i] = max(x, 0.0) - x * exp(max(-rewards[i], -87.0)) + softplus_rest(x);
    }
}
