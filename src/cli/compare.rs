//! `leyden compare`: objectives, or one setting at several values, at equal cost.
//!
//! Each is a plain run with as many steps as the budget pays at its own cost a step, with the same text in the same order; checkpoints
//! along the way and at its end are fine-tuned on tasks with the same seed. What it makes are results.jsonl, a table, a picture, and a folder
//! like a run's for each of what is compared, for `leyden plot` and the window.

mod arms;
mod report;
mod results;
mod tasks;

use super::Failure;
use super::fine_tune::Tuning;
use super::kernels::KernelArguments;
use super::memory::{self, Memory};
use super::output::{note, print, remark};
use super::settings::Settings;
use super::style::Style;
use super::train::{Stop, begin_run, continue_run};
use crate::bench::{Machine, Stepper};
use crate::config::{Config, Precision};
use crate::cpu::CpuEngine;
use crate::gpu::GpuEngine;
use crate::history::Recorded;
use crate::numbers::median;
use crate::run::{Run, saved};
use crate::session::{self, Change, Device, SessionOptions, Startup};
use crate::train::{Recipe, flops_a_step};
use crate::tune::BUDGET;
use arms::Arm;
use clap::Args;
use report::Report;
use results::{Found, RANDOM, Results};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tasks::Task;

/// What the paper's table compares (Clark et al., arXiv 2003.10555, table 5), its best first.
const PAPER: &str = "electra,all-tokens,replace-mlm,electra:over=selected,mlm";

/// Arguments of `leyden compare`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden compare                                          # the paper's five objectives on the samples, for a classroom
  leyden compare --preset mini --data data --flops 1e14 --task chunk=conll2000,sst2=SST-2 --out compare/table
  leyden compare --vary generator=1/8,1/4,1/2,1 --flops 1e13
  leyden compare --vary optimizer.learning_rate=1e-3,2e-3 --objective mlm --seeds 1

A task's folder has its files as they come: train.* and dev.* (or test.*), train-v1.1.json, in_domain_train.tsv and the like.
Stopped, it goes on with the same command; with more --seeds, or more to compare, it adds what is missing. Where results.jsonl and
compare.json are kept, the runs behind them need not be.")]
pub(crate) struct CompareArguments {
    #[command(flatten)]
    settings: Settings,
    /// What to compare: objectives, each with settings behind colons, as in electra:over=selected [default: the paper's five]
    #[arg(long, value_name = "NAME,NAME...", conflicts_with_all = ["vary", "objective"])]
    objectives: Option<String>,
    /// One setting at several values, of the objective unless it names another section; fractions as in 1/4
    #[arg(long, value_name = "KEY=VALUE,VALUE...")]
    vary: Option<String>,
    /// Files or folders of text; without it, and without --data, the sample inside the program
    #[arg(long, num_args = 1.., value_name = "FILE")]
    text: Vec<PathBuf>,
    /// A dataset that leyden prepare made, instead of text
    #[arg(long, value_name = "DIR", conflicts_with = "text")]
    data: Option<PathBuf>,
    /// What each may cost, in floating-point operations [default: what the first one's --steps cost]
    #[arg(long, value_name = "FLOP", conflicts_with = "steps")]
    flops: Option<f64>,
    /// Tasks to judge by, with the folder of their files [default: the sample inside the program]
    #[arg(long = "task", value_name = "NAME=DIR,...", value_delimiter = ',')]
    tasks: Vec<String>,
    /// So many of everything, with seeds of their own; differences are between those of one seed
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// Fine-tune at so many points along the budget, the last at its end
    #[arg(long, value_name = "N", default_value_t = 3)]
    points: u64,
    /// Fine-tune on at most so many of a task's records
    #[arg(long, value_name = "N")]
    examples: Option<usize>,
    /// Times through a task's records [default: as in leyden fine-tune]
    #[arg(long)]
    epochs: Option<f64>,
    /// Folder for the results and the runs behind them [default: compare/PRESET]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto (the best GPU, else the CPU), cpu, or part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "auto|cpu|NAME")]
    device: Device,
    #[command(flatten)]
    kernels: KernelArguments,
    #[command(flatten)]
    memory: Memory,
}

