//! Mixed precision: kernels with halves among their tensors against their CPU twins, and the loss scale.

mod common;

use common::{Input, Tolerance, check_halves, check_with};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, DType, Graph, GraphError, Initialization, ParameterTable, Tensor};
use leyden::math::Activation;
use leyden::ops::{self, AdamW, EPSILON, EmbeddingTables, LossScale};
use leyden::plan::{Engine, Plan, Program, Target};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

type Built = Result<Vec<Tensor>, GraphError>;

#[test]
fn add_and_constant() {
    for shape in [&[1][..], &[3, 5], &[257], &[2, 130, 3]] {
        let mixtures = [[Input::half(shape), Input::half(shape)], [Input::half(shape), Input::real(shape)]];
        for inputs in mixtures {
            let sum = |g: &mut Graph, t: &[Tensor]| -> Built {
                let sum = ops::add(g, t[0], t[1])?;
                let two = ops::constant(g, 2.0, shape)?;
                Ok(vec![ops::add(g, sum, two)?])
            };
            check_halves("add", &inputs, Tolerance::HALVES, &[1, 2], sum);
        }
    }
}

#[test]
fn layer_norm() {
    for (rows, columns) in [(1, 1), (5, 20), (33, 36), (7, 130), (9, 256), (300, 3)] {
        let [x, residual] = [Input::half(&[rows, columns]), Input::half(&[rows, columns])];
        let [gamma, beta] = [Input::parameter(&[columns]), Input::parameter(&[columns])];
        let inputs = [x, gamma.clone(), beta.clone(), residual.clone()];
        // A row of one element has no variance: its gradient is a difference of what rounding left.
        let tolerance = if columns < 4 { Tolerance { absolute: 0.1, relative: 0.02 } } else { Tolerance::HALVES };
        for epsilon in [EPSILON, 1e-2] {
            check_halves("layer_norm", &inputs, tolerance, &[1, 2], |g, t| {
                Ok(vec![ops::layer_norm(g, t[0], (t[1], t[2]), epsilon)?])
            });
        }
        for probability in [0.0, 0.4] {
            check_halves("layer_norm, residual", &inputs, tolerance, &[3], |g, t| -> Built {
                Ok(vec![ops::residual_layer_norm(g, t[0], t[3], (t[1], t[2]), EPSILON, probability)?])
            });
        }
        let single = [Input::real(&[rows, columns]), gamma, beta, residual];
        check_halves("layer_norm, residual of halves", &single, tolerance, &[4], |g, t| -> Built {
            Ok(vec![ops::residual_layer_norm(g, t[0], t[3], (t[1], t[2]), EPSILON, 0.2)?])
        });
    }
}

#[test]
fn dropout_and_activations() {
    for shape in [&[1][..], &[3, 5], &[257], &[2, 130]] {
        let inputs = [Input::half(shape).scaled(3.0), Input::half(shape).scaled(4.0), Input::real(shape)];
        check_halves("dropout", &inputs, Tolerance::HALVES, &[1, 2], |g, t| Ok(vec![ops::dropout(g, t[0], 0.3)?]));
        // Where u is within rounding of 0, ReLU's slope may be either: it is compared where u is given in halves.
        for (u, activation) in Activation::ALL.into_iter().flat_map(|a| [(1, a), (2, a)]) {
            check_halves("activation_backward", &inputs, Tolerance::HALVES, &[1, 2], |g, t| {
                Ok(vec![ops::activation_backward(g, t[u], t[0], activation)?])
            });
        }
    }
}

#[test]
fn embedding_and_its_gradients() {
    for (examples, length, words, columns) in [(1, 1, 1, 1), (3, 5, 7, 20), (2, 40, 30, 66), (30, 150, 5, 12)] {
        let inputs = [
            Input::parameter(&[words, columns]),
            Input::parameter(&[length + 2, columns]),
            Input::parameter(&[2, columns]),
            Input::words(&[examples, length], words as u32),
            Input::words(&[examples, length], 2),
        ];
        let tolerance = Tolerance { absolute: 0.02, relative: 0.01 };
        check_halves("embedding", &inputs, tolerance, &[1], |g, t| {
            let tables = EmbeddingTables { word: t[0], position: t[1], types: t[2] };
            Ok(vec![ops::embedding(g, tables, t[3], t[4])?])
        });
    }
}

