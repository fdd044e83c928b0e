//! `leyden bench --targets`: what leyden is meant to reach, and what it reaches here. Each line is printed once it is known,
//! so that nothing is lost where the rest fails or somebody has no more time.

use super::pre_training::{Speeds, StepPeer};
use super::print::rounds as by_round;
use super::python::Python;
use super::torch::{Mode, Outcome, Products};
use super::{BenchArguments, burn, memory, open};
use crate::bench::{
    MatmulTime, MatmulTimes, StepTime, Stepper, matmul_agrees, matmul_shapes, matmul_times, median, multiply_adds,
    profile,
};
use crate::cli::Failure;
use crate::cli::output::print;
use crate::cli::style::Style;
use crate::config::{Config, Precision};
use crate::model::Model;
use crate::plan::Target;
use crate::session::Device;
use crate::train::{Recipe, Resources, candidates};
use crate::tune::Trials;
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Rounds of leyden against itself.
const ROUNDS: usize = 3;

/// What is meant to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Meant {
    AtLeast(f64),
    AtMost(f64),
}

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    TokensPerSecond,
    Percent,
    Times,
    Gigabytes,
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Line {
    what: String,
    /// None where it failed; `how` then says why.
    found: Option<f64>,
    unit: Unit,
    #[serde(flatten)]
    meant: Option<Meant>,
    how: String,
}

impl Line {
    fn met(&self) -> Option<bool> {
        Some(match (self.found?, self.meant?) {
            (found, Meant::AtLeast(least)) => found >= least,
            (found, Meant::AtMost(most)) => found <= most,
        })
    }
}

fn value(x: f64, unit: Unit) -> String {
    match unit {
        Unit::TokensPerSecond => format!("{x:.0} tokens/s"),
        Unit::Percent => format!("{x:.1} %"),
        Unit::Times => format!("{x:.2} times"),
        Unit::Gigabytes => format!("{x:.2} GB"),
    }
}

/// Where lines go.
struct Report {
    json: bool,
    style: Style,
}

impl Report {
    /// Prints some text. A reader who has left ends the measuring.
    fn say(&self, text: &str) -> Result<(), Failure> {
        match print(text)? {
            true => Ok(()),
            false => Err(Failure::Work("nobody reads the results any more".into())),
        }
    }

    fn line(&self, line: &Line) -> Result<(), Failure> {
        if self.json {
            let mut value = serde_json::to_value(line).map_err(Failure::work)?;
            value["met"] = line.met().into();
            return self.say(&format!("{value}\n"));
        }
        let found = line.found.map_or("failed".to_string(), |x| value(x, line.unit));
        let meant = match line.meant {
            Some(Meant::AtLeast(x)) => format!("at least {}", value(x, line.unit)),
            Some(Meant::AtMost(x)) => format!("at most {}", value(x, line.unit)),
            None => String::new(),
        };
        let met = match line.met() {
            Some(true) => self.style.green("met   "),
            Some(false) => self.style.yellow("missed"),
            None => "      ".into(),
        };
        let (what, how) = (&line.what, self.style.dim(&line.how));
        self.say(&format!("  {what:<44} {found:>16}  {meant:<20} {met}  {how}\n"))
    }

    /// What was measured, or why it could not be.
    fn found(
        &self,
        what: impl Into<String>,
        found: f64,
        unit: Unit,
        meant: Option<Meant>,
        how: impl Into<String>,
    ) -> Result<(), Failure> {
        self.line(&Line { what: what.into(), found: Some(found), unit, meant, how: how.into() })
    }

    fn failed(&self, what: &str, unit: Unit, meant: Option<Meant>, why: impl Into<String>) -> Result<(), Failure> {
        self.line(&Line { what: what.into(), found: None, unit, meant, how: why.into() })
    }
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Input(text) | Failure::Work(text) => text,
    }
}

