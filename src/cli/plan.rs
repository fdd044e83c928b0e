//! `leyden plan`: what a run would take, without running it.

mod parameters;
mod step;

use super::Failure;
use super::memory::{self, Memory};
use super::output::{bytes, flop, grouped, print, print_json};
use super::settings::Settings;
use super::style::Style;
use super::table::Table;
use crate::config::Config;
use crate::cpu::CpuEngine;
use crate::gpu::{Choice, choose};
use crate::graph::Bank;
use crate::numbers::counted;
use crate::plan::{Engine as _, Footprint, Limits, Target};
use crate::session::Device;
use crate::train::{Candidate, Plans, Recipe, Resources, candidates};
use clap::Args;
use parameters::Parameters;
use serde_json::{Value, json};
use step::{StepReport, sum};

/// Arguments of `leyden plan`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden plan --preset small --device cpu
  leyden plan --preset small --batch 128 --memory 2GB
  leyden plan --preset small --batch 128 --recompute full
  leyden plan --preset small --batch 32 --set objective.generator.layers=6 --json")]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    settings: Settings,
    /// auto, cpu, or a part of a GPU's name as `leyden devices` lists it; nothing is allocated on it
    #[arg(long, default_value = "auto")]
    device: Device,
    #[command(flatten)]
    memory: Memory,
    /// Print a JSON object, sizes in bytes
    #[arg(long)]
    json: bool,
}

/// What the rows of bytes mean.
const DEFINITIONS: &str = "\
dispatches: of an op; copies between buffers are counted with them here.
moved: what the dispatches and copies read and write, each window of a buffer once a dispatch.
needed: every op's inputs read once and its outputs written once: no scratch, copies or second passes.
least: every tensor written once and read once, however many ops read it; of a table the rows gathered.";

/// Everything that is printed.
struct Report {
    config: Config,
    device: String,
    gpu: bool,
    parameters: Parameters,
    /// Bytes of one bank.
    bank: u64,
    /// Bytes of the step's state.
    state: u64,
    /// How a step is worked through, and the ways there are.
    best: Candidate,
    candidates: Vec<Candidate>,
    /// Bytes of all banks.
    shared: u64,
    /// Bytes of the weights' halves and the loss scale, where there are any.
    mixed: u64,
    /// The whole step, or a part of it.
    training: StepReport,
    /// What follows the last part.
    update: Option<StepReport>,
    evaluation: StepReport,
    /// Bytes that the engine holds with all plans loaded.
    peak: u64,
    /// K, the tokens that are selected in an example at most.
    slots: usize,
}

/// Runs the command.
pub(crate) fn run(arguments: PlanArguments) -> Result<(), Failure> {
    let mut config = arguments.settings.resolve()?;
    let resources = arguments.memory.resources()?;
    let (device, target, limits) = target(&arguments.device)?;
    let precision = &mut config.training.precision;
    *precision = precision.beginning(target != Target::Cpu).map_err(Failure::input)?;
    let report = Report::new(config, device, target, resources, limits)?;
    if arguments.json {
        return print_json(&report.as_json());
    }
    print(&report.as_text(Style::stdout())).map(drop)
}

/// The device in words, what to plan for, and what fits; the adapter is looked at, not opened.
fn target(device: &Device) -> Result<(String, Target, Limits), Failure> {
    let adapter = match device {
        Device::Cpu => None,
        Device::Auto => choose(&Choice::Auto).map_err(Failure::input)?,
        Device::Named(name) => choose(&Choice::Named(name.clone())).map_err(Failure::input)?,
    };
    Ok(match adapter {
        Some(adapter) => {
            let info = adapter.info();
            (info.to_string(), Target::Gpu(info.traits()), info.limits())
        }
        None => {
            let limits = CpuEngine::<f32>::new(0).limits();
            (format!("the CPU ({})", counted(rayon::current_num_threads() as u64, "thread")), Target::Cpu, limits)
        }
    })
}

