//! shared: index, softplus
// -log sigmoid(+-logit), a token. Twin: ops/binary_nll.rs.

struct Arguments {
    tokens: u32, // T
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [T]
@group(0) @binding(2) var<storage, read> labels: array<u32>;    // [T]
@group(0) @binding(3) var<storage, read_write> nll: array<f32>; // [T]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        let x = logits[i];
        // softplus(x) - x y, of a sure and right x what is small alone.
        nll[i] = max(x, 0.0) - x * f32(labels[i]) + softplus_rest(x);
    }
}
