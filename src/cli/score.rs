//! `leyden score`: what a pre-training run is worth, checkpoint by checkpoint.
//!
//! What it makes is a folder like a run's: a line of metrics for each checkpoint, at the pre-training's step and cost. So `leyden
//! plot` draws it, beside those of other runs too.

use super::Failure;
use super::fine_tune::Tuning;
use super::output::print;
use super::style::Style;
use super::table::Table;
use super::train::Stop;
use crate::history::{Moment, Recorded, Scale, X};
use crate::measure::{Better, Measure, Measures, Plot, Values, mean_and_deviation};
use crate::numbers::fixed;
use crate::picture::{Figure, to_png};
use crate::run::{METRICS, Run, saved};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `leyden score`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden score runs/small --task sst2 --train train.tsv --dev dev.tsv
  leyden score runs/small --task rte --train train.tsv --dev dev.tsv --seeds 3 --out scores/rte
  leyden plot scores/* --x flops --out scores.png

A run keeps its last three checkpoints: to have more to compare, train with --set training.keep_checkpoints=20.")]
pub(crate) struct ScoreArguments {
    /// The folder of a pre-training run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Folder for the scores and the runs behind them; RUN/scores/TASK if not given. What is there already is taken up
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
    /// Fine-tune each so many times, with seeds of their own, and take the mean
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
}

/// A checkpoint, and what it came to.
struct Scored {
    name: String,
    step: u64,
    flops: f64,
    values: Vec<f64>,
}

/// Runs the command.
pub(crate) fn run(arguments: ScoreArguments) -> Result<(), Failure> {
    let ScoreArguments { run, tuning, seeds, .. } = &arguments;
    if !(1..=100).contains(seeds) {
        return Err(Failure::Input(format!("--seeds is {seeds}, expected 1 to 100")));
    }
    match Run::config(run).map_err(Failure::input)? {
        None => return Err(Failure::Input(format!("{} holds no run, expected one of leyden train", run.display()))),
        Some(config) if config.is_fine_tuning() => {
            let place = run.display();
            return Err(Failure::Input(format!(
                "{place} is a fine-tuning run; expected the pre-training run before it"
            )));
        }
        Some(_) => {}
    }
    let checkpoints = saved(run).map_err(Failure::input)?;
    let Some((last, ..)) = checkpoints.last() else {
        return Err(Failure::Input(format!("{} has no checkpoint yet", run.display())));
    };
    let out = arguments.out.clone().map_or_else(|| Ok(run.join("scores").join(tuning.name()?)), Ok)?;
    // The same network from random weights is where the curve begins.
    let scratch = std::iter::once((last, "random".to_string(), 0, 0.0));
    let each = checkpoints.iter().map(|(folder, state)| {
        (folder, format!("step-{:06}", state.step), state.step, state.flops.unwrap_or(f64::NAN))
    });
    let stop = Stop::on_interrupt();
    let (mut scored, mut measure) = (Vec::new(), None);
    for (checkpoint, name, step, flops) in scratch.chain(each) {
        let tuning = if step == 0 { tuning.with_random_weights() } else { tuning.clone() };
        let mut values = Vec::new();
        for seed in tuning.seed()..tuning.seed() + seeds {
            let folder = out.join(&name).join(format!("seed-{seed}"));
            print(&format!("\n{} seed {seed}\n", Style::stdout().bold(&name)))?;
            if !tuning.sit_again(Some(checkpoint), &folder, seed, &stop)? {
                print("the others come after it; go on with the same command\n")?;
                return Ok(());
            }
            let measures = Recorded::read(&folder).map_err(Failure::work)?.measures;
            values.extend(Run::best_of(&folder).map(|(.., value)| value));
            measure = measure.or(measures.selecting().cloned());
        }
        scored.push(Scored { name, step, flops, values });
        // What is there can be looked at while the others are trained.
        if let Some(measure) = &measure {
            keep(&out, &scored, measure)?;
        }
    }
    let Some(measure) = measure else { return Err(Failure::Work("nothing was measured".into())) };
    report(&out, &scored, &measure)
}

fn mean(values: &[f64]) -> f64 {
    mean_and_deviation(values).0
}

/// Writes the folder's files.
fn keep(out: &Path, scored: &[Scored], measure: &Measure) -> Result<(), Failure> {
    let write = |name: &str, bytes: &[u8]| {
        let path = out.join(name);
        crate::files::write(&path, bytes).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))
    };
    let measures = Measures::new([Measure { plot: Plot::Main, selects: true, ..measure.clone() }]);
    write(Measures::FILE, &measures.to_json().map_err(Failure::work)?)?;
    let lines: String = scored
        .iter()
        .map(|s| {
            let values = Values::from([(&*measure.name, mean(&s.values))]);
            format!("{}\n", json!({"step": s.step, "flops": s.flops, "held_out": values}))
        })
        .collect();
    write(METRICS, lines.as_bytes())
}

/// The table and the picture.
fn report(out: &Path, scored: &[Scored], measure: &Measure) -> Result<(), Failure> {
    let style = Style::stdout();
    let digits = usize::from(measure.digits);
    let mut table = Table::new(&[false, true, true, false]);
    for s in scored {
        let spread = match (s.values.iter().copied().reduce(f64::min), s.values.iter().copied().reduce(f64::max)) {
            (Some(low), Some(high)) if s.values.len() > 1 => {
                format!("{} to {}", fixed(low, digits), fixed(high, digits))
            }
            _ => String::new(),
        };
        let cost = if s.flops > 0.0 { format!("{:.2e} FLOP", s.flops) } else { "-".into() };
        table.row([s.name.clone(), cost, fixed(mean(&s.values), digits), spread]);
    }
    let mut text = format!("\n{} on held-out texts, by pre-training checkpoint\n", style.bold(&measure.title));
    table.lines().iter().for_each(|line| text += &format!("{line}\n"));
    let better = scored.windows(2).filter(|pair| beats(measure, &pair[1], &pair[0])).count();
    if better + 1 < scored.len() {
        let all = scored.len() - 1;
        text += &format!("{better} of {all} are better than the one before\n");
    }
    let recorded = Recorded::read(out).map_err(Failure::work)?;
    let known = recorded.held_out.iter().all(|moment: &Moment| moment.flops.is_finite());
    let x = if known { X::Flops } else { X::Steps };
    let name = out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned();
    let runs = [(name, recorded)];
    let figure = Figure { runs: &runs, x, scale: Scale::Linear, smoothing: None, size: (900, 480) };
    let picture = out.join("score.png");
    let png = figure.to_svg().and_then(|svg| to_png(&svg)).map_err(Failure::work)?;
    crate::files::write(&picture, &png).map_err(|e| Failure::Work(format!("{}: {e}", picture.display())))?;
    text += &format!("wrote {}\n", picture.display());
    print(&text).map(drop)
}

fn beats(measure: &Measure, new: &Scored, old: &Scored) -> bool {
    measure.better != Better::Neither && measure.better.beats(mean(&new.values), mean(&old.values))
}
