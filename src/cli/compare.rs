//! `leyden compare`: objectives, or one setting at several values, at equal cost.
//!
//! Each is a plain run with as many steps as the budget pays at its own cost a step, with the same text in the same order; checkpoints
//! along the way and at its end are fine-tuned on tasks with the same seed. What it makes are results.jsonl ([`crate::comparison`]), a
//! table and a picture.

mod arms;
mod entry;
mod identity;
mod report;
mod runs;
mod tasks;

use super::Failure;
use super::fine_tune::Tuning;
use super::kernels::KernelArguments;
use super::memory::{self, Memory};
use super::output::{note, print, remark};
use super::settings::Settings;
use super::style::Style;
use super::train::Stop;
use crate::bench::{Machine, Stepper};
use crate::comparison::{Kept, Results};
use crate::config::{Config, learning_rate};
use crate::cpu::CpuEngine;
use crate::gpu::GpuEngine;
use crate::numbers::{duration, median};
use crate::objective::Phase;
use crate::run::{Lock, RunError};
use crate::session::{self, Device, SessionOptions, Startup};
use crate::train::{Recipe, flops_a_step};
use crate::tune::BUDGET;
use arms::Arm;
use clap::Args;
use entry::Entry;
use identity::Identity;
use report::Report;
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
  leyden compare --objectives electra,mlm --flops 3e12,1e13,3e13   # from which cost on one leads
  leyden compare --vary generator=1/8,1/4,1/2,1 --flops 1e13
  leyden compare --vary optimizer.learning_rate=1e-3,2e-3 --objective mlm --seeds 1

A task's folder has its files as they come: train.* and dev.*, or train.txt and test.txt, train-v1.1.json and dev-v1.1.json and the
like. Stopped, it goes on with the same command; with more --seeds, --flops or objectives, it adds what is missing. The files of --out
itself are small: where they are kept, its folders need not be.")]
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
    /// What each may cost, in floating-point operations; of several every one is a run of its own [default: those of what is there, else
    /// what the first one's --steps cost]
    #[arg(long, value_name = "FLOP,...", value_delimiter = ',', conflicts_with = "steps")]
    flops: Vec<f64>,
    /// Tasks to judge by, with the folder of their files [default: the sample inside the program]
    #[arg(long = "task", value_name = "NAME=DIR,...", value_delimiter = ',')]
    tasks: Vec<String>,
    /// So many of everything, with seeds of their own; differences are between those of one seed
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// Fine-tune at so many points along a budget, the last at its end [default: as in what is there, else 3, of several --flops 1]
    #[arg(long, value_name = "N")]
    points: Option<u64>,
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

/// Runs the command.
pub(crate) fn run(arguments: CompareArguments) -> Result<(), Failure> {
    arguments.check()?;
    let (base, texts) = arguments.base()?;
    let tasks = tasks::of(&arguments.tasks)?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("compare").join(&base.preset));
    let arms = match (&arguments.objectives, &arguments.vary) {
        (_, Some(what)) => arms::vary(what, &base)?,
        (Some(list), None) => arms::objectives(list, &base)?,
        (None, None) => arms::objectives(PAPER, &base)?,
    };
    let kept = Kept::read(&out);
    let points = arguments.points(&kept);
    let (entries, budgets) = arguments.entries(&arms, &kept, points)?;
    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    let identity = Identity::new((&arguments, &base, &texts), points, &tasks, (&names, &budgets))?;
    identity.check(&out)?;
    let mut results = Results::read(&out).map_err(Failure::input)?;
    let report = Report { out: &out, arms: names.clone() };
    let rate = learning_rate(base.model.hidden);
    let work = Work { arguments: &arguments, out: &out, entries: &entries, tasks: &tasks, rate, first: base.seed };
    let mut held = None;
    if !work.missing(&results).is_empty() {
        held = Some(lock(&out)?);
        // Whoever held it until now may have found some of it.
        results = Results::read(&out).map_err(Failure::input)?;
    }
    identity.keep(&out)?;
    print(&work.announcement(&results)?)?;

    let stop = Stop::on_interrupt();
    let mut failed = Vec::new();
    for seed in work.seeds() {
        for entry in &entries {
            if work.is_known(&results, entry, seed) {
                continue;
            }
            let started = Instant::now();
            match work.run(&mut results, entry, seed, &stop) {
                Ok(true) => {}
                Ok(false) => return print("the others come after it; go on with the same command\n").map(drop),
                // One that cannot learn, as at too large a rate, is a result; the others go on.
                Err(Failure::Work(reason)) => {
                    remark(&format!("{} seed {seed}: {reason}", entry.name));
                    failed.push(format!("{} seed {seed}", entry.name));
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            // What is there can be looked at while the others are trained.
            report.write(&results)?;
            print(&work.progress(&results, entry, started))?;
        }
    }
    print(&report.write(&results)?)?;
    drop(held);
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::Work(format!("without a result, for the reason above: {}", failed.join(", ")))),
    }
}

