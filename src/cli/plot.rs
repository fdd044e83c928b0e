//! `leyden plot`: the losses of one or several runs as a picture, or the scores of a comparison.
//!
//! What is drawn comes from [`crate::history`], and [`crate::picture`] draws it.

use super::Failure;
use super::output::{grouped, print, remark};
use crate::comparison::Comparison;
use crate::history::{EVENT_FILE, Moment, Recorded, Scale, X, events};
use crate::picture::{Figure, MOST_RUNS, PictureError, to_png};
use crate::run::every_seed;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Arguments of `leyden plot`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden plot runs/tiny --out losses.png
  leyden plot runs/tiny runs/tiny-2 --x hours --log --out both.svg
  leyden plot compare/tiny --out scores.svg
  leyden plot runs/* --tensorboard events && tensorboard --logdir events")]
pub(crate) struct PlotArguments {
    /// Folders of runs, finished or not; at most 7. A folder that fine-tune --seeds made stands for its runs,
    /// one that compare made for what it compares
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The picture to write, named .png or .svg
    #[arg(long, value_name = "FILE", required_unless_present = "tensorboard")]
    out: Option<PathBuf>,
    /// Write all measures as TensorBoard event files: RUN/training and RUN/held_out in this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// What is along the x axis [default: steps, of a comparison flops]
    #[arg(long, value_enum)]
    x: Option<Axis>,
    /// Lay the losses along logarithmic axes
    #[arg(long)]
    log: bool,
    /// How much of the bold curves is what was before: 0 (nothing) to less than 1 [default: by the number of intervals]
    #[arg(long, value_name = "WEIGHT", value_parser = weight)]
    smooth: Option<f64>,
    /// Width and height in pixels
    #[arg(long, value_name = "WxH", default_value = "1200x800")]
    size: Size,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Axis {
    /// Training steps
    Steps,
    /// Tokens trained on
    Tokens,
    /// Hours of training (minutes or seconds of a short one)
    Hours,
    /// Floating-point operations
    Flops,
}

#[derive(Debug, Clone, Copy)]
struct Size(u32, u32);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(['x', 'X', '×']).map(|(w, h)| (w.parse(), h.parse()));
        match parts {
            Some((Ok(width), Ok(height))) => Ok(Self(width, height)),
            _ => Err("expected width and height in pixels, as in 1200x800".into()),
        }
    }
}

fn weight(text: &str) -> Result<f64, String> {
    let weight = text.parse().ok().filter(|w| (0.0..1.0).contains(w));
    weight.ok_or_else(|| "expected 0 to less than 1".into())
}

/// Runs the command.
pub(crate) fn run(arguments: PlotArguments) -> Result<(), Failure> {
    let format = arguments.out.as_deref().map(Format::of).transpose()?;
    let (compared, runs): (Vec<PathBuf>, Vec<PathBuf>) =
        arguments.runs.iter().cloned().partition(|folder| Comparison::is_in(folder));
    let runs: Vec<PathBuf> = runs.iter().flat_map(|run| every_seed(run)).collect();
    let recorded = runs.iter().map(|run| read(run)).collect::<Result<Vec<_>, _>>()?;
    let mut named: Vec<(String, Recorded)> = names(&runs).into_iter().zip(recorded).collect();
    for (folder, name) in compared.iter().zip(names(&compared)) {
        let curves = Comparison::read(folder).map_err(Failure::input)?.curves();
        let called = |arm: String| if compared.len() > 1 || !runs.is_empty() { format!("{name}/{arm}") } else { arm };
        named.extend(curves.into_iter().map(|(arm, curve)| (called(arm), curve)));
    }
    // Runs were named one by one; of what was compared the first are the ones that its own picture has.
    if format.is_some() && runs.is_empty() && named.len() > MOST_RUNS {
        remark(&format!("the first {MOST_RUNS} of {} are drawn: more cannot be told apart", named.len()));
        named.truncate(MOST_RUNS);
    }
    if format.is_some() && named.len() > MOST_RUNS {
        return Err(Failure::input(PictureError::Runs { found: named.len() }));
    }
    let x = arguments.x.unwrap_or(if runs.is_empty() { Axis::Flops } else { Axis::Steps });
    if let (Some(out), Some(format)) = (&arguments.out, format) {
        draw(&arguments, &named, x, out, format)?;
    }
    if let Some(folder) = &arguments.tensorboard {
        export(&named, folder)?;
    }
    Ok(())
}

/// What a picture is written as.
#[derive(Debug, Clone, Copy)]
enum Format {
    Png,
    Svg,
}

impl Format {
    fn of(out: &Path) -> Result<Self, Failure> {
        match out.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            _ => Err(Failure::Input(format!("--out {}: expected a name that ends in .png or .svg", out.display()))),
        }
    }
}

fn draw(
    arguments: &PlotArguments,
    runs: &[(String, Recorded)],
    x: Axis,
    out: &Path,
    format: Format,
) -> Result<(), Failure> {
    let x = match x {
        Axis::Steps => X::Steps,
        Axis::Tokens => X::Tokens,
        Axis::Hours => X::Hours,
        Axis::Flops => X::Flops,
    };
    let scale = if arguments.log { Scale::Log } else { Scale::Linear };
    let size = (arguments.size.0, arguments.size.1);
    let svg = Figure { runs, x, scale, smoothing: arguments.smooth, size }.to_svg().map_err(Failure::input)?;
    let bytes = match format {
        Format::Png => to_png(&svg).map_err(Failure::work)?,
        Format::Svg => svg.into_bytes(),
    };
    write(out, &bytes)?;
    let steps = runs.iter().flat_map(|(_, r)| r.intervals.iter().chain(&r.held_out)).map(|m| m.step).max();
    let what = if runs.len() == 1 { runs[0].0.clone() } else { format!("{} runs", runs.len()) };
    print(&format!("wrote {}: {what}, to step {}\n", out.display(), grouped(steps.unwrap_or_default()))).map(drop)
}

/// Writes each run's measures for TensorBoard, the training and the held-out text as two of its runs, so that it draws
/// them over each other.
fn export(runs: &[(String, Recorded)], folder: &Path) -> Result<(), Failure> {
    let is_number =
        |r: &Recorded, moment: &Moment| r.measures.main().any(|m| moment.get(&m.name).is_some_and(f64::is_finite));
    let numbers = |r: &Recorded| r.intervals.iter().chain(&r.held_out).any(|moment| is_number(r, moment));
    if let Some((name, _)) = runs.iter().find(|(_, r)| !numbers(r)) {
        return Err(Failure::Input(format!(
            "{name}: none of its main measures is a number, so there is nothing to write"
        )));
    }
    for (name, recorded) in runs {
        // A name that is a path, as of two runs of the same name, becomes one that is none; and one that all systems have.
        let odd = |c: char| std::path::is_separator(c) || "/\\:*?\"<>|".contains(c);
        let name: String = name.chars().map(|c| if odd(c) { '-' } else { c }).collect();
        let began = recorded.began();
        for (part, moments) in [("training", &recorded.intervals), ("held_out", &recorded.held_out)] {
            if moments.is_empty() {
                continue;
            }
            let folder = folder.join(name.trim_matches(['-', '.'])).join(part);
            std::fs::create_dir_all(&folder).map_err(|e| unwritable(&folder, &e))?;
            let file = folder.join(EVENT_FILE);
            write(&file, &events(moments, &recorded.measures, began))?;
            let lines = grouped(moments.len() as u64);
            if !print(&format!("wrote {}: {lines} events\n", file.display()))? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    crate::files::write(path, bytes).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Work(format!("cannot write {}: {error}", path.display()))
}

fn read(run: &Path) -> Result<Recorded, Failure> {
    let recorded = Recorded::read(run).map_err(Failure::input)?;
    if let Some(note) = recorded.note() {
        remark(&note);
    }
    Ok(recorded)
}

/// The folders' own names, or the paths as given where two are the same.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let own = |run: &PathBuf| {
        let real = run.canonicalize().unwrap_or_else(|_| run.clone());
        real.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned()
    };
    let short: Vec<String> = runs.iter().map(own).collect();
    let unique = |name: &String| short.iter().filter(|n| *n == name).count() == 1;
    runs.iter()
        .zip(&short)
        .map(|(run, name)| if unique(name) { name.clone() } else { run.display().to_string() })
        .collect()
}
