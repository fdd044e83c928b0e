//! `leyden window`: the desktop window.

use super::Failure;
use crate::comparison::Comparison;
use crate::history::Recorded;
use crate::run::every_seed;
use crate::window::{Opening, open};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `leyden window`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  leyden window
  leyden window runs/tiny runs/tiny-2
  leyden window compare/tiny
  leyden train --preset mini --text notes/ --window")]
pub(crate) struct WindowArguments {
    /// Folders of runs: the first is shown, the others are compared with it. A folder that fine-tune --seeds made stands for
    /// its runs, the best first; one that compare made is a page of its own
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: WindowArguments) -> Result<(), Failure> {
    let runs: Vec<PathBuf> = arguments.runs.iter().flat_map(|run| every_seed(run)).collect();
    for run in &runs {
        // A wrong name is told here and not in a window that has nothing to show.
        match Comparison::is_in(run) {
            true => drop(Comparison::read(run).map_err(Failure::input)?),
            false => drop(Recorded::read(run).map_err(Failure::input)?),
        }
    }
    open(Opening { job: None, runs, turns: None }).map_err(Failure::work)
}
