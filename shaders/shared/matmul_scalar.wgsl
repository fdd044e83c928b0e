// Access to the matrices element by element: for any size and offset.

@group(0) @binding(1) var<storage, read> a: array<ElementA>;
@group(0) @binding(2) var<storage, read> b: array<ElementB>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<ElementC>;
@group(0) @binding(5) var<storage, read_write> second: array<Second>;
@group(0) @binding(6) var<storage, read> side: array<Side>;

// Elements `at` to `at + 3` of line `line` of a matrix [lines, stride], zero from `limit` on.
fn read_a(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    let start = offset + line * stride + at;
    let inside = (vec4u(at) + vec4u(0, 1, 2, 3) < vec4u(limit)) & vec4<bool>(line < lines);
    let i = select(vec4u(offset), vec4u(start) + vec4u(0, 1, 2, 3), inside);
    return select(vec4f(), vec4f(f32(a[i.x]), f32(a[i.y]), f32(a[i.z]), f32(a[i.w])), inside);
}

fn read_b(offset: u32, line: u32, at: u32, stride: u32, lines: u32, limit: u32) -> vec4f {
    let start = offset + line * stride + at;
    let inside = (vec4u(at) + vec4u(0, 1, 2, 3) < vec4u(limit)) & vec4<bool>(line < lines);
    let i = select(vec4u(offset), vec4u(start) + vec4u(0, 1, 2, 3), inside);
    return select(vec4f(), vec4f(f32(b[i.x]), f32(b[i.y]), f32(b[i.z]), f32(b[i.w])), inside);
}

fn read_bias(column: u32) -> vec4f {
    let inside = vec4u(column) + vec4u(0, 1, 2, 3) < vec4u(problem.n);
    let i = problem.bias_offset + select(vec4u(), vec4u(column) + vec4u(0, 1, 2, 3), inside);
    return vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
}

// Writes (or adds) C[row, column to column + 3] where inside, and its activation to the second output; `start` is where C or
// slice z of the partial sums begins.
fn write_c(start: u32, row: u32, column: u32, value: vec4f) {
    if (row >= problem.m) | (column >= problem.n) {
        return;
    }
    let i = row * problem.n + column;
    let v = finish(i, column, value);
    put(start, i, v.x);
    if column + 1 < problem.n {
        put(start, i + 1, v.y);
    }
    if column + 2 < problem.n {
        put(start, i + 2, v.z);
    }
    if column + 3 < problem.n {
        put(start, i + 3, v.w);
    }
}

fn put(start: u32, i: u32, value: f32) {
    if accumulate {
        c[start + i] = ElementC(f32(c[start + i]) + value);
    } else {
        c[start + i] = ElementC(value);
    }
    if activation_output {
        second[i] = Second(activation4(vec4f(value)).x);
    }
}

// What becomes of elements `i` to `i + 3` of C, those of a row from `column` on, before they are written.
fn finish(i: u32, column: u32, value: vec4f) -> vec4f {
    var v = value;
    var s = vec4f();
    if activation_gradient || residual {
        let inside = vec4u(column) + vec4u(0, 1, 2, 3) < vec4u(problem.n);
        let j = select(vec4u(i), vec4u(i) + vec4u(0, 1, 2, 3), inside);
        s = vec4f(f32(side[j.x]), f32(side[j.y]), f32(side[j.z]), f32(side[j.w]));
    }
    if activation_gradient {
        v *= activation_gradient4(s);
    }
    if has_dropout {
        v *= kept4_from(i);
    }
    if residual {
        v += s;
    }
    return v;
}

// Writes (or adds) the sums of rows row to row + 3 where inside.
fn write_sums(start: u32, row: u32, value: vec4f) {
    for (var q = 0u; q < 4; q++) {
        if row + q < problem.m {
            let i = start + row + q;
            if accumulate {
                second[i] = Second(f32(second[i]) + value[q]);
            } else {
                second[i] = Second(value[q]);
            }
        }
    }
}
