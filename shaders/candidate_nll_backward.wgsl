//! shared: index
// From the gradients of a row's candidates' logits: of x, and of each candidate's row of the vocabulary. Twin: ops/candidate_nll.rs.

struct Arguments {
    len: u32,        // M * E
    width: u32,      // E
    candidates: u32, // C
    vocabulary: u32, // V
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [M, E]
@group(0) @binding(2) var<storage, read> word: array<f32>;       // [V, E]
@group(0) @binding(3) var<storage, read> candidates: array<u32>; // [M, C]
@group(0) @binding(4) var<storage, read> dlogits: array<f32>;    // [M, C]
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;   // [M, E]
@group(0) @binding(6) var<storage, read_write> rows: array<f32>; // [M, C, E]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i >= arguments.len {
        return;
    }
    let column = i % arguments.width;
    let first = i / arguments.width * arguments.candidates;
    var sum = 0.0;
    for (var j = first; j < first + arguments.candidates; j++) {
        let slope = dlogits[j];
        sum += slope * word[min(candidates[j], arguments.vocabulary - 1u) * arguments.width + column];
        rows[j * arguments.width + column] = slope * x[i];
    }
    dx[i] = sum;
}
