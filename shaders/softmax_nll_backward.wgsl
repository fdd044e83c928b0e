//! shared: index
// d (softmax(logits) - onehot(target)), 0 behind a row's end. Twin: ops/softmax_nll.rs.

override has_lengths: bool = false; // whether a row ends where its example does

struct Arguments {
    len: u32,    // M * N
    length: u32, // N, logits of a row
    stride: u32, // S, from one logit of a row to the next; S rows lie side by side
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [M / S, N, S]
@group(0) @binding(2) var<storage, read> targets: array<u32>;   // [M / S, S]
@group(0) @binding(3) var<storage, read> lengths: array<u32>;   // [M / S], anything without lengths
@group(0) @binding(4) var<storage, read> lse: array<f32>;       // [M]
@group(0) @binding(5) var<storage, read> d: array<f32>;         // [M]
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [M / S, N, S]

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
    let stride = arguments.stride;
    let j = i / stride % arguments.length;
    let example = i / (stride * arguments.length);
    let row = example * stride + i % stride;
    var end = arguments.length;
    if has_lengths {
        end = min(end, lengths[example]);
    }
    var slope = 0.0;
    if j < end {
        let x = logits[i] - lse[row];
        // Some drivers return nonsense far below -87; what is not a number must stay that.
        let p = select(exp(x), 0.0, x < -87.0);
        // A target beyond the row's logits counts as the last of them.
        slope = d[row] * (p - select(0.0, 1.0, j == min(targets[row], end - 1u)));
    }
    out[i] = slope;
}
