//! `leyden train`: text in, networks out, and everything in between shown.

mod predictions;
mod progress;
mod sentences;
mod stop;
mod summary;

use super::Failure;
use super::kernels::KernelArguments;
use super::memory::Memory;
use super::output::{self, grouped};
use super::reading::ReadingArguments;
use super::settings::Settings;
use super::style::Style;
use crate::config::Config;
use crate::history::Recorded;
use crate::measure::Values;
use crate::model::Model;
use crate::numbers::counted;
use crate::run::Run;
use crate::session::{
    self, Change, Device, Ending, Extension, Material, Opened, Prepared, Reopened, Report, Session, SessionError,
    SessionOptions, Startup,
};
use crate::tune::BUDGET;
use crate::window::{self, Job, Opening};
use clap::{Args, ValueEnum};
use progress::Progress;
use std::path::{Path, PathBuf};
pub(crate) use stop::Stop;

/// Arguments of `leyden train`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    settings: Settings,
    /// Files or folders of text to train on, of any kind that leyden prepare reads; a paragraph or sentence a line, a blank
    /// line between documents. Without it: the sample text inside the program. For a run that goes on: where its text is
    /// now, if it was moved
    #[arg(long, num_args = 1.., value_name = "FILE")]
    text: Vec<PathBuf>,
    /// A dataset that leyden prepare made, instead of text. For a run that goes on: where it is now
    #[arg(long, value_name = "DIR", conflicts_with = "text")]
    data: Option<PathBuf>,
    /// The vocabulary that is learnt from the text keeps case
    #[arg(long, conflicts_with_all = ["data", "init_from"])]
    cased: bool,
    /// The vocabulary that is learnt from the text drops accents and all other marks above and below letters; in many scripts
    /// those are vowels
    #[arg(long, conflicts_with_all = ["data", "init_from"])]
    strip_accents: bool,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Folder for the run's files; runs/PRESET if not given, runs/PRESET-OBJECTIVE for another than electra. A run that is there already goes on
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// auto (the best GPU, else the CPU), cpu, or part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    #[command(flatten)]
    kernels: KernelArguments,
    #[command(flatten)]
    memory: Memory,
    /// End after so many hours of training instead of a number of steps; the learning rate then follows the clock
    #[arg(long, value_name = "HOURS", conflicts_with = "steps", allow_negative_numbers = true)]
    hours: Option<f64>,
    /// Start from a generator, a discriminator, both or an encoder in a folder that transformers or leyden saved, with their tokenizer
    /// and sizes, instead of from random weights
    ///
    /// Of a fine-tuned model, its encoder is taken. Weights are model.safetensors, its shards, or pytorch_model.bin.
    #[arg(long, value_name = "DIR")]
    init_from: Option<PathBuf>,
    /// End this sitting after so many steps, saved; the schedule stays
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<u64>,
    /// What to do when a loss is not a number: end, or go back one checkpoint and on with another seed
    #[arg(long, default_value = "stop", value_name = "stop|rollback")]
    on_nan: OnNan,
    /// Show it in a window: the losses, a sentence and what the networks make of it, and what controls the run
    #[arg(long)]
    window: bool,
}

/// `--on-nan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnNan {
    Stop,
    Rollback,
}

/// Prints a line. Somebody who has stopped listening (`| head`) does not end a run.
macro_rules! say {
    ($($part:tt)*) => {
        crate::cli::output::print(&(format!($($part)*) + "\n"))?
    };
}

