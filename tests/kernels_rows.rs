//! Kernels that work row by row against their CPU twins: layer norm, embeddings, gathering and replacing tokens.

mod common;

use common::{Input, Seeded, Tolerance, check, check_gradient, check_gradient_with, check_with};
use leyden::graph::{Graph, GraphError, Tensor};
use leyden::ops::{self, EPSILON, EmbeddingTables};

/// A parameter for x or the residual, gamma, beta, and an input for the other one.
fn layer_norm_inputs(rows: usize, columns: usize) -> [Input; 4] {
    [
        Input::parameter(&[rows, columns]),
        Input::parameter(&[columns]),
        Input::parameter(&[columns]),
        Input::real(&[rows, columns]),
    ]
}

/// x is the sum of an input and a parameter: layer norm would overwrite the parameter itself.
fn plain(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let x = ops::add(g, t[3], t[0])?;
    Ok(vec![ops::layer_norm(g, x, (t[1], t[2]), EPSILON)?])
}

fn to_x(g: &mut Graph, t: &[Tensor], probability: f32) -> Result<Vec<Tensor>, GraphError> {
    let x = ops::add(g, t[3], t[0])?;
    Ok(vec![ops::residual_layer_norm(g, x, t[3], (t[1], t[2]), EPSILON, probability)?])
}

fn to_residual(g: &mut Graph, t: &[Tensor], probability: f32) -> Result<Vec<Tensor>, GraphError> {
    Ok(vec![ops::residual_layer_norm(g, t[3], t[0], (t[1], t[2]), EPSILON, probability)?])
}

#[test]
fn layer_norm() {
    // The last ones take more than one round a block, and more than one workgroup's lanes.
    let shapes = [(1, 1), (7, 1), (1, 3), (5, 20), (33, 36), (3, 52), (17, 64), (70, 130), (9, 256), (2, 768)];
    for (rows, columns) in shapes.into_iter().chain([(600, 1_024), (3, 1_500), (2, 4_096)]) {
        let inputs = layer_norm_inputs(rows, columns);
        let tolerance = Tolerance { absolute: 5e-5, relative: 1e-4 };
        let seeds = &[1 + columns as u64];
        check_with("layer_norm", &inputs, tolerance, seeds, plain);
        for probability in [0.0, 0.4] {
            check_with("layer_norm, x", &inputs, tolerance, seeds, |g, t| to_x(g, t, probability));
        }
        for probability in [0.0, 0.4].into_iter().filter(|_| rows < 10) {
            check_with("layer_norm, residual", &inputs, tolerance, seeds, |g, t| to_residual(g, t, probability));
        }
    }
}

#[test]
fn layer_norm_of_a_row_of_equal_elements_is_beta() {
    let inputs = [Input::values(&[2, 8], &[0.5; 16]), Input::real(&[8]), Input::real(&[8])];
    check("layer_norm", &inputs, |g, t| Ok(vec![ops::layer_norm(g, t[0], (t[1], t[2]), EPSILON)?]));
}

#[test]
fn layer_norm_with_another_epsilon() {
    // Rows whose variance is about the epsilon's size: it decides what comes out.
    let inputs = [Input::parameter(&[9, 20]).scaled(0.1), Input::parameter(&[20]), Input::parameter(&[20])];
    for (seed, epsilon) in (1..).zip([1e-2, 1e-5, 1e-3]) {
        let inputs = [inputs.clone().to_vec(), vec![Input::real(&[9, 20]).scaled(0.1)]].concat();
        let plain = |g: &mut Graph, t: &[Tensor]| -> Result<Vec<Tensor>, GraphError> {
            let x = ops::add(g, t[3], t[0])?;
            Ok(vec![ops::layer_norm(g, x, (t[1], t[2]), epsilon)?])
        };
        let residual = |g: &mut Graph, t: &[Tensor]| -> Result<Vec<Tensor>, GraphError> {
            Ok(vec![ops::residual_layer_norm(g, t[3], t[0], (t[1], t[2]), epsilon, 0.3)?])
        };
        check_with("layer_norm", &inputs, Tolerance { absolute: 5e-5, relative: 1e-4 }, &[seed], plain);
        check_with("layer_norm, residual", &inputs, Tolerance { absolute: 5e-5, relative: 1e-4 }, &[seed], residual);
        check_gradient_with("layer_norm", &inputs, 1e-6, 1e-5, &[seed], plain);
        check_gradient_with("layer_norm, residual", &inputs, 1e-6, 1e-5, &[seed], residual);
    }
}

