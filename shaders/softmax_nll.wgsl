//! shared: index, logarithm, finite
// -log softmax(logits)[target], a row, with the row's log-sum-exp and its largest logit's index. Twin: ops/softmax_nll.rs.
//
// `lanes` invocations share a row, so that a workgroup takes 256 / lanes rows. A lane has the logits (lane, lane + lanes, ..);
// what it knows of them meets that of the others in fixed trees.

override lanes: u32 = 1u;           // a power of two, at most 256
override has_lengths: bool = false; // whether a row ends where its example does

struct Arguments {
    rows: u32,   // M
    length: u32, // N, logits of a row
    stride: u32, // S, from one logit of a row to the next; S rows lie side by side
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;      // [M / S, N, S]
@group(0) @binding(2) var<storage, read> targets: array<u32>;     // [M / S, S]
@group(0) @binding(3) var<storage, read> lengths: array<u32>;     // [M / S], anything without lengths
@group(0) @binding(4) var<storage, read_write> nll: array<f32>;   // [M]
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;   // [M]
@group(0) @binding(6) var<storage, read_write> best: array<u32>;  // [M]

const LEAST: f32 = -3.4e38;
const NONE: u32 = 0xffffffffu;

var<workgroup> lane_most: array<f32, 256>;
var<workgroup> lane_best: array<u32, 256>;
var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = element_index(workgroup, workgroups, local / lanes, 256u / lanes);
    let lane = local % lanes;
    let stride = arguments.stride;
    let example = row / stride;
    // A row beyond the last has no logits, but takes part in the barriers.
    var end = 0u;
    if row < arguments.rows {
        end = arguments.length;
        if has_lengths {
            end = min(end, lengths[example]);
        }
    }
    let first = example * arguments.length * stride + row % stride;

    // Of equals the lower index counts.
    var most = LEAST;
    var at = NONE;
    for (var j = lane; j < end; j += lanes) {
        let x = logits[first + j * stride];
        if x > most {
            most = x;
            at = j;
        }
    }
    lane_most[local] = most;
    lane_best[local] = at;
    workgroupBarrier();
    for (var half = lanes / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            let other = local + half;
            let more = lane_most[other] > lane_most[local];
            if more || (lane_most[other] == lane_most[local] && lane_best[other] < lane_best[local]) {
                lane_most[local] = lane_most[other];
                lane_best[local] = lane_best[other];
            }
        }
        workgroupBarrier();
    }
    most = lane_most[local - lane];

    var sum = 0.0;
    for (var j = lane; j < end; j += lanes) {
        let x = logits[first + j * stride] - most;
        // Some drivers return nonsense far below -87; what is not a number must stay that.
        sum += select(exp(x), 0.0, x < -87.0);
    }
    lane_sums[local] = sum;
    workgroupBarrier();
    for (var half = lanes / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            lane_sums[local] += lane_sums[local + half];
        }
        workgroupBarrier();
    }
    if lane == 0u && row < arguments.rows {
        if end == 0u {
            nll[row] = 0.0;
            lse[row] = 0.0;
            best[row] = 0u;
            return;
        }
        // The logarithm's series makes a number of what is none.
        let total = lane_sums[local];
        let above = select(total, logarithm(total), finite(total));
        // A target beyond the row's logits counts as the last of them.
        nll[row] = above - (logits[first + min(targets[row], end - 1u) * stride] - most);
        lse[row] = most + above;
        // Where no logit is a number there is no largest one.
        best[row] = select(0u, lane_best[local], lane_best[local] < end);
    }
}
