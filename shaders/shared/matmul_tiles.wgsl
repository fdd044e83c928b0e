// Matrix multiplication for GPUs: a tile of 64 x 64 a workgroup of 128, a block of 8 x 4 an invocation.
//
// In steps of 16 along k, each invocation brings one 4 x 4 piece of A (the first 64) or of B (the others) into workgroup
// memory, transposed in registers where need be, so that both lie with k outermost: 16 vectors along m or n for each k.
// A stride of 17 vectors keeps those writes off each other's banks.

const STEP: u32 = 16;
const STRIDE: u32 = 17;
var<workgroup> tile_a: array<vec4f, 272>;
var<workgroup> tile_b: array<vec4f, 272>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let tile_row = group.y * 64;
    let tile_column = group.x * 64;
    let range = k_range(group.z);

    // The piece that this invocation brings: number `along` of 16 along m or n, `deep` of 4 along k. Neighbours read
    // neighbouring addresses: along k where the matrix is stored with k innermost.
    let brings_a = local < 64;
    let k_inner = select(transpose_b, !transpose_a, brings_a);
    let piece = local % 64;
    let along = select(piece % 16, piece / 4, k_inner);
    let deep = select(piece / 16, piece % 4, k_inner);
    let to = deep * 4 * STRIDE + along;

    // The block that it computes: eight rows from 8 * y, four columns from 4 * x.
    let x = local % 16;
    let y = local / 16;

    var c0 = vec4f();
    var c1 = vec4f();
    var c2 = vec4f();
    var c3 = vec4f();
    var c4 = vec4f();
    var c5 = vec4f();
    var c6 = vec4f();
    var c7 = vec4f();
    var sums0 = vec4f();
    var sums1 = vec4f();
    for (var k = range.x; k < range.y; k += STEP) {
        let first = k + deep * 4;
        var v: mat4x4f;
        if brings_a {
            let row = tile_row + along * 4;
            if transpose_a {
                v = mat4x4f(
                    load_a(row, first, range.y),
                    load_a(row, first + 1, range.y),
                    load_a(row, first + 2, range.y),
                    load_a(row, first + 3, range.y),
                );
            } else {
                v = transpose(mat4x4f(
                    load_a(row, first, range.y),
                    load_a(row + 1, first, range.y),
                    load_a(row + 2, first, range.y),
                    load_a(row + 3, first, range.y),
                ));
            }
        } else {
            let column = tile_column + along * 4;
            if transpose_b {
                v = transpose(mat4x4f(
                    load_b(first, column, range.y),
                    load_b(first, column + 1, range.y),
                    load_b(first, column + 2, range.y),
                    load_b(first, column + 3, range.y),
                ));
            } else {
                v = mat4x4f(
                    load_b(first, column, range.y),
                    load_b(first + 1, column, range.y),
                    load_b(first + 2, column, range.y),
                    load_b(first + 3, column, range.y),
                );
            }
        }
        workgroupBarrier();
        if brings_a {
            tile_a[to] = v[0];
            tile_a[to + STRIDE] = v[1];
            tile_a[to + 2 * STRIDE] = v[2];
            tile_a[to + 3 * STRIDE] = v[3];
        } else {
            tile_b[to] = v[0];
            tile_b[to + STRIDE] = v[1];
            tile_b[to + 2 * STRIDE] = v[2];
            tile_b[to + 3 * STRIDE] = v[3];
        }
        workgroupBarrier();
        for (var at = 0u; at < STEP * STRIDE; at += 4 * STRIDE) {
            let l0 = tile_a[at + 2 * y];
            let h0 = tile_a[at + 2 * y + 1];
            let b0 = tile_b[at + x];
            c0 = fma(vec4f(l0.x), b0, c0);
            c1 = fma(vec4f(l0.y), b0, c1);
            c2 = fma(vec4f(l0.z), b0, c2);
            c3 = fma(vec4f(l0.w), b0, c3);
            c4 = fma(vec4f(h0.x), b0, c4);
            c5 = fma(vec4f(h0.y), b0, c5);
            c6 = fma(vec4f(h0.z), b0, c6);
            c7 = fma(vec4f(h0.w), b0, c7);
            let l1 = tile_a[at + 2 * y + STRIDE];
            let h1 = tile_a[at + 2 * y + 1 + STRIDE];
            let b1 = tile_b[at + x + STRIDE];
            c0 = fma(vec4f(l1.x), b1, c0);
            c1 = fma(vec4f(l1.y), b1, c1);
            c2 = fma(vec4f(l1.z), b1, c2);
            c3 = fma(vec4f(l1.w), b1, c3);
            c4 = fma(vec4f(h1.x), b1, c4);
            c5 = fma(vec4f(h1.y), b1, c5);
            c6 = fma(vec4f(h1.z), b1, c6);
            c7 = fma(vec4f(h1.w), b1, c7);
            let l2 = tile_a[at + 2 * y + 2 * STRIDE];
            let h2 = tile_a[at + 2 * y + 1 + 2 * STRIDE];
            let b2 = tile_b[at + x + 2 * STRIDE];
            c0 = fma(vec4f(l2.x), b2, c0);
            c1 = fma(vec4f(l2.y), b2, c1);
            c2 = fma(vec4f(l2.z), b2, c2);
            c3 = fma(vec4f(l2.w), b2, c3);
            c4 = fma(vec4f(h2.x), b2, c4);
            c5 = fma(vec4f(h2.y), b2, c5);
            c6 = fma(vec4f(h2.z), b2, c6);
            c7 = fma(vec4f(h2.w), b2, c7);
            let l3 = tile_a[at + 2 * y + 3 * STRIDE];
            let h3 = tile_a[at + 2 * y + 1 + 3 * STRIDE];
            let b3 = tile_b[at + x + 3 * STRIDE];
            c0 = fma(vec4f(l3.x), b3, c0);
            c1 = fma(vec4f(l3.y), b3, c1);
            c2 = fma(vec4f(l3.z), b3, c2);
            c3 = fma(vec4f(l3.w), b3, c3);
            c4 = fma(vec4f(h3.x), b3, c4);
            c5 = fma(vec4f(h3.y), b3, c5);
            c6 = fma(vec4f(h3.z), b3, c6);
            c7 = fma(vec4f(h3.w), b3, c7);
            if row_sums {
                sums0 += l0 + l1 + l2 + l3;
                sums1 += h0 + h1 + h2 + h3;
            }
        }
    }

    let row = tile_row + 8 * y;
    let column = tile_column + 4 * x;
    let start = problem.c_offset + group.z * problem.m * problem.n;
    if has_bias {
        let v = read_bias(column);
        c0 += v;
        c1 += v;
        c2 += v;
        c3 += v;
        c4 += v;
        c5 += v;
        c6 += v;
        c7 += v;
    }
    write_c(start, row, column, c0);
    write_c(start, row + 1, column, c1);
    write_c(start, row + 2, column, c2);
    write_c(start, row + 3, column, c3);
    write_c(start, row + 4, column, c4);
    write_c(start, row + 5, column, c5);
    write_c(start, row + 6, column, c6);
    write_c(start, row + 7, column, c7);
    if gelu_output {
        for (var i = 0u; i < 8; i++) {
            write_gelu(start, row + i, column);
        }
    }
    if row_sums && group.x == 0 && x == 0 {
        let sums_start = problem.bias_offset + group.z * problem.m;
        write_sums(sums_start, row, sums0);
        write_sums(sums_start, row + 4, sums1);
    }
}
