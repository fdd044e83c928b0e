//! Where and how a network answers: flags that `predict`, `evaluate`, `embed` and `probe` share.

use super::Failure;
use super::output::remark;
use crate::config::Precision;
use crate::plan::{Engine, EngineError, Target};
use crate::session::{self, Device};
use clap::Args;

#[derive(Debug, Clone, Args)]
pub(crate) struct InferenceArguments {
    /// auto, cpu, or a part of a GPU's name as `leyden devices` lists it
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    /// f32, whose numbers are those of transformers to four digits; or mixed, faster by 16 bits where the device is
    #[arg(long, default_value = "f32", value_name = "f32|mixed|auto")]
    precision: Precision,
}

impl InferenceArguments {
    /// In f32 on the CPU.
    pub(super) fn on_cpu() -> Self {
        Self { device: Device::Cpu, precision: Precision::F32 }
    }

    /// The device, for a network with so many weights, and the precision that it has of what was asked.
    pub(super) fn open(&self, weights: usize) -> Result<((Box<dyn Engine>, Target), Precision), Failure> {
        let device = session::open(&self.device, weights).map_err(|error| match error {
            EngineError::NoAdapter { .. } => Failure::input(error),
            _ => Failure::work(error),
        })?;
        let precision = self.precision.beginning(device.1 != Target::Cpu).map_err(Failure::input)?;
        if (self.precision, precision) == (Precision::Mixed, Precision::F32) {
            remark("this processor has no instructions for bf16: answers are in f32");
        }
        Ok((device, precision))
    }
}
