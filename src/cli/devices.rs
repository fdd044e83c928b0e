//! `leyden devices`.

use super::Failure;
use clap::Args;

/// Arguments of `leyden devices`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DevicesArguments {}

/// Runs the command.
pub(crate) fn run(_arguments: DevicesArguments) -> Result<(), Failure> {
    Ok(())
}