impl Report {
    fn new(
        config: Config,
        device: String,
        target: Target,
        resources: Resources,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let recipe = Recipe::new(&config);
        let model = &recipe.model;
        let (best, candidates) = candidates(&recipe, target, resources, limits).map_err(memory::failure)?;
        let plans = Plans::new(&recipe, best.fit, target).map_err(Failure::work)?;
        let rows = best.fit.micro_batches.examples;
        let gpu = target != Target::Cpu;
        let len = model.table.len();
        let size = |bank: Bank| if gpu { Footprint::bank(bank, len) } else { bank.ty(len).len() as u64 * 4 };
        Ok(Self {
            parameters: Parameters::of(model),
            device,
            gpu,
            bank: size(Bank::Parameters),
            state: if gpu { Footprint::state() } else { 0 },
            best,
            candidates,
            shared: plans.banks().into_iter().map(size).sum(),
            mixed: plans.banks().into_iter().filter(|b| matches!(b, Bank::Halves | Bank::LossScale)).map(size).sum(),
            training: StepReport::new(&plans.training.plan, rows, Footprint::MOST_READBACKS),
            update: plans.update.as_ref().map(|update| StepReport::new(&update.plan, 0, Footprint::MOST_READBACKS)),
            evaluation: StepReport::new(&plans.evaluation.plan, plans.evaluation_shape.examples, 1),
            peak: plans.bytes(),
            slots: recipe.shape.slots,
            config,
        })
    }

    fn as_json(&self) -> Value {
        json!({
            "preset": self.config.preset,
            "precision": self.config.training.precision,
            "device": self.device,
            "batch": self.config.training.batch,
            "length": self.config.data.length,
            "drawn": self.slots,
            "micro_batch": { "parts": self.best.fit.micro_batches.count, "rows": self.best.fit.micro_batches.examples },
            "recompute": self.best.fit.recompute.name(),
            "candidates": self.candidates.iter().map(|c| json!({
                "recompute": c.fit.recompute.name(),
                "parts": c.fit.micro_batches.count,
                "rows": c.fit.micro_batches.examples,
                "peak": c.bytes,
                "flops": c.flops,
                "relative_work": c.work as f64 / self.best.work.max(1) as f64,
            })).collect::<Vec<_>>(),
            "parameters": self.parameters.as_json(),
            "training": self.training.as_json(self.config.data.length),
            "update": self.update.as_ref().map(|update| update.as_json(self.config.data.length)),
            "evaluation": self.evaluation.as_json(self.config.data.length),
            "bytes": self.gpu.then(|| json!({
                "training": self.training.traffic_json(),
                "update": self.update.as_ref().map(StepReport::traffic_json),
                "evaluation": self.evaluation.traffic_json(),
            })),
            "memory": {
                "parameters": self.bank,
                "gradients": self.bank,
                "first_moments": self.bank,
                "second_moments": self.bank,
                "mixed": self.mixed,
                "accumulated_gradients": if self.update.is_some() { self.bank } else { 0 },
                "state": self.state,
                "training": self.training.memory_json(),
                "update": self.update.as_ref().map(StepReport::memory_json),
                "evaluation": self.evaluation.memory_json(),
                "peak": self.peak,
            },
        })
    }

    fn as_text(&self, style: Style) -> String {
        let c = &self.config;
        let batch = format!("{} examples of {} tokens", grouped(c.training.batch as u64), c.data.length);
        let mut text = format!(
            "{} on {}{}, {batch}, {} selected in each\n",
            style.bold(&c.run_name()),
            self.device,
            c.training.precision.in_words(),
            self.slots
        );
        if let Some(how) = memory::how(self.best.fit) {
            text += &format!("a step's examples {how}, at most {}\n", bytes(self.peak));
        }
        let mut section = |title: &str, table: &Table| {
            text += &format!("\n{}\n", style.bold(title));
            for line in table.lines() {
                text += &format!("  {line}\n");
            }
        };
        section("Parameters", &self.parameters.table());
        section("Steps", &self.steps());
        section("Memory", &self.memory());
        section("Ways that fit, by what is computed again; the least work is chosen", &self.ways());
        let what = if self.update.is_some() { "a part" } else { "the training step" };
        section(&format!("FLOPs of {what} by op"), &self.training.shares());
        if self.gpu {
            section(&format!("Bytes of {what} by op"), &self.training.moves());
        }
        section(&format!("Largest slots of {what}"), &self.training.largest());
        if self.gpu {
            text += &format!("\n{}\n", style.dim(DEFINITIONS));
        }
        text
    }

