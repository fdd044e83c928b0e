//! What a CPU twin sees: slices of the node's tensors.

use super::StepState;
use crate::graph::TensorType;
use crate::math::Real;
use crate::math::bf16::Products;

/// A tensor's contents.
#[derive(Debug)]
pub(crate) enum View<'a, R> {
    Real(&'a [R]),
    Int(&'a [u32]),
}

/// A tensor to write.
#[derive(Debug)]
pub(crate) enum ViewMut<'a, R> {
    Real(&'a mut [R]),
    Int(&'a mut [u32]),
    Taken,
}

/// The tensors of one node for its CPU twin. Asking for the wrong element type is a bug in an op and panics.
#[derive(Debug)]
pub struct Twin<'a, R: Real> {
    pub(crate) inputs: Vec<View<'a, R>>,
    pub(crate) outputs: Vec<ViewMut<'a, R>>,
    /// Inputs' types.
    pub input_types: Vec<&'a TensorType>,
    /// Outputs' types.
    pub output_types: Vec<&'a TensorType>,
    /// The step's state.
    pub step: StepState,
    /// How layers and vocabulary are multiplied.
    pub products: Products,
}

impl<'a, R: Real> Twin<'a, R> {
    /// Floating-point input `i`.
    pub fn real(&self, i: usize) -> &'a [R] {
        match self.inputs[i] {
            View::Real(x) => x,
            View::Int(_) => panic!("input {i} is u32"),
        }
    }

    /// Unsigned input `i`.
    pub fn int(&self, i: usize) -> &'a [u32] {
        match self.inputs[i] {
            View::Int(x) => x,
            View::Real(_) => panic!("input {i} is floating point"),
        }
    }

    /// Floating-point output `i`; can be taken once.
    pub fn out(&mut self, i: usize) -> &'a mut [R] {
        match std::mem::replace(&mut self.outputs[i], ViewMut::Taken) {
            ViewMut::Real(x) => x,
            _ => panic!("output {i} is u32 or already taken"),
        }
    }

    /// Unsigned output `i`; can be taken once.
    pub fn out_int(&mut self, i: usize) -> &'a mut [u32] {
        match std::mem::replace(&mut self.outputs[i], ViewMut::Taken) {
            ViewMut::Int(x) => x,
            _ => panic!("output {i} is floating point or already taken"),
        }
    }
}
