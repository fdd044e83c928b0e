//! The linear layer's kernels against their twins on odd shapes, and the gradients against finite differences.

mod common;

use common::{Input, Tolerance, check_gradient, check_halves, check_with};
use leyden::math::Activation;
use leyden::ops;

/// T, K, N.
const SHAPES: [[usize; 3]; 8] =
    [[1, 1, 1], [3, 5, 2], [17, 20, 36], [33, 64, 1], [40, 12, 52], [70, 24, 130], [300, 9, 7], [700, 16, 8]];

fn inputs([t, k, n]: [usize; 3]) -> [Input; 3] {
    [Input::parameter(&[t, k]), Input::parameter(&[n, k]), Input::parameter(&[n])]
}

#[test]
fn linear() {
    for (shape, seed) in SHAPES.into_iter().zip(1..) {
        check_with("linear", &inputs(shape), Tolerance::default(), &[seed], |g, t| {
            Ok(vec![ops::linear(g, t[0], t[1], t[2])?])
        });
    }
}

#[test]
fn linear_activation() {
    for activation in Activation::ALL {
        for (shape, seed) in SHAPES.into_iter().zip(1..) {
            check_with(activation.name(), &inputs(shape), Tolerance::default(), &[seed], |g, t| {
                Ok(vec![ops::linear_activation(g, t[0], t[1], t[2], activation)?])
            });
        }
    }
}

#[test]
fn linear_of_halves() {
    for (shape, seed) in [[17, 20, 36], [3, 5, 2], [300, 9, 7]].into_iter().zip(1..) {
        let [x, w, b] = inputs(shape);
        // With x in half precision, and with its gradient.
        for x in [Input::half(&shape[..2]), x] {
            let inputs = [x, w.clone(), b.clone()];
            check_halves("linear", &inputs, Tolerance::HALVES, &[seed], |g, t| {
                Ok(vec![ops::linear(g, t[0], t[1], t[2])?])
            });
            for activation in Activation::ALL {
                check_halves(activation.name(), &inputs, Tolerance::HALVES, &[seed], |g, t| {
                    Ok(vec![ops::linear_activation(g, t[0], t[1], t[2], activation)?])
                });
            }
        }
    }
}

#[test]
fn linear_gradient() {
    for shape in [[1, 1, 1], [3, 5, 2], [4, 3, 7]] {
        check_gradient("linear", &inputs(shape), |g, t| Ok(vec![ops::linear(g, t[0], t[1], t[2])?]));
        for activation in Activation::ALL {
            check_gradient(activation.name(), &inputs(shape), |g, t| {
                Ok(vec![ops::linear_activation(g, t[0], t[1], t[2], activation)?])
            });
        }
    }
}
