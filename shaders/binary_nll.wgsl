//! shared: index
// -log sigmoid(+-logit), a token. Twin: ops/binary_nll.rs.

struct Arguments {
    tokens: u32, // T
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [T]
@group(0) @binding(2) var<storage, read> labels: array<u32>;    // [T]
@group(0) @binding(3) var<storage, read_write> nll: array<f32>; // [T]

// log(1 + e) for e in [0, 1] as 2 artanh(e / (2 + e)): keeps its relative accuracy where e is tiny, unlike log().
fn log_one_plus(e: f32) -> f32 {
    let z = e / (2.0 + e);
    let s = z * z;
    return z * (2.0 + s * (0.6666667 + s * (0.4 + s * (0.2857143 + s * (0.2222222 + s * (0.1818182 + s * 0.1538462))))));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        let x = logits[i];
        // max(x, 0) - x y + log(1 + exp(-|x|)) does not overflow.
        nll[i] = max(x, 0.0) - x * f32(labels[i]) + log_one_plus(exp(max(-abs(x), -87.0)));
    }
}
