//! `leyden train`: text in, two networks out, and everything in between shown.

mod prepare;
mod progress;
mod sentences;
mod stop;
mod summary;

use super::output::grouped;
use super::settings::Settings;
use super::style::Style;
use super::{Device, Failure, open};
use crate::electra::{Config, Model};
use crate::run::{History, Run};
use crate::train::{Event, Interval, Measures, Text, Trainer};
use clap::Args;
use prepare::Prepared;
use progress::Progress;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;
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
    /// Folder for the run's files; runs/PRESET if not given. A run that is there already goes on
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// auto (the best GPU, else the CPU), cpu, or part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    /// End this sitting after so many steps, saved; the schedule stays
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<u64>,
}

/// Prints a line. Somebody who has stopped listening (`| head`) does not end a run.
macro_rules! say {
    ($($part:tt)*) => {
        crate::cli::output::print(&(format!($($part)*) + "\n"))?
    };
}

/// A line of metrics.jsonl while training.
#[derive(Debug, Serialize)]
struct IntervalLine {
    seconds: f64,
    tokens_per_second: f64,
    #[serde(flatten)]
    interval: Interval,
}

/// A line of metrics.jsonl about the held-out text.
#[derive(Debug, Serialize)]
struct HeldOutLine<'a> {
    step: u64,
    seconds: f64,
    held_out: &'a Measures,
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
            let config = arguments.settings.resolve()?;
            let folder = Run::free_folder(&config.preset);
            start(&arguments, config, &folder, &stop)
        }
        Some(folder) => match Run::config(&folder).map_err(Failure::input)? {
            None => start(&arguments, arguments.settings.resolve()?, &folder, &stop),
            Some(config) => go_on(&arguments, config, &folder, &stop),
        },
    }
}

/// A new run.
fn start(arguments: &TrainArguments, mut config: Config, folder: &Path, stop: &Stop) -> Result<(), Failure> {
    Run::check_free(folder).map_err(Failure::input)?;
    let files = if arguments.text.is_empty() { &config.data.text } else { &arguments.text };
    config.data.text = absolute(files)?;
    progress::note("reading the text and making a vocabulary…");
    let prepared = prepare::prepare(&mut config)?;
    let mut trainer = trainer(arguments, config, &prepared)?;
    let mut run = Run::create(folder, trainer.config(), &prepared.tokenizer).map_err(Failure::work)?;
    run.note_text(&prepared.facts()).map_err(Failure::work)?;
    let before = trainer.evaluate().map_err(Failure::work)?;
    run.log(&HeldOutLine { step: 0, seconds: 0.0, held_out: &before }).map_err(Failure::work)?;
    sitting(arguments, &mut trainer, &mut run, &prepared, stop)
}

/// A run that was stopped goes on from its newest checkpoint.
fn go_on(arguments: &TrainArguments, mut config: Config, folder: &Path, stop: &Stop) -> Result<(), Failure> {
    let place = folder.display();
    let fixed = arguments.settings.fixed_flag().or((!arguments.text.is_empty()).then_some("--text"));
    if let Some(flag) = fixed {
        return Err(Failure::Input(format!("{place} holds a run with settings of its own: leave {flag} out to go on")));
    }
    let model = Model::new(&config);
    let (mut run, snapshot) = Run::open(folder, &model).map_err(Failure::input)?;
    if let Some(steps) = arguments.settings.steps.filter(|&steps| steps != config.training.steps) {
        if steps <= snapshot.step {
            let done = snapshot.step;
            return Err(Failure::Input(format!("--steps {steps}: {place} has done {done} already, expected more")));
        }
        say!("{} steps instead of {}: the learning rate falls to 0 there", steps, config.training.steps);
        config.training.steps = steps;
        config.check().map_err(Failure::input)?;
        run.rewrite_config(&config).map_err(Failure::work)?;
    }
    if snapshot.step >= config.training.steps {
        say!("{place} is done, {} steps; --steps with a larger number lets it go on", snapshot.step);
        return Ok(());
    }
    progress::note("reading the text…");
    let prepared = prepare::prepare_again(&config, folder)?;
    let mut trainer = trainer(arguments, config, &prepared)?;
    trainer.resume(&snapshot).map_err(Failure::work)?;
    say!("going on from step {}", grouped(snapshot.step));
    sitting(arguments, &mut trainer, &mut run, &prepared, stop)
}