#[test]
fn layer_norm_gradient() {
    for (rows, columns) in [(1, 3), (3, 5), (67, 4), (2, 20)] {
        let inputs = layer_norm_inputs(rows, columns);
        check_gradient_with("layer_norm", &inputs, 1e-6, 1e-5, &[1, 2], plain);
        for probability in [0.0, 0.3] {
            check_gradient_with("layer_norm, x", &inputs, 1e-6, 1e-5, &[1, 2], |g, t| to_x(g, t, probability));
            check_gradient_with("layer_norm, residual", &inputs, 1e-6, 1e-5, &[1, 2], |g, t| {
                to_residual(g, t, probability)
            });
        }
    }
}

#[test]
fn layer_norm_refuses_rows_that_no_kernel_takes() {
    let error = std::panic::catch_unwind(|| {
        check("layer_norm", &layer_norm_inputs(1, 4_097), plain);
    });
    let message = error.expect_err("refused").downcast::<String>().expect("a message");
    assert!(message.contains("C at most 4,096"), "{message}");
}

fn embed(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let tables = EmbeddingTables { word: t[0], position: t[1], types: t[2] };
    Ok(vec![ops::embedding(g, tables, t[3], t[4])?])
}

/// Tables of `vocabulary`, `positions` and `types` rows of `columns`, and ids and types of `[examples, length]`.
fn embedding_inputs([vocabulary, positions, types, columns, examples, length]: [usize; 6]) -> [Input; 5] {
    [
        Input::parameter(&[vocabulary, columns]),
        Input::parameter(&[positions, columns]),
        Input::parameter(&[types, columns]),
        Input::words(&[examples, length], vocabulary as u32),
        Input::words(&[examples, length], types as u32),
    ]
}

#[test]
fn embedding() {
    for sizes in [[1, 1, 1, 1, 1, 1], [11, 5, 2, 3, 2, 5], [300, 9, 2, 20, 3, 7], [40, 16, 3, 130, 9, 13]] {
        check("embedding", &embedding_inputs(sizes), embed);
    }
}

#[test]
fn embedding_gradient() {
    for sizes in [[1, 1, 1, 1, 1, 1], [7, 5, 2, 3, 2, 4], [5, 3, 3, 2, 4, 3]] {
        check_gradient("embedding", &embedding_inputs(sizes), embed);
    }
}

#[test]
fn an_id_beyond_the_table_reads_the_last_row() {
    let mut inputs = embedding_inputs([3, 2, 2, 4, 1, 2]).to_vec();
    for input in &mut inputs[..3] {
        *input =
            Input::real(&[if matches!(input, Input::Parameter { shape, .. } if shape[0] == 3) { 3 } else { 2 }, 4]);
    }
    inputs[3] = Input::exactly(&[1, 2], &[7, u32::MAX]);
    inputs[4] = Input::exactly(&[1, 2], &[2, 9]);
    check("embedding", &inputs, embed);
}

/// Sums of thousands of elements in another order than the twin's.
const LONG_SUMS: Tolerance = Tolerance { absolute: 2e-4, relative: 1e-4 };

