//! `leyden train`: text in, two networks out, and everything in between shown.

mod prepare;
mod progress;
mod sentences;
mod summary;

use super::settings::Settings;
use super::style::Style;
use super::{Device, Failure, open};
use crate::electra::{Config, Model};
use crate::run::Run;
use crate::train::{Event, Interval, Measures, Text, Trainer};
use clap::Args;
use prepare::Prepared;
use progress::Progress;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `leyden train`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    settings: Settings,
    /// Text files or folders of .txt to train on; a paragraph or sentence a line, a blank line between documents.
    /// Without it: the sample text inside the program
    #[arg(long, num_args = 1.., value_name = "FILE")]
    text: Vec<PathBuf>,
    /// Folder for the run's files; runs/PRESET if not given
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// auto (the best GPU, else the CPU), cpu, or part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
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
    before: Measures,
    after: Measures,
    first: Option<Interval>,
    last: Option<Interval>,
    tokens: u64,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: TrainArguments) -> Result<(), Failure> {
    let style = Style::stdout();
    let mut config = arguments.settings.resolve()?;
    let folder = arguments.run.unwrap_or_else(|| Run::free_folder(&config.preset));
    Run::check_free(&folder).map_err(Failure::input)?;
    progress::note("reading the text and making a vocabulary…");
    let prepared = prepare::prepare(&mut config, &arguments.text)?;
    let model = Model::new(&config);
    let (engine, target) = open(&arguments.device, model.table.len()).map_err(Failure::input)?;
    println!("{}", heading(style, &config, &model, &prepared, &engine.describe()));
    let text = Text {
        training: prepared.training.clone(),
        held_out: prepared.held_out.clone(),
        special: prepared.tokenizer.special(),
    };
    let mut trainer = Trainer::new(engine, target, config, text).map_err(Failure::work)?;
    let mut run = Run::create(&folder, trainer.config(), &prepared.tokenizer).map_err(Failure::work)?;
    let outcome = train(&mut trainer, &mut run)?;
    let bank = trainer.weights().map_err(Failure::work)?;
    let step = trainer.started();
    let weights =
        run.checkpoint(step, trainer.config(), trainer.model(), &prepared.tokenizer, &bank).map_err(Failure::work)?;
    println!("\n{}", summary::losses(style, trainer.config(), &prepared, &outcome));
    let shown = sentences::pick(&prepared);
    let verdicts = trainer.show(shown).map_err(Failure::work)?;
    for sentence in &verdicts {
        run.log_sample(&sentences::line(step, sentence, &prepared.tokenizer)).map_err(Failure::work)?;
    }
    println!("{}", sentences::table(style, &verdicts, &prepared.tokenizer));
    println!("{}", summary::files(style, &run, &weights, &verdicts, &prepared.tokenizer));
    Ok(())
}

/// The loop: advance, log, show.
fn train(trainer: &mut Trainer, run: &mut Run) -> Result<Outcome, Failure> {
    let steps = trainer.config().training.steps;
    let before = trainer.evaluate().map_err(Failure::work)?;
    run.log(&HeldOutLine { step: 0, seconds: 0.0, held_out: &before }).map_err(Failure::work)?;
    let mut progress = Progress::new(steps);
    let start = Instant::now();
    let (mut first, mut last, mut tokens, mut logged) = (None, None, 0, 0.0);
    loop {
        let done = trainer.started() == steps;
        let events = if done { trainer.finish() } else { trainer.advance() };
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
                    first.get_or_insert(interval);
                    last = Some(interval);
                    tokens += interval.tokens;
                    logged = seconds;
                }
            }
        }
        if done {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    progress.finish();
    let after = trainer.evaluate().map_err(Failure::work)?;
    run.log(&HeldOutLine { step: steps, seconds, held_out: &after }).map_err(Failure::work)?;
    Ok(Outcome { before, after, first, last, tokens, seconds })
}

fn heading(style: Style, config: &Config, model: &Model, prepared: &Prepared, device: &str) -> String {
    let s = &prepared.statistics;
    format!(
        "{}  ELECTRA {}: {} parameters, {} steps of {} x {} tokens on {}\n{}    {}: {} documents, {} tokens, \
         {} words in the vocabulary{}",
        style.bold("leyden"),
        config.preset,
        summary::thousands(model.table.count() as u64),
        summary::thousands(config.training.steps),
        config.training.batch,
        config.data.length,
        device,
        style.bold("text"),
        prepared.name,
        summary::thousands(prepared.documents as u64),
        summary::thousands(s.tokens),
        summary::thousands(config.model.vocabulary as u64),
        if s.unknown_rate() > 0.005 {
            format!(", {:.1} % of the tokens unknown", 100.0 * s.unknown_rate())
        } else {
            String::new()
        }
    )
}
