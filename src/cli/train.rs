//! `leyden train`.

use super::Failure;
use clap::Args;

/// Arguments of `leyden train`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainArguments {}

/// Runs the command.
pub(crate) fn run(_arguments: TrainArguments) -> Result<(), Failure> {
    Ok(())
}
