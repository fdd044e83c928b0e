// One matrix multiplication, C[m, n] = op(A) op(B): sizes, switches and what is common to its kernels.
//
// Everything is row-major. A is stored [m, k], or [k, m] where `transpose_a`; B is stored [k, n], or [n, k] where
// `transpose_b`. Invocations with z > 0 exist where k is split: slice z covers k from z * slice on, and C and the
// second output then are partial sums [slices, ..] that `add_parts.wgsl` adds up.
//
// Bindings 1 to 6 (A, B, bias, C, second output, side input) are declared by `matmul_scalar.wgsl` or `matmul_vector.wgsl`,
// with element types ElementA, ElementB, ElementC, Second and Side. All arithmetic is in single precision, whatever they are.

override transpose_a: bool = false;
override transpose_b: bool = false;
// C += instead of C =; the same for the row sums.
override accumulate: bool = false;
// Adds bias[n] to every row.
override has_bias: bool = false;
// The second output is activation(C), [m, n].
override activation_output: bool = false;
// C is multiplied by activation'(side), side [m, n].
override activation_gradient: bool = false;
// C is put through dropout, as in `dropout.wgsl`.
override has_dropout: bool = false;
// The side input [m, n] is added to C.
override residual: bool = false;
// The second output is the sum over k of every row of op(A), [m].
override row_sums: bool = false;
// A workgroup's tiles never reach beyond the matrices, so that nothing needs to be checked where they are read.
override exact: bool = false;

struct Problem {
    m: u32,
    n: u32,
    k: u32,
    // k of one slice.
    slice: u32,
    // Offsets in elements. The second output starts at bias_offset where it holds row sums, else at 0.
    a_offset: u32,
    b_offset: u32,
    c_offset: u32,
    bias_offset: u32,
    // How many lanes of a workgroup lie side by side along n; the others lie along m (`matmul_blocks.wgsl`).
    lanes: u32,
    // Dropout's.
    threshold: u32, // probability * 2^32
    scale: f32,     // 1 / (1 - probability)
    stream: u32,
}

@group(0) @binding(0) var<uniform> problem: Problem;

// Slice z of k: from .x to .y.
fn k_range(z: u32) -> vec2u {
    let start = z * problem.slice;
    return vec2u(start, min(start + problem.slice, problem.k));
}

// Four consecutive elements of op(A)'s storage, zero outside: row, k to k + 3, or where transposed row to row + 3, k.
fn load_a(row: u32, k: u32, k_end: u32) -> vec4f {
    if transpose_a {
        return read_a(problem.a_offset, k, row, problem.m, k_end, problem.m);
    }
    return read_a(problem.a_offset, row, k, problem.k, problem.m, k_end);
}

// The same of op(B): k, column to column + 3, or where transposed k to k + 3, column.
fn load_b(k: u32, column: u32, k_end: u32) -> vec4f {
    if transpose_b {
        return read_b(problem.b_offset, column, k, problem.k, problem.n, k_end);
    }
    return read_b(problem.b_offset, k, column, problem.n, k_end, problem.n);
}

// Dropout's factors of the four elements of C from `i` on; `i` and n are multiples of 4.
fn kept4(i: u32) -> vec4f {
    let bits = draw4(problem.stream, (step.part * problem.m * problem.n + i) / 4);
    return select(vec4f(), vec4f(problem.scale), bits >= vec4u(problem.threshold));
}

// The same wherever they begin.
fn kept4_from(i: u32) -> vec4f {
    let bits = draw4_from(problem.stream, step.part * problem.m * problem.n + i);
    return select(vec4f(), vec4f(problem.scale), bits >= vec4u(problem.threshold));
}
