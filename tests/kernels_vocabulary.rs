//! The vocabulary head's kernels against their twins, and the gradient against finite differences.

mod common;

use common::{Conditions, Input, Seeded, Tolerance, adapter, check_gradient, check_under, pass};
use leyden::graph::{DType, Graph, GraphError, Tensor};
use leyden::op::{DeviceTraits, FamilyOf, KernelFamily};
use leyden::ops::{self, VocabularyOutput};

/// M, E, V.
struct Case(usize, usize, usize);

impl Case {
    fn inputs(&self) -> [Input; 4] {
        let Self(m, e, v) = *self;
        let [x, word, bias] = [&[m, e][..], &[v, e], &[v]].map(|shape| Input::parameter(shape).scaled(2.0));
        [x, word, bias, Input::words(&[1, m], v as u32)]
    }

    /// A word's gradients are sums over the rows, whose rounding grows with the root of their number.
    fn tolerance(&self) -> Tolerance {
        let usual = Tolerance::default();
        Tolerance { absolute: usual.absolute.max(2e-6 * (self.0 as f32).sqrt()), ..usual }
    }
}

fn head(g: &mut Graph, t: &[Tensor]) -> Result<VocabularyOutput, GraphError> {
    ops::vocabulary_nll(g, t[0], (t[1], t[2]), t[3])
}

fn all(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let out = head(g, t)?;
    Ok(vec![out.nll, out.lse, out.sampled, out.best])
}

/// Kernels for GPUs and those for software drivers, both on the tests' device.
fn kinds() -> [DeviceTraits; 2] {
    [false, true].map(|software| DeviceTraits { software, ..adapter().info().traits() })
}

/// Checks the head on these inputs with both kinds of kernels.
fn check(inputs: &[Input; 4], tolerance: Tolerance, seeds: &[u64]) {
    for traits in kinds() {
        let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
        check_under("vocabulary_nll", inputs, tolerance, seeds, conditions, all);
    }
}

#[test]
fn vocabulary_nll() {
    let cases = [
        Case(1, 1, 1),
        Case(3, 5, 2),
        Case(7, 12, 63),
        Case(19, 16, 64),
        Case(38, 20, 131),
        Case(5, 24, 3_001),
        Case(300, 8, 509),
        Case(4, 4, 65),
        Case(65, 129, 67),
        Case(130, 134, 194),
        Case(64, 271, 128),
    ];
    for (case, seed) in cases.iter().zip(1..) {
        check(&case.inputs(), case.tolerance(), &[seed]);
    }
}

#[test]
fn samples_by_temperature_and_without_the_target() {
    for (temperature, excludes_target) in [(0.5, false), (3.0, true), (1.0, true)] {
        let sampled = |g: &mut Graph, t: &[Tensor]| {
            let sampling = ops::Sampling { temperature, excludes_target };
            let out = ops::vocabulary_nll_sampled(g, t[0], (t[1], t[2]), t[3], sampling)?;
            Ok(vec![out.nll, out.lse, out.sampled, out.best])
        };
        for traits in kinds() {
            let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
            for case in [Case(3, 5, 2), Case(19, 16, 64), Case(38, 20, 131), Case(70, 24, 3_001), Case(130, 134, 194)] {
                check_under("vocabulary_nll", &case.inputs(), case.tolerance(), &[1, 2], conditions, sampled);
            }
        }
    }
}

#[test]
fn beside_a_sure_word_that_is_never_drawn_others_are() {
    // The target leads by so much that e^-lead is no number that is kept.
    let (m, v) = (67, 300);
    let bias: Vec<f32> = (0..v).map(|i| if i == 20 { 250.0 } else { (i % 7) as f32 / 4.0 }).collect();
    let targets = vec![20; m];
    let inputs = [
        Input::real(&[m, 4]).scaled(0.1),
        Input::parameter(&[v, 4]).scaled(0.1),
        Input::values(&[v], &bias),
        Input::exactly(&[1, m], &targets),
    ];
    for temperature in [0.05, 1.0] {
        let sampled = |g: &mut Graph, t: &[Tensor]| {
            let sampling = ops::Sampling { temperature, excludes_target: true };
            Ok(vec![ops::vocabulary_nll_sampled(g, t[0], (t[1], t[2]), t[3], sampling)?.sampled])
        };
        for traits in kinds() {
            let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
            check_under("vocabulary_nll", &inputs, Tolerance::default(), &[1, 2], conditions, sampled);
        }
    }
}

#[test]
fn without_a_sample_the_best_word_stands_for_it() {
    let without = |g: &mut Graph, t: &[Tensor]| {
        let (drawn, out) = (head(g, t)?, ops::vocabulary_nll_without_sample(g, t[0], (t[1], t[2]), t[3])?);
        Ok(vec![drawn.nll, out.nll, out.lse, out.sampled, out.best])
    };
    for traits in kinds() {
        let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
        for case in [Case(1, 1, 1), Case(19, 16, 64), Case(38, 20, 131), Case(5, 24, 3_001), Case(130, 134, 194)] {
            check_under("vocabulary_nll", &case.inputs(), case.tolerance(), &[1], conditions, without);
        }
    }
    // The gradient is the same.
    check_gradient("vocabulary_nll", &Case(7, 5, 23).inputs(), |g, t| {
        Ok(vec![ops::vocabulary_nll_without_sample(g, t[0], (t[1], t[2]), t[3])?.nll])
    });
}

