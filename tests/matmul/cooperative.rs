//! The cooperative family, and the vocabulary's, on a device without cooperative matrices.
//!
//! What the shader does with matrices is replaced, word for word, by plain functions in which every invocation holds whole
//! matrices; all else (tiles, indices, blocks, turns, what is written and where) runs as it is.

use crate::candidates::forced;
use crate::reference::{source, wrong};
use crate::run::device;
use leyden::op::{DeviceTraits, Dispatch, MatmulFamily, MatmulKernel, MatmulShape};

/// What stands in for matrices of `size`, with elements of the tiles' arrays found by `element`.
fn plain(size: usize, element: &str) -> String {
    let mut text = format!("struct Matrix {{ e: array<f32, {}> }}\n", size * size);
    for tile in ["a", "b"] {
        text += &format!(
            "fn element_{tile}(i: u32) -> f32 {{ return f32({}); }}
            fn rows_{tile}(m: ptr<function, Matrix>, at: u32, stride: u32) {{
                for (var i = 0u; i < SIZE * SIZE; i++) {{
                    (*m).e[i] = element_{tile}((at + i / SIZE * stride) * 4 / UNIT + i % SIZE);
                }}
            }}
            fn columns_{tile}(m: ptr<function, Matrix>, at: u32, stride: u32) {{
                for (var i = 0u; i < SIZE * SIZE; i++) {{
                    (*m).e[i] = element_{tile}((at + i % SIZE * stride) * 4 / UNIT + i / SIZE);
                }}
            }}\n",
            element.replace("tile", &format!("tile_{tile}"))
        );
    }
    text + "fn multiply_add(a: ptr<function, Matrix>, b: ptr<function, Matrix>, c: ptr<function, Matrix>) {
        for (var i = 0u; i < SIZE * SIZE; i++) {
            var sum = (*c).e[i];
            for (var p = 0u; p < SIZE; p++) {
                sum += (*a).e[i / SIZE * SIZE + p] * (*b).e[p * SIZE + i % SIZE];
            }
            (*c).e[i] = sum;
        }
    }
    fn store_matrix(c: ptr<function, Matrix>, place: u32, stride: u32) {
        for (var i = 0u; i < SIZE * SIZE; i++) {
            result[place + i / SIZE * stride + i % SIZE] = (*c).e[i];
        }
    }\n"
}

/// The shader of a dispatch with plain functions in place of matrices, for subgroups of `lanes`.
pub fn emulated(dispatch: &Dispatch, lanes: u32) -> String {
    let mut text = source(dispatch);
    let size = match dispatch.shader.rsplit('_').next() {
        Some("8") => 8,
        Some("16") => 16,
        _ => return text,
    };
    let element = if size == 8 { "tile[i]" } else { "tile[i / 4][i % 4]" };
    let mut replace = |old: &str, new: &str, must: bool| {
        assert!(!must || text.contains(old), "{} has no {old:?}", dispatch.shader);
        text = text.replace(old, new);
    };
    replace("enable wgpu_cooperative_matrix;\n", "", true);
    for (matrix, scalar) in [("A", "f16"), ("B", "f16"), ("C", "f32")] {
        replace(&format!("alias Matrix{matrix} = coop_mat{size}x{size}<{scalar}, {matrix}>;\n"), "", true);
    }
    for zeros in ["result", "zeros"] {
        replace(&format!("let zero = coopLoadT<MatrixC>(&{zeros}[0], size);"), "", false);
    }
    replace("    @builtin(subgroup_id) subgroup: u32,\n", "", true);
    replace("    @builtin(num_subgroups) subgroups: u32,\n", "", true);
    replace("    @builtin(subgroup_invocation_id) lane: u32,\n", "", false);
    replace("    @builtin(subgroup_size) lanes: u32,\n", "", false);
    // Where a kernel's main begins.
    let invocations = if dispatch.shader.starts_with("matmul") { "invocations" } else { "INVOCATIONS" };
    let own = format!(
        "let lanes = {lanes}u; let subgroup = local / lanes; let subgroups = {invocations} / lanes; let lane = local % lanes;"
    );
    for first in ["let tile_row = group", "let first_row = group"] {
        replace(first, &format!("{own}\n    {first}"), false);
    }
    for i in 0..4 {
        for (tile, matrix) in [("a", "A"), ("b", "B")] {
            replace(&format!("var {tile}{i}: Matrix{matrix};"), &format!("var {tile}{i}: Matrix;"), true);
            for (load, plain) in [("coopLoad", "columns"), ("coopLoadT", "rows")] {
                let old = format!("{tile}{i} = {load}<Matrix{matrix}>(&tile_{tile}[at_{tile}{i}], wide_{tile});");
                replace(&old, &format!("{plain}_{tile}(&{tile}{i}, at_{tile}{i}, wide_{tile});"), false);
            }
        }
        for j in 0..4 {
            replace(&format!("var c{i}{j} = zero;"), &format!("var c{i}{j}: Matrix;"), true);
            let old = format!("c{i}{j} = coopMultiplyAdd(a{i}, b{j}, c{i}{j});");
            replace(&old, &format!("multiply_add(&a{i}, &b{j}, &c{i}{j});"), true);
            for to in [format!("place_{j}"), format!("to{i}{j}")] {
                let old = format!("coopStoreT(c{i}{j}, &result[{to}], width);");
                replace(&old, &format!("store_matrix(&c{i}{j}, {to}, width);"), false);
            }
        }
    }
    let rest = ["coopM", "coopL", "coopS", "coop_mat"].into_iter().find(|word| text.contains(word));
    assert!(rest.is_none(), "{} does more with matrices: {rest:?}", dispatch.shader);
    text + &plain(size, element)
}