/// Measures everything for `config`, in single precision and, where the device has halves, in mixed.
///
/// # Errors
/// Where the step in single precision cannot be taken at all, and where the output is closed.
pub(super) fn run(arguments: &BenchArguments, config: &Config, steps: usize) -> Result<(), Failure> {
    let report = Report { json: arguments.json, style: Style::stdout() };
    let in_precision = |precision| {
        let mut config = config.clone();
        config.training.precision = precision;
        config
    };
    if let Some(python) = &arguments.python {
        Python::look_for(python, arguments.patience())?;
    }
    let single = in_precision(Precision::F32);
    let mut whole = stepper(arguments, &single, Resources::default())?;
    let target = whole.machine().0.target();
    let name = whole.describe();
    let (batch, length) = (config.training.batch, config.data.length);
    if report.json {
        let line = json!({"device": name, "preset": config.preset, "batch": batch, "length": length, "steps": steps});
        report.say(&format!("{line}\n"))?;
    } else {
        let what = format!("preset {}, {batch} examples of {length} tokens, rounds of {steps} steps", config.preset);
        report.say(&format!("{}\n  {what}\n\n", report.style.bold(&name)))?;
    }
    step(&report, &mut whole, "f32", steps)?;
    products(&report, arguments, &single)?;
    parts(&report, arguments, &single, &mut whole, steps)?;
    if let Some(python) = &arguments.python {
        let at_least = [(Mode::EagerFp32, 0.6)];
        let python = (python.as_path(), arguments.patience());
        against_torch(&report, &mut whole, python, &single, "f32", &at_least, steps)?;
    }
    against_burn(&report, &arguments.device, &single, &mut whole, steps)?;
    if !matches!(target, Target::Gpu(traits) if traits.f16) {
        return Ok(());
    }
    let mixed = in_precision(Precision::Mixed);
    let mut halves = match stepper(arguments, &mixed, Resources::default()) {
        Ok(stepper) => stepper,
        Err(failure) => return report.failed("mixed", Unit::TokensPerSecond, None, reason(failure)),
    };
    step(&report, &mut halves, "mixed", steps)?;
    match in_turns(&mut halves, &mut whole, steps) {
        Ok((ratio, rounds)) => report.found("mixed, against f32", ratio, Unit::Times, None, rounds)?,
        Err(failure) => report.failed("mixed, against f32", Unit::Times, None, reason(failure))?,
    }
    drop(whole);
    if let Some(python) = &arguments.python {
        let at_least =
            [(Mode::EagerBf16, 1.0), (Mode::CompiledBf16, 2.0), (Mode::GraphsBf16, 1.0), (Mode::AutotunedBf16, 2.0)];
        let python = (python.as_path(), arguments.patience());
        against_torch(&report, &mut halves, python, &mixed, "mixed", &at_least, steps)?;
    }
    Ok(())
}

fn stepper(arguments: &BenchArguments, config: &Config, resources: Resources) -> Result<Stepper, Failure> {
    let recipe = Recipe::new(config);
    Stepper::new(open(arguments, &recipe, resources)?, recipe, resources).map_err(memory::failure)
}

/// Its speed, and the share of a profiled step in which nothing is computed.
fn step(report: &Report, stepper: &mut Stepper, name: &str, steps: usize) -> Result<(), Failure> {
    let seconds = seconds(&stepper.run(steps).map_err(Failure::work)?);
    let rate = stepper.tokens() as f64 / median(&seconds);
    let gflops = stepper.flops() as f64 / median(&seconds) / 1e9;
    let mut how = format!("{gflops:.0} GFLOP/s");
    if let Some(parts) = memory::how(stepper.fit()) {
        how = format!("{how}, {parts}");
    }
    report.found(format!("{name}, training"), rate, Unit::TokensPerSecond, None, how)?;
    let (what, meant) = (format!("{name}, gaps of the step"), Some(Meant::AtMost(10.0)));
    match profile(stepper, 3) {
        Ok(profile) => {
            let gaps = &profile.gaps;
            let Some(share) = gaps.share else { return report.failed(&what, Unit::Percent, meant, gaps.unknown()) };
            let [profiled, step] = [profile.extent, profile.step].map(|seconds| 1e3 * seconds);
            let how = format!("{gaps}; of {profiled:.2} ms while profiled, {step:.2} ms otherwise");
            report.found(what, 100.0 * share, Unit::Percent, meant, how)
        }
        Err(error) => report.failed(&what, Unit::Percent, meant, error.to_string()),
    }
}

