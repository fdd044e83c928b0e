//! shared: index
// d (sigmoid(logit) - label). Twin: ops/binary_nll.rs.

struct Arguments {
    tokens: u32, // T
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [T]
@group(0) @binding(2) var<storage, read> labels: array<u32>;    // [T]
@group(0) @binding(3) var<storage, read> d: array<f32>;         // [T]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [T]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        let x = logits[i];
        // sigmoid(|x|) is large = 1 / (1 + e), sigmoid(-|x|) small = e / (1 + e): no difference of near-equals.
        let e = exp(max(-abs(x), -87.0));
        let large = 1.0 / (1.0 + e);
        let small = e * large;
        out[i] = d[i] * select(select(large, small, x < 0.0), -select(small, large, x < 0.0), labels[i] != 0u);
    }
}
