//! shared: index
// The gradient of each option's logit, d (p - onehot(target)): those of the candidates, and that of rejecting them.
// Twin: ops/candidate_nll.rs.

override rejects: bool = false; // whether option 0 is to reject them all

struct Arguments {
    len: u32,     // M * options
    options: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> targets: array<u32>;          // [M]
@group(0) @binding(2) var<storage, read> probabilities: array<f32>;    // [M, options]
@group(0) @binding(3) var<storage, read> d: array<f32>;                // [M]
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>;    // [M, candidates]
@group(0) @binding(5) var<storage, read_write> drejection: array<f32>; // [M], not written where nothing is rejected

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
    let row = i / arguments.options;
    let option = i % arguments.options;
    let hit = select(0.0, 1.0, option == min(targets[row], arguments.options - 1u));
    let slope = d[row] * (probabilities[i] - hit);
    if !rejects {
        dlogits[i] = slope;
    } else if option == 0u {
        drejection[row] = slope;
    } else {
        dlogits[i - row - 1u] = slope;
    }
}
