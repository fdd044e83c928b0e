//! Every kernel against its CPU twin on odd shapes, and every gradient against finite differences: a row or more an op.

mod common;

use common::{Input, check, check_gradient};
use leyden::ops;

#[test]
fn constant() {
    for shape in [&[1][..], &[3, 5], &[257], &[7, 0, 2]] {
        check("constant", &[], |g, _| Ok(vec![ops::constant(g, -2.5, shape)?]));
    }
}

#[test]
fn constant_in_two_dimensions_of_workgroups() {
    // More workgroups than one dimension holds.
    check("constant", &[], |g, _| Ok(vec![ops::constant(g, 0.75, &[256 * 65_535 + 1])?]));
}

#[test]
fn add() {
    for shape in [&[1][..], &[3, 5], &[257], &[2, 130, 3]] {
        check("add", &[Input::real(shape), Input::real(shape)], |g, t| Ok(vec![ops::add(g, t[0], t[1])?]));
        let parameters = [Input::parameter(shape), Input::real(shape)];
        check("add to a parameter", &parameters, |g, t| {
            let sum = ops::add(g, t[1], t[0])?;
            Ok(vec![ops::add(g, sum, t[1])?])
        });
        check_gradient("add", &parameters, |g, t| Ok(vec![ops::add(g, t[1], t[0])?]));
    }
}

#[test]
fn multiply_add() {
    for (shape, repeats) in [(&[32][..], 1), (&[3, 64], 0), (&[33, 32], 7), (&[1, 8_224], 100)] {
        check("multiply_add", &[Input::real(shape)], |g, t| Ok(vec![ops::multiply_add(g, t[0], repeats)?]));
    }
}
