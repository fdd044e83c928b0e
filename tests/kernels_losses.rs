//! Element-wise kernels, losses and the optimizer against their CPU twins.

mod common;

use common::{Input, Tolerance, check, check_gradient, check_with};
use leyden::graph::{Bank, DType, Graph, GraphError, Tensor};
use leyden::math::Activation;
use leyden::ops::{self, AdamW};

#[test]
fn dropout() {
    for shape in [&[1][..], &[3, 5], &[257], &[2, 130, 3], &[1_026]] {
        for probability in [0.0, 0.1, 0.9] {
            let inputs = [Input::real(shape), Input::parameter(shape)];
            let build = |g: &mut Graph, t: &[Tensor]| {
                let x = ops::add(g, t[0], t[1])?;
                let first = ops::dropout(g, x, probability)?;
                // Another stream, another mask.
                let second = ops::dropout(g, first, probability / 2.0)?;
                Ok(vec![first, second])
            };
            check("dropout", &inputs, build);
            if shape.len() < 3 {
                let small = [Input::real(&[3, 5]), Input::parameter(&[3, 5])];
                check_gradient("dropout", &small, |g, t| {
                    let x = ops::add(g, t[0], t[1])?;
                    Ok(vec![x, ops::dropout(g, x, probability)?])
                });
            }
        }
    }
}

#[test]
fn activation_backward() {
    for activation in Activation::ALL {
        for shape in [&[1][..], &[3, 5], &[257], &[2, 130, 3]] {
            for scale in [1.0, 6.0, 1e4] {
                let inputs = [Input::real(shape).scaled(scale), Input::real(shape)];
                check(&format!("activation_backward, {}", activation.name()), &inputs, |g, t| {
                    Ok(vec![ops::activation_backward(g, t[0], t[1], activation)?])
                });
            }
        }
    }
}

#[test]
fn activation_gradient() {
    let inputs = [Input::real(&[3, 4]).scaled(2.0), Input::parameter(&[5, 4]), Input::parameter(&[5])];
    for activation in Activation::ALL {
        check_gradient(activation.name(), &inputs, |g, t| {
            Ok(vec![ops::linear_activation(g, t[0], t[1], t[2], activation)?])
        });
    }
}

fn nll(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    Ok(vec![ops::binary_nll(g, t[0], t[1])?])
}

#[test]
fn binary_nll() {
    for tokens in [1, 5, 130, 1_025] {
        // Beyond 88, exp() overflows in single precision.
        for scale in [1.0, 12.0, 300.0] {
            let inputs = [Input::parameter(&[tokens, 1]).scaled(scale), Input::words(&[tokens], 2)];
            check_with("binary_nll", &inputs, Tolerance { absolute: 1e-6, relative: 1e-5 }, &[1, 2], nll);
        }
    }
    check_gradient("binary_nll", &[Input::parameter(&[4, 5]).scaled(3.0), Input::words(&[20], 2)], nll);
}

#[test]
fn binary_nll_of_several_labels_a_row() {
    for (rows, labels) in [(1, 3), (7, 5), (33, 28)] {
        let inputs = [Input::parameter(&[rows, labels]).scaled(4.0), Input::words(&[rows, labels], 2)];
        check("binary_nll, several labels", &inputs, nll);
    }
    check_gradient("binary_nll", &[Input::parameter(&[3, 4]).scaled(2.0), Input::words(&[3, 4], 2)], nll);
}

fn copied(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    Ok(vec![ops::copy_nll(g, t[0], t[1], t[2])?])
}

/// Logits of "replaced", losses of the words, and which words were replaced.
fn copied_inputs(tokens: usize, scale: f64) -> [Input; 3] {
    [
        Input::parameter(&[tokens, 1]).scaled(scale),
        Input::parameter(&[tokens]).scaled(2.0 * scale),
        Input::words(&[tokens], 2),
    ]
}

#[test]
fn copy_nll() {
    for tokens in [1, 5, 130, 1_025] {
        // Beyond 88, exp() overflows in single precision.
        for scale in [1.0, 12.0, 300.0] {
            let tolerance = Tolerance { absolute: 2e-6 * scale as f32, relative: 1e-5 };
            check_with("copy_nll", &copied_inputs(tokens, scale), tolerance, &[1, 2], copied);
        }
    }
    check_gradient("copy_nll", &copied_inputs(20, 2.0), copied);
}

fn rewarded(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    Ok(vec![ops::reward_nll(g, t[0], t[1])?])
}

