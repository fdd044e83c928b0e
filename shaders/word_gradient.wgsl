//! shared: index
//! elements: D
// Row v of the gradient of the word embedding: the sum of the gradient's rows of the tokens with id v, in their
// order, and 0 where there are none: the last step of word_gradient. Twin: ops/embedding_gradient.rs.
//
// `lanes` invocations share a row, 256 / lanes rows a workgroup. Each lane searches one sorted block for the run of
// id v; then all walk the runs together, four columns each, whole pieces of 64 tokens at a time where a run covers
// them.

override columns: u32 = 128u; // E
override lanes: u32 = 32u;    // a power of two, at most 256

struct Arguments {
    vocabulary: u32, // V
    blocks: u32,     // ceil(T / 4096)
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> keys: array<u32>;      // [blocks, 4096], see word_gradient_sort.wgsl
@group(0) @binding(2) var<storage, read> d: array<D>;           // [T, E]
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

// Four elements of the gradient's row of the token at place i.
fn elements(i: u32, c: vec4<u32>) -> vec4f {
    let row = (i / 4096u * 4096u + keys[i] % 4096u) * columns;
    return vec4f(f32(d[row + c.x]), f32(d[row + c.y]), f32(d[row + c.z]), f32(d[row + c.w]));
}

fn run_sum(run: vec2<u32>, c: vec4<u32>) -> vec4f {
    var sum = vec4f(0.0);
    var i = run.x;
    // Up to the first whole piece, or to the end.
    let ahead = min((run.x + 63u) / 64u * 64u, run.y);
    for (; i < ahead; i++) {
        sum += elements(i, c);
    }
    for (; i + 64u <= run.y; i += 64u) {
        let row = i / 64u * columns;
        sum += vec4f(pieces[row + c.x], pieces[row + c.y], pieces[row + c.z], pieces[row + c.w]);
    }
    for (; i < run.y; i++) {
        sum += elements(i, c);
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
    let row = v * columns;
    for (var first = 0u; first < arguments.blocks; first += lanes) {
        var found = vec2<u32>(0u, 0u);
        if end > 0u && first + lane < arguments.blocks {
            found = find_run(first + lane, v);
        }
        runs[local] = found;
        workgroupBarrier();
        let searched = min(lanes, arguments.blocks - first);
        for (var j = lane; j < end; j += 4u * lanes) {
            // Columns beyond the last read it again and are not written.
            let c = min(vec4<u32>(j, j + lanes, j + 2u * lanes, j + 3u * lanes), vec4<u32>(columns - 1u));
            var sum = vec4f(0.0);
            if first > 0u {
                sum = vec4f(out[row + c.x], out[row + c.y], out[row + c.z], out[row + c.w]);
            }
            for (var b = 0u; b < searched; b++) {
                let run = runs[local - lane + b];
                if run.x < run.y {
                    sum += run_sum(run, c);
                }
            }
            out[row + c.x] = sum.x;
            if j + lanes < columns {
                out[row + c.y] = sum.y;
            }
            if j + 2u * lanes < columns {
                out[row + c.z] = sum.z;
            }
            if j + 3u * lanes < columns {
                out[row + c.w] = sum.w;
            }
        }
        workgroupBarrier();
    }
}