/// Every layout and epilogue, and sizes that tiles do not divide.
const SHAPES: [&str; 6] = [
    "72x68x40 nt f16 f16 f16 f16 bias gelu",
    "68x36x75 tn f16 f16 f32 f32 row_sums",
    "72x68x40 nt f16 f16 f16 f16 bias relu",
    "68x36x40 nn f16 f16 f16 f16 gelu_new_gradient",
    "36x76x44 nn f16 f16 f16 f32 accumulate",
    "64x64x64 nt f16 f16 f16 f16 bias",
];

/// Runs `kernels` on `shapes` as a device with matrices of `size` and subgroups of `lanes` would.
fn check(size: u32, lanes: u32, kernels: &[&str], shapes: &[&str]) {
    let mut gpu = device();
    let traits = DeviceTraits {
        f16: true,
        workgroup_memory: gpu.workgroup_memory,
        cooperative: Some(size),
        wide_subgroups: true,
        ..DeviceTraits::FLOOR
    };
    let mut all = Vec::new();
    for text in kernels {
        let kernel: MatmulKernel = text.parse().expect("a kernel");
        assert_eq!(kernel.family, MatmulFamily::Cooperative);
        for text in shapes {
            let shape: MatmulShape = text.parse().expect("a shape");
            let matmul = shape.matmul();
            let whole = shape.has_bias || shape.epilogue.reads_second();
            let kernel = if whole { kernel } else { kernel.split(2) };
            let traits = forced(&matmul, shape.has_bias, kernel, &traits);
            assert_eq!(matmul.kernel(shape.has_bias, &traits), kernel, "{kernel} does not fit {shape}");
            let source = |dispatch: &Dispatch| emulated(dispatch, lanes);
            all.extend(wrong(&mut gpu, (&matmul, shape.has_bias), &traits, 1, source));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn matrices_of_8() {
    check(8, 32, &["cooperative 32x32x16 16x16 prefetch"], &SHAPES[..2]);
}

#[test]
fn more_matrices_of_8() {
    let kernels = ["cooperative 32x32x16 16x16 prefetch", "cooperative 32x64x8 32x16", "cooperative 16x16x32 8x8"];
    check(8, 32, &kernels, &SHAPES);
}

#[test]
fn matrices_of_16() {
    check(16, 32, &["cooperative 32x32x32 16x32 prefetch", "cooperative 64x32x16 32x16"], &SHAPES);
}

#[test]
fn larger_and_smaller_subgroups() {
    check(8, 64, &["cooperative 32x32x16 16x16"], &SHAPES);
    check(8, 8, &["cooperative 32x16x16 16x8 prefetch"], &SHAPES);
    for subgroup in [32, 64] {
        check(8, subgroup, &["cooperative 32x32x16 16x16 subgroup 64 prefetch"], &SHAPES[..2]);
    }
}

#[test]
fn strips_of_matrices() {
    check(8, 32, &["cooperative 32x64x16 16x32 prefetch strips"], &SHAPES[..2]);
    check(16, 64, &["cooperative 32x64x16 16x32 subgroup 64 prefetch strips"], &SHAPES[..2]);
}
