//! `leyden man`: manual pages, made from the argument definitions.

use super::Failure;
use super::output::print;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `leyden man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden man | man -l -
  leyden man --out ~/.local/share/man/man1")]
pub(crate) struct ManArguments {
    /// Write a page for the program and one for each command into this folder, instead of the program's to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: ManArguments) -> Result<(), Failure> {
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = arguments.out else {
        let mut text = Vec::new();
        page(command).render(&mut text).map_err(Failure::work)?;
        return print(&String::from_utf8_lossy(&text)).map(drop);
    };
    let place = folder.display();
    let failure = |e: std::io::Error| Failure::Work(format!("cannot write manual pages to {place}: {e}"));
    std::fs::create_dir_all(&folder).map_err(failure)?;
    let commands: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let count = commands.len();
    for command in std::iter::once(command).chain(commands) {
        page(command).generate_to(&folder).map_err(failure)?;
    }
    print(&format!("wrote leyden.1 and the pages of {count} commands to {place}\n")).map(drop)
}

fn page(command: clap::Command) -> clap_mangen::Man {
    clap_mangen::Man::new(command).source(concat!("leyden ", env!("CARGO_PKG_VERSION"))).manual("leyden")
}