#[test]
fn gather_rows() {
    for (examples, length, slots, columns) in [(1, 1, 1, 1), (3, 5, 4, 3), (2, 20, 7, 20), (4, 9, 12, 130)] {
        let positions: Vec<u32> = (0..examples * slots).map(|i| ((i * 7) % length) as u32).collect();
        let inputs = [
            Input::parameter(&[examples * length, columns]),
            Input::half(&[examples * length, columns]),
            Input::exactly(&[examples, slots], &positions),
        ];
        check_halves("gather_rows", &inputs, Tolerance::HALVES, &[1, 2], |g, t| {
            let x = ops::add(g, t[1], t[0])?;
            Ok(vec![ops::gather_rows(g, x, t[2])?])
        });
    }
}

/// Outputs of a head in mixed precision, and the losses that are in single precision behind them.
#[test]
fn losses_behind_a_narrow_layer_of_halves() {
    for (examples, length, columns, outputs) in [(2, 3, 8, 2), (3, 7, 20, 5), (1, 33, 12, 1)] {
        let rows = examples * length;
        let inputs = [
            Input::half(&[rows, columns]),
            Input::parameter(&[outputs, columns]),
            Input::parameter(&[outputs]),
            Input::words(&[rows], outputs as u32),
            Input::words(&[examples, outputs], length as u32),
            Input::exactly(&[examples], &(0..examples as u32).map(|b| length as u32 - b).collect::<Vec<_>>()),
            Input::words(&[rows, outputs], 2),
            Input::real(&[rows, outputs]),
        ];
        check_halves("losses", &inputs, Tolerance::HALVES, &[1, 2], |g, t| {
            let logits = ops::linear(g, t[0], t[1], t[2])?;
            let classes = ops::softmax_nll(g, logits, t[3])?.nll;
            let places = ops::span_nll(g, logits, t[4], t[5])?.nll;
            Ok(vec![classes, places, ops::binary_nll(g, logits, t[6])?, ops::squared_error(g, logits, t[7])?])
        });
        check_halves("first rows", &inputs, Tolerance::HALVES, &[3], |g, t| {
            let first = ops::zero_indices(g, &[examples, 1])?;
            let first = ops::gather_rows(g, t[0], first)?;
            Ok(vec![ops::linear(g, first, t[1], t[2])?])
        });
    }
}

#[test]
fn round_weights() {
    for len in [1, 130, 3_000] {
        let inputs = [Input::parameter(&[len]), Input::parameter(&[7]).scaled(1e5)];
        // The harness compares the banks.
        check_with("round_weights", &inputs, Tolerance::default(), &[1, 2], |g, _| {
            ops::round_weights(g)?;
            Ok(Vec::new())
        });
    }
}

/// Loads a graph over a table of one parameter into both engines and runs `test` on each.
fn on_both_engines(build: impl Fn(&mut Graph) -> Built, test: impl Fn(&mut dyn Engine, Program, &Graph)) {
    let table = ParameterTable::new(vec![("p".into(), vec![LEN], true, Initialization::Zeros)]);
    let mut g = Graph::new(Arc::new(table));
    let outputs = build(&mut g).unwrap_or_else(|error| panic!("{error}"));
    let graph = Arc::new(g);
    let mut cpu = CpuEngine::<f32>::new(graph.table().len());
    let mut gpu = common::gpu(graph.table().len());
    let target = Target::Gpu(gpu.traits());
    let engines: [(&mut dyn Engine, Target); 2] = [(&mut cpu, Target::Cpu), (&mut gpu, target)];
    for (engine, target) in engines {
        let program = engine.load(Plan::new(graph.clone(), &outputs, target)).expect("a program");
        test(engine, program, &graph);
    }
}

