// Matrix multiplication for GPUs: a block of 8 x 4 an invocation, in named variables. It is four rows from 4 * y on and four from half the tile on,
// four columns from 4 * x on, so that neighbours read and write neighbouring vectors.

@compute @workgroup_size(invocations)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let tile_row = group.y * tile_m;
    let tile_column = group.x * tile_n;
    let range = k_range(group.z);
    let place = seat(local, tile_n / 4);
    let x = place.x;
    let y = place.y;

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
    var first = mat4x4f();
    var other = mat4x4f();
    if prefetch {
        first = bring(local, tile_row, tile_column, range.x, range.y);
        if pieces > invocations {
            other = bring(local + invocations, tile_row, tile_column, range.x, range.y);
        }
    }
    for (var k = range.x; k < range.y; k += tile_k) {
        if !prefetch {
            first = bring(local, tile_row, tile_column, k, range.y);
            if pieces > invocations {
                other = bring(local + invocations, tile_row, tile_column, k, range.y);
            }
        }
        workgroupBarrier();
        keep(local, first);
        if pieces > invocations {
            keep(local + invocations, other);
        }
        workgroupBarrier();
        let next = k + tile_k;
        if prefetch && next < range.y {
            first = bring(local, tile_row, tile_column, next, range.y);
            if pieces > invocations {
                other = bring(local + invocations, tile_row, tile_column, next, range.y);
            }
        }
        for (var i = 0u; i < tile_k; i += 4) {
            let at_a = i * stride_a + y;
            let at_b = i * stride_b + x;
            let l0 = vec4f(tile_a[at_a]);
            let h0 = vec4f(tile_a[at_a + tile_m / 8]);
            let b0 = vec4f(tile_b[at_b]);
            c0 = fma(vec4f(l0.x), b0, c0);
            c1 = fma(vec4f(l0.y), b0, c1);
            c2 = fma(vec4f(l0.z), b0, c2);
            c3 = fma(vec4f(l0.w), b0, c3);
            c4 = fma(vec4f(h0.x), b0, c4);
            c5 = fma(vec4f(h0.y), b0, c5);
            c6 = fma(vec4f(h0.z), b0, c6);
            c7 = fma(vec4f(h0.w), b0, c7);
            let l1 = vec4f(tile_a[at_a + stride_a]);
            let h1 = vec4f(tile_a[at_a + stride_a + tile_m / 8]);
            let b1 = vec4f(tile_b[at_b + stride_b]);
            c0 = fma(vec4f(l1.x), b1, c0);
            c1 = fma(vec4f(l1.y), b1, c1);
            c2 = fma(vec4f(l1.z), b1, c2);
            c3 = fma(vec4f(l1.w), b1, c3);
            c4 = fma(vec4f(h1.x), b1, c4);
            c5 = fma(vec4f(h1.y), b1, c5);
            c6 = fma(vec4f(h1.z), b1, c6);
            c7 = fma(vec4f(h1.w), b1, c7);
            let l2 = vec4f(tile_a[at_a + 2 * stride_a]);
            let h2 = vec4f(tile_a[at_a + 2 * stride_a + tile_m / 8]);
            let b2 = vec4f(tile_b[at_b + 2 * stride_b]);
            c0 = fma(vec4f(l2.x), b2, c0);
            c1 = fma(vec4f(l2.y), b2, c1);
            c2 = fma(vec4f(l2.z), b2, c2);
            c3 = fma(vec4f(l2.w), b2, c3);
            c4 = fma(vec4f(h2.x), b2, c4);
            c5 = fma(vec4f(h2.y), b2, c5);
            c6 = fma(vec4f(h2.z), b2, c6);
            c7 = fma(vec4f(h2.w), b2, c7);
            let l3 = vec4f(tile_a[at_a + 3 * stride_a]);
            let h3 = vec4f(tile_a[at_a + 3 * stride_a + tile_m / 8]);
            let b3 = vec4f(tile_b[at_b + 3 * stride_b]);
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

    let row = tile_row + 4 * y;
    let column = tile_column + 4 * x;
    let row_high = row + tile_m / 2;
    let start = problem.c_offset + group.z * problem.m * problem.n;
    if has_bias {
        let bias = read_bias(column);
        c0 += bias;
        c1 += bias;
        c2 += bias;
        c3 += bias;
        c4 += bias;
        c5 += bias;
        c6 += bias;
        c7 += bias;
    }
    write_c(start, row, column, c0);
    write_c(start, row + 1, column, c1);
    write_c(start, row + 2, column, c2);
    write_c(start, row + 3, column, c3);
    write_c(start, row_high, column, c4);
    write_c(start, row_high + 1, column, c5);
    write_c(start, row_high + 2, column, c6);
    write_c(start, row_high + 3, column, c7);
    if row_sums && group.x == 0 && x == 0 {
        let sums_start = problem.bias_offset + group.z * problem.m;
        write_sums(sums_start, row, sums0);
        write_sums(sums_start, row_high, sums1);
    }
}
