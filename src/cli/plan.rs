//! `leyden plan`.

use super::Failure;
use clap::Args;

/// Arguments of `leyden plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArguments {}

/// Runs the command.
pub(crate) fn run(_arguments: PlanArguments) -> Result<(), Failure> {
    Ok(())
}
