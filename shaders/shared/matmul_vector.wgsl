// Access to the matrices in vectors of 4: stored lines (k or m of A, n or k of B, n of C) are multiples of 4.
// `&` instead of `&&` where both sides are cheap: it makes no branch.

@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second: array<vec4f>;
@group(0) @binding(6) var<storage, read> side: array<vec4f>;

// Elements `at` to `at + 3` of line `line` of a matrix [lines, stride], zero from `limit` on.
fn read_a(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    let inside = (at < limit) & (line < lines);
    return select(vec4f(), a[(offset + select(0u, line * stride + at, inside)) / 4], inside);
}

fn read_b(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    let inside = (at < limit) & (line < lines);
    return select(vec4f(), b[(offset + select(0u, line * stride + at, inside)) / 4], inside);
}

fn read_bias(column: u32) -> vec4f {
    return bias[(problem.bias_offset + select(0u, column, column < problem.n)) / 4];
}

// Writes (or adds) C[row, column to column + 3] where inside; `start` is where C or slice z of the partial sums begins.
fn write_c(start: u32, row: u32, column: u32, value: vec4f) {
    if (row < problem.m) & (column < problem.n) {
        let at = row * problem.n + column;
        let i = (start + at) / 4;
        if accumulate {
            c[i] += value;
        } else {
            c[i] = finish(at, value);
        }
    }
}

// What becomes of elements `at` to `at + 3` of C before they are written.
fn finish(at: u32, value: vec4f) -> vec4f {
    var v = value;
    if gelu_gradient {
        v *= gelu_gradient4(side[at / 4]);
    }
    if has_dropout {
        v *= kept4(at);
    }
    if residual {
        v += side[at / 4];
    }
    return v;
}

// Writes gelu(C) to the second output; C must have been written by the same invocation.
fn write_gelu(start: u32, row: u32, column: u32) {
    if (row < problem.m) & (column < problem.n) {
        let i = row * problem.n + column;
        second[i / 4] = gelu4(c[(start + i) / 4]);
    }
}

// Writes (or adds) the sums of rows row to row + 3 where inside.
fn write_sums(start: u32, row: u32, value: vec4f) {
    if row < problem.m {
        let i = (start + row) / 4;
        if accumulate {
            second[i] += value;
        } else {
            second[i] = value;
        }
    }
}