/// M numbers from 0 to `most`.
fn rewards(rows: usize, most: f32) -> Input {
    let values: Vec<f32> = (0..rows).map(|i| (i * 11 % 17) as f32 / 16.0 * most).collect();
    Input::values(&[rows], &values)
}

#[test]
fn reward_nll() {
    for rows in [1, 5, 130, 1_025] {
        for (scale, most) in [(1.0, 1.0), (12.0, 20.0), (300.0, 200.0)] {
            let inputs = [Input::parameter(&[rows, 1]).scaled(scale), rewards(rows, most)];
            check_with("reward_nll", &inputs, Tolerance { absolute: 1e-6, relative: 1e-5 }, &[1, 2], rewarded);
        }
    }
    check_gradient("reward_nll", &[Input::parameter(&[20, 1]).scaled(3.0), rewards(20, 4.0)], rewarded);
}

#[test]
fn advantage_weighs_and_has_no_gradient() {
    for rows in [1, 5, 130, 1_025] {
        let inputs = [rewards(rows, 9.0), Input::parameter(&[rows, 1]).scaled(40.0), Input::real(&[rows])];
        check("advantage", &inputs, |g, t| Ok(vec![ops::advantage(g, t[0], t[1], t[2])?]));
    }
    // Through the mean that it weighs, the values have a gradient, and the logits none.
    let values: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let inputs =
        [Input::parameter(&[6]), rewards(6, 2.0), Input::values(&[6, 1], &values), Input::values(&[1], &[6.0])];
    check_gradient("advantage", &inputs, |g, t| {
        let weights = ops::advantage(g, t[1], t[2], t[1])?;
        Ok(vec![ops::weighted_mean(g, t[0], weights, t[3])?])
    });
}

fn softmax(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let out = ops::softmax_nll(g, t[0], t[1])?;
    Ok(vec![out.nll, out.best])
}

#[test]
fn softmax_nll() {
    let shapes = [(1, 1), (3, 2), (257, 3), (70, 9), (5, 64), (33, 65), (2, 1_000), (3, 4_096)];
    for (rows, classes) in shapes {
        // Beyond 88, exp() overflows in single precision.
        for scale in [1.0, 12.0, 300.0] {
            let inputs = [Input::parameter(&[rows, classes]).scaled(scale), Input::words(&[rows], classes as u32)];
            check_with("softmax_nll", &inputs, Tolerance { absolute: 2e-6, relative: 1e-5 }, &[1, 2], softmax);
        }
    }
    for scale in [1.0, 6.0] {
        let inputs = [Input::parameter(&[5, 4]).scaled(scale), Input::words(&[5], 4)];
        check_gradient("softmax_nll", &inputs, softmax);
    }
}

#[test]
fn softmax_nll_of_sure_logits_keeps_its_accuracy() {
    // The target is far above the others: log(1 + 2 exp(-13)), about 5e-6, of logits of about 500.
    let logits: Vec<f32> = (0..90).map(|i| if i % 3 == 1 { 513.0 } else { 500.0 + (i % 5) as f32 / 8.0 }).collect();
    let inputs = [Input::values(&[30, 3], &logits), Input::exactly(&[30], &[1; 30])];
    check_with("softmax_nll", &inputs, Tolerance { absolute: 1.5e-7, relative: 0.0 }, &[1], softmax);
}

#[test]
fn softmax_nll_of_equals_of_no_numbers_and_of_targets_that_are_no_class() {
    let equal = [Input::values(&[2, 70], &[1.5; 140]), Input::exactly(&[2], &[3, 69])];
    check("softmax_nll", &equal, softmax);
    let none = f32::NAN;
    let logits = [1.0, none, 2.0, none, none, none, f32::INFINITY, 0.0, 1.0, 0.0, 5.0, 1.0];
    let odd = [Input::values(&[4, 3], &logits), Input::exactly(&[4], &[0, 1, 2, 7])];
    check("softmax_nll", &odd, softmax);
}

fn span(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let out = ops::span_nll(g, t[0], t[1], t[2])?;
    Ok(vec![out.nll, out.best])
}

/// Logits of `examples` of `length` tokens each, which end early by turns; the last has no token.
fn span_inputs(examples: usize, length: usize, questions: usize, scale: f64) -> [Input; 3] {
    let lengths: Vec<u32> = (0..examples).map(|b| (length - b * 5 % length) as u32).collect();
    let lengths = if examples > 2 { [&lengths[1..], &[0]].concat() } else { lengths };
    [
        Input::parameter(&[examples * length, questions]).scaled(scale),
        // Some are behind the last token.
        Input::words(&[examples, questions], length as u32),
        Input::exactly(&[examples], &lengths),
    ]
}

