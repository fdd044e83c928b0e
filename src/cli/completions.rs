//! `leyden completions`: what a shell offers at the Tab key, made from the argument definitions.

use super::Failure;
use super::output::print;
use clap::Args;
use clap_complete::Shell;

/// Arguments of `leyden completions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden completions bash > ~/.local/share/bash-completion/completions/leyden
  leyden completions zsh > ~/.zfunc/_leyden        (with ~/.zfunc in fpath)
  leyden completions fish > ~/.config/fish/completions/leyden.fish
  leyden completions powershell >> $PROFILE")]
pub(crate) struct CompletionsArguments {
    /// The shell that will read them
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(arguments: CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "leyden", &mut script);
    print(&String::from_utf8_lossy(&script)).map(drop)
}
