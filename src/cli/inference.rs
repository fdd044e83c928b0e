//! Where and how a network answers: flags that `predict`, `evaluate`, `embed` and `probe` share.

use super::Failure;
use super::labelled::failure;
use super::output::remark;
use crate::config::Precision;
use crate::plan::{Engine, Target};
use crate::session::{self, Device};
use clap::Args;

#[derive(Debug, Clone, Args)]
pub(crate) struct InferenceArguments {
    /// auto, cpu, or a part of a GPU's name as `leyden devices` lists it
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    /// f32, whose numbers are those of transformers; mixed: 16 bits, faster where the device has instructions for them; auto: bf16 on a
    /// CPU that is fast at it, else f32
    #[arg(long, default_value = "f32", value_name = "f32|mixed|auto|bf16")]
    precision: Precision,
}

impl InferenceArguments {
    /// In f32 on the CPU.
    pub(super) fn on_cpu() -> Self {
        Self { device: Device::Cpu, precision: Precision::F32 }
    }

    /// The device, for a network with so many weights, and the precision that it has of what was asked.
    pub(super) fn open(&self, weights: usize) -> Result<(Box<dyn Engine>, Target, Precision), Failure> {
        let (engine, target) = session::open(&self.device, weights).map_err(|error| failure(error.into()))?;
        let precision = self.precision.beginning(target != Target::Cpu).map_err(Failure::input)?;
        self.precision.remark(precision).into_iter().for_each(remark);
        Ok((engine, target, precision))
    }
}
