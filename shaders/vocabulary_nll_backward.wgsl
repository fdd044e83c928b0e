//! shared: index
// Turns the logits of some words into their gradients in place: d * (softmax - onehot(target)).
// Twin: ops/vocabulary_nll_backward.rs.

struct Arguments {
    len: u32,   // M * words
    words: u32, // in this chunk
    first: u32, // word of the chunk
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> targets: array<u32>;      // [M]
@group(0) @binding(2) var<storage, read> lse: array<f32>;          // [M]
@group(0) @binding(3) var<storage, read> d: array<f32>;            // [M]
@group(0) @binding(4) var<storage, read_write> logits: array<f32>; // [M, words]

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
    let row = i / arguments.words;
    let word = arguments.first + i % arguments.words;
    let x = logits[i] - lse[row];
    // Some drivers return nonsense far below -87; what is not a number must stay that.
    let p = select(exp(x), 0.0, x < -87.0);
    logits[i] = d[row] * (p - select(0.0, 1.0, word == targets[row]));
}
