//! shared: index, step, random
//! elements: Residual, Y, H
// h = residual + dropout(x); y = (h - mean) * rstd * gamma + beta, row by row. Twin: ops/layer_norm.rs.
//
// `lanes` invocations share a row, so that a workgroup takes 256 / lanes rows: narrow rows leave no invocation idle.
// A lane keeps its elements (lane, lane + lanes, ..) in registers; the sums over a row are fixed trees.

override columns: u32 = 256u; // C
override lanes: u32 = 64u;    // a power of two, at most 256
override per_lane: u32 = 4u;  // ceil(C / lanes), at most 16
override has_residual: bool = false;
override has_dropout: bool = false;
override drops_output: bool = false; // dropout is of y instead of x
override inverse: f32 = 1.0 / f32(columns);

struct Arguments {
    rows: u32,      // T
    threshold: u32, // probability * 2^32
    scale: f32,     // 1 / (1 - probability)
    stream: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;               // [C]
@group(0) @binding(2) var<storage, read> beta: array<f32>;                // [C]
@group(0) @binding(3) var<storage, read> residual: array<Residual>;       // [T, C], anything without a residual
@group(0) @binding(4) var<storage, read_write> y: array<Y>;               // [T, C]
@group(0) @binding(5) var<storage, read_write> h: array<H>;               // [T, C], starts as x
@group(0) @binding(6) var<storage, read_write> statistics: array<vec2f>;  // [T] of (mean, rstd)

var<workgroup> lane_sums: array<f32, 256>;

// The sum over a row's lanes, in every lane.
fn row_sum(local: u32, value: f32) -> f32 {
    let lane = local % lanes;
    lane_sums[local] = value;
    workgroupBarrier();
    for (var half = lanes / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            lane_sums[local] += lane_sums[local + half];
        }
        workgroupBarrier();
    }
    let total = lane_sums[local - lane];
    workgroupBarrier();
    return total;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = element_index(workgroup, workgroups, local / lanes, 256u / lanes);
    let lane = local % lanes;
    // A row beyond the last has no columns, but takes part in the barriers.
    let end = select(0u, columns, row < arguments.rows);
    let first = row * columns;
    let drawn = step.part * arguments.rows * columns + first;

    var values: array<f32, 16>;
    var sum = 0.0;
    for (var k = 0u; k < per_lane; k++) {
        let j = lane + k * lanes;
        var value = 0.0;
        if j < end {
            let i = first + j;
            value = f32(h[i]);
            if has_dropout {
                value *= select(0.0, arguments.scale, draw(arguments.stream, drawn + j) >= arguments.threshold);
            }
            if has_residual {
                value += f32(residual[i]);
            }
            if has_dropout || has_residual {
                h[i] = H(value);
            }
        }
        values[k] = value;
        sum += value;
    }
    let mean = row_sum(local, sum) * inverse;

    var squares = 0.0;
    for (var k = 0u; k < per_lane; k++) {
        if lane + k * lanes < end {
            let centred = values[k] - mean;
            squares += centred * centred;
        }
    }
    let rstd = inverseSqrt(row_sum(local, squares) * inverse + arguments.epsilon);

    for (var k = 0u; k < per_lane; k++) {
        let j = lane + k * lanes;
        if j < end {
            var value = (values[k] - mean) * rstd * gamma[j] + beta[j];
            if drops_output {
                value *= select(0.0, arguments.scale, draw(arguments.stream, drawn + j) >= arguments.threshold);
            }
            y[first + j] = Y(value);
        }
    }
    if lane == 0u && end > 0u {
        statistics[row] = vec2f(mean, rstd);
    }
}