/// One of what is compared, with what the budget pays.
struct Entry {
    arm: Arm,
    /// Of a step, over all phases.
    flops: f64,
    steps: u64,
    /// Of a step here.
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: CompareArguments) -> Result<(), Failure> {
    arguments.check()?;
    let base = arguments.base()?;
    let tasks = tasks::of(&arguments.tasks)?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("compare").join(&base.preset));
    let arms = match (&arguments.objectives, &arguments.vary) {
        (_, Some(what)) => arms::vary(what, &base)?,
        (Some(list), None) => arms::objectives(list, &base)?,
        (None, None) => arms::objectives(PAPER, &base)?,
    };
    let (entries, budget) = arguments.entries(arms)?;
    let report = Report { out: &out, arms: entries.iter().map(|entry| &entry.arm).collect(), tasks: &tasks };
    identify(&out, &arguments, &base, budget, &tasks)?;
    let mut results = Results::read(&out)?;
    let work = Work { arguments: &arguments, out: &out, entries: &entries, tasks: &tasks, budget };
    print(&work.announcement(&results))?;

    let stop = Stop::on_interrupt();
    for seed in work.seeds() {
        for entry in &entries {
            if work.is_known(&results, &entry.arm.name, seed) {
                continue;
            }
            let started = Instant::now();
            let Some(folder) = work.pre_train(entry, seed, &stop)? else { return stopped() };
            // The network that all begin with is measured once a seed.
            if !work.random(&mut results, &folder, seed, &stop)?
                || !work.score(&mut results, entry, &folder, seed, &stop)?
            {
                return stopped();
            }
            // What is there can be looked at while the others are trained.
            report.write(results.all())?;
            print(&work.progress(&results, started))?;
        }
    }
    print(&report.write(results.all())?).map(drop)
}

fn stopped() -> Result<(), Failure> {
    print("the others come after it; go on with the same command\n").map(drop)
}

impl CompareArguments {
    fn check(&self) -> Result<(), Failure> {
        for (flag, found, most) in [("--seeds", self.seeds, 100), ("--points", self.points, 100)] {
            if !(1..=most).contains(&found) {
                return Err(Failure::Input(format!("{flag} is {found}, expected 1 to {most}")));
            }
        }
        match self.flops {
            Some(flops) if !(flops > 0.0 && flops.is_finite()) => {
                Err(Failure::Input(format!("--flops is {flops}, expected more than 0, as in 1e14")))
            }
            _ => Ok(()),
        }
    }

    /// What all have in common, as a run of it begins.
    fn base(&self) -> Result<Config, Failure> {
        let mut config = self.settings.resolve()?;
        session::choose(&mut config, &self.text, self.data.as_deref()).map_err(Failure::input)?;
        session::as_begun(config, self.settings.length, &self.device, &mut |stage| match stage {
            Startup::Note(text) => note(text),
            Startup::Remark(text) => remark(text),
            _ => {}
        })
        .map_err(super::train::failure)
    }

    /// What a step of each costs, and takes here; how many the budget pays; the budget.
    fn entries(&self, arms: Vec<Arm>) -> Result<(Vec<Entry>, f64), Failure> {
        note("timing a few steps of each…");
        let entry = |arm: Arm| {
            let recipe = Recipe::new(&arm.config);
            let phases = recipe.objective.phases();
            let (mut flops, mut seconds) = (0.0, 0.0);
            for (phase, about) in phases.iter().enumerate() {
                let recipe = recipe.in_phase(phase);
                flops += about.share * flops_a_step(&recipe).map_err(Failure::work)? as f64;
                seconds += about.share * self.time(recipe)?;
            }
            Ok(Entry { arm, flops, steps: 0, seconds })
        };
        let mut entries = arms.into_iter().map(entry).collect::<Result<Vec<Entry>, Failure>>()?;
        let first = entries[0].flops * entries[0].arm.config.training.steps as f64;
        let budget = self.flops.unwrap_or(first);
        for entry in &mut entries {
            entry.steps = (budget / entry.flops) as u64;
            let least = 10.max(self.points);
            if entry.steps < least {
                return Err(Failure::Input(format!(
                    "{budget:.2e} FLOP pay {} steps of {}, at {:.2e} each; expected {least} or more: use a larger --flops",
                    entry.steps, entry.arm.name, entry.flops
                )));
            }
        }
        Ok((entries, budget))
    }

    /// Seconds of a step here.
    fn time(&self, recipe: Recipe) -> Result<f64, Failure> {
        let (bank_len, resources) = (recipe.model.table.len(), self.memory.resources()?);
        let machine = match self.device.adapter().map_err(Failure::work)? {
            None => Machine::Cpu(Box::new(CpuEngine::new(bank_len))),
            Some(adapter) => Machine::Gpu(Box::new(GpuEngine::new(&adapter, bank_len).map_err(Failure::work)?)),
        };
        let mut stepper = Stepper::new(machine, recipe, resources).map_err(memory::failure)?;
        let times = stepper.run(3).map_err(Failure::work)?;
        Ok(median(&times.iter().map(|time| time.seconds).collect::<Vec<_>>()))
    }

    fn how(&self) -> Result<SessionOptions, Failure> {
        Ok(SessionOptions {
            device: self.device.clone(),
            kernels: self.kernels.kernels,
            tuning: self.kernels.budget(BUDGET),
            resources: self.memory.resources()?,
            ..SessionOptions::default()
        })
    }

