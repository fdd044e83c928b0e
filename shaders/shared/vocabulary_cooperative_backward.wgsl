// The kernel of shared/vocabulary_turn.wgsl with cooperative matrices.

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first_row = group.y * TILE;
    let first_word = group.x * TILE;
    multiply(first_row, arguments.first + first_word, local, subgroup, subgroups);
    for (var i = local; i < 1024u; i += INVOCATIONS) {
        let row = first_row + i / 16;
        let word = first_word + i % 16 * 4;
        let logits = logits4(0u, i / 16 * STRIDE + i % 16, arguments.first + word);
        let turned = turn(logits, row, arguments.first + word);
        for (var j = 0u; j < 4; j++) {
            if row < arguments.rows && word + j < arguments.words {
                gradient[row * arguments.words + word + j] = Gradient(turned[j]);
            }
        }
    }
}