/// What a run came to.
struct Outcome {
    history: Recorded,
    after: Values,
    tokens: u64,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(mut arguments: TrainArguments) -> Result<(), Failure> {
    if arguments.window {
        return show_window(arguments);
    }
    let stop = Stop::on_interrupt();
    match arguments.run.take() {
        None => {
            let config = settings(&arguments)?;
            let folder = Run::free_folder(&config.run_name());
            start(&arguments, config, &folder, &stop)
        }
        Some(folder) => match Run::config(&folder).map_err(Failure::input)? {
            None => start(&arguments, settings(&arguments)?, &folder, &stop),
            Some(_) => go_on(&arguments, &folder, &stop),
        },
    }
}

/// As without the window, but driven from it.
fn show_window(arguments: TrainArguments) -> Result<(), Failure> {
    let how = how(&arguments)?;
    let given = arguments.run.clone();
    let found = given.as_deref().map(Run::config).transpose().map_err(Failure::input)?.flatten();
    let job = match (given, found) {
        (Some(folder), Some(_)) => {
            refuse_fixed(&arguments, &folder)?;
            Job::GoOn { folder, change: change(&arguments), how }
        }
        (folder, _) => {
            if let Some(folder) = &folder {
                Run::check_free(folder).map_err(Failure::input)?;
            }
            let config = Box::new(settings(&arguments)?);
            Job::Start { folder, config, length: arguments.settings.length, files: Vec::new(), how }
        }
    };
    window::open(Opening { job: Some(job), runs: Vec::new(), turns: None }).map_err(Failure::work)
}

fn settings(arguments: &TrainArguments) -> Result<Config, Failure> {
    let mut config = arguments.settings.resolve()?;
    config.data.cased |= arguments.cased;
    if arguments.strip_accents {
        config.data.strip_accents = Some(true);
    }
    config.training.hours = arguments.hours.or(config.training.hours);
    config.check().map_err(Failure::input)?;
    arguments.reading.apply(&mut config.data.reading);
    session::choose(&mut config, &arguments.text, arguments.data.as_deref()).map_err(Failure::input)?;
    if let Some(flag) = arguments.reading.given().filter(|_| config.data.text.is_empty()) {
        return Err(Failure::Input(format!(
            "{flag} says how --text is read; the sample and datasets are read already"
        )));
    }
    if let Some(from) = &arguments.init_from {
        config.training.init_from = Some(session::absolute(from, "--init-from").map_err(Failure::input)?);
    }
    Ok(config)
}

fn how(arguments: &TrainArguments) -> Result<SessionOptions, Failure> {
    Ok(SessionOptions {
        device: arguments.device.clone(),
        kernels: arguments.kernels.kernels,
        tuning: arguments.kernels.budget(BUDGET),
        resources: arguments.memory.resources()?,
        rollback: arguments.on_nan == OnNan::Rollback,
        stop_after: arguments.stop_after,
    })
}

/// A new run.
fn start(arguments: &TrainArguments, config: Config, folder: &Path, stop: &Stop) -> Result<(), Failure> {
    let opened = open_run(folder, config, arguments.settings.length, how(arguments)?)?;
    session::recommendation(opened.session.config()).iter().for_each(|text| output::remark(text));
    sitting(opened.session, &opened.material, stop).map(drop)
}

/// Begins a run of `config` in `folder`, whose examples are to be of `length` where that was asked for; whether its schedule is at its
/// end.
pub(super) fn begin_run(
    folder: &Path,
    config: Config,
    length: Option<usize>,
    how: SessionOptions,
    stop: &Stop,
) -> Result<bool, Failure> {
    let Opened { session, material } = open_run(folder, config, length, how)?;
    sitting(session, &material, stop)
}

fn open_run(folder: &Path, config: Config, length: Option<usize>, how: SessionOptions) -> Result<Opened, Failure> {
    let mut said = Ok(());
    let opened = session::start(folder, config, length, how, &mut |stage| {
        said = std::mem::replace(&mut said, Ok(())).and_then(|()| show(stage));
    });
    said?;
    let opened = opened.map_err(failure)?;
    opened.material.tokenizer().notes().iter().for_each(|text| output::remark(text));
    Ok(opened)
}

fn go_on(arguments: &TrainArguments, folder: &Path, stop: &Stop) -> Result<(), Failure> {
    refuse_fixed(arguments, folder)?;
    continue_run(folder, &change(arguments), how(arguments)?, stop).map(drop)
}

/// A run that was stopped goes on from its newest checkpoint. Whether its schedule is at its end.
pub(super) fn continue_run(folder: &Path, change: &Change, how: SessionOptions, stop: &Stop) -> Result<bool, Failure> {
    let mut said = Ok(());
    let continued = session::reopen(folder, change, how, &mut |stage| {
        said = std::mem::replace(&mut said, Ok(())).and_then(|()| show(stage));
    });
    said?;
    match continued.map_err(failure)? {
        Reopened::Opened(opened) => {
            let Opened { session, material } = *opened;
            say!("going on from step {}", grouped(session.step()));
            sitting(session, &material, stop)
        }
        Reopened::Done { config, done } => {
            let flag = if config.training.hours.is_some() { "--hours" } else { "--steps" };
            let place = folder.display();
            say!("{place} is done, {} steps; {flag} with a larger number lets it go on", done.steps);
            Ok(true)
        }
    }
}

/// A run that goes on has settings of its own.
fn refuse_fixed(arguments: &TrainArguments, folder: &Path) -> Result<(), Failure> {
    let place = folder.display();
    let fixed = arguments.settings.fixed_flag().or(arguments.init_from.is_some().then_some("--init-from"));
    let fixed = fixed.or(arguments.reading.given());
    let fixed = fixed.or(arguments.cased.then_some("--cased"));
    let fixed = fixed.or(arguments.strip_accents.then_some("--strip-accents"));
    fixed.map_or(Ok(()), |flag| {
        Err(Failure::Input(format!("{place} holds a run with settings of its own: leave {flag} out to go on")))
    })
}

/// What may be another for a run that goes on: the end of its schedule, and where its text is.
fn change(arguments: &TrainArguments) -> Change {
    let longer = arguments.settings.steps.map(Extension::Steps).or(arguments.hours.map(Extension::Hours));
    Change { longer, text: arguments.text.clone(), dataset: arguments.data.clone(), ..Change::default() }
}

/// Who is to blame where a session cannot begin.
pub(super) fn failure(error: SessionError) -> Failure {
    if error.is_input() { Failure::input(error) } else { Failure::work(error) }
}

pub(super) fn show(stage: Startup<'_>) -> Result<(), Failure> {
    match stage {
        Startup::Note(text) => output::note(text),
        Startup::Remark(text) => output::remark(text),
        Startup::Extended(config) => {
            let t = &config.training;
            let end = t.hours.map_or_else(|| format!("{} steps", grouped(t.steps)), |hours| format!("{hours} hours"));
            say!("{end}: the learning rate falls to 0 there");
        }
        Startup::Ready { config, model, material, device, from } => {
            say!("{}", heading(Style::stdout(), config, model, material, device));
            if let Some(found) = from {
                let scratch = config.task.as_ref().is_some_and(|task| task.from_scratch);
                let how = if scratch { ": its sizes and words alone, weights at random" } else { "" };
                say!("{}    {}{how}", Style::stdout().bold("from"), found.describe());
            }
        }
    }
    Ok(())
}

/// From here to the end of the run, or to where it is stopped; whether it is at its end.
pub(super) fn sitting(mut session: Session, material: &Material, stop: &Stop) -> Result<bool, Failure> {
    let style = Style::stdout();
    if let Some(parts) = progress::parts(&session) {
        say!("{parts}");
    }
    let mut progress = Progress::new(&session);
    let (mut tokens, mut held_out, mut ending) = (0, None, None);
    while !session.has_ended() {
        for report in session.advance(stop.asked()).map_err(Failure::work)? {
            progress.show(&session, &report);
            match report {
                Report::Interval { interval, .. } => tokens += interval.tokens,
                Report::HeldOut { values, .. } => held_out = Some(values),
                Report::Ended(end) => ending = Some(end),
                _ => {}
            }
        }
    }
    progress.finish();
    let Some(Ending { step, complete, seconds, folder }) = ending else { return Ok(false) };
    let place = session.run().folder().display().to_string();
    if !complete {
        let of = match session.config().training.hours {
            Some(hours) => format!("at step {step}, {:.2} of {hours} hours", session.seconds() / 3_600.0),
            None => format!("at step {step} of {}", session.config().training.steps),
        };
        let command = if session.config().is_fine_tuning() { "fine-tune --out" } else { "train --run" };
        say!("stopped {of}, and saved; go on with\n  leyden {command} {place}");
        return Ok(false);
    }
    let measures = session.measures().clone();
    let history = Recorded::read_metrics(session.run().folder(), measures).map_err(Failure::work)?;
    let outcome = Outcome { history, after: held_out.unwrap_or_default(), tokens, seconds };
    say!("\n{}", summary::losses(style, &*session.config().objective, &outcome));
    let prepared = match material {
        Material::Text(prepared) => prepared,
        Material::Labelled(task) => {
            say!("{}", predictions::after(style, session, task)?);
            return Ok(true);
        }
    };
    let shown = session.sample(material).map_err(Failure::work)?;
    let objective = &session.config().objective;
    let networks: Vec<&str> = session.trainer().model().networks.iter().map(|network| network.name).collect();
    say!("{}", sentences::table(style, objective.demonstration(), &networks, &shown, &prepared.tokenizer));
    say!("{}", summary::files(style, &session, &folder, &shown, &prepared.tokenizer));
    Ok(true)
}

fn heading(style: Style, config: &Config, model: &Model, material: &Material, device: &str) -> String {
    format!(
        "{}  {}: {} parameters, {} of {} on {}{}\n{}    {}",
        style.bold("leyden"),
        config.in_words(),
        grouped(model.table.count() as u64),
        config.training.hours.map_or_else(
            || format!("{} steps", grouped(config.training.steps)),
            |hours| format!("{hours} hours of steps"),
        ),
        match material {
            Material::Text(_) => format!("{} x {} tokens", config.training.batch, config.data.length),
            Material::Labelled(_) => format!("{} rows", config.training.batch),
        },
        device,
        config.training.precision.in_words(),
        style.bold(if config.is_fine_tuning() { "data" } else { "text" }),
        match material {
            Material::Text(prepared) => about_text(prepared, config),
            Material::Labelled(task) => task.in_words(),
        }
    )
}

fn about_text(prepared: &Prepared, config: &Config) -> String {
    let s = &prepared.statistics;
    format!(
        "{}: {}, {}, {} in the vocabulary{}",
        prepared.name,
        counted(prepared.documents as u64, "document"),
        counted(s.tokens, "token"),
        counted(config.model.vocabulary as u64, "word"),
        if s.unknown_rate() > 0.005 {
            format!(", {:.1} % of the tokens unknown", 100.0 * s.unknown_rate())
        } else {
            String::new()
        }
    )
}
