//! `--kernels` and `--tune-seconds`, shared by `train` and `bench`.

use crate::tune::{BUDGET, Kernels};
use clap::Args;
use std::time::Duration;

/// Which kernels a GPU runs, and how long they may be looked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct KernelArguments {
    /// base: kernels that every GPU can run; tuned: the fastest, found by trying once and kept. Without it: tuned on a GPU,
    /// base on a software driver, and what it was trained with for a run that goes on
    #[arg(long, value_name = "base|tuned")]
    pub kernels: Option<Kernels>,
    /// How long kernels may be tried before anything else; what is not reached runs on base kernels and is tried at another
    /// start [default: 8]
    #[arg(long, value_name = "SECONDS")]
    tune_seconds: Option<u32>,
}

impl KernelArguments {
    /// How long kernels may be tried.
    pub(crate) fn budget(&self) -> Duration {
        self.tune_seconds.map_or(BUDGET, |seconds| Duration::from_secs(seconds.into()))
    }

    /// The same, for what is there to measure.
    pub(crate) fn patient_budget(&self) -> Duration {
        self.tune_seconds.map_or(Duration::from_secs(60), |seconds| Duration::from_secs(seconds.into()))
    }
}
