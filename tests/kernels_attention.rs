//! Attention's kernels against their twins on odd shapes, and the gradient against finite differences.

mod common;

use common::{Conditions, Input, Tolerance, check_gradient, check_under, check_with, gpu, pass};
use leyden::graph::{DType, Graph, GraphError, Tensor};
use leyden::op::{DeviceTraits, FamilyOf, KernelFamily};
use leyden::ops;

/// Length, heads, width of a head and the examples' lengths.
struct Case(usize, usize, usize, &'static [u32]);

impl Case {
    fn inputs(&self) -> [Input; 2] {
        let Self(length, heads, width, lengths) = *self;
        let qkv = Input::parameter(&[lengths.len() * length, 3 * heads * width]).scaled(2.0);
        [qkv, Input::exactly(&[lengths.len()], lengths)]
    }

    fn build(&self, dropout: f32) -> impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
        let heads = self.1;
        move |g, t| Ok(vec![ops::attention(g, t[0], t[1], heads, dropout)?])
    }
}

#[test]
fn attention() {
    let cases = [
        Case(1, 1, 1, &[1]),
        Case(1, 2, 3, &[0, 1, 1]),
        Case(7, 3, 5, &[7, 0, 4]),
        Case(9, 1, 12, &[3]),
        Case(32, 2, 20, &[32, 31]),
        Case(33, 2, 4, &[33, 1]),
        Case(70, 1, 36, &[65, 0, 64]),
        Case(45, 2, 64, &[45, 33]),
        Case(37, 1, 70, &[37]),
        Case(34, 1, 129, &[33]),
    ];
    for (case, seed) in cases.iter().zip(1..) {
        for dropout in [0.0, 0.3] {
            check_with("attention", &case.inputs(), Tolerance::default(), &[seed], case.build(dropout));
        }
    }
}

#[test]
fn attention_of_512_tokens() {
    let case = Case(512, 1, 16, &[509]);
    check_with("attention", &case.inputs(), Tolerance::default(), &[1], case.build(0.1));
}

#[test]
fn attention_of_large_scores() {
    let case = Case(40, 1, 8, &[35]);
    let [qkv, lengths] = case.inputs();
    // Scores of a few thousand are known to about 1e-4 only, and so are the probabilities.
    let tolerance = Tolerance { absolute: 5e-3, relative: 1e-3 };
    check_with("attention", &[qkv.scaled(30.0), lengths], tolerance, &[1, 2], case.build(0.1));
}

#[test]
fn attention_gradient() {
    for (case, dropout) in [(Case(3, 2, 2, &[3, 0, 2]), 0.0), (Case(5, 1, 3, &[4]), 0.25), (Case(1, 1, 1, &[1]), 0.0)] {
        check_gradient("attention", &case.inputs(), case.build(dropout));
    }
}

/// Attention between ops that take and give halves, so that all its tensors may be halves.
fn build_between(case: &Case, dropout: f32) -> impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let build = case.build(dropout);
    move |g, t| {
        let qkv = pass(g, t[0])?;
        let out = build(g, &[qkv, t[1]])?[0];
        Ok(vec![pass(g, out)?])
    }
}

/// qkv, the output, its gradient and qkv's gradient, as far as the graph has them.
fn tensors(g: &Graph) -> Vec<Tensor> {
    let mut found = Vec::new();
    for node in g.nodes() {
        match node.op.name() {
            "attention" => found.extend([node.inputs[0], node.outputs[0]]),
            "attention_backward" => found.extend([node.inputs[4], node.outputs[0]]),
            _ => {}
        }
    }
    found
}

/// Those of [`tensors`] that stay in single precision: whose bit is not set.
fn kept(g: &Graph, mixture: u64) -> Vec<Tensor> {
    tensors(g).into_iter().enumerate().filter(|(i, _)| mixture >> i & 1 == 0).map(|(_, t)| t).collect()
}

/// In half precision both sides round what they wrote, now and then apart.
const HALF: Tolerance = Tolerance { absolute: 2e-3, relative: 2e-3 };

#[test]
fn attention_of_halves() {
    let cases = [Case(7, 3, 5, &[7, 0, 4]), Case(33, 2, 4, &[33, 1]), Case(41, 1, 64, &[40])];
    for case in cases {
        let conditions = Conditions { keep: Some(&|_| Vec::new()), ..Conditions::default() };
        check_under("attention", &case.inputs(), HALF, &[1, 2], conditions, build_between(&case, 0.3));
    }
}

