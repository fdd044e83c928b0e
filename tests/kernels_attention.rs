//! Attention's kernels against their twins on odd shapes, and the gradient against finite differences.

mod common;

use common::{Input, Tolerance, check_gradient, check_with};
use leyden::graph::{Graph, GraphError, Tensor};
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
