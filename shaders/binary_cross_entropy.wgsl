// Sums of -log sigmoid(+-logit) over each 1,024 tokens, padding left out; binary_cross_entropy_mean.wgsl divides.
// Twin: ops/binary_cross_entropy.rs.

struct Arguments {
    tokens: u32, // T = B * L
    length: u32, // L
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;     // [T]
@group(0) @binding(2) var<storage, read> labels: array<u32>;     // [B, L]
@group(0) @binding(3) var<storage, read> lengths: array<u32>;    // [B]
@group(0) @binding(4) var<storage, read_write> sums: array<f32>; // [ceil(T / 1024)]

var<workgroup> lane_sums: array<f32, 256>;

// log(1 + e) for e in [0, 1] as 2 artanh(e / (2 + e)): keeps its relative accuracy where e is tiny, unlike log().
fn log_one_plus(e: f32) -> f32 {
    let z = e / (2.0 + e);
    let s = z * z;
    return z * (2.0 + s * (0.6666667 + s * (0.4 + s * (0.2857143 + s * (0.2222222 + s * (0.1818182 + s * 0.1538462))))));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var k = 0u; k < 4u; k++) {
        let i = workgroup.x * 1024u + k * 256u + local;
        if i < arguments.tokens && i % arguments.length < lengths[i / arguments.length] {
            let x = logits[i];
            // max(x, 0) - x y + log(1 + exp(-|x|)) does not overflow.
            sum += max(x, 0.0) - x * f32(labels[i]) + log_one_plus(exp(max(-abs(x), -87.0)));
        }
    }
    lane_sums[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if local < half {
            lane_sums[local] += lane_sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        sums[workgroup.x] = lane_sums[0];
    }
}
