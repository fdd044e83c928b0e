// Access to the matrices in vectors of 4: stored lines (k or m of A, n or k of B, n of C) are multiples of 4.
// `&` instead of `&&` where both sides are cheap: it makes no branch.

@group(0) @binding(1) var<storage, read> a: array<ElementA4>;
@group(0) @binding(2) var<storage, read> b: array<ElementB4>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<ElementC4>;
@group(0) @binding(5) var<storage, read_write> second: array<Second4>;
@group(0) @binding(6) var<storage, read> side: array<Side4>;

// Elements `at` to `at + 3` of line `line` of a matrix [lines, stride], zero from `limit` on.
fn fetch_a(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> ElementA4 {
    if exact {
        return a[(offset + line * stride + at) / 4];
    }
    let inside = (at < limit) & (line < lines);
    return select(ElementA4(), a[(offset + select(0u, line * stride + at, inside)) / 4], inside);
}

fn fetch_b(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> ElementB4 {
    if exact {
        return b[(offset + line * stride + at) / 4];
    }
    let inside = (at < limit) & (line < lines);
    return select(ElementB4(), b[(offset + select(0u, line * stride + at, inside)) / 4], inside);
}

fn read_a(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    return vec4f(fetch_a(offset, line, at, stride, lines, limit));
}

fn read_b(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    return vec4f(fetch_b(offset, line, at, stride, lines, limit));
}

fn read_bias(column: u32) -> vec4f {
    return bias[(problem.bias_offset + select(0u, column, column < problem.n)) / 4];
}

// Writes (or adds) C[row, column to column + 3] where inside, and its activation to the second output; `start` is where C or
// slice z of the partial sums begins.
fn write_c(start: u32, row: u32, column: u32, value: vec4f) {
    if (row < problem.m) & (column < problem.n) {
        let i = row * problem.n + column;
        let to = (start + i) / 4;
        if accumulate {
            c[to] = ElementC4(vec4f(c[to]) + value);
        } else {
            c[to] = ElementC4(finish(i, value));
        }
        if activation_output {
            second[i / 4] = Second4(activation4(value));
        }
    }
}

// What becomes of elements `i` to `i + 3` of C before they are written.
fn finish(i: u32, value: vec4f) -> vec4f {
    var v = value;
    if activation_gradient {
        v *= activation_gradient4(vec4f(side[i / 4]));
    }
    if has_dropout {
        v *= kept4(i);
    }
    if residual {
        v += vec4f(side[i / 4]);
    }
    return v;
}

// Writes (or adds) the sums of rows row to row + 3 where inside.
fn write_sums(start: u32, row: u32, value: vec4f) {
    if row < problem.m {
        let i = (start + row) / 4;
        if accumulate {
            second[i] = Second4(vec4f(second[i]) + value);
        } else {
            second[i] = Second4(value);
        }
    }
}
