// The gradient of the type embedding: the parts of position_gradient.wgsl added up over the positions. Twin:
// ops/embedding_gradient.rs.
//
// A workgroup takes 32 columns of the types together, and 8 lanes a column take every eighth position.

struct Arguments {
    length: u32,  // L
    columns: u32, // Y * E
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> parts: array<f32>;         // [L, Y * E]
@group(0) @binding(2) var<storage, read_write> by_type: array<f32>; // [Y * E]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup.x * 32u + local % 32u;
    var sum = 0.0;
    if j < arguments.columns {
        for (var position = local / 32u; position < arguments.length; position += 8u) {
            sum += parts[position * arguments.columns + j];
        }
    }
    lane_sums[local] = sum;
    workgroupBarrier();
    if local < 32u && j < arguments.columns {
        for (var lane = 1u; lane < 8u; lane++) {
            sum += lane_sums[local + 32u * lane];
        }
        by_type[j] = sum;
    }
}
