// Logits of the vocabulary by cooperative matrices (tensor cores), for kernels that use them where they are made: a tile of 64
// rows and 64 words a workgroup of 128 invocations, of which a subgroup multiplies a block of 32 x 32 at a time, as in
// shared/matmul_cooperative.wgsl. x and word are in half precision, E is a multiple of 4; what lies beyond E is 0.

const TILE: u32 = 64;
const STEP: u32 = 32;
const INVOCATIONS: u32 = 128;
// Vectors of a line of the tiles, of 8 and 2 that keep lines off each other's banks.
const LINE: u32 = 10;
const room_a: u32 = TILE * LINE;
const room_b: u32 = TILE * LINE;
// Vectors from row to row of the logits: one more than there are, for the same reason.
const STRIDE: u32 = 17;
const BLOCKS: u32 = 4;
// Matrices of a block along each side: 2 or 4.
const ALONG: u32 = 32 / SIZE;

var<workgroup> result: array<f32, 4352>; // [64, 4 STRIDE], without the bias
var<workgroup> zeros: array<f32, 256>;   // sums begin as these

fn logits4(half: u32, at: u32, word: u32) -> vec4f {
    let i = (half * 32 * STRIDE + at) * 4;
    return vec4f(result[i], result[i + 1], result[i + 2], result[i + 3]) + bias4(word);
}

// Brings elements k to k + STEP of the tile's rows and words into workgroup memory.
fn bring(first_row: u32, first_word: u32, k: u32, local: u32) {
    for (var i = local; i < TILE * 8; i += INVOCATIONS) {
        let line = i / 8;
        let at = k + i % 8 * 4;
        let to = line * LINE + i % 8;
        put_a(to, vec4<f16>(read_x(first_row + line, at)));
        put_b(to, vec4<f16>(read_word(first_word + line, at)));
    }
}