/// Two that train into one folder would take each other's runs for other comparisons'.
fn lock(out: &Path) -> Result<Lock, Failure> {
    let runs = out.join("runs");
    std::fs::create_dir_all(&runs).map_err(|e| Failure::Work(format!("{}: {e}", runs.display())))?;
    Lock::take(&runs).map_err(|error| match error {
        RunError::Busy { .. } => Failure::Input(format!(
            "{}: another leyden compare is at work in it; wait for it to end, or choose another --out",
            out.display()
        )),
        error => Failure::work(error),
    })
}

impl CompareArguments {
    fn check(&self) -> Result<(), Failure> {
        for (flag, found, most) in [("--seeds", self.seeds, 100), ("--points", self.points.unwrap_or(1), 100)] {
            if !(1..=most).contains(&found) {
                return Err(Failure::Input(format!("{flag} is {found}, expected 1 to {most}")));
            }
        }
        match self.flops.iter().find(|flops| !(**flops > 0.0 && flops.is_finite())) {
            Some(flops) => Err(Failure::Input(format!("--flops is {flops}, expected more than 0, as in 1e14"))),
            None => Ok(()),
        }
    }

    /// As asked for, else as in what is there, else by the number of budgets.
    fn points(&self, there: &Kept) -> u64 {
        let several = self.flops.iter().any(|flops| *flops != self.flops[0]);
        self.points.or(there.points).unwrap_or(if several { 1 } else { 3 })
    }

    /// What all have in common, as a run of it begins, and what tells its examples from others'.
    fn base(&self) -> Result<(Config, Vec<String>), Failure> {
        let mut config = self.settings.resolve()?;
        let t = &config.training;
        let odd = [
            (t.hours.is_some(), "training.hours"),
            (t.patience.is_some(), "training.patience"),
            (t.init_from.is_some(), "training.init_from"),
        ];
        if let Some((_, key)) = odd.into_iter().find(|(set, _)| *set) {
            return Err(Failure::Input(format!(
                "{key} is set; expected it not to be: all begin at random and end where the budget does"
            )));
        }
        if self.vary.is_none() && self.settings.set.iter().any(|setting| setting.trim_start().starts_with("objective."))
        {
            return Err(Failure::Input(
                "--set objective.…: objectives have settings of their own; write them behind the name, as in electra:over=selected"
                    .into(),
            ));
        }
        session::choose(&mut config, &self.text, self.data.as_deref()).map_err(Failure::input)?;
        session::as_begun(config, self.settings.length, &self.device, &mut |stage| match stage {
            Startup::Note(text) => note(text),
            Startup::Remark(text) => remark(text),
            _ => {}
        })
        .map_err(super::train::failure)
    }

    /// What a step of each costs, and how many every budget pays, the least budget first. The budgets: what was asked for, else those
    /// that are `there`, else what the first one's steps cost.
    fn entries(&self, arms: &[Arm], there: &Kept, points: u64) -> Result<(Vec<Entry>, Vec<f64>), Failure> {
        let cost = |arm: &Arm| -> Result<f64, Failure> {
            let recipe = Recipe::new(&arm.config);
            let phase = |(phase, about): (usize, &Phase)| {
                Ok(about.share * flops_a_step(&recipe.in_phase(phase)).map_err(Failure::work)? as f64)
            };
            recipe.objective.phases().iter().enumerate().map(phase).sum()
        };
        let costs = arms.iter().map(cost).collect::<Result<Vec<f64>, Failure>>()?;
        let first = costs[0] * arms[0].config.training.steps as f64;
        let mut budgets = if self.settings.steps.is_some() { vec![first] } else { self.flops.clone() };
        if budgets.is_empty() {
            budgets = if there.budgets.is_empty() { vec![first] } else { there.budgets.clone() };
        }
        budgets.sort_by(f64::total_cmp);
        budgets.dedup();
        let several = budgets.len() > 1;
        let entry = |budget: f64, arm: &Arm, flops: f64| {
            let steps = (budget / flops) as u64;
            if steps < 10.max(points) {
                return Err(Failure::Input(format!(
                    "{budget:.2e} FLOP pay {steps} steps of {}, at {flops:.2e} each; expected {} or more: use a larger --flops",
                    arm.name,
                    10.max(points)
                )));
            }
            let name = if several { format!("{} at {budget:.1e} FLOP", arm.name) } else { arm.name.clone() };
            Ok(Entry::new(arm.clone(), name, budget, flops, steps, steps.div_ceil(points)))
        };
        let all =
            budgets.iter().flat_map(|&budget| arms.iter().zip(&costs).map(move |(arm, &flops)| (budget, arm, flops)));
        let entries = all.map(|(budget, arm, flops)| entry(budget, arm, flops)).collect::<Result<_, Failure>>()?;
        Ok((entries, budgets))
    }

    /// Seconds of a step here, over all phases.
    fn time(&self, config: &Config) -> Result<f64, Failure> {
        let recipe = Recipe::new(config);
        let phases = recipe.objective.phases();
        let phase = |(phase, about): (usize, &Phase)| Ok(about.share * self.time_of(recipe.in_phase(phase))?);
        phases.iter().enumerate().map(phase).sum()
    }

