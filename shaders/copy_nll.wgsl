//! shared: index, softplus
// -log of what a word has by being copied or guessed, a token. Twin: ops/copy_nll.rs.

struct Arguments {
    tokens: u32, // T
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [T], of "replaced"
@group(0) @binding(2) var<storage, read> nll: array<f32>;       // [T], of the word where it is guessed
@group(0) @binding(3) var<storage, read> replaced: array<u32>;  // [T]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [T]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        let r = logits[i];
        let x = nll[i];
        if replaced[i] != 0u {
            out[i] = x + softplus(-r);
        } else if r <= 0.0 {
            out[i] = softplus(r) - softplus(r - x);
        } else {
            // What the two have in common is left out.
            out[i] = x + softplus(-r) - softplus(x - r);
        }
    }
}
