//! shared: index
// Row v of the gradient of the word embedding: the sum of the gradient's rows of the tokens with id v, in their
// order, and 0 where there are none: the last step of word_gradient. Twin: ops/embedding_gradient.rs.
//
// `lanes` invocations share a row, 256 / lanes rows a workgroup. Each lane searches one sorted block for the run of
// id v; then all walk the runs together, whole pieces of 64 tokens at a time where a run covers them.

override columns: u32 = 128u; // E
override lanes: u32 = 32u;    // a power of two, at most 256

struct Arguments {
    vocabulary: u32, // V
    blocks: u32,     // ceil(T / 4096)
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> keys: array<u32>;      // [blocks, 4096], see word_gradient_sort.wgsl
@group(0) @binding(2) var<storage, read> d: array<f32>;         // [T, E]
@group(0) @binding(3) var<storage, read> pieces: array<f32>;    // [blocks * 64, E], see word_gradient_pieces.wgsl
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [V, E]

// The run of the row's id in the block of each lane: first and last + 1, indices into keys.
var<workgroup> runs: array<vec2<u32>, 256>;

// The first place of start .. end whose key is at least `key`, or end.
fn lower_bound(start: u32, end: u32, key: u32) -> u32 {
    var low = start;
    var high = end;
    while low < high {
        let middle = (low + high) / 2u;
        if keys[middle] < key {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

fn find_run(block: u32, v: u32) -> vec2<u32> {
    let start = block * 4096u;
    let end = start + 4096u;
    let first = lower_bound(start, end, v * 4096u);
    var last = first;
    if first < end && keys[first] / 4096u == v {
        last = lower_bound(first, end, (v + 1u) * 4096u);
    }
    return vec2<u32>(first, last);
}

// The gradient's element j of the token at place i.
fn element(i: u32, j: u32) -> f32 {
    return d[(i / 4096u * 4096u + keys[i] % 4096u) * columns + j];
}

fn run_sum(run: vec2<u32>, j: u32) -> f32 {
    var sum = 0.0;
    var i = run.x;
    // Up to the first whole piece, or to the end.
    let ahead = min((run.x + 63u) / 64u * 64u, run.y);
    for (; i < ahead; i++) {
        sum += element(i, j);
    }
    for (; i + 64u <= run.y; i += 64u) {
        sum += pieces[i / 64u * columns + j];
    }
    for (; i < run.y; i++) {
        sum += element(i, j);
    }
    return sum;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let v = element_index(workgroup, workgroups, local / lanes, 256u / lanes);
    let lane = local % lanes;
    let end = select(0u, columns, v < arguments.vocabulary);
    for (var first = 0u; first < arguments.blocks; first += lanes) {
        var run = vec2<u32>(0u, 0u);
        if end > 0u && first + lane < arguments.blocks {
            run = find_run(first + lane, v);
        }
        runs[local] = run;
        workgroupBarrier();
        let searched = min(lanes, arguments.blocks - first);
        for (var j = lane; j < end; j += lanes) {
            let i = v * columns + j;
            var sum = 0.0;
            if first > 0u {
                sum = out[i];
            }
            for (var b = 0u; b < searched; b++) {
                sum += run_sum(runs[local - lane + b], j);
            }
            out[i] = sum;
        }
        workgroupBarrier();
    }
}