    /// The fine-tuning of one task.
    fn tuning(&self, task: &Task) -> Result<Tuning, Failure> {
        let mut flags = task.flags();
        flags.extend([
            "--device".into(),
            self.device.to_string(),
            "--set".into(),
            "training.keep_checkpoints=1".into(),
        ]);
        flags.extend(self.examples.into_iter().flat_map(|n| ["--examples".into(), n.to_string()]));
        flags.extend(self.epochs.into_iter().flat_map(|n| ["--epochs".into(), n.to_string()]));
        Tuning::from_flags(&flags)
    }
}

/// Keeps in compare.json what the results are of, where it is not there yet.
fn identify(
    out: &Path,
    arguments: &CompareArguments,
    base: &Config,
    budget: f64,
    tasks: &[Task],
) -> Result<(), Failure> {
    let mut common = base.clone();
    // Neither where files lie nor what is compared: another machine, or more to compare, goes on with it.
    common.data.text.clear();
    (common.data.dataset, common.seed, common.training.steps) = (None, 0, 0);
    common.training.precision = Precision::Auto;
    if arguments.vary.is_none() {
        common = common.with_objective(crate::objective::ObjectiveConfig::USUAL).map_err(Failure::work)?;
    }
    let names: Vec<&str> = tasks.iter().map(Task::name).collect();
    let identity = serde_json::json!({
        "settings": common.to_toml(), "flops": budget, "points": arguments.points, "tasks": names,
        "examples": arguments.examples, "epochs": arguments.epochs,
    });
    let path = out.join("compare.json");
    let text = serde_json::to_string_pretty(&identity).map_err(Failure::work)? + "\n";
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(()),
        Ok(found) => {
            let found: serde_json::Value = serde_json::from_str(&found).unwrap_or_default();
            let other = ["flops", "points", "tasks", "examples", "epochs", "settings"]
                .into_iter()
                .find(|key| found[key] != identity[key])
                .unwrap_or("settings");
            let (was, now) = (&found[other], &identity[other]);
            let how = if other == "settings" { "other settings".into() } else { format!("{other} {was}, not {now}") };
            Err(Failure::Input(format!(
                "{} holds a comparison with {how}; choose another --out, or the same settings to go on",
                out.display()
            )))
        }
        Err(_) => {
            std::fs::create_dir_all(out).map_err(|e| Failure::Input(format!("{}: {e}", out.display())))?;
            crate::files::write(&path, text.as_bytes()).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))
        }
    }
}

/// What there is to do.
struct Work<'a> {
    arguments: &'a CompareArguments,
    out: &'a Path,
    entries: &'a [Entry],
    tasks: &'a [Task],
    budget: f64,
}