    fn time_of(&self, recipe: Recipe) -> Result<f64, Failure> {
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
    fn tuning(&self, task: &Task, rate: f64) -> Result<Tuning, Failure> {
        let mut flags = task.flags();
        flags.extend([
            "--device".into(),
            self.device.to_string(),
            "--set".into(),
            "training.keep_checkpoints=1".into(),
        ]);
        flags.extend(self.examples.into_iter().flat_map(|n| ["--examples".into(), n.to_string()]));
        flags.extend(self.epochs.into_iter().flat_map(|n| ["--epochs".into(), n.to_string()]));
        // One rate for all that is compared, whatever their widths.
        flags.extend(["--learning-rate".into(), rate.to_string()]);
        Tuning::from_flags(&flags)
    }
}

/// What there is to do.
struct Work<'a> {
    arguments: &'a CompareArguments,
    out: &'a Path,
    entries: &'a [Entry],
    tasks: &'a [Task],
    /// The peak learning rate of every fine-tuning.
    rate: f64,
    /// The first seed.
    first: u64,
}

impl Work<'_> {
    fn seeds(&self) -> std::ops::Range<u64> {
        self.first..self.first.saturating_add(self.arguments.seeds)
    }

    /// Trains one and scores it; whether to its end.
    fn run(&self, results: &mut Results, entry: &Entry, seed: u64, stop: &Stop) -> Result<bool, Failure> {
        let Some(folder) = self.pre_train(entry, seed, stop)? else { return Ok(false) };
        // The network that all begin with is measured once a seed; networks of several sizes begin with none in common.
        let one_size = self.entries.iter().all(|other| other.arm.config.model == entry.arm.config.model);
        Ok((!one_size || self.random(results, &folder, seed, stop)?)
            && self.score(results, entry, &folder, seed, stop)?)
    }

    fn is_known(&self, results: &Results, entry: &Entry, seed: u64) -> bool {
        self.tasks.iter().all(|task| results.has(&entry.arm.name, entry.budget, seed, task.name(), None))
    }

    /// Runs that are not done, with their seeds.
    fn missing(&self, results: &Results) -> Vec<(&Entry, u64)> {
        let all = self.seeds().flat_map(|seed| self.entries.iter().map(move |entry| (entry, seed)));
        all.filter(|(entry, seed)| !self.is_known(results, entry, *seed)).collect()
    }

    /// What will be done, and how long pre-training takes here.
    fn announcement(&self, results: &Results) -> Result<String, Failure> {
        let style = Style::stdout();
        let missing = self.missing(results);
        if !missing.is_empty() {
            note("timing a few steps of each…");
        }
        let mut seconds = 0.0;
        let mut table = super::table::Table::new(&[false, true, true, true, true, true]);
        table.row(["", "FLOP", "GFLOP a step", "steps", "tokens", "minutes a run"]);
        let mut times: Vec<(&str, f64)> = Vec::new();
        for entry in self.entries {
            let Config { training, data, .. } = &entry.arm.config;
            let tokens = entry.steps * (training.batch * data.length) as u64;
            let name = entry.arm.name.as_str();
            let left = missing.iter().filter(|(other, _)| std::ptr::eq(*other, entry)).count();
            let mut takes = f64::NAN;
            if left > 0 {
                if times.iter().all(|(known, _)| *known != name) {
                    times.push((name, self.arguments.time(&entry.arm.config)?));
                }
                let step = times.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, step)| *step);
                takes = entry.steps as f64 * step;
                seconds += left as f64 * takes;
            }
            table.row([
                name.to_string(),
                format!("{:.2e}", entry.budget),
                format!("{:.2}", entry.flops / 1e9),
                super::output::grouped(entry.steps),
                super::output::grouped(tokens),
                if left > 0 { format!("{:.1}", takes / 60.0) } else { "-".into() },
            ]);
        }
        let mut text = format!("{}\n", style.bold("what is compared, at equal cost"));
        table.lines().iter().for_each(|line| text += &format!("{line}\n"));
        let tunings = missing.iter().map(|(entry, _)| entry.points()).sum::<u64>() * self.tasks.len() as u64;
        let all = self.entries.len() as u64 * self.arguments.seeds;
        if missing.is_empty() {
            return Ok(format!("{text}0 of {all} runs to train\n"));
        }
        text += &format!(
            "{} of {all} runs to train, {} here, and {tunings} fine-tunings behind them, on {}; the first ones show how long those \
             take\n",
            missing.len(),
            duration(seconds),
            self.tasks.iter().map(Task::name).collect::<Vec<_>>().join(", "),
        );
        Ok(text)
    }

    /// What is left, after one more took so long.
    fn progress(&self, results: &Results, done: &Entry, started: Instant) -> String {
        let missing = self.missing(results);
        if missing.is_empty() {
            return String::new();
        }
        let budgets: f64 = missing.iter().map(|(entry, _)| entry.budget).sum();
        format!(
            "\n{} of {} left, {} or so\n",
            missing.len(),
            self.entries.len() as u64 * self.arguments.seeds,
            duration(budgets / done.budget * started.elapsed().as_secs_f64())
        )
    }
}
