//! `leyden train`: text in, two networks out, and everything in between shown.

mod prepare;
mod progress;
mod sentences;
mod stop;
mod summary;

use super::memory::{self, Memory};
use super::output::grouped;
use super::settings::Settings;
use super::style::Style;
use super::{Device, Failure, open};
use crate::electra::{Config, Model};
use crate::run::{History, Run, RunError};
use crate::session::{Adaptation, Ending, Report, Session, SessionError, Setup};
use crate::train::{Measures, Text};
use clap::{Args, ValueEnum};
use prepare::Prepared;
use progress::Progress;
use std::path::{Path, PathBuf};
use stop::Stop;

/// Arguments of `leyden train`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    settings: Settings,
    /// Text files or folders of .txt to train on; a paragraph or sentence a line, a blank line between documents.
    /// Without it: the sample text inside the program
    #[arg(long, num_args = 1.., value_name = "FILE")]
    text: Vec<PathBuf>,
    /// A dataset that leyden prepare made, instead of text
    #[arg(long, value_name = "DIR", conflicts_with = "text")]
    data: Option<PathBuf>,
    /// Folder for the run's files; runs/PRESET if not given. A run that is there already goes on
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// auto (the best GPU, else the CPU), cpu, or part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    #[command(flatten)]
    memory: Memory,
    /// End after so many hours of training instead of a number of steps; the learning rate then follows the clock
    #[arg(long, value_name = "HOURS", conflicts_with = "steps")]
    hours: Option<f64>,
    /// Start from a generator, a discriminator or both in a folder that transformers or leyden saved, with their tokenizer
    /// and sizes, instead of from random weights
    #[arg(long, value_name = "DIR")]
    init_from: Option<PathBuf>,
    /// End this sitting after so many steps, saved; the schedule stays
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<u64>,
    /// What to do when a loss is not a number: end, or go back one checkpoint and on with another seed
    #[arg(long, default_value = "stop", value_name = "stop|rollback")]
    on_nan: OnNan,
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
    history: History,
    after: Measures,
    tokens: u64,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(mut arguments: TrainArguments) -> Result<(), Failure> {
    let stop = Stop::on_interrupt();
    match arguments.run.take() {
        None => {
            let config = settings(&arguments)?;
            let folder = Run::free_folder(&config.preset);
            start(&arguments, config, &folder, &stop)
        }
        Some(folder) => match Run::config(&folder).map_err(Failure::input)? {
            None => start(&arguments, settings(&arguments)?, &folder, &stop),
            Some(config) => go_on(&arguments, config, &folder, &stop),
        },
    }
}

fn settings(arguments: &TrainArguments) -> Result<Config, Failure> {
    let mut config = arguments.settings.resolve()?;
    config.training.hours = arguments.hours.or(config.training.hours);
    config.check().map_err(Failure::input)?;
    Ok(config)
}

/// A new run.
fn start(arguments: &TrainArguments, mut config: Config, folder: &Path, stop: &Stop) -> Result<(), Failure> {
    Run::check_free(folder).map_err(Failure::input)?;
    prepare::choose(&mut config, &arguments.text, arguments.data.as_deref())?;
    if let Some(from) = &arguments.init_from {
        config.training.init_from = Some(prepare::absolute(from, "--init-from")?);
    }
    let adaptation = adaptation(&config)?;
    if let Some(found) = &adaptation {
        found.resize(&mut config);
        config.check().map_err(Failure::input)?;
    }
    let tokenizer = adaptation.as_ref().and_then(Adaptation::tokenizer);
    let prepared = prepare::prepare(&mut config, arguments.settings.length, tokenizer)?;
    let setup = setup(arguments, config, &prepared, adaptation.as_ref())?;
    let session = Session::create(folder, setup).map_err(failure)?;
    sitting(session, &prepared, stop)
}

