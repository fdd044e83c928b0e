//! elements: D
// Sums of the gradient's rows over those pieces of 64 sorted tokens that are all of one id, so that a frequent id
// ([PAD], [MASK], "the") is not added up row by row: the second step of word_gradient. Twin:
// ops/embedding_gradient.rs. Other pieces are not written, and nobody reads them.
//
// A workgroup takes a piece and 64 columns: 4 lanes a column take 16 tokens each.

override columns: u32 = 128u; // E

@group(0) @binding(1) var<storage, read> keys: array<u32>;         // [pieces, 64], see word_gradient_sort.wgsl
@group(0) @binding(2) var<storage, read> d: array<D>;              // [T, E]
@group(0) @binding(3) var<storage, read_write> pieces: array<f32>; // [pieces, E]

var<workgroup> lane_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let piece = workgroup.x;
    let first = piece * 64u;
    let last = keys[first + 63u];
    let whole = last != 0xffffffffu && keys[first] / 4096u == last / 4096u;
    let start = first / 4096u * 4096u;
    let j = workgroup.y * 64u + local % 64u;
    var sum = 0.0;
    if whole && j < columns {
        let own = first + local / 64u * 16u;
        for (var i = own; i < own + 16u; i += 4u) {
            let a = f32(d[(start + keys[i] % 4096u) * columns + j]);
            let b = f32(d[(start + keys[i + 1u] % 4096u) * columns + j]);
            let c = f32(d[(start + keys[i + 2u] % 4096u) * columns + j]);
            let e = f32(d[(start + keys[i + 3u] % 4096u) * columns + j]);
            sum += (a + b) + (c + e);
        }
    }
    lane_sums[local] = sum;
    workgroupBarrier();
    if local < 64u && whole && j < columns {
        pieces[piece * columns + j] = (sum + lane_sums[local + 64u]) + (lane_sums[local + 128u] + lane_sums[local + 192u]);
    }
}
