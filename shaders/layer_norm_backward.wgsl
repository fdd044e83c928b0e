//! shared: index, step, random
//! elements: Dy, H, Dh, Dx
// dh, with dropout dx, and for each block of rows the sums that dgamma and dbeta are made of, which
// add_parts.wgsl adds up. Twin: ops/layer_norm.rs.
//
// xhat = (h - mean) rstd; a = mean(dy gamma); b = mean(dy gamma xhat); dh = rstd (dy gamma - a - xhat b).
// Lanes and rows as in layer_norm.wgsl; a workgroup goes through its block 256 / lanes rows at a time.

override columns: u32 = 256u; // C
override lanes: u32 = 64u;    // a power of two, at most 256
override per_lane: u32 = 4u;  // ceil(C / lanes), at most 16
override has_dropout: bool = false;
override inverse: f32 = 1.0 / f32(columns);

struct Arguments {
    rows: u32,      // T
    rounds: u32,    // rows of a block / rows at a time
    threshold: u32, // probability * 2^32
    scale: f32,     // 1 / (1 - probability)
    stream: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> dy: array<Dy>;            // [T, C]
@group(0) @binding(2) var<storage, read> h: array<H>;              // [T, C]
@group(0) @binding(3) var<storage, read> statistics: array<vec2f>; // [T] of (mean, rstd)
@group(0) @binding(4) var<storage, read> gamma: array<f32>;        // [C]
@group(0) @binding(5) var<storage, read_write> dh: array<Dh>;      // [T, C]
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;   // [blocks, 2, C]
@group(0) @binding(7) var<storage, read_write> dx: array<Dx>;      // [T, C], anything without dropout

var<workgroup> lane_sums: array<vec2f, 256>;

// The sums over a row's lanes, in every lane.
fn row_sum(local: u32, value: vec2f) -> vec2f {
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
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at_a_time = 256u / lanes;
    let lane = local % lanes;

    var sum_gamma: array<f32, 16>;
    var sum_beta: array<f32, 16>;
    for (var k = 0u; k < per_lane; k++) {
        sum_gamma[k] = 0.0;
        sum_beta[k] = 0.0;
    }
    for (var round = 0u; round < arguments.rounds; round++) {
        let row = (workgroup.x * arguments.rounds + round) * at_a_time + local / lanes;
        // A row beyond the last has no columns, but takes part in the barriers.
        let end = select(0u, columns, row < arguments.rows);
        let first = row * columns;
        var s = vec2f(0.0, 0.0);
        if end > 0u {
            s = statistics[row];
        }
        var scaled: array<f32, 16>; // dy gamma
        var xhat: array<f32, 16>;
        var both = vec2f(0.0, 0.0);
        for (var k = 0u; k < per_lane; k++) {
            let j = lane + k * lanes;
            scaled[k] = 0.0;
            xhat[k] = 0.0;
            if j < end {
                let d = f32(dy[first + j]);
                xhat[k] = (f32(h[first + j]) - s.x) * s.y;
                scaled[k] = d * gamma[j];
                sum_gamma[k] += d * xhat[k];
                sum_beta[k] += d;
                both += vec2f(scaled[k], scaled[k] * xhat[k]);
            }
        }
        let means = row_sum(local, both) * inverse;
        for (var k = 0u; k < per_lane; k++) {
            let j = lane + k * lanes;
            if j < end {
                let i = first + j;
                let value = s.y * (scaled[k] - means.x - xhat[k] * means.y);
                dh[i] = Dh(value);
                if has_dropout {
                    let kept = draw(arguments.stream, step.part * arguments.rows * columns + i) >= arguments.threshold;
                    dx[i] = Dx(value * select(0.0, arguments.scale, kept));
                }
            }
        }
    }
    for (var k = 0u; k < per_lane; k++) {
        lane_sums[local] = vec2f(sum_gamma[k], sum_beta[k]);
        workgroupBarrier();
        let j = lane + k * lanes;
        if local < lanes && j < columns {
            var total = lane_sums[local];
            for (var r = 1u; r < at_a_time; r++) {
                total += lane_sums[local + r * lanes];
            }
            let to = 2u * workgroup.x * columns + j;
            sums[to] = total.x;
            sums[to + columns] = total.y;
        }
        workgroupBarrier();
    }
}