    /// The columns: their titles and plans.
    fn columns(&self) -> Vec<(&'static str, &StepReport)> {
        let training = if self.update.is_some() { "a part" } else { "training" };
        let mut columns = vec![(training, &self.training), ("evaluation", &self.evaluation)];
        if let Some(update) = &self.update {
            columns.insert(1, ("update", update));
        }
        columns
    }

    fn steps(&self) -> Table {
        let columns = self.columns();
        let length = self.config.data.length;
        let mut table = Table::new(&[&[false][..], &vec![true; columns.len()]].concat());
        table.row([""].into_iter().chain(columns.iter().map(|c| c.0)));
        let mut row = |name: &str, cell: &dyn Fn(&StepReport) -> String| {
            table.row([name.to_string()].into_iter().chain(columns.iter().map(|(_, step)| cell(step))));
        };
        // The update is of no examples.
        let of_examples = |step: &StepReport, text: String| if step.batch > 0 { text } else { String::new() };
        row("examples", &|s| of_examples(s, grouped(s.batch as u64)));
        if self.gpu {
            row("dispatches", &|s| grouped(s.dispatches as u64));
        }
        row("nodes", &|s| grouped(s.nodes as u64));
        row("copies", &|s| grouped(s.copies as u64));
        row("FLOPs", &|s| of_examples(s, flop(s.flops)));
        row("FLOPs a token", &|s| of_examples(s, flop(s.flops_a_token(length))));
        if self.gpu {
            row("bytes moved", &|s| bytes(s.traffic.moved));
            row("bytes needed", &|s| bytes(s.traffic.needed));
            row("bytes, least", &|s| bytes(s.traffic.least));
        }
        table
    }

    fn ways(&self) -> Table {
        let mut table = Table::new(&[false, true, true, true, true, true]);
        table.row(["", "parts", "examples", "peak", "FLOPs", "work"]);
        for way in &self.candidates {
            let chosen = if way.fit == self.best.fit { "* " } else { "  " };
            table.row([
                format!("{chosen}{}", way.fit.recompute.name()),
                grouped(way.fit.micro_batches.count as u64),
                grouped(way.fit.micro_batches.examples as u64),
                bytes(way.bytes),
                flop(way.flops),
                format!("{:.2}", way.work as f64 / self.best.work.max(1) as f64),
            ]);
        }
        table
    }

    fn memory(&self) -> Table {
        let columns = self.columns();
        let mut table = Table::new(&[&[false, true][..], &vec![true; columns.len()]].concat());
        table.row(["", "always"].into_iter().chain(columns.iter().map(|c| c.0)));
        table.row(["parameters".into(), bytes(self.bank)]);
        table.row(["gradients".into(), bytes(self.bank)]);
        table.row(["two moments".into(), bytes(2 * self.bank)]);
        if self.update.is_some() {
            table.row(["accumulated gradients".into(), bytes(self.bank)]);
        }
        if self.mixed > 0 {
            table.row(["weights in 16 bits, loss scale".into(), bytes(self.mixed)]);
        }
        let mut row = |name: &str, always: String, of: &dyn Fn(&StepReport) -> u64| {
            table.row([name.to_string(), always].into_iter().chain(columns.iter().map(|(_, step)| bytes(of(step)))));
        };
        row("inputs", String::new(), &|s| s.inputs);
        let slots: Vec<String> = columns.iter().map(|(_, s)| s.slots.len().to_string()).collect();
        row(&format!("activations, scratch ({} slots)", slots.join(" + ")), String::new(), &|s| sum(&s.slots));
        row("  in use at once, at most", String::new(), &|s| s.least_slots);
        if self.gpu {
            row("uniforms", bytes(self.state), &|s| s.uniforms);
            row("readback", String::new(), &|s| s.readback);
        }
        row("together", bytes(self.shared + self.state), &StepReport::bytes);
        table.row(["peak: all of it".into(), bytes(self.peak)]);
        table
    }
}
