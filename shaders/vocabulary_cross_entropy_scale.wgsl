//! shared: index
// What each row's gradient is multiplied by: d * w / (count + 1e-6). Twin: ops/vocabulary_cross_entropy_backward.rs.

struct Arguments {
    rows: u32, // M
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> weights: array<f32>;     // [M]
@group(0) @binding(2) var<storage, read> count: array<f32>;       // [1]: drawn positions of the whole batch
@group(0) @binding(3) var<storage, read> d: array<f32>;           // [1]: the loss's gradient
@group(0) @binding(4) var<storage, read_write> scale: array<f32>; // [M]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = element_index(workgroup, workgroups, local, 256u);
    if row < arguments.rows {
        scale[row] = weights[row] * d[0] / (count[0] + 1e-6);
    }
}