impl Work<'_> {
    fn seeds(&self) -> std::ops::Range<u64> {
        let first = self.arguments.settings.seed.unwrap_or(1);
        first..first + self.arguments.seeds
    }

    fn is_known(&self, results: &Results, arm: &str, seed: u64) -> bool {
        self.tasks.iter().all(|task| results.has(arm, seed, task.name(), None))
    }

    /// Pairs of what is compared and seed that are not done.
    fn missing(&self, results: &Results) -> Vec<(&Entry, u64)> {
        let all = self.seeds().flat_map(|seed| self.entries.iter().map(move |entry| (entry, seed)));
        all.filter(|(entry, seed)| !self.is_known(results, &entry.arm.name, *seed)).collect()
    }

    /// What will be done, and how long pre-training takes here.
    fn announcement(&self, results: &Results) -> String {
        let style = Style::stdout();
        let mut table = super::table::Table::new(&[false, true, true, true, true]);
        table.row(["", "GFLOP a step", "steps", "tokens", "minutes a run"]);
        for entry in self.entries {
            let recipe = Recipe::new(&entry.arm.config);
            let tokens = entry.steps * (recipe.shape.examples * recipe.shape.length) as u64;
            table.row([
                entry.arm.name.clone(),
                format!("{:.2}", entry.flops / 1e9),
                super::output::grouped(entry.steps),
                super::output::grouped(tokens),
                format!("{:.1}", entry.steps as f64 * entry.seconds / 60.0),
            ]);
        }
        let mut text = format!("{}\n", style.bold(&format!("{:.2e} FLOP each", self.budget)));
        table.lines().iter().for_each(|line| text += &format!("{line}\n"));
        let missing = self.missing(results);
        let seconds: f64 = missing.iter().map(|(entry, _)| entry.steps as f64 * entry.seconds).sum();
        let tunings = missing.len() as u64 * self.arguments.points * self.tasks.len() as u64;
        text += &format!(
            "{} of {} runs to train, {} here, and {tunings} fine-tunings behind them, on {}; the first ones show how long those \
             take\n",
            missing.len(),
            self.entries.len() as u64 * self.arguments.seeds,
            in_words(seconds),
            self.tasks.iter().map(Task::name).collect::<Vec<_>>().join(", "),
        );
        text
    }

    /// What is left, after one more took so long.
    fn progress(&self, results: &Results, started: Instant) -> String {
        let left = self.missing(results).len();
        match left {
            0 => String::new(),
            left => format!(
                "\n{left} of {} left, {} or so\n",
                self.entries.len() as u64 * self.arguments.seeds,
                in_words(left as f64 * started.elapsed().as_secs_f64())
            ),
        }
    }

    /// Trains a run to its end, or what is left of it: its folder; none where it was stopped.
    fn pre_train(&self, entry: &Entry, seed: u64, stop: &Stop) -> Result<Option<PathBuf>, Failure> {
        let folder = self.out.join("runs").join(entry.arm.folder()).join(format!("seed-{seed}"));
        print(&format!("\n{} seed {seed}\n", Style::stdout().bold(&entry.arm.name)))?;
        let how = self.arguments.how()?;
        let complete = if Run::config(&folder).map_err(Failure::input)?.is_some() {
            continue_run(&folder, &Change::default(), how, stop)?
        } else {
            let mut config = entry.arm.config.clone();
            config.seed = seed;
            let training = &mut config.training;
            training.steps = entry.steps;
            training.checkpoint_every = entry.steps.div_ceil(self.arguments.points);
            training.keep_checkpoints = 1_000;
            begin_run(&folder, config, self.arguments.settings.length, how, stop)?
        };
        Ok(complete.then_some(folder))
    }

    /// Fine-tunes checkpoints of a run: whether all of them.
    fn score(
        &self,
        results: &mut Results,
        entry: &Entry,
        folder: &Path,
        seed: u64,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        let every = entry.steps.div_ceil(self.arguments.points);
        let tokens = Recorded::read(folder).map_err(Failure::work)?;
        for (checkpoint, state) in saved(folder).map_err(Failure::input)? {
            let end = state.step == entry.steps;
            if !(end || state.step.is_multiple_of(every)) {
                continue;
            }
            let read = tokens.intervals.iter().filter(|moment| moment.step <= state.step).map(|moment| moment.tokens);
            let about = Found {
                arm: entry.arm.name.clone(),
                seed,
                task: String::new(),
                step: state.step,
                flops: state.flops.unwrap_or(entry.flops * state.step as f64),
                tokens: read.max().unwrap_or_default(),
                seconds: state.seconds,
                end,
                score: f64::NAN,
            };
            if !self.fine_tune(results, &about, &checkpoint, false, stop)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fine-tunes the network of a run from random weights.
    fn random(&self, results: &mut Results, folder: &Path, seed: u64, stop: &Stop) -> Result<bool, Failure> {
        let checkpoints = saved(folder).map_err(Failure::input)?;
        let Some((checkpoint, _)) = checkpoints.last() else { return Ok(true) };
        let about = Found {
            arm: RANDOM.into(),
            seed,
            task: String::new(),
            step: 0,
            flops: 0.0,
            tokens: 0,
            seconds: 0.0,
            end: true,
            score: f64::NAN,
        };
        self.fine_tune(results, &about, checkpoint, true, stop)
    }

    fn fine_tune(
        &self,
        results: &mut Results,
        about: &Found,
        checkpoint: &Path,
        from_scratch: bool,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        for task in self.tasks {
            if results.has(&about.arm, about.seed, task.name(), Some(about.step)) {
                continue;
            }
            let tuning = self.arguments.tuning(task)?;
            let tuning = if from_scratch { tuning.with_random_weights() } else { tuning };
            let arm = self.entries.iter().find(|entry| entry.arm.name == about.arm);
            let arm = arm.map_or_else(|| PathBuf::from("random"), |entry| entry.arm.folder());
            let folder = self.out.join("tasks").join(task.name()).join(arm);
            let folder = folder.join(format!("seed-{}", about.seed)).join(format!("step-{:06}", about.step));
            let step = about.step;
            print(&format!(
                "\n{} seed {}, step {step}: {}\n",
                Style::stdout().bold(&about.arm),
                about.seed,
                task.name()
            ))?;
            if !tuning.sit_again(Some(checkpoint), &folder, about.seed, stop)? {
                return Ok(false);
            }
            let Some((.., score)) = Run::best_of(&folder) else {
                return Err(Failure::Work(format!("{}: nothing was measured", folder.display())));
            };
            task.keep_measure(self.out, &folder)?;
            results.add(Found { task: task.name().into(), score, ..about.clone() })?;
        }
        Ok(true)
    }
}

/// As `about 12 minutes`.
fn in_words(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("about {s:.0} seconds"),
        s if s < 5_400.0 => format!("about {:.0} minutes", s / 60.0),
        s => format!("about {:.1} hours", s / 3_600.0),
    }
}