fn absolute(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let absolute = |file: &PathBuf| {
        let bad = |reason: &str| Failure::Input(format!("--text {}: {reason}", file.display()));
        let path = std::path::absolute(file).map_err(|e| bad(&e.to_string()))?;
        // It goes into config.toml, which is UTF-8.
        if path.to_str().is_none() { Err(bad("the name is not UTF-8; rename it")) } else { Ok(path) }
    };
    files.iter().map(absolute).collect()
}

fn trainer(arguments: &TrainArguments, config: Config, prepared: &Prepared) -> Result<Trainer, Failure> {
    let model = Model::new(&config);
    let (engine, target) = open(&arguments.device, model.table.len()).map_err(Failure::input)?;
    say!("{}", heading(Style::stdout(), &config, &model, prepared, &engine.describe()));
    let text = Text {
        training: prepared.training.clone(),
        held_out: prepared.held_out.clone(),
        special: prepared.tokenizer.special(),
    };
    Trainer::new(engine, target, config, text).map_err(Failure::work)
}

/// From here to the end of the run, or to where it is stopped.
fn sitting(
    arguments: &TrainArguments,
    trainer: &mut Trainer,
    run: &mut Run,
    prepared: &Prepared,
    stop: &Stop,
) -> Result<(), Failure> {
    let style = Style::stdout();
    let steps = trainer.config().training.steps;
    let until = arguments.stop_after.map_or(steps, |n| trainer.started().saturating_add(n).min(steps));
    let (tokens, seconds) = train(trainer, run, prepared, until, stop)?;
    let done = trainer.started();
    let weights = save(trainer, run, prepared)?;
    if done < steps {
        let folder = run.folder().display();
        say!("stopped at step {done} of {steps} and saved; go on with\n  leyden train --run {folder}");
        return Ok(());
    }
    let after = trainer.evaluate().map_err(Failure::work)?;
    run.log(&HeldOutLine { step: steps, seconds, held_out: &after }).map_err(Failure::work)?;
    let outcome = Outcome { history: run.history().map_err(Failure::work)?, after, tokens, seconds };
    say!("\n{}", summary::losses(style, trainer.config(), prepared, &outcome));
    let verdicts = trainer.show(sentences::pick(prepared)).map_err(Failure::work)?;
    for sentence in &verdicts {
        run.log_sample(&sentences::line(done, sentence, &prepared.tokenizer)).map_err(Failure::work)?;
    }
    say!("{}", sentences::table(style, &verdicts, &prepared.tokenizer));
    say!("{}", summary::files(style, run, &weights, &verdicts, &prepared.tokenizer));
    Ok(())
}

fn save(trainer: &mut Trainer, run: &Run, prepared: &Prepared) -> Result<PathBuf, Failure> {
    let snapshot = trainer.snapshot().map_err(Failure::work)?;
    run.checkpoint(&snapshot, trainer.config(), trainer.model(), &prepared.tokenizer).map_err(Failure::work)
}

/// The loop: advance, log, show, save now and then. Tokens and seconds of this sitting.
fn train(
    trainer: &mut Trainer,
    run: &mut Run,
    prepared: &Prepared,
    until: u64,
    stop: &Stop,
) -> Result<(u64, f64), Failure> {
    let every = trainer.config().training.checkpoint_every;
    let mut progress = Progress::new(trainer.config().training.steps, trainer.started());
    let start = Instant::now();
    let (mut tokens, mut logged, mut saved) = (0, 0.0, trainer.started());
    loop {
        let done = trainer.started() >= until || stop.asked();
        let saves = trainer.started().is_multiple_of(every) && trainer.started() > saved;
        let events = if done || saves { trainer.finish() } else { trainer.advance() };
        for event in events.map_err(Failure::work)? {
            match event {
                Event::Step { step, generator_loss, discriminator_loss } => {
                    progress.step(step + 1, generator_loss, discriminator_loss);
                }
                Event::Interval(interval) => {
                    let seconds = start.elapsed().as_secs_f64();
                    let tokens_per_second = interval.tokens as f64 / (seconds - logged).max(1e-9);
                    run.log(&IntervalLine { seconds, tokens_per_second, interval }).map_err(Failure::work)?;
                    progress.interval(&interval, tokens_per_second);
                    tokens += interval.tokens;
                    logged = seconds;
                }
            }
        }
        if done {
            break;
        }
        if saves {
            save(trainer, run, prepared)?;
            saved = trainer.started();
        }
    }
    progress.finish();
    Ok((tokens, start.elapsed().as_secs_f64()))
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