/// The widest layer's product and its transposes: the fastest of leyden's kernels that agree with the base kernel against the
/// peak, and with a Python in half precision against PyTorch's. On an engine of its own, which a kernel on trial may bring down.
fn products(report: &Report, arguments: &BenchArguments, config: &Config) -> Result<(), Failure> {
    let measured = || -> Result<_, Failure> {
        let mut machine = open(arguments, &Recipe::new(config), Resources::default())?;
        let table = Model::new(config).table;
        let shapes = matmul_shapes(&machine);
        let peak = multiply_adds(&mut machine, &table).map_err(Failure::work)?;
        let times = matmul_times(&mut machine, &table, &shapes[..1], true).map_err(Failure::work)?;
        Ok((machine.target(), peak, times))
    };
    let (target, peak, MatmulTimes { mut times, failures }) = match measured() {
        Ok(found) => found,
        Err(failure) => return report.failed("matrix products", Unit::Percent, None, reason(failure)),
    };
    for f in &failures {
        let what = format!("{}, {} {}x{}x{} by {}", f.precision, f.layout, f.m, f.n, f.k, f.kernel);
        report.failed(&what, Unit::Percent, None, &f.error)?;
    }
    let mut trials = arguments.device.adapter().map_err(Failure::work)?.map(|adapter| Trials::new(&adapter));
    times.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let mut best: Vec<MatmulTime> = Vec::new();
    for time in times {
        let known = best.iter().any(|b| (b.layout, b.precision) == (time.layout, time.precision));
        if !known && matmul_agrees(trials.as_mut(), target, &time) {
            best.push(time);
        }
    }
    let name = |t: &MatmulTime| format!("{}, {} {}x{}x{}", t.precision, t.layout, t.m, t.n, t.k);
    for t in best.iter().filter(|t| t.precision == "f32") {
        let Some(peak) = peak else { continue };
        let how = format!("{:.0} of {peak:.0} GFLOP/s of multiply-adds; {}", t.gflops, t.kernel);
        let meant = Some(Meant::AtLeast(60.0));
        report.found(name(t) + " of peak", 100.0 * t.gflops / peak, Unit::Percent, meant, how)?;
    }
    let Some(python) = &arguments.python else { return Ok(()) };
    let mut peer = match Products::start((python, arguments.patience()), target != Target::Cpu)? {
        Ok(peer) => peer,
        Err(error) => return report.failed("matrix products of PyTorch", Unit::Percent, None, error),
    };
    for t in &best {
        let half = t.precision == "f16";
        let (what, meant) = (name(t) + " of PyTorch's", half.then_some(Meant::AtLeast(40.0)));
        match peer.seconds(t) {
            Ok(seconds) => {
                let theirs = 1e-9 * 2.0 * (t.m * t.n * t.k) as f64 / seconds;
                let speeds = format!("{:.0} against {theirs:.0} GFLOP/s of PyTorch {}", t.gflops, peer.version);
                let kernel = if t.kernel.is_empty() { String::new() } else { format!("; {}", t.kernel) };
                report.found(what, 100.0 * seconds / t.seconds, Unit::Percent, meant, speeds + &kernel)?;
            }
            // What it would say next might be the answer to this.
            Err(error) => return report.failed(&what, Unit::Percent, meant, error),
        }
    }
    Ok(())
}

/// The step's plan within 2 GB, and its speed at half the memory.
fn parts(
    report: &Report,
    arguments: &BenchArguments,
    config: &Config,
    whole: &mut Stepper,
    steps: usize,
) -> Result<(), Failure> {
    let most = Resources { memory: Some(2_000_000_000), recompute: None };
    let (machine, _) = whole.machine();
    let (target, limits) = (machine.target(), machine.engine().limits());
    let (what, meant) = ("f32, planned memory within 2 GB", Some(Meant::AtMost(2.0)));
    match candidates(&Recipe::new(config), target, most, limits) {
        Ok((best, _)) => {
            let how = memory::how(best.fit).unwrap_or_else(|| "at once".into());
            report.found(what, best.bytes as f64 / 1e9, Unit::Gigabytes, meant, how)?;
        }
        Err(error) => report.failed(what, Unit::Gigabytes, meant, error.to_string())?,
    }
    let (what, meant) = ("f32, speed at half the memory", Some(Meant::AtLeast(95.0)));
    let held = whole.allocated() as u64;
    let half = Resources { memory: Some(held / 2), recompute: None };
    match stepper(arguments, config, half) {
        Ok(mut half) => {
            let (ratio, rounds) = match in_turns(&mut half, whole, steps) {
                Ok(found) => found,
                Err(failure) => return report.failed(what, Unit::Percent, meant, reason(failure)),
            };
            let how = memory::how(half.fit()).unwrap_or_else(|| "at once".into());
            let [part, all] = [half.allocated() as u64, held].map(|bytes| bytes as f64 / 1e9);
            let how = format!("{how}: {part:.2} of {all:.2} GB {rounds}");
            report.found(what, 100.0 * ratio, Unit::Percent, meant, how)
        }
        Err(failure) => report.failed(what, Unit::Percent, meant, reason(failure)),
    }
}

