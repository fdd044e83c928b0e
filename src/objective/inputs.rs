//! The inputs of a page: columns of a batch, and sums of columns.

use crate::batch::{Batch, Column, LENGTHS, Shape, TYPES};
use crate::graph::{DType, Graph, Tensor};
use crate::model::Encoded;
use std::borrow::Cow;

/// How a page is built.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    /// Whether there is dropout: in training, not in evaluation.
    pub dropout: bool,
    /// Which of the objective's phases it is built for.
    pub phase: usize,
    /// Results that are columns of the batch in place of being worked out, by name: as tests need it, to give samples.
    pub given: &'static [&'static str],
}

/// What an input is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The batch's column of this name.
    Column(&'static str),
    /// The sum of this column over the whole batch, of which what is at hand may be a part: `[1]`.
    Total(&'static str),
}

impl Bound {
    /// The input's words, from the batch at hand and the whole one.
    pub fn words<'a>(self, batch: &'a Batch, whole: &Batch) -> Cow<'a, [u32]> {
        match self {
            Self::Column(name) => batch.column(name).into(),
            // Nothing where there is no such column, which the engine refuses.
            Self::Total(name) if whole.column(name).is_empty() => (&[]).into(),
            Self::Total(name) => vec![whole.total(name).to_bits()].into(),
        }
    }
}

/// Inputs for batches of one shape, declared when a page first asks for them: what it does not use is not uploaded.
#[derive(Debug, Clone)]
pub struct Inputs {
    shape: Shape,
    bound: Vec<(Tensor, Bound)>,
}

impl Inputs {
    /// None yet.
    pub fn new(shape: Shape) -> Self {
        Self { shape, bound: Vec::new() }
    }

    /// B, L and K.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// A column: `[B]`, [B, L] or [B, K].
    pub fn column(&mut self, g: &mut Graph, column: Column) -> Tensor {
        let sizes = column.sizes(self.shape);
        self.input(Bound::Column(column.name), || g.input(column.name, column.dtype, &sizes))
    }

    /// The sum of a column over the step's whole batch: `[1]`.
    pub fn total(&mut self, g: &mut Graph, column: Column) -> Tensor {
        self.input(Bound::Total(column.name), || g.input(&format!("total of {}", column.name), DType::F32, &[1]))
    }

    /// What an encoder needs to know of the batch beside the tokens.
    pub fn encoded(&mut self, g: &mut Graph, mode: Mode) -> Encoded {
        Encoded { types: self.column(g, TYPES), visible: self.column(g, LENGTHS), dropout: mode.dropout }
    }

    /// What was worked out, or `column` in its place where `mode` says that it is given.
    pub fn unless_given(&mut self, g: &mut Graph, mode: Mode, column: Column, worked_out: Tensor) -> Tensor {
        if mode.given.contains(&column.name) { self.column(g, column) } else { worked_out }
    }

    fn input(&mut self, bound: Bound, declare: impl FnOnce() -> Tensor) -> Tensor {
        if let Some((tensor, _)) = self.bound.iter().find(|(_, known)| *known == bound) {
            return *tensor;
        }
        let tensor = declare();
        self.bound.push((tensor, bound));
        tensor
    }

    /// The inputs that were declared, and what to write into them.
    pub fn into_bound(self) -> Vec<(Tensor, Bound)> {
        self.bound
    }
}