#[test]
fn word_gradient_of_many_tokens() {
    // (tokens, words, columns): one block and less, several blocks, more blocks than lanes, few and many words.
    let shapes = [(1, 1, 1), (63, 3, 5), (4_096, 700, 12), (4_097, 2, 20), (9_000, 5, 3), (8_300, 900, 64)];
    for (tokens, words, columns) in shapes.into_iter().chain([(129, 1, 260), (200, 3, 1_030)]) {
        let inputs = [Input::words(&[tokens, 1], words as u32), Input::real(&[tokens, columns])];
        check_with("word_gradient", &inputs, LONG_SUMS, &[1], |g, t| {
            Ok(vec![ops::word_gradient(g, t[0], t[1], words + 1)?])
        });
    }
}

#[test]
fn word_gradient_of_long_runs_and_unknown_ids() {
    // Half padding, runs that start and end inside of a piece of 64, and ids beyond the vocabulary.
    let tokens = 8_500;
    let mut random = Seeded::new(5);
    let ids: Vec<u32> = (0..tokens)
        .map(|i| match i % 4 {
            0 | 2 => 0,
            1 => 3 + random.below(2),
            _ => [10_000, u32::MAX, 90, 1 << 20][random.below(4) as usize],
        })
        .collect();
    let inputs = [Input::exactly(&[tokens], &ids), Input::real(&[tokens, 7])];
    check_with("word_gradient", &inputs, LONG_SUMS, &[1, 2], |g, t| Ok(vec![ops::word_gradient(g, t[0], t[1], 91)?]));
}

#[test]
fn position_gradient() {
    // (examples, length, positions, types, columns)
    let shapes = [(1, 1, 1, 1, 1), (3, 5, 5, 2, 7), (70, 3, 8, 2, 33), (9, 40, 64, 4, 130), (2, 300, 512, 2, 20)];
    for (examples, length, positions, types, columns) in shapes {
        let inputs = [Input::words(&[examples, length], types as u32 + 1), Input::real(&[examples * length, columns])];
        check_with("position_gradient", &inputs, LONG_SUMS, &[1, 2], |g, t| {
            let (by_position, by_type) = ops::position_gradient(g, t[0], t[1], positions, types)?;
            Ok(vec![by_position, by_type])
        });
    }
}

/// Where in its example each of `slots` of an example is, some more than once.
fn positions(examples: usize, length: usize, slots: usize) -> Vec<u32> {
    let mut random = Seeded::new(9);
    (0..examples * slots).map(|_| random.below(length as u32)).collect()
}

fn gather(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    Ok(vec![ops::gather_rows(g, t[0], t[1])?])
}

#[test]
fn gather_rows() {
    for (examples, length, slots, columns) in
        [(1, 1, 1, 1), (3, 5, 4, 3), (2, 20, 7, 20), (4, 9, 12, 130), (5, 3, 1, 66)]
    {
        let inputs = [
            Input::parameter(&[examples * length, columns]),
            Input::exactly(&[examples, slots], &positions(examples, length, slots)),
        ];
        check("gather_rows", &inputs, gather);
        if columns < 30 {
            check_gradient("gather_rows", &inputs, gather);
        }
        // A value a row.
        let inputs = [Input::parameter(&[examples * length]), inputs[1].clone()];
        check("gather_rows of values", &inputs, gather);
        check_gradient("gather_rows of values", &inputs, gather);
    }
}

#[test]
fn replace_tokens() {
    for (examples, length, slots) in [(1, 1, 1), (3, 5, 4), (70, 9, 3), (2, 300, 45)] {
        let mut random = Seeded::new(4);
        let weights: Vec<f32> = (0..examples * slots).map(|_| [0.0, 1.0, 1.0][random.below(3) as usize]).collect();
        let inputs = [
            Input::words(&[examples, length], 4),
            Input::words(&[examples * slots], 4),
            Input::exactly(&[examples, slots], &positions(examples, length, slots)),
            Input::values(&[examples, slots], &weights),
        ];
        check("replace_tokens", &inputs, |g, t| {
            let (corrupted, labels) = ops::replace_tokens(g, t[0], t[1], t[2], t[3])?;
            Ok(vec![corrupted, labels])
        });
    }
}
