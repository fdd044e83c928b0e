//! What a choice among kernels is kept as.

use crate::op::{KernelFamily, MatmulKernel, MatmulShape};
use serde::{Deserialize, Serialize};

/// How much less time than the base kernel's another must take.
pub const MARGIN: f64 = 0.03;

/// A kernel that cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut<K = MatmulKernel> {
    /// Which.
    pub kernel: K,
    /// Why.
    pub reason: String,
}

/// A kernel that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried<K = MatmulKernel> {
    /// Which.
    pub kernel: K,
    /// Its seconds: the median of several runs of the best few, of a single run of the others.
    pub seconds: f64,
    /// How far it was from the base kernel ([`Compared::error`](super::Compared::error)); none where it was no finite number.
    pub error: Option<f32>,
}

/// What was found for a multiplication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatmulChoice {
    /// The multiplication.
    pub shape: MatmulShape,
    /// The kernel to use.
    pub kernel: MatmulKernel,
    /// The base kernel's seconds; none where it was not timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_seconds: Option<f64>,
    /// The kernel's seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why nothing was tried, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
    /// Kernels that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Everything that was tried, the base kernel first; a run's own record has none of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

impl MatmulChoice {
    /// The base kernel, and why nothing else was tried.
    pub fn untried(shape: MatmulShape, base: MatmulKernel, why: impl Into<String>) -> Self {
        let untried = Some(why.into());
        let (left_out, tried) = (Vec::new(), Vec::new());
        Self { shape, kernel: base, base_seconds: None, seconds: None, untried, left_out, tried }
    }

    /// How many times as fast as the base kernel it is, where both were timed.
    pub fn gain(&self) -> Option<f64> {
        Some(self.base_seconds? / self.seconds?)
    }

    /// The choice without everything that was tried on the way to it.
    pub(super) fn alone(&self) -> Self {
        Self { tried: Vec::new(), ..self.clone() }
    }
}

/// What was found for the attention of some plans, or for their vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyChoice {
    /// The ops and the types of their tensors.
    pub ops: Vec<String>,
    /// The family to use; `None` for those that need no trial.
    pub kernel: Option<KernelFamily>,
    /// Seconds of all the ops in a step, with the kernels that need no trial; none where they were not timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_seconds: Option<f64>,
    /// Seconds with the family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why nothing was tried, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
    /// Families that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut<KernelFamily>>,
    /// Families that were tried; a run's own record has none of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried<KernelFamily>>,
}

impl FamilyChoice {
    /// No trial.
    pub(super) fn untried(ops: Vec<String>, why: Option<String>) -> Self {
        let (left_out, tried) = (Vec::new(), Vec::new());
        Self { ops, kernel: None, base_seconds: None, seconds: None, untried: why, left_out, tried }
    }

    /// The choice without everything that was tried on the way to it.
    pub(super) fn alone(&self) -> Self {
        Self { tried: Vec::new(), ..self.clone() }
    }

    /// How many times as fast as the kernels that need no trial it is, where both were timed.
    pub fn gain(&self) -> Option<f64> {
        Some(self.base_seconds? / self.seconds?)
    }
}