#[test]
fn span_nll() {
    for (examples, length, questions) in [(1, 1, 1), (2, 5, 1), (3, 7, 2), (5, 33, 3), (9, 130, 2), (4, 512, 2)] {
        for scale in [1.0, 40.0] {
            let inputs = span_inputs(examples, length, questions, scale);
            check_with("span_nll", &inputs, Tolerance { absolute: 2e-6, relative: 1e-5 }, &[1, 2], span);
        }
    }
    check_gradient("span_nll", &span_inputs(4, 6, 2, 2.0), span);
}

#[test]
fn span_nll_refuses_what_does_not_fit() {
    let sizes: [([usize; 2], [usize; 2], usize); 3] = [([6, 2], [3, 2], 2), ([7, 2], [2, 2], 2), ([6, 2], [2, 1], 2)];
    for (logits, targets, examples) in sizes {
        let mut g = Graph::new(Default::default());
        let logits = g.input("logits", DType::F32, &logits);
        let targets = g.input("targets", DType::U32, &targets);
        let lengths = g.input("lengths", DType::U32, &[examples]);
        let error = ops::span_nll(&mut g, logits, targets, lengths).expect_err("refused").to_string();
        assert!(error.contains("logits [B L, S]"), "{error}");
    }
}

#[test]
fn squared_error() {
    let error = |g: &mut Graph, t: &[Tensor]| Ok(vec![ops::squared_error(g, t[0], t[1])?]);
    for rows in [1, 5, 130, 1_025] {
        let inputs = [Input::parameter(&[rows, 1]).scaled(3.0), Input::real(&[rows]).scaled(3.0)];
        check_with("squared_error", &inputs, Tolerance { absolute: 1e-6, relative: 1e-5 }, &[1, 2], error);
    }
    check_gradient("squared_error", &[Input::parameter(&[7, 1]), Input::real(&[7])], error);
}

#[test]
fn binary_nll_of_sure_logits_keeps_its_accuracy() {
    // Labels that are all right: log(1 + exp(-|x|)), about 1e-6.
    let logits: Vec<f32> = (0..64).map(|i| if i % 2 == 0 { -14.0 } else { 13.0 + i as f32 / 64.0 }).collect();
    let labels: Vec<u32> = (0..64).map(|i| i % 2).collect();
    let inputs = [Input::values(&[64], &logits), Input::exactly(&[2, 32], &labels)];
    check_with("binary_nll", &inputs, Tolerance { absolute: 0.0, relative: 1e-5 }, &[1], nll);
}

fn mean(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    Ok(vec![ops::weighted_mean(g, t[0], t[1], t[2])?])
}

/// Values, weights of which one in three is 0 and one in three negative, and a total of more than there is: the rest is in other
/// parts of the batch.
fn weighted(rows: usize) -> [Input; 3] {
    let weights: Vec<f32> = (0..rows).map(|i| [1.0, 0.0, -0.25][i % 3]).collect();
    let total = weights.iter().sum::<f32>() + 3.0;
    [Input::parameter(&[rows]), Input::values(&[1, rows], &weights), Input::values(&[1], &[total])]
}

#[test]
fn weighted_mean() {
    for rows in [1, 5, 130, 1_024, 1_025, 5_000] {
        let tolerance = Tolerance { absolute: 1e-6, relative: 1e-5 };
        check_with("weighted_mean", &weighted(rows), tolerance, &[1, 2], mean);
    }
    check_gradient("weighted_mean", &weighted(7), mean);
    // The mean of nothing is 0.
    let nothing = [Input::parameter(&[3]), Input::values(&[3], &[0.0; 3]), Input::values(&[1], &[0.0])];
    check("weighted_mean", &nothing, mean);
}

#[test]
fn what_has_no_weight_does_not_count_whatever_it_is() {
    let [_, weights, total] = weighted(5);
    let values = Input::values(&[5], &[1.0, f32::NAN, 2.0, 3.0, f32::INFINITY]);
    check("weighted_mean", &[values.clone(), weights, total.clone()], |g, t| {
        let mean = ops::weighted_mean(g, t[0], t[1], t[2])?;
        // Not a number would be so afterwards, and the harness compares what both engines say.
        Ok(vec![mean])
    });
}

#[test]
fn length_mask() {
    let many: Vec<u32> = (0..300).map(|i| i % 9).collect();
    let cases: [(usize, &[u32]); 5] = [(1, &[1]), (1, &[0]), (5, &[5, 0, 3]), (4, &[9, 2]), (9, &many)];
    for (length, lengths) in cases {
        check("length_mask", &[Input::exactly(&[lengths.len()], lengths)], |g, t| {
            Ok(vec![ops::length_mask(g, t[0], length)?])
        });
    }
}

