//! What a device does with halves below 6.1e-5, which have fewer digits: Vulkan lets a driver take them for zero, and gradients
//! in mixed precision reach down to them.

use super::machine::Machine;
use super::matmul::product;
use crate::graph::{DType, Graph, ParameterTable, Tensor};
use crate::op::{MatmulFamily, MatmulKernel, StepState, Tuning};
use crate::ops::kernels::Matmul;
use crate::plan::{Plan, Target};
use crate::train::TrainError;
use std::sync::Arc;

/// Whether a device's kernels keep halves below 6.1e-5 (`true`) or take them for zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Denormals {
    /// Where they are read, computed with in single precision and written.
    pub converted: bool,
    /// Where cooperative matrices (tensor cores) multiply them; none without any.
    pub multiplied: Option<bool>,
}

/// Rows of a batch of products, and the length of their sums: one tile of every kernel of cooperative matrices.
const SIDE: usize = 128;

/// Sends denormal halves through the kernels of `machine` and back; none where it has no halves.
///
/// # Errors
/// The engine's.
pub fn denormals(machine: &mut Machine) -> Result<Option<Denormals>, TrainError> {
    let Target::Gpu(traits) = machine.target() else { return Ok(None) };
    if !traits.f16 {
        return Ok(None);
    }
    let shape = product_of(DType::F16).shape(false);
    let kernels = Matmul::candidates(&shape, &traits);
    let matrices = kernels.iter().find(|kernel| kernel.family == MatmulFamily::Cooperative);
    let multiplied = matrices.map(|&kernel| come_back(machine, kernel, DType::F32)).transpose()?;
    Ok(Some(Denormals { converted: come_back(machine, Matmul::base(&shape, &traits), DType::F16)?, multiplied }))
}

fn product_of(result: DType) -> Matmul {
    let elements = [DType::F16, DType::F16, result, DType::F32];
    Matmul { m: SIDE, n: SIDE, k: SIDE, elements, ..Matmul::default() }
}

/// Whether a product with the unit matrix gives denormals back, as halves or in single precision.
fn come_back(machine: &mut Machine, kernel: MatmulKernel, result: DType) -> Result<bool, TrainError> {
    // All of them, 1 to 1023 units of 2^-24, and the negative ones.
    let halves: Vec<u16> = (0..SIDE * SIDE).map(|i| (i % 1_023 + 1) as u16 | ((i / 1_023 % 2) as u16) << 15).collect();
    let unit: Vec<u16> = (0..SIDE * SIDE).map(|i| if i / SIDE == i % SIDE { ONE } else { 0 }).collect();
    let matmul = product_of(result);
    let mut g = Graph::new(Arc::new(ParameterTable::new(Vec::new())));
    let [a, b] = ["a", "b"].map(|name| g.input(name, DType::F16, &[SIDE, SIDE]));
    let c = product(&mut g, matmul, Some(Tuning::new(vec![(matmul.shape(false), kernel)])), [a, b])?;
    let found = run(machine, g, &[(a, packed(&halves)), (b, packed(&unit))], c)?;
    let single = |bits: &u16| half::f16::from_bits(*bits).to_f32().to_bits();
    let expected = if result == DType::F16 { packed(&halves) } else { halves.iter().map(single).collect() };
    Ok(found == expected)
}

/// 1 in half precision.
const ONE: u16 = 0x3c00;

fn packed(halves: &[u16]) -> Vec<u32> {
    halves.chunks(2).map(|two| u32::from(two[0]) | two.get(1).map_or(0, |&high| u32::from(high) << 16)).collect()
}

/// What `out` holds after one run with these inputs.
fn run(machine: &mut Machine, g: Graph, inputs: &[(Tensor, Vec<u32>)], out: Tensor) -> Result<Vec<u32>, TrainError> {
    let plan = Plan::new(Arc::new(g), &[out], machine.target());
    machine.with_program(plan, |machine, program| {
        for (tensor, words) in inputs {
            machine.engine().write(program, *tensor, words);
        }
        machine.engine().submit(program, &StepState::default(), true)?;
        let fetched = machine.engine().collect(true)?;
        Ok(fetched.and_then(|fetched| fetched.outputs.into_iter().next()).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::machines;
    use super::*;

    #[test]
    fn what_is_sent_through_comes_back_or_does_not() {
        let [mut cpu, mut machine] = machines();
        assert_eq!(denormals(&mut cpu).unwrap(), None);
        let Target::Gpu(traits) = machine.target() else { panic!("a GPU") };
        let found = denormals(&mut machine).unwrap();
        assert_eq!(found.is_some(), traits.f16);
        assert_eq!(found.and_then(|found| found.multiplied).is_some(), traits.f16 && traits.cooperative.is_some());
        if traits.software {
            // A processor keeps them.
            assert!(found.is_none_or(|found| found.converted), "{found:?}");
        }
    }
}
