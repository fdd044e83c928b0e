//! shared: vocabulary_turn, vocabulary_access, vocabulary_tile
//! elements: X, Word, Gradient
// Gradients of logits (shared/vocabulary_turn.wgsl) by the tiles of vocabulary_tiles.wgsl.
// Twin: ops/vocabulary_nll_backward.rs.

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
