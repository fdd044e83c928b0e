//! `leyden bench`.

use super::Failure;
use clap::Args;

/// Arguments of `leyden bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArguments {}

/// Runs the command.
pub(crate) fn run(_arguments: BenchArguments) -> Result<(), Failure> {
    Ok(())
}
