//! shared: vocabulary_tile
//! elements: X, Word, Gradient
// Gradients of the logits of some words, d * (softmax - onehot(target)), written once: the logits that they are made
// from are made here again, by the tiles of shaders/vocabulary_tiles.wgsl, and never written.
// Twin: ops/vocabulary_nll_backward.rs.

struct Arguments {
    rows: u32,       // M
    vocabulary: u32, // V
    embedding: u32,  // E
    first: u32,      // word
    words: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(4) var<storage, read> targets: array<u32>;               // [M]
@group(0) @binding(5) var<storage, read> lse: array<f32>;                   // [M]
@group(0) @binding(6) var<storage, read> d: array<f32>;                     // [M]
@group(0) @binding(7) var<storage, read_write> gradient: array<Gradient>;   // [M, words]

fn turn(logit: vec4f, row_in_batch: u32, first_word: u32) -> vec4f {
    let row = min(row_in_batch, arguments.rows - 1u);
    let below = logit - lse[row];
    // Some drivers return nonsense far below -87; what is not a number must stay that.
    let p = select(exp(below), vec4f(), below < vec4f(-87.0));
    let hit = vec4u(first_word) + vec4u(0, 1, 2, 3) == vec4u(targets[row]);
    return d[row] * (p - select(vec4f(), vec4f(1.0), hit));
}

// Writes the 32 rows in workgroup memory, neighbours side by side.
fn write(first_row: u32, first_word: u32, local: u32) {
    for (var i = local; i < 2048u; i += 128u) {
        let row = i / TILE;
        let word = i % TILE;
        if first_row + row < arguments.rows && first_word + word < arguments.words {
            let value = tile[row * STRIDE + word / 4u][word % 4u];
            gradient[(first_row + row) * arguments.words + first_word + word] = Gradient(value);
        }
    }
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let first_row = group.y * TILE;
    let first_word = group.x * TILE;
    let block = logits(first_row, arguments.first + first_word, local);
    let row = first_row + local / 16u * 8u;
    let word = arguments.first + first_word + local % 16u * 4u;
    let turned = Block(
        turn(block.c0, row, word),
        turn(block.c1, row + 1u, word),
        turn(block.c2, row + 2u, word),
        turn(block.c3, row + 3u, word),
        turn(block.c4, row + 4u, word),
        turn(block.c5, row + 5u, word),
        turn(block.c6, row + 6u, word),
        turn(block.c7, row + 7u, word),
    );
    lay_out(turned, 0u, local);
    write(first_row, first_word, local);
    lay_out(turned, 1u, local);
    write(first_row + 32u, first_word, local);
}
