//! The vocabulary head's kernels against their twins, and the gradient against finite differences.

mod common;

use common::{Conditions, Input, Seeded, Tolerance, adapter, check_gradient, check_under, pass};
use leyden::graph::{DType, Graph, GraphError, Tensor};
use leyden::ops::{self, DeviceTraits, VocabularyInput, VocabularyOutput};

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

/// Kernels for GPUs and those for software drivers, both on the tests' device.
fn kinds() -> [DeviceTraits; 2] {
    [false, true].map(|software| DeviceTraits { software, ..adapter().info().traits() })
}

/// Checks the head on these inputs with both kinds of kernels.
fn check(inputs: &[Input; 6], tolerance: Tolerance, seeds: &[u64]) {
    for traits in kinds() {
        let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
        check_under("vocabulary_cross_entropy", inputs, tolerance, seeds, conditions, all);
    }
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
        Case(65, 129, 67, 5),
        Case(130, 134, 194, 3),
        Case(64, 271, 128, 0),
    ];
    for (case, seed) in cases.iter().zip(1..) {
        check(&case.inputs(), Tolerance::default(), &[seed]);
    }
}

#[test]
fn many_rows_and_words() {
    // So many that logits come in several chunks, and that a workgroup for GPUs goes over several tiles of words.
    for (traits, case) in kinds().into_iter().zip([Case(700, 3, 6_101, 5), Case(32_768, 4, 522, 5)]) {
        let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
        check_under("vocabulary_cross_entropy", &case.inputs(), Tolerance::default(), &[1], conditions, all);
    }
}

#[test]
fn targets_at_the_end_of_the_vocabulary() {
    for (m, v) in [(5, 70), (66, 131)] {
        let [x, word, bias, _, weights, count] = Case(m, 6, v, 0).inputs();
        let targets: Vec<u32> = (0..m).map(|i| (v - 1 - i % 3) as u32).collect();
        check(&[x, word, bias, Input::exactly(&[1, m], &targets), weights, count], Tolerance::default(), &[2]);
    }
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
    check(&inputs, Tolerance::default(), &[1]);
}

#[test]
fn large_logits() {
    let [x, word, bias, targets, weights, count] = Case(11, 8, 300, 0).inputs();
    let inputs = [x.scaled(20.0), word.scaled(20.0), bias, targets, weights, count];
    check(&inputs, Tolerance { absolute: 5e-3, relative: 1e-3 }, &[1, 2]);
}

#[test]
fn a_word_that_is_ruled_out_is_never_drawn() {
    let (m, v) = (70, 150);
    let [x, word, _, _, weights, count] = Case(m, 5, v, 0).inputs();
    let bias: Vec<f32> = (0..v).map(|i| if i % 7 == 2 { 0.5 } else { f32::NEG_INFINITY }).collect();
    let targets: Vec<u32> = (0..m).map(|i| (i % 20 * 7 + 2) as u32).collect();
    let inputs = [x, word, Input::values(&[v], &bias), Input::exactly(&[1, m], &targets), weights, count];
    check(&inputs, Tolerance::default(), &[1, 2]);
}

#[test]
fn what_is_not_a_number_stays_that() {
    let (m, e, v) = (67, 3, 80);
    let [_, word, bias, targets, weights, count] = Case(m, e, v, 0).inputs();
    let mut random = Seeded::new(9);
    let mut x: Vec<f32> = (0..m * e).map(|_| random.real() as f32).collect();
    x[4 * e + 1] = f32::NAN;
    check(&[Input::values(&[m, e], &x), word, bias, targets, weights, count], Tolerance::default(), &[1]);
}

/// The head on halves of x and of the words.
fn of_halves(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let x = pass(g, t[0])?;
    all(g, &[x, t[1], t[2], t[3], t[4], t[5]])
}

#[test]
fn vocabulary_cross_entropy_of_halves() {
    // Both are read as halves, in the forward and in the backward part.
    let keep = |g: &Graph| {
        let mut g = g.clone();
        g.halve(&[]).expect("halved");
        for node in g.nodes().iter().filter(|node| node.op.name().starts_with("vocabulary")) {
            assert_eq!([0, 1].map(|i| g.ty(node.inputs[i]).dtype), [DType::F16; 2], "{}", node.op.name());
        }
        Vec::new()
    };
    for traits in kinds() {
        let conditions = Conditions { traits: Some(traits), keep: Some(&keep) };
        for (case, seed) in [Case(7, 12, 63, 3), Case(67, 20, 131, 4), Case(70, 131, 198, 0)].iter().zip(1..) {
            let tolerance = Tolerance { absolute: 2e-3, relative: 2e-3 };
            check_under("vocabulary_cross_entropy", &case.inputs(), tolerance, &[seed], conditions, of_halves);
        }
    }
}

#[test]
fn vocabulary_gradient() {
    for case in [Case(1, 2, 3, 0), Case(5, 3, 70, 0), Case(7, 2, 9, 3)] {
        check_gradient("vocabulary_cross_entropy", &case.inputs(), |g, t| Ok(vec![head(g, t)?.loss]));
    }
}