// Makes the logits of rows from `first_row` and words from `first_word` on. Larger subgroups than 32 are fewer, and take several
// blocks in turns; of smaller ones some repeat what another makes.
fn multiply(first_row: u32, first_word: u32, local: u32, subgroup: u32, subgroups: u32) {
    for (var i = local; i < SIZE * SIZE; i += INVOCATIONS) {
        zeros[i] = 0;
    }
    let size = SIZE;
    let width = 4 * STRIDE;
    let wide_a = LINE * UNIT;
    let wide_b = LINE * UNIT;
    // From one matrix of a block to the next: of the tiles, and down the logits.
    let hop = SIZE * LINE * UNIT;
    let down = SIZE * width;
    let turns = (BLOCKS + subgroups - 1) / subgroups;
    var a0: MatrixA;
    var a1: MatrixA;
    var a2: MatrixA;
    var a3: MatrixA;
    var b0: MatrixB;
    var b1: MatrixB;
    var b2: MatrixB;
    var b3: MatrixB;
    for (var turn = 0u; turn < turns; turn++) {
        let block = (turn * subgroups + subgroup) % BLOCKS;
        let row = block / 2 * 32;
        let column = block % 2 * 32;
        workgroupBarrier();
        let zero = coopLoadT<MatrixC>(&zeros[0], size);
        var c00 = zero;
        var c01 = zero;
        var c02 = zero;
        var c03 = zero;
        var c10 = zero;
        var c11 = zero;
        var c12 = zero;
        var c13 = zero;
        var c20 = zero;
        var c21 = zero;
        var c22 = zero;
        var c23 = zero;
        var c30 = zero;
        var c31 = zero;
        var c32 = zero;
        var c33 = zero;
        for (var k = 0u; k < arguments.embedding; k += STEP) {
            workgroupBarrier();
            bring(first_row, first_word, k, local);
            workgroupBarrier();
            for (var p = 0u; p < STEP; p += SIZE) {
                let at_a0 = (row * LINE + p / 4) * UNIT;
                let at_a1 = at_a0 + hop;
                let at_a2 = at_a0 + 2 * hop;
                let at_a3 = at_a0 + 3 * hop;
                let at_b0 = (column * LINE + p / 4) * UNIT;
                let at_b1 = at_b0 + hop;
                let at_b2 = at_b0 + 2 * hop;
                let at_b3 = at_b0 + 3 * hop;
                a0 = coopLoadT<MatrixA>(&tile_a[at_a0], wide_a);
                a1 = coopLoadT<MatrixA>(&tile_a[at_a1], wide_a);
                b0 = coopLoad<MatrixB>(&tile_b[at_b0], wide_b);
                b1 = coopLoad<MatrixB>(&tile_b[at_b1], wide_b);
                c00 = coopMultiplyAdd(a0, b0, c00);
                c01 = coopMultiplyAdd(a0, b1, c01);
                c10 = coopMultiplyAdd(a1, b0, c10);
                c11 = coopMultiplyAdd(a1, b1, c11);
                if ALONG > 2 {
                    a2 = coopLoadT<MatrixA>(&tile_a[at_a2], wide_a);
                    a3 = coopLoadT<MatrixA>(&tile_a[at_a3], wide_a);
                    b2 = coopLoad<MatrixB>(&tile_b[at_b2], wide_b);
                    b3 = coopLoad<MatrixB>(&tile_b[at_b3], wide_b);
                    c02 = coopMultiplyAdd(a0, b2, c02);
                    c03 = coopMultiplyAdd(a0, b3, c03);
                    c12 = coopMultiplyAdd(a1, b2, c12);
                    c13 = coopMultiplyAdd(a1, b3, c13);
                    c20 = coopMultiplyAdd(a2, b0, c20);
                    c21 = coopMultiplyAdd(a2, b1, c21);
                    c22 = coopMultiplyAdd(a2, b2, c22);
                    c23 = coopMultiplyAdd(a2, b3, c23);
                    c30 = coopMultiplyAdd(a3, b0, c30);
                    c31 = coopMultiplyAdd(a3, b1, c31);
                    c32 = coopMultiplyAdd(a3, b2, c32);
                    c33 = coopMultiplyAdd(a3, b3, c33);
                }
            }
        }
        let to00 = row * width + column;
        coopStoreT(c00, &result[to00], width);
        let to01 = to00 + SIZE;
        coopStoreT(c01, &result[to01], width);
        let to10 = to00 + down;
        coopStoreT(c10, &result[to10], width);
        let to11 = to00 + down + SIZE;
        coopStoreT(c11, &result[to11], width);
        if ALONG > 2 {
            let to02 = to00 + 2 * SIZE;
            coopStoreT(c02, &result[to02], width);
            let to03 = to00 + 3 * SIZE;
            coopStoreT(c03, &result[to03], width);
            let to12 = to00 + down + 2 * SIZE;
            coopStoreT(c12, &result[to12], width);
            let to13 = to00 + down + 3 * SIZE;
            coopStoreT(c13, &result[to13], width);
            let to20 = to00 + 2 * down;
            coopStoreT(c20, &result[to20], width);
            let to21 = to00 + 2 * down + SIZE;
            coopStoreT(c21, &result[to21], width);
            let to22 = to00 + 2 * down + 2 * SIZE;
            coopStoreT(c22, &result[to22], width);
            let to23 = to00 + 2 * down + 3 * SIZE;
            coopStoreT(c23, &result[to23], width);
            let to30 = to00 + 3 * down;
            coopStoreT(c30, &result[to30], width);
            let to31 = to00 + 3 * down + SIZE;
            coopStoreT(c31, &result[to31], width);
            let to32 = to00 + 3 * down + 2 * SIZE;
            coopStoreT(c32, &result[to32], width);
            let to33 = to00 + 3 * down + 3 * SIZE;
            coopStoreT(c33, &result[to33], width);
        }
    }
    workgroupBarrier();
}
