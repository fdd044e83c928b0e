//! The command line. Every subcommand is a file; they drive the trainer and the engines and do the talking.

mod bench;
mod compare;
mod completions;
mod devices;
mod embed;
mod evaluate;
mod fine_tune;
mod inference;
mod inspect;
mod kernels;
mod labelled;
mod lines;
mod man;
mod memory;
mod output;
mod plan;
mod plot;
mod predict;
mod prepare;
mod probe;
mod progress;
mod reading;
mod score;
mod settings;
mod style;
mod table;
mod train;
mod window;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::process::ExitCode;

/// Pre-trains ELECTRA on any Vulkan, Metal or DX12 GPU, or on the CPU.
#[derive(Debug, Parser)]
#[command(name = "leyden", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train the networks of ELECTRA, or of another objective, on a text
    Train(train::TrainArguments),
    /// Make a dataset of text: a vocabulary and examples, in files that any corpus fits into
    Prepare(prepare::PrepareArguments),
    /// Teach a pre-trained encoder a task: classes, numbers, tags or answers, from labelled texts
    FineTune(fine_tune::FineTuneArguments),
    /// Say what a pre-training run is worth: fine-tune each of its checkpoints, and draw the scores over their cost
    Score(score::ScoreArguments),
    /// Compare objectives, or one setting at several values, at equal cost: a table with spreads, and a picture
    Compare(compare::CompareArguments),
    /// Show what is in a dataset, and whether it is whole
    Inspect(inspect::InspectArguments),
    /// Show each token's probability that it was replaced
    Probe(probe::ProbeArguments),
    /// Let a fine-tuned model classify texts, tag words or answer questions
    Predict(predict::PredictArguments),
    /// Turn texts into vectors by the encoder of any model
    Embed(embed::EmbedArguments),
    /// Hold a fine-tuned model against a labelled file
    Evaluate(evaluate::EvaluateArguments),
    /// List the GPUs and what matters about them for training
    Devices(devices::DevicesArguments),
    /// Print parameters, dispatches, FLOPs and memory of a training step
    Plan(plan::PlanArguments),
    /// Open the desktop window, on runs that exist or from scratch
    Window(window::WindowArguments),
    /// Draw the losses of runs, or a comparison's scores, as a PNG or SVG
    Plot(plot::PlotArguments),
    /// Measure the kernels and a whole training step
    Bench(bench::BenchArguments),
    /// Print a script that completes leyden's arguments in a shell
    Completions(completions::CompletionsArguments),
    /// Print or write manual pages
    Man(man::ManArguments),
}

/// Why a command failed: the person's input (exit code 2), or anything else (1).
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something about the arguments or the files they name.
    Input(String),
    /// Something that went wrong while working.
    Work(String),
}

impl Failure {
    /// Wrong input, with the error's own words.
    pub(crate) fn input(error: impl std::fmt::Display) -> Self {
        Self::Input(error.to_string())
    }

    /// A failure at work, with the error's own words.
    pub(crate) fn work(error: impl std::fmt::Display) -> Self {
        Self::Work(error.to_string())
    }
}

/// The definition of every argument.
fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(command) = arguments.command else { return without_command() };
    finish(match command {
        Command::Train(a) => train::run(a),
        Command::Prepare(a) => prepare::run(a),
        Command::Inspect(a) => inspect::run(a),
        Command::Probe(a) => probe::run(a),
        Command::Predict(a) => predict::run(a),
        Command::Embed(a) => embed::run(a),
        Command::Evaluate(a) => evaluate::run(a),
        Command::FineTune(a) => fine_tune::run(a),
        Command::Score(a) => score::run(a),
        Command::Compare(a) => compare::run(a),
        Command::Devices(a) => devices::run(a),
        Command::Plan(a) => plan::run(a),
        Command::Window(a) => window::run(a),
        Command::Plot(a) => plot::run(a),
        Command::Bench(a) => bench::run(a),
        Command::Completions(a) => completions::run(a),
        Command::Man(a) => man::run(a),
    })
}

/// `leyden` alone opens the window where there is a display, and says what else there is where there is none.
fn without_command() -> ExitCode {
    if crate::window::has_display() {
        return finish(window::run(window::WindowArguments::default()));
    }
    let _ = command().print_help();
    ExitCode::from(2)
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    let (message, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Input(message)) => (message, 2),
        Err(Failure::Work(message)) => (message, 1),
    };
    eprintln!("{} {message}", style::Style::stderr().red("error:"));
    ExitCode::from(code)
}
