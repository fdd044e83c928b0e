//! The vocabulary's kernels with cooperative matrices against those without, on a device that may have none.

use crate::cooperative::emulated;
use crate::run::{Buffers, device, run};
use leyden::graph::{DType, Graph, Initialization, ParameterTable, Tensor, TensorType};
use leyden::op::{DeviceTraits, KernelFamily, Op, Operand, Shapes};
use leyden::ops;
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;

/// Both passes over the vocabulary of [M, E] rows and V words, in mixed precision.
fn passes(m: usize, e: usize, v: usize) -> Vec<(Arc<dyn Op>, Shapes)> {
    let spec = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec(), true, Initialization::Zeros);
    let table = ParameterTable::new(vec![spec("x", &[m, e]), spec("word", &[v, e]), spec("bias", &[v])]);
    let mut g = Graph::new(Arc::new(table));
    let [x, word, bias] = [0, 1, 2].map(|i| g.parameter(i));
    let targets = g.input("targets", DType::U32, &[1, m]);
    let sampling = ops::Sampling { temperature: 0.7, excludes_target: true };
    let out = ops::vocabulary_nll_sampled(&mut g, x, (word, bias), targets, sampling).expect("a head");
    let weights = g.input("weights", DType::F32, &[m]);
    let total = g.input("total", DType::F32, &[1]);
    let loss = ops::weighted_mean(&mut g, out.nll, weights, total).expect("a mean");
    g.backward(loss, |_| true).expect("a gradient");
    g.halve(&[]).expect("halved");
    let types = |tensors: &[Tensor]| tensors.iter().map(|&t| g.ty(t).clone()).collect();
    let passes = g.nodes().iter().filter(|node| node.op.name().starts_with("vocabulary_nll"));
    let shapes = |inputs, outputs| Shapes { inputs: types(inputs), outputs: types(outputs) };
    passes.map(|node| (node.op.clone(), shapes(&node.inputs, &node.outputs))).collect()
}

/// Random numbers that are exact in half precision, and words below `v`.
fn random(ty: &TensorType, v: usize, rng: &mut Pcg64Mcg) -> (DType, Vec<f32>) {
    let real = |x: u32| half::f16::from_f32((x >> 8) as f32 / (1 << 23) as f32 - 1.0).to_f32();
    let number = |x: u32| if ty.dtype == DType::U32 { f32::from_bits(x % v as u32) } else { real(x) };
    (ty.dtype, (0..ty.len().next_multiple_of(8)).map(|_| number(rng.next_u32())).collect())
}

/// Runs both passes with matrices of `size` and subgroups of `lanes`, and without matrices; a workgroup of the forward pass goes
/// over so many tiles of words.
fn check([m, e, v]: [usize; 3], size: u32, lanes: u32, tiles: u32) {
    let mut gpu = device();
    let plain = DeviceTraits { f16: true, workgroup_memory: 32_768, cooperative: Some(size), ..DeviceTraits::FLOOR };
    let with = DeviceTraits { vocabulary: Some(KernelFamily::Cooperative), ..plain };
    let passes = passes(m, e, v);
    assert_eq!(passes.len(), 2);
    for (op, shapes) in passes {
        let mut rng = Pcg64Mcg::seed_from_u64(7);
        let inputs = shapes.inputs.iter().enumerate();
        let inputs: Buffers = inputs.map(|(i, ty)| (Operand::Input(i), random(ty, v, &mut rng))).collect();
        let mut results = [plain, with].map(|traits| {
            let mut buffers = inputs.clone();
            let unwritten = |ty: &TensorType| (ty.dtype, vec![f32::NAN; ty.len().next_multiple_of(8)]);
            let outputs = shapes.outputs.iter().enumerate();
            buffers.extend(outputs.map(|(i, ty)| (Operand::Output(i), unwritten(ty))));
            let scratch = op.scratch(&shapes, &traits);
            buffers.extend(scratch.iter().enumerate().map(|(i, ty)| (Operand::Scratch(i), unwritten(ty))));
            let mut dispatches = op.dispatches(&shapes, &traits);
            for dispatch in dispatches.iter_mut().filter(|d| d.workgroups[1] > 1 && d.bindings.len() == 5) {
                // Those behind the last tile find nothing.
                assert_eq!(dispatch.uniform[3], 1, "tiles of {}", dispatch.shader);
                dispatch.uniform[3] = tiles;
            }
            let matrices = dispatches.iter().filter(|d| d.shader.starts_with("vocabulary_cooperative")).count();
            assert_eq!(matrices > 0, traits.vocabulary.is_some(), "{}", op.name());
            run(&mut gpu, &dispatches, &buffers, |dispatch| emulated(dispatch, lanes))
        });
        for (i, ty) in shapes.outputs.iter().enumerate() {
            let [expected, found] = results.each_mut().map(|all| all.remove(&Operand::Output(i)).expect("an output"));
            let wrong = (0..ty.len()).filter(|&at| {
                let (f, e) = (found[at], expected[at]);
                // Sums in another order; words are the same words.
                let near = ty.dtype != DType::U32 && (f - e).abs() <= 2e-3 + 2e-3 * e.abs();
                !(near || ty.dtype == DType::U32 && f.to_bits() == e.to_bits())
            });
            let wrong: Vec<String> = wrong.map(|at| format!("[{}] {} for {}", at, found[at], expected[at])).collect();
            let what = format!("{} of {m} x {e} x {v}, matrices of {size}, output {i}", op.name());
            assert!(wrong.is_empty(), "{what}: {} wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(6)]);
        }
    }
}

#[test]
fn vocabulary_of_matrices_of_16() {
    check([66, 36, 70], 16, 32, 1);
    check([66, 36, 150], 16, 32, 3);
}

#[test]
fn vocabulary_of_matrices_of_8() {
    check([10, 40, 66], 8, 64, 2);
}
