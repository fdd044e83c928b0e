//! The outputs of a page.

use crate::graph::Tensor;

/// The name of the output that is minimised.
pub const LOSS: &str = "loss";

/// How the parts of a step's batch are put together to what the whole batch would give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Added up: `[1]`, a part's share of a mean over the whole batch.
    Sum,
    /// One behind the other: the batch's examples come first among the dimensions.
    Rows,
}

/// A tensor that a step leaves for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Unique in a step.
    pub name: &'static str,
    /// The tensor.
    pub tensor: Tensor,
    /// How it is put together.
    pub merge: Merge,
}

/// All that a page gives, the loss first.
#[derive(Debug, Clone)]
pub struct Outputs(Vec<Output>);

impl Outputs {
    /// The loss that is minimised: `[1]`.
    pub fn new(loss: Tensor) -> Self {
        Self(vec![Output { name: LOSS, tensor: loss, merge: Merge::Sum }])
    }

    /// With one more share of a mean, `[1]`.
    pub fn sum(self, name: &'static str, tensor: Tensor) -> Self {
        self.with(Output { name, tensor, merge: Merge::Sum })
    }

    /// With one more tensor whose rows are the examples', [B ...].
    pub fn rows(self, name: &'static str, tensor: Tensor) -> Self {
        self.with(Output { name, tensor, merge: Merge::Rows })
    }

    fn with(mut self, output: Output) -> Self {
        self.0.push(output);
        self
    }

    /// The loss that is minimised.
    pub fn loss(&self) -> Tensor {
        self.0[0].tensor
    }

    /// All of them, the loss first.
    pub fn into_list(self) -> Vec<Output> {
        self.0
    }

    /// Their tensors.
    pub fn tensors(&self) -> Vec<Tensor> {
        self.0.iter().map(|output| output.tensor).collect()
    }
}

/// What a finished step left, by the names of its [`Output`]s.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// The step, as its state said.
    pub step: u32,
    /// Words; floating-point numbers as their bits.
    pub outputs: Vec<(&'static str, Vec<u32>)>,
}

impl Results {
    /// The words of an output; none where there is no such output.
    pub fn words(&self, name: &str) -> &[u32] {
        self.outputs.iter().find(|(known, _)| *known == name).map_or(&[], |(_, words)| words)
    }

    /// The numbers of a floating-point output.
    pub fn reals(&self, name: &str) -> &[f32] {
        bytemuck::cast_slice(self.words(name))
    }

    /// The only number of a floating-point output; NaN where there is no such output.
    pub fn mean(&self, name: &str) -> f64 {
        self.scalar(name).map_or(f64::NAN, f64::from)
    }

    /// The only number of a floating-point output; none where there is no such output.
    pub fn scalar(&self, name: &str) -> Option<f32> {
        self.reals(name).first().copied()
    }
}