#[test]
fn attention_of_mixed_precisions() {
    let case = Case(9, 2, 6, &[9, 5]);
    for mixture in [0b0001, 0b0110, 0b1010, 0b1101] {
        let keep = |g: &Graph| kept(g, mixture);
        let conditions = Conditions { keep: Some(&keep), ..Conditions::default() };
        check_under("attention", &case.inputs(), HALF, &[mixture], conditions, build_between(&case, 0.2));
    }
}

#[test]
fn all_of_attention_becomes_halves() {
    let case = Case(3, 1, 2, &[3]);
    let keep = |g: &Graph| {
        let mut g = g.clone();
        g.halve(&[]).expect("halved");
        let found: Vec<DType> = tensors(&g).into_iter().map(|t| g.ty(t).dtype).collect();
        assert!(found.iter().all(|&dtype| dtype == DType::F16), "{found:?}");
        Vec::new()
    };
    let conditions = Conditions { keep: Some(&keep), ..Conditions::default() };
    check_under("attention", &case.inputs(), HALF, &[1], conditions, build_between(&case, 0.0));
}

/// A device for which attention runs in tiles.
const TILES: DeviceTraits = DeviceTraits { attention: Some(KernelFamily::Tiles), ..DeviceTraits::FLOOR };

#[test]
fn attention_in_tiles() {
    let conditions = Conditions { traits: Some(TILES), ..Conditions::default() };
    let cases = [
        Case(1, 1, 4, &[1, 0]),
        Case(33, 2, 12, &[33, 1]),
        Case(64, 1, 64, &[64]),
        Case(70, 3, 36, &[65, 0, 64]),
        Case(97, 2, 60, &[97, 33]),
        Case(130, 1, 8, &[129]),
        Case(200, 1, 64, &[70]),
    ];
    for (case, seed) in cases.iter().zip(1..) {
        for dropout in [0.0, 0.3] {
            let build = case.build(dropout);
            check_under("attention", &case.inputs(), Tolerance::default(), &[seed], conditions, build);
        }
    }
}

#[test]
fn attention_in_tiles_of_halves() {
    let case = Case(67, 2, 20, &[67, 30]);
    for mixture in [0b1001, 0b0110, 0b1111] {
        let keep = |g: &Graph| kept(g, mixture);
        let conditions = Conditions { traits: Some(TILES), keep: Some(&keep) };
        check_under("attention", &case.inputs(), HALF, &[mixture], conditions, build_between(&case, 0.2));
    }
}

#[test]
fn attention_in_tiles_of_large_scores() {
    let case = Case(80, 1, 8, &[75]);
    let [qkv, lengths] = case.inputs();
    let tolerance = Tolerance { absolute: 5e-3, relative: 1e-3 };
    let conditions = Conditions { traits: Some(TILES), ..Conditions::default() };
    check_under("attention", &[qkv.scaled(30.0), lengths], tolerance, &[1, 2], conditions, case.build(0.1));
}

/// Only a device with cooperative matrices has something to show here, a GPU or a lavapipe of Mesa 26: `LEYDEN_TEST_DEVICE`
/// names one. What can be checked without is in tests/attention_cooperative.rs.
#[test]
fn attention_of_cooperative_matrices() {
    let traits = DeviceTraits { software: false, ..gpu(64).traits() };
    if KernelFamily::on_trial(FamilyOf::Attention, &traits).is_empty() {
        return eprintln!("no cooperative matrices on the tests' device");
    }
    let named = DeviceTraits { attention: Some(KernelFamily::Cooperative), ..traits };
    let conditions = Conditions { traits: Some(named), keep: Some(&|_| Vec::new()) };
    let cases = [
        Case(16, 1, 16, &[16, 3]),
        Case(64, 2, 64, &[64, 50]),
        Case(80, 1, 48, &[70, 0]),
        Case(128, 4, 64, &[128, 100]),
        Case(512, 1, 32, &[509]),
    ];
    for (case, dropout) in cases.iter().zip([0.0, 0.1, 0.0, 0.1, 0.1]) {
        check_under("attention", &case.inputs(), HALF, &[1, 2], conditions, build_between(case, dropout));
    }
}
