// What the attention kernels of cooperative matrices have in common; each of them declares `qkv`, of elements Qkv, which
// are f16. Needs shared/attention.wgsl, and one of shared/matrices_16.wgsl and _8. For a length that is a multiple of SIZE, and
// heads of at most 64 columns, also a multiple. Keys and values of padding are multiplied by 0, so they must be finite.
//
// A workgroup of 256 invocations works on tiles of 64 x 64 numbers. Products of matrices are shared out among its
// subgroups, however many there are; their sums go to `scores`. Between the products, invocation
// (local % 64, local / 64) owns a row of the tile and 16 neighbouring columns, as a mat4x4f of four vectors.
//
// Control flow that depends on a subgroup's number only chooses what is multiplied, never whether: where a tile is
// larger than what there is, the last matrices are multiplied once more, and what comes out is not used.

const TILE: u32 = 64u;

// Numbers from row to row. Rows begin at multiples of 16 bytes, each at other banks than the one before.
const SCORE_STRIDE: u32 = 68u;
const WEIGHT_STRIDE: u32 = 72u;

// 28 KiB in half precision.
var<workgroup> scores: array<f32, 4352>;  // [64, SCORE_STRIDE]
var<workgroup> weights: array<Qkv, 4608>; // [64, WEIGHT_STRIDE]
var<workgroup> zeros: array<f32, 256>;    // sums begin as these: no driver has to know how to clear a matrix
var<workgroup> shares: array<f32, 256>;   // [4, 64]: a number a row from each of its four invocations

// A unit is what a subgroup computes at a time: a matrix of sums and the one beside it.
const PAIRS: u32 = TILE / (2u * SIZE); // units beside each other in a tile
const UNITS: u32 = TILE / SIZE * PAIRS;

fn first_row(unit: u32) -> u32 {
    return unit / PAIRS * SIZE;
}

fn first_column(unit: u32) -> u32 {
    return unit % PAIRS * 2u * SIZE;
}

// The first row of a matrix in an example of `length` rows, moved up where it would go beyond.
fn within(row: u32) -> u32 {
    return min(row, arguments.length - SIZE);
}

// The same of columns in a head.
fn within_width(column: u32) -> u32 {
    return min(column, arguments.width - SIZE);
}

// scores = queries keys^T, not scaled.
fn multiply_keys(subgroup: u32, subgroups: u32, head: Head, first_query: u32, first_key: u32) {
    let width = arguments.width;
    let stride = head.stride;
    let to_stride = SCORE_STRIDE;
    let size = SIZE;
    for (var unit = subgroup; unit < UNITS; unit += subgroups) {
        let row = first_row(unit);
        let column = first_column(unit);
        let a_start = head.queries + within(first_query + row) * stride;
        let low_start = head.keys + within(first_key + column) * stride;
        let high_start = head.keys + within(first_key + column + SIZE) * stride;
        var low = coopLoadT<MatrixC>(&zeros[0], size);
        var high = coopLoadT<MatrixC>(&zeros[0], size);
        for (var k = 0u; k < width; k += SIZE) {
            let a_at = a_start + k;
            let low_at = low_start + k;
            let high_at = high_start + k;
            let a = coopLoadT<MatrixA>(&qkv[a_at], stride);
            let b_low = coopLoad<MatrixB>(&qkv[low_at], stride);
            low = coopMultiplyAdd(a, b_low, low);
            let b_high = coopLoad<MatrixB>(&qkv[high_at], stride);
            high = coopMultiplyAdd(a, b_high, high);
        }
        let to = row * SCORE_STRIDE + column;
        let next = to + SIZE;
        coopStoreT(low, &scores[to], to_stride);
        coopStoreT(high, &scores[next], to_stride);
    }
}

// scores = the first `count` columns of the weights times as many rows of qkv, from `start` on.
fn multiply_weights(subgroup: u32, subgroups: u32, start: u32, stride: u32, count: u32) {
    let from_stride = WEIGHT_STRIDE;
    let to_stride = SCORE_STRIDE;
    let size = SIZE;
    for (var unit = subgroup; unit < UNITS; unit += subgroups) {
        let row = first_row(unit);
        let column = first_column(unit);
        let a_start = row * WEIGHT_STRIDE;
        let low_start = start + within_width(column);
        let high_start = start + within_width(column + SIZE);
        var low = coopLoadT<MatrixC>(&zeros[0], size);
        var high = coopLoadT<MatrixC>(&zeros[0], size);
        for (var k = 0u; k < count; k += SIZE) {
            let a_at = a_start + k;
            let low_at = low_start + k * stride;
            let high_at = high_start + k * stride;
            let a = coopLoadT<MatrixA>(&weights[a_at], from_stride);
            let b_low = coopLoadT<MatrixB>(&qkv[low_at], stride);
            low = coopMultiplyAdd(a, b_low, low);
            let b_high = coopLoadT<MatrixB>(&qkv[high_at], stride);
            high = coopMultiplyAdd(a, b_high, high);
        }
        let to = row * SCORE_STRIDE + column;
        let next = to + SIZE;
        coopStoreT(low, &scores[to], to_stride);
        coopStoreT(high, &scores[next], to_stride);
    }
}

fn clear(local: u32) {
    zeros[local] = 0.0;
}

fn read_vector(at: u32) -> vec4f {
    return vec4f(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

// This invocation's part of the scores.
fn read_scores(local: u32) -> mat4x4f {
    let at = local % 64u * SCORE_STRIDE + local / 64u * 16u;
    return mat4x4f(read_vector(at), read_vector(at + 4u), read_vector(at + 8u), read_vector(at + 12u));
}

fn write_vector(at: u32, x: vec4f) {
    weights[at] = Qkv(x.x);
    weights[at + 1u] = Qkv(x.y);
    weights[at + 2u] = Qkv(x.z);
    weights[at + 3u] = Qkv(x.w);
}

// Makes `x` this invocation's part of the weights.
fn write_weights(local: u32, x: mat4x4f) {
    let at = local % 64u * WEIGHT_STRIDE + local / 64u * 16u;
    write_vector(at, x[0]);
    write_vector(at + 4u, x[1]);
    write_vector(at + 8u, x[2]);
    write_vector(at + 12u, x[3]);
}

// Which of four neighbouring keys count.
fn counting(key: u32, valid: u32) -> vec4<bool> {
    return vec4<u32>(key, key + 1u, key + 2u, key + 3u) < vec4<u32>(valid);
}

// Factors that dropout gives the probabilities from number `element` on, 16 of them.
fn dropout16(element: u32) -> mat4x4f {
    return mat4x4f(dropout4(element), dropout4(element + 4u), dropout4(element + 8u), dropout4(element + 12u));
}

fn each_times(x: mat4x4f, y: mat4x4f) -> mat4x4f {
    return mat4x4f(x[0] * y[0], x[1] * y[1], x[2] * y[2], x[3] * y[3]);
}

fn sum16(x: mat4x4f) -> f32 {
    return dot(x[0] + x[1] + x[2] + x[3], vec4f(1.0));
}

// e^(x - shift) for keys below `valid`, 0 for others.
fn probabilities(x: mat4x4f, shift: f32, key: u32, valid: u32) -> mat4x4f {
    return mat4x4f(
        select(vec4f(), exp4(x[0] - shift), counting(key, valid)),
        select(vec4f(), exp4(x[1] - shift), counting(key + 4u, valid)),
        select(vec4f(), exp4(x[2] - shift), counting(key + 8u, valid)),
        select(vec4f(), exp4(x[3] - shift), counting(key + 12u, valid)),
    );
}
