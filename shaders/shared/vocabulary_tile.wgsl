// Logits of the vocabulary, x word^T + bias, for kernels that use them where they are made: a tile of 64 rows and 64 words
// a workgroup of 128 invocations, a block of 8 rows and 4 words each, as in shared/matmul_tiles.wgsl.

const TILE: u32 = 64;
const STEP: u32 = 16;
// Vectors from one line of workgroup memory to the next: 17 keep writes off each other's banks.
const STRIDE: u32 = 17;
const WORDS_AT: u32 = 272;
// While logits are made: 16 lines of 64 rows, then 16 lines of 64 words, k outermost. Afterwards, from `lay_out` on: 32 rows
// of 64 words.
var<workgroup> tile: array<vec4f, 544>;

// A row each, four words.
struct Block {
    c0: vec4f,
    c1: vec4f,
    c2: vec4f,
    c3: vec4f,
    c4: vec4f,
    c5: vec4f,
    c6: vec4f,
    c7: vec4f,
}

// This invocation's block of the logits of rows from `first_row` and words from `first_word` on: rows 8 * (local / 16) and
// words 4 * (local % 16) of the tile. What lies beyond M or V is no number of interest.
fn logits(first_row: u32, first_word: u32, local: u32) -> Block {
    // The piece of 4 x 4 that this invocation brings: number `along` of 16 along rows or words, `deep` of 4 along k.
    let brings_x = local < 64u;
    let along = local % 64u / 4u;
    let deep = local % 4u;
    let to = select(WORDS_AT, 0u, brings_x) + deep * 4u * STRIDE + along;
    let across = local % 16u;
    let down = local / 16u;
    var c0 = vec4f();
    var c1 = vec4f();
    var c2 = vec4f();
    var c3 = vec4f();
    var c4 = vec4f();
    var c5 = vec4f();
    var c6 = vec4f();
    var c7 = vec4f();
    for (var k = 0u; k < arguments.embedding; k += STEP) {
        let at_k = k + deep * 4u;
        var v: mat4x4f;
        if brings_x {
            let row = first_row + along * 4u;
            v = transpose(mat4x4f(
                read_x(row, at_k),
                read_x(row + 1u, at_k),
                read_x(row + 2u, at_k),
                read_x(row + 3u, at_k),
            ));
        } else {
            let row = first_word + along * 4u;
            v = transpose(mat4x4f(
                read_word(row, at_k),
                read_word(row + 1u, at_k),
                read_word(row + 2u, at_k),
                read_word(row + 3u, at_k),
            ));
        }
        workgroupBarrier();
        tile[to] = v[0];
        tile[to + STRIDE] = v[1];
        tile[to + 2u * STRIDE] = v[2];
        tile[to + 3u * STRIDE] = v[3];
        workgroupBarrier();
        for (var at = 0u; at < STEP * STRIDE; at += 2u * STRIDE) {
            let l0 = tile[at + 2u * down];
            let h0 = tile[at + 2u * down + 1u];
            let b0 = tile[WORDS_AT + at + across];
            c0 = fma(vec4f(l0.x), b0, c0);
            c1 = fma(vec4f(l0.y), b0, c1);
            c2 = fma(vec4f(l0.z), b0, c2);
            c3 = fma(vec4f(l0.w), b0, c3);
            c4 = fma(vec4f(h0.x), b0, c4);
            c5 = fma(vec4f(h0.y), b0, c5);
            c6 = fma(vec4f(h0.z), b0, c6);
            c7 = fma(vec4f(h0.w), b0, c7);
            let l1 = tile[at + STRIDE + 2u * down];
            let h1 = tile[at + STRIDE + 2u * down + 1u];
            let b1 = tile[WORDS_AT + at + STRIDE + across];
            c0 = fma(vec4f(l1.x), b1, c0);
            c1 = fma(vec4f(l1.y), b1, c1);
            c2 = fma(vec4f(l1.z), b1, c2);
            c3 = fma(vec4f(l1.w), b1, c3);
            c4 = fma(vec4f(h1.x), b1, c4);
            c5 = fma(vec4f(h1.y), b1, c5);
            c6 = fma(vec4f(h1.z), b1, c6);
            c7 = fma(vec4f(h1.w), b1, c7);
        }
    }
    let b = bias4(first_word + 4u * across);
    return Block(c0 + b, c1 + b, c2 + b, c3 + b, c4 + b, c5 + b, c6 + b, c7 + b);
}

// Puts rows 32 * half .. 32 * half + 32 of all invocations' blocks into workgroup memory.
fn lay_out(block: Block, half: u32, local: u32) {
    workgroupBarrier();
    if local / 64u == half {
        let at = local % 64u / 16u * 8u * STRIDE + local % 16u;
        tile[at] = block.c0;
        tile[at + STRIDE] = block.c1;
        tile[at + 2u * STRIDE] = block.c2;
        tile[at + 3u * STRIDE] = block.c3;
        tile[at + 4u * STRIDE] = block.c4;
        tile[at + 5u * STRIDE] = block.c5;
        tile[at + 6u * STRIDE] = block.c6;
        tile[at + 7u * STRIDE] = block.c7;
    }
    workgroupBarrier();
}