const LEN: usize = 300;

/// The parameters after an update with these gradients, whose loss was scaled by `scale` where it is given.
fn updated(gradients: &[f32], scale: Option<f32>, clip_norm: f64) -> Vec<Vec<f32>> {
    let settings = AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weight_decay: 0.5, clip_norm };
    let found = RefCell::new(Vec::new());
    let update = |g: &mut Graph| -> Built {
        let bank = g.bank(Bank::Gradients);
        let norm = ops::global_norm(g, bank)?;
        let spans = g.table().spans(|_| Some(1.0));
        ops::adamw(g, bank, norm, scale.is_some(), settings, spans)?;
        Ok(vec![norm])
    };
    on_both_engines(update, |engine, program, graph| {
        let mut bank = vec![0.0; graph.table().len()];
        bank[..LEN].copy_from_slice(gradients);
        bank[..LEN].iter_mut().for_each(|x| *x *= scale.unwrap_or(1.0));
        engine.write_bank(Bank::Gradients, &bank).expect("written");
        engine.write_bank(Bank::Parameters, &vec![0.5; bank.len()]).expect("written");
        if let Some(scale) = scale {
            let mut bank = LossScale::initial();
            bank[0] = scale;
            engine.write_bank(Bank::LossScale, &bank).expect("written");
        }
        engine.submit(program, &common::state(1), false).expect("submitted");
        found.borrow_mut().push(engine.read_bank(Bank::Parameters).expect("read")[..LEN].to_vec());
    });
    found.into_inner()
}

#[test]
fn a_scaled_update_is_the_unscaled_one() {
    let gradients: Vec<f32> = (0..LEN).map(|i| (i as f32 - 120.0) / 90.0).collect();
    for clip_norm in [1e-2, 1e3] {
        let plain = updated(&gradients, None, clip_norm);
        // A power of two: divided out without a rounding, but for the clip's own.
        for (scaled, plain) in updated(&gradients, Some(1_024.0), clip_norm).iter().zip(&plain) {
            let worst = scaled.iter().zip(plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "clip {clip_norm}: off by {worst}");
            assert!(plain.iter().any(|&x| (x - 0.5).abs() > 1e-3), "nothing was updated");
        }
    }
}

#[test]
fn an_update_whose_gradients_are_not_finite_changes_nothing() {
    for bad in [f32::INFINITY, f32::NAN] {
        let mut gradients = vec![0.25; LEN];
        gradients[7] = bad;
        for parameters in updated(&gradients, Some(8.0), 1.0) {
            assert_eq!(parameters, vec![0.5; LEN]);
        }
    }
}

#[test]
fn the_scale_grows_after_good_steps_and_shrinks_at_once() {
    let norm = Cell::new(None);
    let build = |g: &mut Graph| -> Built {
        let input = g.input("norm", DType::F32, &[1]);
        norm.set(Some(input));
        let (unscaled, used) = ops::loss_scale(g, input)?;
        Ok(vec![unscaled, used])
    };
    on_both_engines(build, |engine, program, _| {
        engine.write_bank(Bank::LossScale, &LossScale::initial()).expect("written");
        let mut step = |norm_of_step: f32| {
            engine.write(program, norm.get().expect("built"), &[norm_of_step.to_bits()]);
            engine.submit(program, &common::state(1), true).expect("submitted");
            let out = engine.collect(true).expect("no error").expect("a step");
            (out.scalar(0), out.scalar(1))
        };
        assert_eq!(step(131_072.0), (2.0, 65_536.0));
        assert_eq!(step(f32::INFINITY).1, 65_536.0);
        assert!(step(f32::NAN).0.is_nan());
        let good = LossScale::GROWTH_INTERVAL;
        for _ in 0..good {
            assert_eq!(step(16_384.0), (1.0, 16_384.0), "halved twice");
        }
        assert_eq!(step(1.0).1, 32_768.0, "doubled after {good} good steps");
    });
}