/// The speed of `one` over that of `other`, of the medians of rounds in turn, and by round in words.
fn in_turns(one: &mut Stepper, other: &mut Stepper, steps: usize) -> Result<(f64, String), Failure> {
    let (mut ones, mut others, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let a = seconds(&one.run(steps).map_err(Failure::work)?);
        let b = seconds(&other.run(steps).map_err(Failure::work)?);
        rounds.push(median(&b) / median(&a));
        ones.extend(a);
        others.extend(b);
    }
    Ok((median(&others) / median(&ones), by_round(&rounds)))
}

fn seconds(times: &[StepTime]) -> Vec<f64> {
    times.iter().map(|time| time.seconds).collect()
}

/// Against PyTorch in some modes, of each of which leyden's speed is meant to be at least so many times.
fn against_torch(
    report: &Report,
    stepper: &mut Stepper,
    python: (&Path, Duration),
    config: &Config,
    name: &str,
    modes: &[(Mode, f64)],
    steps: usize,
) -> Result<(), Failure> {
    let on_gpu = matches!(stepper.machine().0.target(), Target::Gpu(_));
    let what = |mode: Mode| format!("{name}, against PyTorch {mode}");
    // A mode at a time, so that what is known is said.
    for &(mode, least) in modes {
        let meant = Some(Meant::AtLeast(least));
        let ours = || Ok(seconds(&stepper.run(steps).map_err(Failure::work)?));
        let compared = StepPeer::new(python, &[mode], config, steps, on_gpu).and_then(|peer| peer.compare(ours));
        let compared = match compared {
            Ok(compared) => compared,
            Err(failure) => {
                report.failed(&what(mode), Unit::Times, meant, reason(failure))?;
                continue;
            }
        };
        for row in &compared.modes {
            match &row.outcome {
                Outcome::Failed { error } => report.failed(&what(mode), Unit::Times, meant, error)?,
                Outcome::Measured(Speeds { tokens_per_second, leyden_tokens_per_second, ratio, rounds }) => {
                    let speeds = format!("{leyden_tokens_per_second:.0} against {tokens_per_second:.0} tokens/s");
                    let how = format!("{speeds} of PyTorch {} {}", compared.version, by_round(rounds));
                    report.found(what(mode), *ratio, Unit::Times, meant, how)?;
                }
            }
        }
    }
    Ok(())
}

/// Against burn, in builds with it, on a GPU.
fn against_burn(
    report: &Report,
    device: &Device,
    config: &Config,
    stepper: &mut Stepper,
    steps: usize,
) -> Result<(), Failure> {
    let Target::Gpu(traits) = stepper.machine().0.target() else { return Ok(()) };
    if cfg!(not(feature = "burn")) {
        return Ok(());
    }
    let (what, meant) = ("f32, against burn", Some(Meant::AtLeast(if traits.software { 2.0 } else { 5.0 })));
    let ours = || Ok(seconds(&stepper.run(steps).map_err(Failure::work)?));
    match burn::Peer::new(device, config, steps).and_then(|mut peer| peer.compare(ours)) {
        Ok(found) => {
            let how = format!(
                "{:.0} tokens/s of burn {} {}",
                found.tokens_per_second,
                found.version,
                by_round(&found.rounds)
            );
            report.found(what, found.ratio, Unit::Times, meant, how)
        }
        Err(failure) => report.failed(what, Unit::Times, meant, reason(failure)),
    }
}
