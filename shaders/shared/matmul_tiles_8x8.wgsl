// Matrix multiplication for GPUs: a block of 8 x 8 an invocation, in named variables. It is four rows from 4 * y on and four from half the tile on,
// four columns from 4 * x on and four from half the tile on, so that neighbours read and write neighbouring vectors.

@compute @workgroup_size(invocations)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let tile_row = group.y * tile_m;
    let tile_column = group.x * tile_n;
    let range = k_range(group.z);
    let place = seat(local, tile_n / 8);
    let x = place.x;
    let y = place.y;

    var c0l = vec4f();
    var c0h = vec4f();
    var c1l = vec4f();
    var c1h = vec4f();
    var c2l = vec4f();
    var c2h = vec4f();
    var c3l = vec4f();
    var c3h = vec4f();
    var c4l = vec4f();
    var c4h = vec4f();
    var c5l = vec4f();
    var c5h = vec4f();
    var c6l = vec4f();
    var c6h = vec4f();
    var c7l = vec4f();
    var c7h = vec4f();
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
        for (var i = 0u; i < tile_k; i += 2) {
            let at_a = i * stride_a + y;
            let at_b = i * stride_b + x;
            let l0 = vec4f(tile_a[at_a]);
            let h0 = vec4f(tile_a[at_a + tile_m / 8]);
            let b0l = vec4f(tile_b[at_b]);
            let b0h = vec4f(tile_b[at_b + tile_n / 8]);
            c0l = fma(vec4f(l0.x), b0l, c0l);
            c0h = fma(vec4f(l0.x), b0h, c0h);
            c1l = fma(vec4f(l0.y), b0l, c1l);
            c1h = fma(vec4f(l0.y), b0h, c1h);
            c2l = fma(vec4f(l0.z), b0l, c2l);
            c2h = fma(vec4f(l0.z), b0h, c2h);
            c3l = fma(vec4f(l0.w), b0l, c3l);
            c3h = fma(vec4f(l0.w), b0h, c3h);
            c4l = fma(vec4f(h0.x), b0l, c4l);
            c4h = fma(vec4f(h0.x), b0h, c4h);
            c5l = fma(vec4f(h0.y), b0l, c5l);
            c5h = fma(vec4f(h0.y), b0h, c5h);
            c6l = fma(vec4f(h0.z), b0l, c6l);
            c6h = fma(vec4f(h0.z), b0h, c6h);
            c7l = fma(vec4f(h0.w), b0l, c7l);
            c7h = fma(vec4f(h0.w), b0h, c7h);
            let l1 = vec4f(tile_a[at_a + stride_a]);
            let h1 = vec4f(tile_a[at_a + stride_a + tile_m / 8]);
            let b1l = vec4f(tile_b[at_b + stride_b]);
            let b1h = vec4f(tile_b[at_b + stride_b + tile_n / 8]);
            c0l = fma(vec4f(l1.x), b1l, c0l);
            c0h = fma(vec4f(l1.x), b1h, c0h);
            c1l = fma(vec4f(l1.y), b1l, c1l);
            c1h = fma(vec4f(l1.y), b1h, c1h);
            c2l = fma(vec4f(l1.z), b1l, c2l);
            c2h = fma(vec4f(l1.z), b1h, c2h);
            c3l = fma(vec4f(l1.w), b1l, c3l);
            c3h = fma(vec4f(l1.w), b1h, c3h);
            c4l = fma(vec4f(h1.x), b1l, c4l);
            c4h = fma(vec4f(h1.x), b1h, c4h);
            c5l = fma(vec4f(h1.y), b1l, c5l);
            c5h = fma(vec4f(h1.y), b1h, c5h);
            c6l = fma(vec4f(h1.z), b1l, c6l);
            c6h = fma(vec4f(h1.z), b1h, c6h);
            c7l = fma(vec4f(h1.w), b1l, c7l);
            c7h = fma(vec4f(h1.w), b1h, c7h);
            if row_sums {
                sums0 += l0 + l1;
                sums1 += h0 + h1;
            }
        }
    }

    let row = tile_row + 4 * y;
    let column = tile_column + 4 * x;
    let row_high = row + tile_m / 2;
    let column_high = column + tile_n / 2;
    let start = problem.c_offset + group.z * problem.m * problem.n;
    if has_bias {
        let bias = read_bias(column);
        c0l += bias;
        c1l += bias;
        c2l += bias;
        c3l += bias;
        c4l += bias;
        c5l += bias;
        c6l += bias;
        c7l += bias;
        let bias_high = read_bias(column_high);
        c0h += bias_high;
        c1h += bias_high;
        c2h += bias_high;
        c3h += bias_high;
        c4h += bias_high;
        c5h += bias_high;
        c6h += bias_high;
        c7h += bias_high;
    }
    write_c(start, row, column, c0l);
    write_c(start, row, column_high, c0h);
    write_c(start, row + 1, column, c1l);
    write_c(start, row + 1, column_high, c1h);
    write_c(start, row + 2, column, c2l);
    write_c(start, row + 2, column_high, c2h);
    write_c(start, row + 3, column, c3l);
    write_c(start, row + 3, column_high, c3h);
    write_c(start, row_high, column, c4l);
    write_c(start, row_high, column_high, c4h);
    write_c(start, row_high + 1, column, c5l);
    write_c(start, row_high + 1, column_high, c5h);
    write_c(start, row_high + 2, column, c6l);
    write_c(start, row_high + 2, column_high, c6h);
    write_c(start, row_high + 3, column, c7l);
    write_c(start, row_high + 3, column_high, c7h);
    if row_sums && group.x == 0 && x == 0 {
        let sums_start = problem.bias_offset + group.z * problem.m;
        write_sums(sums_start, row, sums0);
        write_sums(sums_start, row_high, sums1);
    }
}
