// Access to the matrices element by element: for any size and offset.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> second: array<f32>;
@group(0) @binding(6) var<storage, read> side: array<f32>;

// Elements `at` to `at + 3` of line `line` of a matrix [lines, stride], zero from `limit` on.
fn read_a(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    let start = offset + line * stride + at;
    let inside = (vec4u(at) + vec4u(0, 1, 2, 3) < vec4u(limit)) & vec4<bool>(line < lines);
    let i = select(vec4u(offset), vec4u(start) + vec4u(0, 1, 2, 3), inside);
    return select(vec4f(), vec4f(a[i.x], a[i.y], a[i.z], a[i.w]), inside);
}

fn read_b(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    let start = offset + line * stride + at;
    let inside = (vec4u(at) + vec4u(0, 1, 2, 3) < vec4u(limit)) & vec4<bool>(line < lines);
    let i = select(vec4u(offset), vec4u(start) + vec4u(0, 1, 2, 3), inside);
    return select(vec4f(), vec4f(b[i.x], b[i.y], b[i.z], b[i.w]), inside);
}

fn read_bias(column: u32) -> vec4f {
    let inside = vec4u(column) + vec4u(0, 1, 2, 3) < vec4u(problem.n);
    let i = problem.bias_offset + select(vec4u(), vec4u(column) + vec4u(0, 1, 2, 3), inside);
    return vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
}

// Writes (or adds) C[row, column to column + 3] where inside; `start` is where C or slice z of the partial sums begins.
fn write_c(start: u32, row: u32, column: u32, value: vec4f) {
    if row >= problem.m {
        return;
    }
    let i = row * problem.n + column;
    if column < problem.n {
        put(start, i, value.x);
    }
    if column + 1 < problem.n {
        put(start, i + 1, value.y);
    }
    if column + 2 < problem.n {
        put(start, i + 2, value.z);
    }
    if column + 3 < problem.n {
        put(start, i + 3, value.w);
    }
}

fn put(start: u32, i: u32, value: f32) {
    if accumulate {
        c[start + i] += value;
    } else {
        c[start + i] = finish(i, value);
    }
}

// What becomes of element `i` of C before it is written.
fn finish(i: u32, value: f32) -> f32 {
    var v = value;
    if gelu_gradient {
        v *= gelu_gradient4(vec4f(side[i])).x;
    }
    if has_dropout {
        v *= kept(i);
    }
    if residual {
        v += side[i];
    }
    return v;
}

// Writes gelu(C) to the second output; C must have been written by the same invocation.
fn write_gelu(start: u32, row: u32, column: u32) {
    for (var q = 0u; q < 4; q++) {
        if (row < problem.m) & (column + q < problem.n) {
            let i = row * problem.n + column + q;
            second[i] = gelu4(vec4f(c[start + i])).x;
        }
    }
}

// Writes (or adds) the sums of rows row to row + 3 where inside.
fn write_sums(start: u32, row: u32, value: vec4f) {
    for (var q = 0u; q < 4; q++) {
        if row + q < problem.m {
            let i = start + row + q;
            if accumulate {
                second[i] += value[q];
            } else {
                second[i] = value[q];
            }
        }
    }
}
