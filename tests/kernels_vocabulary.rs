//! The vocabulary head's kernels against their twins, and the gradient against finite differences.

mod common;

use common::{Input, Seeded, Tolerance, check_gradient, check_with};
use leyden::graph::{Graph, GraphError, Tensor};
use leyden::ops::{self, VocabularyInput, VocabularyOutput};

/// M, E, V, and every how many slots one is unused (0: none).
struct Case(usize, usize, usize, usize);

impl Case {
    fn inputs(&self) -> [Input; 6] {
        let Self(m, e, v, unused) = *self;
        let weights: Vec<f32> = (0..m).map(|i| if unused > 0 && i % unused == 0 { 0.0 } else { 1.0 }).collect();
        let [x, word, bias] = [&[m, e][..], &[v, e], &[v]].map(|shape| Input::parameter(shape).scaled(2.0));
        // More than there are here: the rest is in other parts of the batch.
        let count = Input::values(&[1], &[weights.iter().sum::<f32>() + 3.0]);
        [x, word, bias, Input::words(&[1, m], v as u32), Input::values(&[1, m], &weights), count]
    }
}

fn head(g: &mut Graph, t: &[Tensor]) -> Result<VocabularyOutput, GraphError> {
    let input = VocabularyInput { x: t[0], word: t[1], bias: t[2], targets: t[3], weights: t[4], count: t[5] };
    ops::vocabulary_cross_entropy(g, input)
}

fn all(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let out = head(g, t)?;
    Ok(vec![out.loss, out.lse, out.sampled, out.best])
}

#[test]
fn vocabulary_cross_entropy() {
    let cases = [
        Case(1, 1, 1, 0),
        Case(3, 5, 2, 0),
        Case(7, 12, 63, 3),
        Case(19, 16, 64, 0),
        Case(38, 20, 131, 4),
        Case(5, 24, 3_001, 2),
        Case(300, 8, 509, 7),
        Case(4, 4, 65, 1),
    ];
    for (case, seed) in cases.iter().zip(1..) {
        check_with("vocabulary_cross_entropy", &case.inputs(), Tolerance::default(), &[seed], all);
    }
}

#[test]
fn many_rows_in_more_than_two_chunks() {
    let case = Case(32_768, 4, 522, 5);
    check_with("vocabulary_cross_entropy", &case.inputs(), Tolerance::default(), &[1], all);
}

#[test]
fn of_equal_logits_the_first_word_is_best() {
    let (m, v) = (9, 200);
    let mut random = Seeded::new(5);
    let word: Vec<f32> = (0..v).map(|_| random.below(3) as f32).collect();
    let inputs = [
        Input::values(&[m, 1], &vec![1.0; m]),
        Input::values(&[v, 1], &word),
        Input::values(&[v], &vec![0.0; v]),
        Input::words(&[1, m], v as u32),
        Input::values(&[1, m], &vec![1.0; m]),
        Input::values(&[1], &[m as f32]),
    ];
    check_with("vocabulary_cross_entropy", &inputs, Tolerance::default(), &[1], all);
}

#[test]
fn large_logits() {
    let [x, word, bias, targets, weights, count] = Case(11, 8, 300, 0).inputs();
    let inputs = [x.scaled(20.0), word.scaled(20.0), bias, targets, weights, count];
    check_with("vocabulary_cross_entropy", &inputs, Tolerance { absolute: 5e-3, relative: 1e-3 }, &[1, 2], all);
}

#[test]
fn vocabulary_gradient() {
    for case in [Case(1, 2, 3, 0), Case(5, 3, 70, 0), Case(7, 2, 9, 3)] {
        check_gradient("vocabulary_cross_entropy", &case.inputs(), |g, t| Ok(vec![head(g, t)?.loss]));
    }
}
