// What each row's gradient is multiplied by: d * w / (sum(w) + 1e-6). One workgroup.
// Twin: ops/vocabulary_cross_entropy_backward.rs.

struct Arguments {
    rows: u32, // M
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> weights: array<f32>;     // [M]
@group(0) @binding(2) var<storage, read> d: array<f32>;           // [1]: the loss's gradient
@group(0) @binding(3) var<storage, read_write> scale: array<f32>; // [M]

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var row = local; row < arguments.rows; row += 256u) {
        sum += weights[row];
    }
    sums[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    let factor = d[0] / (sums[0] + 1e-6);
    for (var row = local; row < arguments.rows; row += 256u) {
        scale[row] = weights[row] * factor;
    }
}
