// Matrix multiplication for GPUs with cooperative matrices (tensor cores), which a subgroup holds and multiplies together: f16
// factors, f32 sums.
//
// In steps of tile_k along k, the invocations bring tiles of A and B into workgroup memory, as they are stored: a transposed A
// and a B that is not have lines along m or n, one for each k; the others have lines along k. A matrix is loaded from either,
// by rows or by columns. Each subgroup multiplies a block of block_m x block_n, up to 4 x 4 matrices in named variables. The
// results go through workgroup memory, so that what is written and how is the same as in all kernels: a matrix at a time, or by
// strips of as many as lie beside each other, with fewer barriers and longer rows for more of that memory.
//
// There are as many invocations as if subgroups had 32, or 64. Larger subgroups are fewer, and take several blocks in turns, each
// from k = 0 on; of smaller ones some have no block, and repeat another's without writing it.

// Rows and columns of C that a workgroup computes, and the k of a step.
override tile_m: u32 = 64;
override tile_n: u32 = 64;
override tile_k: u32 = 32;
override invocations: u32 = 128;
// Rows and columns of C that a subgroup computes.
override block_m: u32 = 32;
override block_n: u32 = 32;
// Reads the next step's tiles before this step is multiplied.
override prefetch: bool = false;

override blocks: u32 = (tile_m / block_m) * (tile_n / block_n);
// Matrices of a block.
override high: u32 = block_m / SIZE;
override wide: u32 = block_n / SIZE;
// Vectors of 4 in a line of the tiles, without and with two that keep lines off each other's banks.
override line_a: u32 = (tile_k * u32(!transpose_a) + tile_m * u32(transpose_a)) / 4;
override line_b: u32 = (tile_k * u32(transpose_b) + tile_n * u32(!transpose_b)) / 4;
override stride_a: u32 = line_a + 2;
override stride_b: u32 = line_b + 2;
// Vectors of the tiles, without and with those.
override vectors_a: u32 = tile_m * tile_k / 4;
override vectors_b: u32 = tile_n * tile_k / 4;
override room_a: u32 = vectors_a / line_a * stride_a;
override room_b: u32 = vectors_b / line_b * stride_b;
// Vectors from one matrix of a block to the next.
override hop_a: u32 = SIZE * stride_a * u32(!transpose_a) + SIZE / 4 * u32(transpose_a);
override hop_b: u32 = SIZE * stride_b * u32(transpose_b) + SIZE / 4 * u32(!transpose_b);

// Whether a strip of a block leaves a subgroup's registers at a time.
override strips: bool = false;
// Elements from one of its matrices to the next, and from row to row; four keep rows off each other's banks.
override hop: u32 = SIZE * u32(strips);
override stride: u32 = SIZE + (block_n + 4 - SIZE) * u32(strips);
// For each block what is on its way.
override results: u32 = blocks * SIZE * stride;
var<workgroup> result: array<f32, results>;

// Vector `i` of A's tile for the step from k on.
fn bring_a(i: u32, row: u32, k: u32, k_end: u32) -> vec4<f16> {
    if i >= vectors_a {
        return vec4<f16>();
    }
    let line = i / line_a;
    let at = i % line_a * 4;
    if transpose_a {
        return vec4<f16>(fetch_a(problem.a_offset, k + line, row + at, problem.m, k_end, problem.m));
    }
    return vec4<f16>(fetch_a(problem.a_offset, row + line, k + at, problem.k, problem.m, k_end));
}

// The same of B's.
fn bring_b(i: u32, column: u32, k: u32, k_end: u32) -> vec4<f16> {
    if i >= vectors_b {
        return vec4<f16>();
    }
    let line = i / line_b;
    let at = i % line_b * 4;
    if transpose_b {
        return vec4<f16>(fetch_b(problem.b_offset, column + line, k + at, problem.k, problem.n, k_end));
    }
    return vec4<f16>(fetch_b(problem.b_offset, k + line, column + at, problem.n, k_end, problem.n));
}

fn keep_a(i: u32, v: vec4<f16>) {
    if i < vectors_a {
        put_a(i / line_a * stride_a + i % line_a, v);
    }
}

fn keep_b(i: u32, v: vec4<f16>) {
    if i < vectors_b {
        put_b(i / line_b * stride_b + i % line_b, v);
    }
}

