//! shared: index
// What a weighted mean passes on to each row: d * weight / (total + tiny). Twin: ops/weighted_mean.rs.

struct Arguments {
    rows: u32, // M
    tiny: f32, // keeps the quotient finite
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> weights: array<f32>;   // [M]
@group(0) @binding(2) var<storage, read> total: array<f32>;     // [1]: of the weights of the whole batch
@group(0) @binding(3) var<storage, read> d: array<f32>;         // [1]: the mean's gradient
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [M]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = element_index(workgroup, workgroups, local, 256u);
    if row < arguments.rows {
        out[row] = weights[row] * d[0] / (total[0] + arguments.tiny);
    }
}