/// Logits in [-3, 3), and labels.
fn logits(tokens: usize) -> [Input; 2] {
    [Input::parameter(&[tokens]).scaled(3.0), Input::words(&[tokens], 2)]
}

/// The mean over some logits of the input's labels.
fn loss(g: &mut Graph, logits: Tensor, labels: Tensor) -> Result<Tensor, GraphError> {
    let nll = ops::binary_nll(g, logits, labels)?;
    let len = g.ty(nll).len();
    let (weights, total) = (ops::constant(g, 1.0, &[len])?, ops::constant(g, len as f32, &[1])?);
    ops::weighted_mean(g, nll, weights, total)
}

#[test]
fn weighted_sum() {
    let weights = [0.5, -1.0, 50.0, 3.0, 0.25, 2.0, -7.0];
    for terms in 1..=ops::MOST_TERMS {
        let inputs = vec![Input::parameter(&[1]); terms];
        let build = |g: &mut Graph, t: &[Tensor]| {
            let terms: Vec<(f32, Tensor)> = weights.into_iter().zip(t.iter().copied()).collect();
            Ok(vec![ops::weighted_sum(g, &terms)?])
        };
        check("weighted_sum", &inputs, build);
        check_gradient("weighted_sum", &inputs, build);
    }
}

#[test]
fn weighted_sum_takes_one_to_seven_terms() {
    let mut g = Graph::new(Default::default());
    let one = ops::constant(&mut g, 1.0, &[1]).expect("fits");
    assert!(ops::weighted_sum(&mut g, &[]).is_err());
    assert!(ops::weighted_sum(&mut g, &[(1.0, one); ops::MOST_TERMS]).is_ok());
    assert!(ops::weighted_sum(&mut g, &[(1.0, one); ops::MOST_TERMS + 1]).is_err());
}

#[test]
fn global_norm() {
    // The last one gives every workgroup more than 1,024 elements.
    for len in [1, 5, 1_023, 1_025, 70_001, (1 << 20) + 77] {
        let inputs = [Input::real(&[len])];
        let tolerance = Tolerance { absolute: 0.0, relative: 1e-5 };
        check_with("global_norm", &inputs, tolerance, &[1], |g, t| Ok(vec![ops::global_norm(g, t[0])?]));
    }
}

#[test]
fn adamw() {
    // With and without clipping; two updates, so that the moments are not zero in the second.
    // One rate for all: the two spans of plain training. Others, or none: as many as parameters that are not frozen.
    let rates: [[Option<f32>; 2]; 4] =
        [[Some(1.0), Some(1.0)], [Some(0.25), Some(1.0)], [None, Some(0.5)], [Some(2.0), None]];
    for (clip_norm, rates) in [1e-3, 1e3].into_iter().flat_map(|clip| rates.map(|rates| (clip, rates))) {
        let settings = AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weight_decay: 0.5, clip_norm };
        for length in [1, 65, 1_500] {
            let mut inputs = logits(length).to_vec();
            // At an odd place, so that it decays.
            inputs.push(Input::real(&[1]));
            inputs.push(Input::parameter(&[length]).scaled(2.0));
            let tolerance = Tolerance { absolute: 1e-7, relative: 2e-5 };
            check_with("adamw", &inputs, tolerance, &[1, 2], |g, t| {
                let (first, second) = (loss(g, t[0], t[1])?, loss(g, t[3], t[1])?);
                let loss = ops::weighted_sum(g, &[(1.0, first), (20.0, second)])?;
                g.backward(loss, |_| true)?;
                let gradients = g.bank(Bank::Gradients);
                let norm = ops::global_norm(g, gradients)?;
                let spans = g.table().spans(|p| rates[usize::from(p.decay)]);
                assert_eq!(spans.len(), rates.into_iter().flatten().count());
                ops::adamw(g, gradients, norm, false, settings, spans.clone())?;
                ops::adamw(g, gradients, norm, false, settings, spans)?;
                // The harness compares the banks.
                Ok(Vec::new())
            });
        }
    }
}

#[test]
fn accumulate() {
    // The banks are compared; twice, so that the second of a later part finds numbers there.
    for length in [1, 65, 1_500] {
        check_with("accumulate", &logits(length), Tolerance { absolute: 1e-7, relative: 2e-5 }, &[1, 2], |g, t| {
            let loss = loss(g, t[0], t[1])?;
            g.backward(loss, |_| true)?;
            ops::accumulate(g)?;
            ops::accumulate(g)?;
            Ok(Vec::new())
        });
    }
}