// Writes the matrices that lie beside each other in `result` from `place` on to where they belong, if they are `mine`; each
// lane of a subgroup writes some vectors.
fn write_out(mine: bool, place: u32, start: u32, row: u32, column: u32, matrices: u32, lane: u32, lanes: u32) {
    workgroupBarrier();
    let line = matrices * SIZE / 4;
    for (var i = lane; mine && i < SIZE * line; i += lanes) {
        let down = i / line;
        let right = i % line * 4;
        let at = place + down * stride + right;
        var value = vec4f(result[at], result[at + 1], result[at + 2], result[at + 3]);
        if has_bias {
            value += read_bias(column + right);
        }
        write_c(start, row + down, column + right, value);
    }
    workgroupBarrier();
}

fn write_matrix(mine: bool, place: u32, start: u32, row: u32, column: u32, lane: u32, lanes: u32) {
    if !strips {
        write_out(mine, place, start, row, column, 1u, lane, lanes);
    }
}

fn write_strip(mine: bool, place: u32, start: u32, row: u32, column: u32, lane: u32, lanes: u32) {
    if strips {
        write_out(mine, place, start, row, column, wide, lane, lanes);
    }
}

@compute @workgroup_size(invocations)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
) {
    let tile_row = group.y * tile_m;
    let tile_column = group.x * tile_n;
    let range = k_range(group.z);
    let start = problem.c_offset + group.z * problem.m * problem.n;
    let sums_start = problem.bias_offset + group.z * problem.m;
    let turns = (blocks + subgroups - 1) / subgroups;
    // Outside the loops, where Metal's compiler would have to clear them each time.
    var a0: MatrixA;
    var a1: MatrixA;
    var a2: MatrixA;
    var a3: MatrixA;
    var b0: MatrixB;
    var b1: MatrixB;
    var b2: MatrixB;
    var b3: MatrixB;
    for (var turn = 0u; turn < turns; turn++) {
        let number = turn * subgroups + subgroup;
        let block = number % blocks;
        let mine = number < blocks;
        let block_row = block / (tile_n / block_n) * block_m;
        let block_column = block % (tile_n / block_n) * block_n;

        // Sums begin at zero: a matrix cannot be made of a number on every backend, but loaded.
        for (var i = local; i < SIZE * SIZE; i += invocations) {
            result[i] = 0;
        }
        workgroupBarrier();
        let size = SIZE;
        let zero = coopLoadT<MatrixC>(&result[0], size);
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
        var sums = vec4f();
        var a_0 = vec4<f16>();
        var a_1 = vec4<f16>();
        var a_2 = vec4<f16>();
        var a_3 = vec4<f16>();
        var a_4 = vec4<f16>();
        var a_5 = vec4<f16>();
        var a_6 = vec4<f16>();
        var a_7 = vec4<f16>();
        var b_0 = vec4<f16>();
        var b_1 = vec4<f16>();
        var b_2 = vec4<f16>();
        var b_3 = vec4<f16>();
        var b_4 = vec4<f16>();
        var b_5 = vec4<f16>();
        var b_6 = vec4<f16>();
        var b_7 = vec4<f16>();
        if prefetch {
            a_0 = bring_a(local, tile_row, range.x, range.y);
            if vectors_a > invocations {
                a_1 = bring_a(local + invocations, tile_row, range.x, range.y);
            }
            if vectors_a > 2 * invocations {
                a_2 = bring_a(local + 2 * invocations, tile_row, range.x, range.y);
                a_3 = bring_a(local + 3 * invocations, tile_row, range.x, range.y);
            }
            if vectors_a > 4 * invocations {
                a_4 = bring_a(local + 4 * invocations, tile_row, range.x, range.y);
                a_5 = bring_a(local + 5 * invocations, tile_row, range.x, range.y);
                a_6 = bring_a(local + 6 * invocations, tile_row, range.x, range.y);
                a_7 = bring_a(local + 7 * invocations, tile_row, range.x, range.y);
            }
            b_0 = bring_b(local, tile_column, range.x, range.y);
            if vectors_b > invocations {
                b_1 = bring_b(local + invocations, tile_column, range.x, range.y);
            }
            if vectors_b > 2 * invocations {
                b_2 = bring_b(local + 2 * invocations, tile_column, range.x, range.y);
                b_3 = bring_b(local + 3 * invocations, tile_column, range.x, range.y);
            }
            if vectors_b > 4 * invocations {
                b_4 = bring_b(local + 4 * invocations, tile_column, range.x, range.y);
                b_5 = bring_b(local + 5 * invocations, tile_column, range.x, range.y);
                b_6 = bring_b(local + 6 * invocations, tile_column, range.x, range.y);
                b_7 = bring_b(local + 7 * invocations, tile_column, range.x, range.y);
            }
        }
        for (var k = range.x; k < range.y; k += tile_k) {
            if !prefetch {
                a_0 = bring_a(local, tile_row, k, range.y);
                if vectors_a > invocations {
                    a_1 = bring_a(local + invocations, tile_row, k, range.y);
                }
                if vectors_a > 2 * invocations {
                    a_2 = bring_a(local + 2 * invocations, tile_row, k, range.y);
                    a_3 = bring_a(local + 3 * invocations, tile_row, k, range.y);
                }
                if vectors_a > 4 * invocations {
                    a_4 = bring_a(local + 4 * invocations, tile_row, k, range.y);
                    a_5 = bring_a(local + 5 * invocations, tile_row, k, range.y);
                    a_6 = bring_a(local + 6 * invocations, tile_row, k, range.y);
                    a_7 = bring_a(local + 7 * invocations, tile_row, k, range.y);
                }
                b_0 = bring_b(local, tile_column, k, range.y);
                if vectors_b > invocations {
                    b_1 = bring_b(local + invocations, tile_column, k, range.y);
                }
                if vectors_b > 2 * invocations {
                    b_2 = bring_b(local + 2 * invocations, tile_column, k, range.y);
                    b_3 = bring_b(local + 3 * invocations, tile_column, k, range.y);
                }
                if vectors_b > 4 * invocations {
                    b_4 = bring_b(local + 4 * invocations, tile_column, k, range.y);
                    b_5 = bring_b(local + 5 * invocations, tile_column, k, range.y);
                    b_6 = bring_b(local + 6 * invocations, tile_column, k, range.y);
                    b_7 = bring_b(local + 7 * invocations, tile_column, k, range.y);
                }
            }
            workgroupBarrier();
            keep_a(local, a_0);
            if vectors_a > invocations {
                keep_a(local + invocations, a_1);
            }
            if vectors_a > 2 * invocations {
                keep_a(local + 2 * invocations, a_2);
                keep_a(local + 3 * invocations, a_3);
            }
            if vectors_a > 4 * invocations {
                keep_a(local + 4 * invocations, a_4);
                keep_a(local + 5 * invocations, a_5);
                keep_a(local + 6 * invocations, a_6);
                keep_a(local + 7 * invocations, a_7);
            }
            keep_b(local, b_0);
            if vectors_b > invocations {
                keep_b(local + invocations, b_1);
            }
            if vectors_b > 2 * invocations {
                keep_b(local + 2 * invocations, b_2);
                keep_b(local + 3 * invocations, b_3);
            }
            if vectors_b > 4 * invocations {
                keep_b(local + 4 * invocations, b_4);
                keep_b(local + 5 * invocations, b_5);
                keep_b(local + 6 * invocations, b_6);
                keep_b(local + 7 * invocations, b_7);
            }
            workgroupBarrier();
            let next = k + tile_k;
            if prefetch && next < range.y {
                a_0 = bring_a(local, tile_row, next, range.y);
                if vectors_a > invocations {
                    a_1 = bring_a(local + invocations, tile_row, next, range.y);
                }
                if vectors_a > 2 * invocations {
                    a_2 = bring_a(local + 2 * invocations, tile_row, next, range.y);
                    a_3 = bring_a(local + 3 * invocations, tile_row, next, range.y);
                }
                if vectors_a > 4 * invocations {
                    a_4 = bring_a(local + 4 * invocations, tile_row, next, range.y);
                    a_5 = bring_a(local + 5 * invocations, tile_row, next, range.y);
                    a_6 = bring_a(local + 6 * invocations, tile_row, next, range.y);
                    a_7 = bring_a(local + 7 * invocations, tile_row, next, range.y);
                }
                b_0 = bring_b(local, tile_column, next, range.y);
                if vectors_b > invocations {
                    b_1 = bring_b(local + invocations, tile_column, next, range.y);
                }
                if vectors_b > 2 * invocations {
                    b_2 = bring_b(local + 2 * invocations, tile_column, next, range.y);
                    b_3 = bring_b(local + 3 * invocations, tile_column, next, range.y);
                }
                if vectors_b > 4 * invocations {
                    b_4 = bring_b(local + 4 * invocations, tile_column, next, range.y);
                    b_5 = bring_b(local + 5 * invocations, tile_column, next, range.y);
                    b_6 = bring_b(local + 6 * invocations, tile_column, next, range.y);
                    b_7 = bring_b(local + 7 * invocations, tile_column, next, range.y);
                }
            }
            if row_sums && group.x == 0 && turn == 0 && local < tile_m / 4 {
                // A lies with k outermost: `fits` of this kernel allows row sums of a transposed A only.
                for (var p = 0u; p < tile_k; p++) {
                    sums += get_a(p * stride_a + local);
                }
            }
            for (var p = 0u; p < tile_k; p += SIZE) {
                let from_a = p / 4 * u32(!transpose_a) + p * stride_a * u32(transpose_a) + block_row / SIZE * hop_a;
                let from_b = p / 4 * u32(transpose_b) + p * stride_b * u32(!transpose_b) + block_column / SIZE * hop_b;
                let at_a0 = (from_a) * UNIT;
                let at_a1 = (from_a + hop_a) * UNIT;
                let at_a2 = (from_a + 2 * hop_a) * UNIT;
                let at_a3 = (from_a + 3 * hop_a) * UNIT;
                let wide_a = stride_a * UNIT;
                let at_b0 = (from_b) * UNIT;
                let at_b1 = (from_b + hop_b) * UNIT;
                let at_b2 = (from_b + 2 * hop_b) * UNIT;
                let at_b3 = (from_b + 3 * hop_b) * UNIT;
                let wide_b = stride_b * UNIT;
                if transpose_a {
                    a0 = coopLoad<MatrixA>(&tile_a[at_a0], wide_a);
                    if high > 1 {
                        a1 = coopLoad<MatrixA>(&tile_a[at_a1], wide_a);
                    }
                    if high > 2 {
                        a2 = coopLoad<MatrixA>(&tile_a[at_a2], wide_a);
                        a3 = coopLoad<MatrixA>(&tile_a[at_a3], wide_a);
                    }
                } else {
                    a0 = coopLoadT<MatrixA>(&tile_a[at_a0], wide_a);
                    if high > 1 {
                        a1 = coopLoadT<MatrixA>(&tile_a[at_a1], wide_a);
                    }
                    if high > 2 {
                        a2 = coopLoadT<MatrixA>(&tile_a[at_a2], wide_a);
                        a3 = coopLoadT<MatrixA>(&tile_a[at_a3], wide_a);
                    }
                }
                if transpose_b {
                    b0 = coopLoad<MatrixB>(&tile_b[at_b0], wide_b);
                    if wide > 1 {
                        b1 = coopLoad<MatrixB>(&tile_b[at_b1], wide_b);
                    }
                    if wide > 2 {
                        b2 = coopLoad<MatrixB>(&tile_b[at_b2], wide_b);
                        b3 = coopLoad<MatrixB>(&tile_b[at_b3], wide_b);
                    }
                } else {
                    b0 = coopLoadT<MatrixB>(&tile_b[at_b0], wide_b);
                    if wide > 1 {
                        b1 = coopLoadT<MatrixB>(&tile_b[at_b1], wide_b);
                    }
                    if wide > 2 {
                        b2 = coopLoadT<MatrixB>(&tile_b[at_b2], wide_b);
                        b3 = coopLoadT<MatrixB>(&tile_b[at_b3], wide_b);
                    }
                }
                c00 = coopMultiplyAdd(a0, b0, c00);
                if wide > 1 {
                    c01 = coopMultiplyAdd(a0, b1, c01);
                }
                if wide > 2 {
                    c02 = coopMultiplyAdd(a0, b2, c02);
                    c03 = coopMultiplyAdd(a0, b3, c03);
                }
                if high > 1 {
                    c10 = coopMultiplyAdd(a1, b0, c10);
                    if wide > 1 {
                        c11 = coopMultiplyAdd(a1, b1, c11);
                    }
                    if wide > 2 {
                        c12 = coopMultiplyAdd(a1, b2, c12);
                        c13 = coopMultiplyAdd(a1, b3, c13);
                    }
                }
                if high > 2 {
                    c20 = coopMultiplyAdd(a2, b0, c20);
                    if wide > 1 {
                        c21 = coopMultiplyAdd(a2, b1, c21);
                    }
                    if wide > 2 {
                        c22 = coopMultiplyAdd(a2, b2, c22);
                        c23 = coopMultiplyAdd(a2, b3, c23);
                    }
                    c30 = coopMultiplyAdd(a3, b0, c30);
                    if wide > 1 {
                        c31 = coopMultiplyAdd(a3, b1, c31);
                    }
                    if wide > 2 {
                        c32 = coopMultiplyAdd(a3, b2, c32);
                        c33 = coopMultiplyAdd(a3, b3, c33);
                    }
                }
            }
        }
        if row_sums && group.x == 0 && turn == 0 && local < tile_m / 4 {
            write_sums(sums_start, tile_row + 4 * local, sums);
        }

        let row = tile_row + block_row;
        let column = tile_column + block_column;
        let place = block * SIZE * stride;
        let place_0 = place;
        let place_1 = place + hop;
        let place_2 = place + 2 * hop;
        let place_3 = place + 3 * hop;
        let width = stride;
        workgroupBarrier();
        coopStoreT(c00, &result[place_0], width);
        write_matrix(mine, place, start, row, column, lane, lanes);
        if wide > 1 {
            coopStoreT(c01, &result[place_1], width);
            write_matrix(mine, place, start, row, column + SIZE, lane, lanes);
        }
        if wide > 2 {
            coopStoreT(c02, &result[place_2], width);
            write_matrix(mine, place, start, row, column + 2 * SIZE, lane, lanes);
            coopStoreT(c03, &result[place_3], width);
            write_matrix(mine, place, start, row, column + 3 * SIZE, lane, lanes);
        }
        write_strip(mine, place, start, row, column, lane, lanes);
        if high > 1 {
            coopStoreT(c10, &result[place_0], width);
            write_matrix(mine, place, start, row + SIZE, column, lane, lanes);
            if wide > 1 {
                coopStoreT(c11, &result[place_1], width);
                write_matrix(mine, place, start, row + SIZE, column + SIZE, lane, lanes);
            }
            if wide > 2 {
                coopStoreT(c12, &result[place_2], width);
                write_matrix(mine, place, start, row + SIZE, column + 2 * SIZE, lane, lanes);
                coopStoreT(c13, &result[place_3], width);
                write_matrix(mine, place, start, row + SIZE, column + 3 * SIZE, lane, lanes);
            }
            write_strip(mine, place, start, row + SIZE, column, lane, lanes);
        }
        if high > 2 {
            coopStoreT(c20, &result[place_0], width);
            write_matrix(mine, place, start, row + 2 * SIZE, column, lane, lanes);
            if wide > 1 {
                coopStoreT(c21, &result[place_1], width);
                write_matrix(mine, place, start, row + 2 * SIZE, column + SIZE, lane, lanes);
            }
            if wide > 2 {
                coopStoreT(c22, &result[place_2], width);
                write_matrix(mine, place, start, row + 2 * SIZE, column + 2 * SIZE, lane, lanes);
                coopStoreT(c23, &result[place_3], width);
                write_matrix(mine, place, start, row + 2 * SIZE, column + 3 * SIZE, lane, lanes);
            }
            write_strip(mine, place, start, row + 2 * SIZE, column, lane, lanes);
            coopStoreT(c30, &result[place_0], width);
            write_matrix(mine, place, start, row + 3 * SIZE, column, lane, lanes);
            if wide > 1 {
                coopStoreT(c31, &result[place_1], width);
                write_matrix(mine, place, start, row + 3 * SIZE, column + SIZE, lane, lanes);
            }
            if wide > 2 {
                coopStoreT(c32, &result[place_2], width);
                write_matrix(mine, place, start, row + 3 * SIZE, column + 2 * SIZE, lane, lanes);
                coopStoreT(c33, &result[place_3], width);
                write_matrix(mine, place, start, row + 3 * SIZE, column + 3 * SIZE, lane, lanes);
            }
            write_strip(mine, place, start, row + 3 * SIZE, column, lane, lanes);
        }
    }
}
