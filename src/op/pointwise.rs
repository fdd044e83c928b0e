//! What can be done to a tensor as it is written: how ops say so to the pass `graph/fuse.rs`.

use super::Op;
use crate::math::Activation;
use std::sync::Arc;

/// Something done to the elements of a tensor x one by one, perhaps with those of a side input of the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointwise {
    /// x f'(side) with the activation f
    ActivationGradient(Activation),
    /// x + side, in the side input's memory
    Add,
    /// dropout(x)
    Dropout(Dropout),
    /// dropout(x) + side, where `None` drops nothing; not in the side input's memory
    Residual(Option<Dropout>),
}

/// Each element is 0 with probability `probability`, else divided by `1 - probability`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dropout {
    /// From 0 to below 1.
    pub probability: f32,
    /// The number of the random numbers that are drawn, [`crate::graph::Graph::stream`].
    pub stream: u32,
}

// A probability is a number.
impl Eq for Dropout {}

/// What an op does to one of its inputs first.
///
/// A layer norm of h over a residual r has `what: Residual(dropout)`, h as `input` and r as `side`, and `rest` is a layer
/// norm alone. Where h comes from a linear layer, which can do that at its end, the pass makes of the left the right:
///
/// ```text
///     x   w   b                             x   w   b   r
///     └───┼───┘                             └───┼───┴───┘
///       linear                                linear        y = dropout(x w^T + b) + r
///         │ h      r                             │ y
///     layer_norm ──┘  of dropout(h) + r       layer_norm    of y
///         │                                      │
/// ```
///
/// An addition h + r is the same with nothing left: its node goes, and the linear layer's output is the sum.
#[derive(Debug, Clone)]
pub struct Prologue {
    /// What it does.
    pub what: Pointwise,
    /// The input that it does it to.
    pub input: usize,
    /// The input that is the side input, if there is one.
    pub side: Option<usize>,
    /// The op that is left, with the same inputs but the side input, and the same outputs. `None` where nothing is left: the
    /// op's one output is the result.
    pub rest: Option<Arc<dyn Op>>,
}
