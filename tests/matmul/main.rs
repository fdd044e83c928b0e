//! The matrix-multiplication kernels against a plain product in double precision, on whatever device is there.

mod candidates;
mod cooperative;
mod reference;
mod run;
mod vocabulary;

use leyden::graph::DType;
use leyden::math::Activation;
use leyden::op::{DeviceTraits, Dropout, Epilogue};
use leyden::ops::kernels::Matmul;
use reference::{C, SECOND, buffers, operands, source, wrong};
use run::device;

const GPU: DeviceTraits = DeviceTraits::FLOOR;
const SOFTWARE: DeviceTraits = DeviceTraits { software: true, ..GPU };

/// Runs every case with the base kernels of both sorts of devices and reports all that is wrong.
fn check(cases: &[(Matmul, bool)]) {
    let mut gpu = device();
    let mut all = Vec::new();
    for (seed, (matmul, has_bias)) in cases.iter().enumerate() {
        for traits in [GPU, SOFTWARE] {
            all.extend(wrong(&mut gpu, (matmul, *has_bias), &traits, seed as u64, source));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// A case of these sizes with offsets that a window may have.
fn case(m: usize, n: usize, k: usize) -> Matmul {
    Matmul { m, n, k, ..Matmul::default() }
}

#[test]
fn forward_with_bias() {
    let linear = |m, n, k| (Matmul { transpose_b: true, ..case(m, n, k) }, true);
    let window = Matmul { b_offset: 128, bias_offset: 64, ..linear(19, 36, 20).0 };
    check(&[
        linear(1, 1, 1),
        linear(152, 64, 24),
        linear(67, 131, 52),
        linear(33, 1, 256),
        linear(17, 29, 37),
        (window, true),
        (Matmul { a_offset: 64, c_offset: 192, n: 35, ..window }, true),
    ]);
}

#[test]
fn forward_with_activations() {
    for epilogue in Activation::ALL.map(Epilogue::Activation) {
        let linear = |m, n, k| (Matmul { transpose_b: true, epilogue, ..case(m, n, k) }, true);
        check(&[linear(70, 68, 20), linear(5, 7, 11), linear(130, 24, 36)]);
    }
}

#[test]
fn input_gradient() {
    let plain = |m, n, k| (case(m, n, k), false);
    let adds = |m, n, k| (Matmul { accumulate: true, ..case(m, n, k) }, false);
    let window = Matmul { b_offset: 64, c_offset: 128, accumulate: true, ..case(21, 24, 44) };
    check(&[plain(66, 36, 20), plain(31, 7, 1), plain(13, 52, 530), adds(66, 36, 20), adds(9, 5, 3), (window, false)]);
}

#[test]
fn forward_with_dropout_and_residual() {
    let linear = |m, n, k| Matmul { transpose_b: true, epilogue: Epilogue::Residual, ..case(m, n, k) };
    let dropout = Some(Dropout { probability: 0.3, stream: 5 });
    let window = Matmul { b_offset: 128, c_offset: 192, bias_offset: 64, dropout, ..linear(19, 36, 20) };
    check(&[
        (linear(70, 68, 20), true),
        (linear(5, 7, 11), true),
        (Matmul { dropout, ..linear(66, 20, 12) }, true),
        (Matmul { dropout, ..linear(13, 9, 300) }, true),
        (Matmul { dropout, ..linear(33, 12, 530) }, false),
        (window, true),
    ]);
}

#[test]
fn input_gradient_through_activations_and_dropout() {
    let dropout = Some(Dropout { probability: 0.2, stream: 6 });
    let dropped = |m, n, k| (Matmul { epilogue: Epilogue::Dropout, dropout, ..case(m, n, k) }, false);
    for epilogue in Activation::ALL.map(Epilogue::ActivationGradient) {
        let through = |m, n, k| (Matmul { epilogue, ..case(m, n, k) }, false);
        let window = Matmul { a_offset: 64, b_offset: 64, c_offset: 128, ..through(21, 24, 44).0 };
        check(&[through(66, 36, 20), through(31, 7, 1), through(130, 68, 12), through(13, 52, 530), (window, false)]);
    }
    check(&[dropped(66, 36, 20), dropped(31, 7, 1), dropped(13, 52, 530)]);
}

#[test]
fn weight_and_bias_gradient() {
    let gradient = |m, n, k| Matmul { transpose_a: true, epilogue: Epilogue::RowSums, ..case(m, n, k) };
    let window = Matmul { c_offset: 64, bias_offset: 64, ..gradient(20, 36, 700) };
    check(&[
        (gradient(64, 68, 40), false),
        (gradient(20, 132, 1_023), false),
        (gradient(1, 36, 515), false),
        (gradient(13, 7, 1), false),
        (window, false),
        (Matmul { accumulate: true, ..window }, false),
        (Matmul { accumulate: true, k: 33, ..window }, false),
    ]);
}

#[test]
fn without_row_sums_and_both_transposed() {
    let split = Matmul { transpose_a: true, ..case(20, 24, 900) };
    let both = Matmul { transpose_a: true, transpose_b: true, ..case(12, 20, 28) };
    check(&[(split, false), (both, false), (Matmul { m: 11, ..both }, false)]);
}

#[test]
fn halves_in_every_mixture_that_occurs() {
    use DType::{F16, F32};
    let mut cases = Vec::new();
    // Activations and weights may be halves, and what is made of them.
    for elements in [[F16, F16, F16, F16], [F32, F16, F16, F32], [F16, F32, F32, F16], [F16, F16, F32, F32]] {
        let linear = Matmul {
            transpose_b: true,
            elements,
            epilogue: Epilogue::Activation(Activation::Gelu),
            ..case(19, 36, 20)
        };
        cases.push((linear, true));
        let window = Matmul { elements, accumulate: true, b_offset: 128, c_offset: 64, ..case(13, 7, 9) };
        cases.push((window, false));
        let elements = [elements[0], elements[1], F32, F32];
        let gradient = Matmul { transpose_a: true, epilogue: Epilogue::RowSums, elements, ..case(20, 36, 530) };
        cases.push((gradient, false));
    }
    // A split sum of halves.
    cases.push((Matmul { elements: [F16; 4], accumulate: true, ..case(20, 36, 600) }, false));
    check(&cases);
}

#[test]
fn a_split_sum_has_the_same_bits_each_time() {
    let mut gpu = device();
    let matmul = Matmul { transpose_a: true, epilogue: Epilogue::RowSums, ..case(36, 20, 2_000) };
    for traits in [GPU, SOFTWARE] {
        let before = buffers(&matmul, false, &traits, 1);
        let dispatches = matmul.dispatches(&operands(&matmul, false), 0, &traits);
        assert_eq!(dispatches.len(), 2, "the case is meant to be split");
        let first = run::run(&mut gpu, &dispatches, &before, source);
        let second = run::run(&mut gpu, &dispatches, &before, source);
        assert_eq!(first[&C], second[&C]);
        assert_eq!(first[&SECOND], second[&SECOND]);
    }
}
