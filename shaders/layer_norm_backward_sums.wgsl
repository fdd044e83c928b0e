// Adds up the blocks' sums of layer_norm_backward.wgsl: dgamma and dbeta. Twin: ops/layer_norm.rs.
//
// A workgroup takes 32 columns of the two rows together, and 8 lanes a column take every eighth block.

struct Arguments {
    columns: u32, // C
    blocks: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> sums: array<f32>;         // [blocks, 2, C]
@group(0) @binding(2) var<storage, read_write> dgamma: array<f32>; // [C]
@group(0) @binding(3) var<storage, read_write> dbeta: array<f32>;  // [C]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let width = 2u * arguments.columns;
    let j = workgroup.x * 32u + local % 32u;
    var sum = 0.0;
    if j < width {
        for (var block = local / 32u; block < arguments.blocks; block += 8u) {
            sum += sums[block * width + j];
        }
    }
    lane_sums[local] = sum;
    workgroupBarrier();
    if local < 32u && j < width {
        for (var lane = 1u; lane < 8u; lane++) {
            sum += lane_sums[local + 32u * lane];
        }
        if j < arguments.columns {
            dgamma[j] = sum;
        } else {
            dbeta[j - arguments.columns] = sum;
        }
    }
}
