//! `--kernels` and `--tune-seconds`, shared by `train` and `bench`.

use crate::tune::Kernels;
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
    /// How long kernels may be tried: what was asked for, or what is usual.
    pub(crate) fn budget(&self, usual: Duration) -> Duration {
        self.tune_seconds.map_or(usual, |seconds| Duration::from_secs(seconds.into()))
    }
}
