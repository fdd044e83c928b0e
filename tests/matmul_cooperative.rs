//! The matrix multiplication of cooperative matrices, on a device that may have none (`common/emulated.rs`): a linear layer and its
//! gradients by kernels of every kind, held against their CPU twins.

mod common;

use common::emulated::{Emulation, real, without_matrices};
use common::{Given, Input, pass, state, weighted_loss};
use leyden::cpu::CpuEngine;
use leyden::gpu::shaders;
use leyden::graph::{Bank, Graph, GraphError, Tensor};
use leyden::math::Activation;
use leyden::op::{DeviceTraits, Dispatch, MatmulKernel, Operand, Tuning};
use leyden::ops;
use leyden::ops::kernels::Matmul;
use leyden::plan::{Engine, Plan, Target};
use std::collections::HashMap;
use std::sync::Arc;

/// The matrices of a block's sums, then four of A and four of B.
const PLACES: usize = 24;

/// The kernel's source without cooperative matrices, in subgroups of so many invocations.
fn emulated(dispatch: &Dispatch, subgroup: usize) -> Emulation {
    let source = shaders::source(dispatch.shader, &dispatch.elements).unwrap_or_else(|error| panic!("{error}"));
    let kept = |line: &&str| {
        let dropped = ["wgpu_cooperative_matrix", "let zero ="].iter().any(|part| line.contains(part));
        !dropped && !line.starts_with("alias Matrix")
    };
    let mut text = source.lines().filter(kept).collect::<Vec<_>>().join("\n");
    let builtins = "    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
";
    let begin = format!(
        "    base = (((group.z * workgroups.y + group.y) * workgroups.x + group.x) * invocations + local) * {PLACES}u * AREA;
    area = AREA * min(problem.m, 1u);
    let lanes = {subgroup}u;
    let lane = local % lanes;
    let subgroup = local / lanes;
    let subgroups = invocations / lanes;
    let tile_row ="
    );
    for (from, to) in [
        (builtins, "    @builtin(num_workgroups) workgroups: vec3u,\n"),
        ("    let tile_row =", &begin),
        (": MatrixA;", ": u32;"),
        (": MatrixB;", ": u32;"),
        ("coopMultiplyAdd(", "multiply_add("),
    ] {
        assert!(text.contains(from), "no {from:?} in the kernel");
        text = text.replace(from, to);
    }
    let sums = (0..4).flat_map(|row| (0..4).map(move |column| format!("c{row}{column}")));
    let names: Vec<String> = sums.chain(["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"].map(String::from)).collect();
    for (place, name) in names[..16].iter().enumerate() {
        let begun = format!("var {name} = zero;");
        assert!(text.contains(&begun), "no {begun:?} in the kernel");
        text = text.replace(&begun, &format!("var {name} = clear_sums({place}u);"));
    }
    let place = |before: &str| {
        let name = before.trim_end().trim_end_matches('=').split_whitespace().next_back().expect("what is loaded");
        names.iter().position(|known| known == name).unwrap_or_else(|| panic!("{name} is loaded"))
    };
    let (source, moves) = without_matrices(&text, dispatch.shader.ends_with("16"), place);
    let invocations = dispatch.constants.iter().find(|(name, _)| *name == "invocations").expect("a constant").1;
    Emulation { source, places: PLACES, invocations: invocations as usize, moves }
}

/// What is multiplied: x [T, K], w [N, K], b [N] and a residual [T, N].
type Layer = fn(&mut Graph, &[Tensor]) -> Result<Tensor, GraphError>;

