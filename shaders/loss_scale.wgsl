//! shared: finite
// Unscales the gradients' norm and adapts the loss scale to whether it is finite. One invocation. Twin: ops/loss_scale.rs.

struct Arguments {
    interval: u32, // good steps before the scale is doubled
    least: f32,
    most: f32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> norm: array<f32>;        // [1]
@group(0) @binding(2) var<storage, read_write> bank: array<f32>;  // scale, good steps
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [1]: the norm without the scale
@group(0) @binding(4) var<storage, read_write> used: array<f32>;  // [1]: the scale of this step

@compute @workgroup_size(1)
fn main() {
    let scale = bank[0];
    out[0] = norm[0] / scale;
    used[0] = scale;
    if !finite(norm[0]) {
        bank[0] = max(scale / 2.0, arguments.least);
        bank[1] = 0.0;
    } else if bank[1] + 1.0 >= f32(arguments.interval) {
        bank[0] = min(scale * 2.0, arguments.most);
        bank[1] = 0.0;
    } else {
        bank[1] += 1.0;
    }
}
