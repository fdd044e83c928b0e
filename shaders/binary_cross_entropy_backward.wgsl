// d (sigmoid(logit) - label) / count, 0 for padding; a workgroup takes 1,024 tokens. Twin: ops/binary_cross_entropy.rs.

struct Arguments {
    tokens: u32, // T = B * L
    length: u32, // L
    tiny: f32,   // keeps the quotient finite
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [T]
@group(0) @binding(2) var<storage, read> labels: array<u32>;    // [B, L]
@group(0) @binding(3) var<storage, read> lengths: array<u32>;   // [B]
@group(0) @binding(4) var<storage, read> count: array<f32>;     // [1]: tokens of the whole batch
@group(0) @binding(5) var<storage, read> d: array<f32>;         // [1]
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [T]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let scale = d[0] / (count[0] + arguments.tiny);
    for (var k = 0u; k < 4u; k++) {
        let i = workgroup.x * 1024u + k * 256u + local;
        if i < arguments.tokens {
            var gradient = 0.0;
            if i % arguments.length < lengths[i / arguments.length] {
                let x = logits[i];
                // sigmoid(|x|) is large = 1 / (1 + e), sigmoid(-|x|) small = e / (1 + e): no difference of near-equals.
                let e = exp(max(-abs(x), -87.0));
                let large = 1.0 / (1.0 + e);
                let small = e * large;
                let is_replaced = labels[i] != 0u;
                gradient = scale * select(select(large, small, x < 0.0), -select(small, large, x < 0.0), is_replaced);
            }
            out[i] = gradient;
        }
    }
}