/// A layer of [T, K, N] and its gradients on the CPU, and each of its products by `kernel` on the device, from the same inputs.
fn check(kernel: &str, size: u32, subgroup: usize, [t, k, n]: [usize; 3], layer: Layer) {
    let (kernel, seed): (MatmulKernel, u64) = (kernel.parse().expect("a kernel"), u64::from(size) + t as u64);
    let inputs = [&[t, k][..], &[n, k], &[n], &[t, n]].map(Input::parameter);
    let mut given = Given::new(&inputs, seed);
    let build = |g: &mut Graph, tensors: &[Tensor]| {
        let tensors = tensors.iter().map(|&tensor| pass(g, tensor)).collect::<Result<Vec<_>, _>>()?;
        let out = layer(g, &tensors)?;
        pass(g, out)
    };
    let out = build(&mut given.graph, &given.tensors).expect("a graph");
    let loss = weighted_loss(&mut given, &[out], seed).expect("a loss");
    given.graph.backward(loss, |_| true).expect("a gradient");
    given.graph.fuse(&[]).expect("fused");
    given.graph.halve(&[]).expect("halved");

    let nodes: Vec<_> = given.graph.nodes().to_vec();
    let mut outputs: Vec<Tensor> = nodes
        .iter()
        .filter(|node| node.op.name().starts_with("linear"))
        .flat_map(|node| node.inputs.iter().chain(&node.outputs))
        .copied()
        .collect();
    outputs.sort();
    outputs.dedup();
    let plan = Plan::new(Arc::new(given.graph.clone()), &outputs, Target::Cpu);
    let mut cpu = CpuEngine::<f32>::new(given.graph.table().len());
    let bank: Vec<f32> = given.bank.iter().map(|&x| x as f32).collect();
    cpu.write_bank(Bank::Parameters, &bank).expect("written");
    let program = cpu.load(plan.clone()).expect("loaded");
    for (tensor, contents) in &given.inputs {
        cpu.write(program, *tensor, &contents.words());
    }
    cpu.submit(program, &state(seed), true).expect("run");
    let fetched = cpu.collect(true).expect("read").expect("a step was submitted");
    let values: HashMap<Tensor, Vec<u32>> = outputs.iter().copied().zip(fetched.outputs).collect();

    let device = DeviceTraits {
        f16: true,
        workgroup_memory: 49_152,
        invocations: 1_024,
        cooperative: Some(size),
        wide_subgroups: true,
        ..DeviceTraits::FLOOR
    };
    let mut tried = 0;
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.op.name().starts_with("linear")) {
        let (op, shapes) = (&node.op, plan.shapes(index));
        let [product] = op.matmuls(&shapes)[..] else { panic!("{} of several products", op.name()) };
        // Only a weight gradient may be split.
        let kernel = if op.name() == "linear_weight_gradient" { kernel } else { kernel.split(1) };
        let traits = DeviceTraits { tuning: Tuning::new(vec![(product, kernel)]), ..device };
        assert_ne!(Matmul::base(&product, &device), kernel);
        let whole = |mut words: Vec<u32>| {
            words.resize(words.len().next_multiple_of(4), 0);
            words
        };
        let mut buffers = HashMap::new();
        for (i, tensor) in node.inputs.iter().enumerate() {
            buffers.insert(Operand::Input(i), whole(values[tensor].clone()));
        }
        for (i, ty) in shapes.outputs.iter().enumerate() {
            buffers.insert(Operand::Output(i), whole(vec![0x7e00_7e00; ty.words()]));
        }
        for (i, ty) in op.scratch(&shapes, &traits).iter().enumerate() {
            buffers.insert(Operand::Scratch(i), whole(vec![f32::NAN.to_bits(); ty.words()]));
        }
        let dispatches = op.dispatches(&shapes, &traits);
        assert_eq!(dispatches.len(), if kernel.slices > 1 { 2 } else { 1 });
        for dispatch in &dispatches {
            if dispatch.shader == "matmul_sum" {
                let source = shaders::source(dispatch.shader, &dispatch.elements).expect("a kernel").into_owned();
                Emulation::plain(source, dispatch).run(dispatch, &mut buffers, seed);
                continue;
            }
            assert_eq!(dispatch.shader, format!("matmul_cooperative_{size}"), "{product}: {kernel} does not fit");
            emulated(dispatch, subgroup).run(dispatch, &mut buffers, seed);
            tried += 1;
        }
        for (i, ty) in shapes.outputs.iter().enumerate() {
            let expected = real(ty.dtype, &values[&node.outputs[i]]);
            let found = real(ty.dtype, &buffers[&Operand::Output(i)]);
            let wrong: Vec<String> = (0..ty.len())
                .filter(|&at| {
                    // What is no number is no nearer than anything else.
                    let close = (found[at] - expected[at]).abs() <= 4e-3 + 4e-3 * expected[at].abs();
                    !close
                })
                .map(|at| format!("[{}, {}] {} for {}", at / ty.columns(), at % ty.columns(), found[at], expected[at]))
                .collect();
            let shown = &wrong[..wrong.len().min(6)];
            assert!(wrong.is_empty(), "{product} by {kernel}, output {i} {ty}: {} wrong: {shown:?}", wrong.len());
        }
    }
    assert_eq!(tried, 3, "a layer is a product, and so are its two gradients");
}

fn plain(g: &mut Graph, t: &[Tensor]) -> Result<Tensor, GraphError> {
    ops::linear(g, t[0], t[1], t[2])
}

fn with_activation(g: &mut Graph, t: &[Tensor]) -> Result<Tensor, GraphError> {
    ops::linear_activation(g, t[0], t[1], t[2], Activation::Gelu)
}

fn with_residual(g: &mut Graph, t: &[Tensor]) -> Result<Tensor, GraphError> {
    let y = ops::linear(g, t[0], t[1], t[2])?;
    ops::add(g, t[3], y)
}

#[test]
fn matrices_of_16() {
    check("cooperative 32x32x32 16x16 prefetch", 16, 32, [36, 52, 44], plain);
    check("cooperative 64x64x32 32x32", 16, 32, [72, 36, 68], with_activation);
    check("cooperative 32x64x32 16x32 prefetch split 2", 16, 32, [300, 20, 72], with_residual);
}

#[test]
fn blocks_of_four_by_four_matrices() {
    // Longer sums take more turns of loops than the emulation has (`common/emulated.rs`).
    check("cooperative 128x128x32 64x64 prefetch", 16, 32, [100, 36, 92], with_activation);
}

#[test]
fn matrices_of_8() {
    check("cooperative 32x32x32 16x16 prefetch", 8, 32, [36, 52, 44], with_activation);
    check("cooperative 64x64x32 32x32", 8, 32, [72, 36, 68], with_residual);
}

#[test]
fn subgroups_of_other_sizes() {
    for subgroup in [8, 16, 64, 128] {
        check("cooperative 32x32x32 16x16 prefetch", 16, subgroup, [36, 20, 44], plain);
    }
    for subgroup in [32, 64] {
        check("cooperative 32x32x32 16x16 lanes 64", 16, subgroup, [36, 20, 44], with_activation);
    }
}
