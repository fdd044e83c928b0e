// Matrix multiplication for drivers that run shaders on the CPU (lavapipe): a block of 16 x 16 an invocation.
//
// Such a driver turns eight invocations into the lanes of a vector register. Arithmetic is then cheap, but a load is a
// loop over the lanes, a hundred times the price of a multiply-add, and workgroup memory is no faster than any other.
// What counts is multiply-adds a load: a large block, whole vectors loaded, no barriers, long straight-line bodies.
//
// A block is a 4 x 4 grid of mat4x4f in named variables. Column i of such a matrix is row i of C, four of its columns:
// with A's rows as columns of `a` (over k) and B's rows as columns of `b` (over n), C's 4 x 4 piece is b * a.

// A's 4 x 4 piece: four rows from `row`, k to k + 3.
fn piece_a(row: u32, k: u32, k_end: u32) -> mat4x4f {
    if transpose_a {
        return transpose(mat4x4f(
            load_a(row, k, k_end),
            load_a(row, k + 1, k_end),
            load_a(row, k + 2, k_end),
            load_a(row, k + 3, k_end),
        ));
    }
    return mat4x4f(
        load_a(row, k, k_end),
        load_a(row + 1, k, k_end),
        load_a(row + 2, k, k_end),
        load_a(row + 3, k, k_end),
    );
}

// B's 4 x 4 piece: k to k + 3, four columns from `column`.
fn piece_b(k: u32, column: u32, k_end: u32) -> mat4x4f {
    if transpose_b {
        return transpose(mat4x4f(
            load_b(k, column, k_end),
            load_b(k, column + 1, k_end),
            load_b(k, column + 2, k_end),
            load_b(k, column + 3, k_end),
        ));
    }
    return mat4x4f(
        load_b(k, column, k_end),
        load_b(k + 1, column, k_end),
        load_b(k + 2, column, k_end),
        load_b(k + 3, column, k_end),
    );
}

fn write_piece(start: u32, row: u32, column: u32, value: mat4x4f) {
    write_c(start, row, column, value[0]);
    write_c(start, row + 1, column, value[1]);
    write_c(start, row + 2, column, value[2]);
    write_c(start, row + 3, column, value[3]);
}

fn bias_piece(column: u32) -> mat4x4f {
    if has_bias {
        let v = read_bias(column);
        return mat4x4f(v, v, v, v);
    }
    return mat4x4f();
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = (group.y * (8 / problem.lanes) + lane / problem.lanes) * 16;
    let column = (group.x * problem.lanes + lane % problem.lanes) * 16;
    let range = k_range(group.z);

    let bias0 = bias_piece(column + 0);
    let bias1 = bias_piece(column + 4);
    let bias2 = bias_piece(column + 8);
    let bias3 = bias_piece(column + 12);
    var c00 = bias0;
    var c01 = bias1;
    var c02 = bias2;
    var c03 = bias3;
    var c10 = bias0;
    var c11 = bias1;
    var c12 = bias2;
    var c13 = bias3;
    var c20 = bias0;
    var c21 = bias1;
    var c22 = bias2;
    var c23 = bias3;
    var c30 = bias0;
    var c31 = bias1;
    var c32 = bias2;
    var c33 = bias3;
    var sums0 = vec4f();
    var sums1 = vec4f();
    var sums2 = vec4f();
    var sums3 = vec4f();
    let ones = vec4f(1);
    for (var k = range.x; k < range.y; k += 4) {
        let b0 = piece_b(k, column + 0, range.y);
        let b1 = piece_b(k, column + 4, range.y);
        let b2 = piece_b(k, column + 8, range.y);
        let b3 = piece_b(k, column + 12, range.y);
        let a0 = piece_a(row + 0, k, range.y);
        c00 += b0 * a0;
        c01 += b1 * a0;
        c02 += b2 * a0;
        c03 += b3 * a0;
        let a1 = piece_a(row + 4, k, range.y);
        c10 += b0 * a1;
        c11 += b1 * a1;
        c12 += b2 * a1;
        c13 += b3 * a1;
        let a2 = piece_a(row + 8, k, range.y);
        c20 += b0 * a2;
        c21 += b1 * a2;
        c22 += b2 * a2;
        c23 += b3 * a2;
        let a3 = piece_a(row + 12, k, range.y);
        c30 += b0 * a3;
        c31 += b1 * a3;
        c32 += b2 * a3;
        c33 += b3 * a3;
        if row_sums {
            sums0 += ones * a0;
            sums1 += ones * a1;
            sums2 += ones * a2;
            sums3 += ones * a3;
        }
    }

    let start = problem.c_offset + group.z * problem.m * problem.n;
    // A row of pieces at a time, so that what write_c does to a result stands here for one row: drivers that compile for
    // the CPU take seconds for each of its copies.
    for (var r = 0u; r < 4; r++) {
        var p0 = c00;
        var p1 = c01;
        var p2 = c02;
        var p3 = c03;
        if r == 1 {
            p0 = c10;
            p1 = c11;
            p2 = c12;
            p3 = c13;
        } else if r == 2 {
            p0 = c20;
            p1 = c21;
            p2 = c22;
            p3 = c23;
        } else if r == 3 {
            p0 = c30;
            p1 = c31;
            p2 = c32;
            p3 = c33;
        }
        write_piece(start, row + 4 * r, column + 0, p0);
        write_piece(start, row + 4 * r, column + 4, p1);
        write_piece(start, row + 4 * r, column + 8, p2);
        write_piece(start, row + 4 * r, column + 12, p3);
    }
    if row_sums && column == 0 {
        let sums_start = problem.bias_offset + group.z * problem.m;
        write_sums(sums_start, row + 0, sums0);
        write_sums(sums_start, row + 4, sums1);
        write_sums(sums_start, row + 8, sums2);
        write_sums(sums_start, row + 12, sums3);
    }
}
