//! Kernels of two-stream attention against their CPU twins, and the gradients against finite differences.

mod common;

use common::{Conditions, Input, Tolerance, adapter, check, check_gradient, check_halves, check_under};
use leyden::graph::{Graph, GraphError, Tensor};
use leyden::op::DeviceTraits;
use leyden::ops;

#[test]
fn join_rows() {
    for (examples, m, n, columns) in [(1, 1, 1, 1), (3, 5, 2, 7), (4, 33, 0, 12), (2, 9, 70, 5)] {
        let inputs = [Input::parameter(&[examples * m, columns]), Input::parameter(&[examples * n, columns])];
        let join = |g: &mut Graph, t: &[Tensor]| Ok(vec![ops::join_rows(g, t[0], t[1], examples)?]);
        if n > 0 {
            check("join_rows", &inputs, join);
        }
    }
    let small = [Input::parameter(&[6, 4]), Input::parameter(&[2, 4])];
    check_gradient("join_rows", &small, |g, t| Ok(vec![ops::join_rows(g, t[0], t[1], 2)?]));
    let halves = [Input::half(&[10, 6]), Input::half(&[4, 6])];
    check_halves("join_rows", &halves, Tolerance::HALVES, &[1], |g, t| Ok(vec![ops::join_rows(g, t[0], t[1], 2)?]));
}

/// 1 for used slots, of which the examples have unlike numbers, the last none.
fn weights(examples: usize, slots: usize) -> Vec<f32> {
    let used = |i: usize| (i % slots < slots - i / slots % slots.max(2)) && i / slots + 1 < examples.max(2);
    (0..examples * slots).map(|i| f32::from(u8::from(used(i)))).collect()
}

#[test]
fn draw_order() {
    for (examples, slots) in [(1, 1), (3, 4), (40, 19), (2, 300)] {
        let inputs = [Input::values(&[examples, slots], &weights(examples, slots))];
        check("draw_order", &inputs, |g, t| Ok(vec![ops::draw_order(g, t[0])?, ops::draw_order(g, t[0])?]));
    }
}

/// Lengths, the last 0; ascending positions; and ranks.
fn streams(examples: usize, length: usize, slots: usize) -> [Input; 3] {
    let lengths: Vec<u32> =
        (0..examples).map(|b| if b + 1 == examples && b > 0 { 0 } else { (length - b % 3) as u32 }).collect();
    let positions: Vec<u32> = (0..examples * slots).map(|i| (i % slots * (length - 2) / slots) as u32).collect();
    let ranks: Vec<u32> = weights(examples, slots)
        .iter()
        .enumerate()
        .map(|(i, &w)| if w > 0.0 { (i * 7 % 5) as u32 + 1 } else { 0 })
        .collect();
    [
        Input::exactly(&[examples], &lengths),
        Input::exactly(&[examples, slots], &positions),
        Input::exactly(&[examples, slots], &ranks),
    ]
}

#[test]
fn two_streams() {
    for (examples, length, slots) in [(1, 3, 1), (3, 12, 4), (5, 65, 11), (2, 300, 40)] {
        check("two_streams", &streams(examples, length, slots), |g, t| {
            let out = ops::two_streams(g, t[0], t[1], t[2], length)?;
            Ok(vec![out.order, out.queries])
        });
    }
}

fn seen(
    length: usize,
    heads: usize,
    dropout: f32,
) -> impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    move |g, t| {
        let order = ops::two_streams(g, t[0], t[1], t[2], length)?.order;
        Ok(vec![ops::attention(g, t[3], order, heads, dropout)?])
    }
}

fn attended(examples: usize, length: usize, slots: usize, hidden: usize) -> Vec<Input> {
    let qkv = Input::parameter(&[examples * (length + slots), 3 * hidden]);
    streams(examples, length, slots).into_iter().chain([qkv]).collect()
}

#[test]
fn attention_in_an_order() {
    // Whatever kernels a device would have without an order.
    for traits in [false, true].map(|software| DeviceTraits { software, ..adapter().info().traits() }) {
        let conditions = Conditions { traits: Some(traits), ..Conditions::default() };
        for (examples, length, slots, hidden, heads) in
            [(1, 3, 1, 4, 1), (3, 12, 4, 10, 2), (3, 65, 11, 24, 3), (2, 40, 30, 64, 2), (2, 100, 15, 132, 2)]
        {
            for dropout in [0.0, 0.2] {
                let inputs = attended(examples, length, slots, hidden);
                let tolerance = Tolerance { absolute: 2e-5, relative: 1e-4 };
                check_under("attention", &inputs, tolerance, &[1, 2], conditions, seen(length, heads, dropout));
            }
        }
    }
    check_gradient("attention", &attended(2, 5, 2, 6), seen(5, 2, 0.0));
    check_gradient("attention", &attended(3, 6, 3, 4), seen(6, 1, 0.3));
}