/// A run that was stopped goes on from its newest checkpoint.
fn go_on(arguments: &TrainArguments, mut config: Config, folder: &Path, stop: &Stop) -> Result<(), Failure> {
    let place = folder.display();
    let fixed = arguments.settings.fixed_flag().or((!arguments.text.is_empty()).then_some("--text"));
    let fixed = fixed.or(arguments.init_from.is_some().then_some("--init-from"));
    let fixed = fixed.or(arguments.data.is_some().then_some("--data"));
    if let Some(flag) = fixed {
        return Err(Failure::Input(format!("{place} holds a run with settings of its own: leave {flag} out to go on")));
    }
    let run = Run::open(folder).map_err(Failure::input)?;
    let newest = run.newest(&config, &Model::new(&config)).map_err(Failure::input)?;
    let (done, seconds) = newest.map_or((0, 0.0), |(snapshot, state)| (snapshot.step, state.seconds));
    if extend(arguments, &mut config, &place.to_string(), done, seconds)? {
        run.rewrite_config(&config).map_err(Failure::work)?;
    }
    let complete = match config.training.hours {
        Some(hours) => seconds >= 3_600.0 * hours,
        None => done >= config.training.steps,
    };
    if complete {
        let flag = if config.training.hours.is_some() { "--hours" } else { "--steps" };
        say!("{place} is done, {done} steps; {flag} with a larger number lets it go on");
        return Ok(());
    }
    let prepared = prepare::prepare_again(&config, folder)?;
    // Only a run that was never saved still needs what it started from.
    let adaptation = if done == 0 { adaptation(&config)? } else { None };
    let setup = setup(arguments, config, &prepared, adaptation.as_ref())?;
    let session = Session::resume(run, setup).map_err(failure)?;
    say!("going on from step {}", grouped(session.step()));
    sitting(session, &prepared, stop)
}