#[test]
fn many_rows_and_words() {
    // So many that logits come in several chunks, and that a workgroup for GPUs goes over several tiles of words.
    for (traits, case) in kinds().into_iter().zip([Case(700, 3, 6_101), Case(32_768, 4, 522)]) {
        let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
        check_under("vocabulary_nll", &case.inputs(), case.tolerance(), &[1], conditions, all);
    }
}

#[test]
fn targets_at_the_end_of_the_vocabulary() {
    for (m, v) in [(5, 70), (66, 131)] {
        let [x, word, bias, _] = Case(m, 6, v).inputs();
        let targets: Vec<u32> = (0..m).map(|i| (v - 1 - i % 3) as u32).collect();
        check(&[x, word, bias, Input::exactly(&[1, m], &targets)], Tolerance::default(), &[2]);
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
    ];
    check(&inputs, Tolerance::default(), &[1]);
}

#[test]
fn large_logits() {
    let [x, word, bias, targets] = Case(11, 8, 300).inputs();
    let inputs = [x.scaled(20.0), word.scaled(20.0), bias, targets];
    check(&inputs, Tolerance { absolute: 5e-3, relative: 1e-3 }, &[1, 2]);
}

#[test]
fn a_word_that_is_ruled_out_is_never_drawn() {
    let (m, v) = (70, 150);
    let [x, word, _, _] = Case(m, 5, v).inputs();
    let bias: Vec<f32> = (0..v).map(|i| if i % 7 == 2 { 0.5 } else { f32::NEG_INFINITY }).collect();
    let targets: Vec<u32> = (0..m).map(|i| (i % 20 * 7 + 2) as u32).collect();
    let inputs = [x, word, Input::values(&[v], &bias), Input::exactly(&[1, m], &targets)];
    check(&inputs, Tolerance::default(), &[1, 2]);
}

#[test]
fn what_is_not_a_number_stays_that() {
    let (m, e, v) = (67, 3, 80);
    let [_, word, bias, targets] = Case(m, e, v).inputs();
    let mut random = Seeded::new(9);
    let mut x: Vec<f32> = (0..m * e).map(|_| random.real() as f32).collect();
    x[4 * e + 1] = f32::NAN;
    check(&[Input::values(&[m, e], &x), word, bias, targets], Tolerance::default(), &[1]);
}

/// The head on halves of x and of the words.
fn of_halves(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let x = pass(g, t[0])?;
    all(g, &[x, t[1], t[2], t[3]])
}

/// Checks the head in mixed precision: both are read as halves, in the forward and in the backward part.
fn check_mixed(case: &Case, seed: u64, traits: DeviceTraits) {
    let keep = |g: &Graph| {
        let mut g = g.clone();
        g.halve(&[]).expect("halved");
        for node in g.nodes().iter().filter(|node| node.op.name().starts_with("vocabulary")) {
            assert_eq!([0, 1].map(|i| g.ty(node.inputs[i]).dtype), [DType::F16; 2], "{}", node.op.name());
        }
        Vec::new()
    };
    let conditions = Conditions { traits: Some(traits), keep: Some(&keep) };
    let tolerance = Tolerance { absolute: 2e-3, relative: 2e-3 };
    check_under("vocabulary_nll", &case.inputs(), tolerance, &[seed], conditions, of_halves);
}

#[test]
fn vocabulary_nll_of_halves() {
    for traits in kinds() {
        for (case, seed) in [Case(7, 12, 63), Case(67, 20, 131), Case(70, 131, 198)].iter().zip(1..) {
            check_mixed(case, seed, traits);
        }
    }
}

#[test]
fn vocabulary_gradient() {
    for case in [Case(1, 2, 3), Case(5, 3, 70), Case(7, 2, 9)] {
        check_gradient("vocabulary_nll", &case.inputs(), |g, t| Ok(vec![head(g, t)?.nll]));
    }
}

/// Only a device with cooperative matrices has something to show here, a GPU or a lavapipe of Mesa 26: `LEYDEN_TEST_DEVICE`
/// names one. What can be checked without is in tests/matmul/vocabulary.rs.
#[test]
fn vocabulary_of_cooperative_matrices() {
    let traits = DeviceTraits { software: false, ..adapter().info().traits() };
    if KernelFamily::on_trial(FamilyOf::Vocabulary, &traits).is_empty() {
        return eprintln!("no cooperative matrices on the tests' device");
    }
    let named = DeviceTraits { vocabulary: Some(KernelFamily::Cooperative), ..traits };
    for (case, seed) in [Case(16, 16, 64), Case(70, 36, 150), Case(130, 136, 3_001)].iter().zip(1..) {
        check_mixed(case, seed, named);
    }
}
