//! elements: D
// The gradient of the position embedding, and its part of each type for position_gradient_types.wgsl. Twin:
// ops/embedding_gradient.rs.
//
// A workgroup takes a position and 32 columns: 8 lanes a column take every eighth example.

struct Arguments {
    examples: u32, // B
    length: u32,   // L
    columns: u32,  // E
    types: u32,    // Y
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> types: array<u32>;             // [B, L]
@group(0) @binding(2) var<storage, read> d: array<D>;                   // [B * L, E]
@group(0) @binding(3) var<storage, read_write> by_position: array<f32>; // [P, E]
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;       // [L, Y, E]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let position = workgroup.y;
    let j = workgroup.x * 32u + local % 32u;
    // Positions that no token has get 0.
    let examples = select(0u, arguments.examples, position < arguments.length && j < arguments.columns);
    var total = 0.0;
    for (var kind = 0u; kind < arguments.types; kind++) {
        var sum = 0.0;
        for (var b = local / 32u; b < examples; b += 8u) {
            let row = b * arguments.length + position;
            if min(types[row], arguments.types - 1u) == kind {
                sum += f32(d[row * arguments.columns + j]);
            }
        }
        lane_sums[local] = sum;
        workgroupBarrier();
        if local < 32u {
            for (var lane = 1u; lane < 8u; lane++) {
                sum += lane_sums[local + 32u * lane];
            }
            total += sum;
            if examples > 0u {
                parts[(position * arguments.types + kind) * arguments.columns + j] = sum;
            }
        }
        workgroupBarrier();
    }
    if local < 32u && j < arguments.columns {
        by_position[position * arguments.columns + j] = total;
    }
}