/// Takes a longer schedule into `config`; whether there was one.
fn extend(
    arguments: &TrainArguments,
    config: &mut Config,
    place: &str,
    done: u64,
    seconds: f64,
) -> Result<bool, Failure> {
    let t = &mut config.training;
    match (arguments.settings.steps, arguments.hours, t.hours) {
        (Some(_), _, Some(_)) => {
            Err(Failure::Input(format!("{place} follows the clock: use --hours instead of --steps to let it go on")))
        }
        (_, Some(_), None) => {
            Err(Failure::Input(format!("{place} counts steps: use --steps instead of --hours to let it go on")))
        }
        (Some(steps), _, None) if steps != t.steps => {
            if steps <= done {
                return Err(Failure::Input(format!("--steps {steps}: {place} has done {done} already, expected more")));
            }
            say!("{} steps instead of {}: the learning rate falls to 0 there", steps, t.steps);
            t.steps = steps;
            config.check().map_err(Failure::input)?;
            Ok(true)
        }
        (_, Some(hours), Some(before)) if hours != before => {
            let spent = seconds / 3_600.0;
            if hours <= spent {
                let text = format!("--hours {hours}: {place} has taken {spent:.2} already, expected more");
                return Err(Failure::Input(text));
            }
            say!("{hours} hours instead of {before}: the learning rate falls to 0 there");
            t.hours = Some(hours);
            config.check().map_err(Failure::input)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Who is to blame where a session cannot begin.
fn failure(error: SessionError) -> Failure {
    match error {
        SessionError::Train(error) => memory::failure(error),
        SessionError::Run(RunError::File { .. }) => Failure::work(error),
        SessionError::Run(_) => Failure::input(error),
        other => Failure::work(other),
    }
}

/// What the run starts from, if not from random weights.
fn adaptation(config: &Config) -> Result<Option<Adaptation>, Failure> {
    config.training.init_from.as_deref().map(Adaptation::load).transpose().map_err(Failure::input)
}

/// What a session is made of. Opens the device once, to say what it is.
fn setup(
    arguments: &TrainArguments,
    config: Config,
    prepared: &Prepared,
    adaptation: Option<&Adaptation>,
) -> Result<Setup, Failure> {
    let model = Model::new(&config);
    let (device, bank) = (arguments.device.clone(), model.table.len());
    let first = open(&device, bank).map_err(Failure::input)?;
    say!("{}", heading(Style::stdout(), &config, &model, prepared, &first.0.describe()));
    if let Some(found) = adaptation {
        say!("{}    {}", Style::stdout().bold("from"), found.describe());
    }
    let mut first = Some(first);
    Ok(Setup {
        initial: adaptation.map(|found| found.weights(&config, &model)),
        config,
        text: Text {
            training: prepared.training.clone(),
            held_out: prepared.held_out.clone(),
            special: prepared.tokenizer.special(),
        },
        tokenizer: prepared.tokenizer.clone(),
        fingerprint: prepared.fingerprint.clone(),
        facts: prepared.facts(),
        memory: arguments.memory.bytes()?,
        open: Box::new(move || first.take().map_or_else(|| open(&device, bank), Ok)),
        rollback: arguments.on_nan == OnNan::Rollback,
        stop_after: arguments.stop_after,
    })
}

/// From here to the end of the run, or to where it is stopped.
fn sitting(mut session: Session, prepared: &Prepared, stop: &Stop) -> Result<(), Failure> {
    let style = Style::stdout();
    if let Some(parts) = progress::parts(&session) {
        say!("{parts}");
    }
    let mut progress = Progress::new(&session);
    let (mut tokens, mut held_out, mut ending) = (0, None, None);
    while !session.has_ended() {
        for report in session.advance(stop.asked()).map_err(Failure::work)? {
            progress.take_in(&session, &report);
            match report {
                Report::Interval { interval, .. } => tokens += interval.tokens,
                Report::HeldOut { measures, .. } => held_out = Some(measures),
                Report::Ended(end) => ending = Some(end),
                _ => {}
            }
        }
    }
    progress.finish();
    let Some(Ending { step, complete, seconds, folder }) = ending else { return Ok(()) };
    let place = session.run().folder().display().to_string();
    if !complete {
        let of = match session.config().training.hours {
            Some(hours) => format!("at step {step}, {:.2} of {hours} hours", session.seconds() / 3_600.0),
            None => format!("at step {step} of {}", session.config().training.steps),
        };
        say!("stopped {of}, and saved; go on with\n  leyden train --run {place}");
        return Ok(());
    }
    let history = session.run().history().map_err(Failure::work)?;
    let outcome = Outcome { history, after: held_out.unwrap_or_default(), tokens, seconds };
    say!("\n{}", summary::losses(style, session.config(), prepared, &outcome));
    let verdicts = session.show(sentences::pick(prepared)).map_err(Failure::work)?;
    for sentence in &verdicts {
        let line = sentences::line(step, sentence, &prepared.tokenizer);
        session.run_mut().log_sample(&line).map_err(Failure::work)?;
    }
    say!("{}", sentences::table(style, &verdicts, &prepared.tokenizer));
    say!("{}", summary::files(style, session.run(), &folder, &verdicts, &prepared.tokenizer));
    Ok(())
}

fn heading(style: Style, config: &Config, model: &Model, prepared: &Prepared, device: &str) -> String {
    let s = &prepared.statistics;
    format!(
        "{}  ELECTRA {}: {} parameters, {} steps of {} x {} tokens on {}\n{}    {}: {} documents, {} tokens, \
         {} words in the vocabulary{}",
        style.bold("leyden"),
        config.preset,
        grouped(model.table.count() as u64),
        grouped(config.training.steps),
        config.training.batch,
        config.data.length,
        device,
        style.bold("text"),
        prepared.name,
        grouped(prepared.documents as u64),
        grouped(s.tokens),
        grouped(config.model.vocabulary as u64),
        if s.unknown_rate() > 0.005 {
            format!(", {:.1} % of the tokens unknown", 100.0 * s.unknown_rate())
        } else {
            String::new()
        }
    )
}
