//! shared: index, softplus
// Of the logit d (sigmoid(r) - guessed) and of the loss d guessed, with the share of guessing in the word's probability.
// Twin: ops/copy_nll.rs.

struct Arguments {
    tokens: u32, // T
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;          // [T], of "replaced"
@group(0) @binding(2) var<storage, read> nll: array<f32>;             // [T], of the word where it is guessed
@group(0) @binding(3) var<storage, read> replaced: array<u32>;        // [T]
@group(0) @binding(4) var<storage, read> d: array<f32>;               // [T]
@group(0) @binding(5) var<storage, read_write> to_logits: array<f32>; // [T]
@group(0) @binding(6) var<storage, read_write> to_nll: array<f32>;    // [T]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        let r = logits[i];
        let guessed = select(sigmoid(r - nll[i]), 1.0, replaced[i] != 0u);
        to_logits[i] = d[i] * (sigmoid(r) - guessed);
        to_nll[i] = d[i] * guessed;
    }
}
