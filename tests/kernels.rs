//! Every kernel against its CPU twin on odd shapes, and every gradient against finite differences: a row or more an op.

mod common;

use common::{Input, check, check_gradient};
use leyden::ops;
use leyden::tune;

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
        check("multiply_add", &[Input::real(shape)], |g, t| Ok(vec![tune::multiply_add(g, t[0], repeats)?]));
    }
}

/// What a kernel on trial gave, beside what the base kernel gave.
#[test]
fn agreement() {
    let spoiled = |len: usize, spoil: &dyn Fn(&mut [f32])| {
        let expected: Vec<f32> = (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let mut found = expected.clone();
        spoil(&mut found);
        [Input::values(&[len], &expected), Input::values(&[len], &found)]
    };
    let held = |name: &str, inputs: &[Input], compared: usize| {
        check(name, inputs, |g, t| {
            let (error, counts) = tune::agreement(g, t[0], t[1], compared)?;
            Ok(vec![error, counts])
        });
    };
    for len in [1, 64, 1_003, 1_024 * 1_024 + 77] {
        held("agreement of two that are random", &[Input::real(&[len]), Input::real(&[len])], len);
        held("agreement of equals", &spoiled(len, &|_| {}), len);
        held("agreement but for the last", &spoiled(len, &|found| found[len - 1] += 0.25), len);
        held("agreement with the guard changed", &spoiled(len, &|found| found[len - 1] = 9.0), len - 1);
        held("agreement with no number", &spoiled(len, &|found| found[len / 2] = f32::NAN), len);
        held("agreement with infinity", &spoiled(len, &|found| found[len / 2] = f32::INFINITY), len);
    }
    held("agreement with nothing but zeros", &[Input::values(&[3], &[0.0; 3]), Input::values(&[3], &[0.0; 3])], 3);
    held("agreement with zeros", &[Input::values(&[3], &[0.0; 3]), Input::values(&[3], &[0.0, 1e-9, 0.0])], 3);
    let zeros = [Input::values(&[3], &[0.0, -0.0, 0.0]), Input::values(&[3], &[-0.0, 0.0, 0.0])];
    held("agreement of zeros of both signs", &zeros, 3);
    let infinite = [Input::values(&[3], &[f32::INFINITY, 1.0, 2.0]), Input::values(&[3], &[f32::INFINITY, 1.5, 2.0])];
    held("agreement with what is infinite", &infinite, 3);
    // Next halves do not count.
    let half = [Input::half(&[2, 515]), Input::half(&[2, 515])];
    held("agreement of halves", &half, 1_000);
    held("agreement of whole numbers", &[Input::words(&[999], 50), Input::words(&[999], 50)], 990);
}
