//! shared: logarithm, finite
// -log softmax(logits)[target] over a row's candidates, with all probabilities. A workgroup a row: each
// invocation has a candidate's logit, as far as there are so many. Twin: ops/candidate_nll.rs.

override rejects: bool = false; // whether option 0 is to reject them all

struct Arguments {
    rows: u32,       // M
    width: u32,      // E
    candidates: u32, // C, 64 at most
    vocabulary: u32, // V
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<f32>;                   // [M, E]
@group(0) @binding(2) var<storage, read> word: array<f32>;                // [V, E]
@group(0) @binding(3) var<storage, read> bias: array<f32>;                // [V]
@group(0) @binding(4) var<storage, read> candidates: array<u32>;          // [M, C]
@group(0) @binding(5) var<storage, read> targets: array<u32>;             // [M]
@group(0) @binding(6) var<storage, read> rejection: array<f32>;           // [M], anything where nothing is rejected
@group(0) @binding(7) var<storage, read_write> nll: array<f32>;           // [M]
@group(0) @binding(8) var<storage, read_write> probabilities: array<f32>; // [M, options]

var<workgroup> logits: array<f32, 65>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = workgroup.y * workgroups.x + workgroup.x;
    if row >= arguments.rows {
        return;
    }
    let first = select(0u, 1u, rejects);
    let options = arguments.candidates + first;
    if local < arguments.candidates {
        let id = min(candidates[row * arguments.candidates + local], arguments.vocabulary - 1u);
        var sum = 0.0;
        for (var i = 0u; i < arguments.width; i++) {
            sum += x[row * arguments.width + i] * word[id * arguments.width + i];
        }
        logits[first + local] = sum + bias[id];
    }
    if rejects && local == 0u {
        logits[0] = rejection[row];
    }
    workgroupBarrier();
    var most = logits[0];
    for (var i = 1u; i < options; i++) {
        most = max(most, logits[i]);
    }
    var total = 0.0;
    for (var i = 0u; i < options; i++) {
        let below = logits[i] - most;
        // Some drivers return nonsense far below -87; what is not a number must stay that.
        total += select(exp(below), 0.0, below < -87.0);
    }
    // The logarithm's series makes a number of what is none.
    let above = select(total, logarithm(total), finite(total));
    for (var i = local; i < options; i += 64u) {
        let below = logits[i] - most - above;
        probabilities[row * options + i] = select(exp(below), 0.0, below < -87.0);
    }
    if local == 0u {
        nll[row] = above - (logits[min(targets[row], options - 1u)] - most);
    }
}
