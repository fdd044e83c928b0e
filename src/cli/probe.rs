//! `leyden probe`.

use super::Failure;
use clap::Args;

/// Arguments of `leyden probe`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProbeArguments {}

/// Runs the command.
pub(crate) fn run(_arguments: ProbeArguments) -> Result<(), Failure> {
    Ok(())
}
