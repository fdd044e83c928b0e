//! `leyden plan`: what a run would take, without running it.

mod parameters;
mod step;

use super::output::{bytes, flop, grouped, print, print_json};
use super::settings::Settings;
use super::style::Style;
use super::table::Table;
use super::{Device, Failure};
use crate::electra::{Config, Model};
use crate::gpu::{Choice, Footprint, choose};
use crate::graph::Bank;
use crate::ops::DeviceTraits;
use crate::plan::Target;
use crate::train::step::{StepShape, evaluation_step, training_step};
use clap::Args;
use parameters::Parameters;
use serde_json::{Value, json};
use step::{StepReport, sum};

/// Arguments of `leyden plan`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden plan --preset small --device cpu
  leyden plan --preset small --batch 32 --set generator.layers=6 --json")]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    settings: Settings,
    /// auto, cpu, or a part of a GPU's name as `leyden devices` lists it; nothing is allocated on it
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Print a JSON object, sizes in bytes
    #[arg(long)]
    json: bool,
}

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
    training: StepReport,
    evaluation: StepReport,
}

/// Runs the command.
pub(crate) fn run(arguments: PlanArguments) -> Result<(), Failure> {
    let config = arguments.settings.resolve()?;
    let (device, target) = target(&arguments.device)?;
    let report = Report::new(config, device, target)?;
    if arguments.json {
        return print_json(&report.as_json());
    }
    print(&report.as_text(Style::stdout())).map(drop)
}

/// The device in words, and what to plan for; the adapter is looked at, not opened.
fn target(device: &Device) -> Result<(String, Target), Failure> {
    let adapter = match device {
        Device::Cpu => None,
        Device::Auto => choose(&Choice::Auto).map_err(Failure::input)?,
        Device::Named(name) => choose(&Choice::Named(name.clone())).map_err(Failure::input)?,
    };
    Ok(match adapter {
        Some(adapter) => {
            let info = adapter.info();
            (info.to_string(), Target::Gpu(DeviceTraits { software: info.software() }))
        }
        None => (format!("the CPU ({} threads)", rayon::current_num_threads()), Target::Cpu),
    })
}

impl Report {
    fn new(config: Config, device: String, target: Target) -> Result<Self, Failure> {
        let model = Model::new(&config);
        let shape = StepShape::of(&config);
        let training = training_step(&model, &config, shape, target, false).map_err(Failure::work)?;
        let shape = StepShape::of_evaluation(&config);
        let evaluation = evaluation_step(&model, &config, shape, target).map_err(Failure::work)?;
        let gpu = target != Target::Cpu;
        let len = model.table.len();
        Ok(Self {
            parameters: Parameters::of(&model),
            device,
            gpu,
            bank: if gpu { Footprint::bank(len) } else { len as u64 * 4 },
            state: if gpu { Footprint::state() } else { 0 },
            // The trainer has several steps under way, but waits for each evaluation.
            training: StepReport::new(&training.plan, config.training.batch, Footprint::MOST_READBACKS),
            evaluation: StepReport::new(&evaluation.plan, shape.batch, 1),
            config,
        })
    }

    /// Bytes that the engine holds with both plans loaded.
    fn peak(&self) -> u64 {
        self.bank * Bank::ALL.len() as u64 + self.state + self.training.bytes() + self.evaluation.bytes()
    }

    fn as_json(&self) -> Value {
        json!({
            "preset": self.config.preset,
            "device": self.device,
            "batch": self.config.training.batch,
            "length": self.config.data.length,
            "drawn": self.config.max_predictions(),
            "parameters": self.parameters.as_json(),
            "training": self.training.as_json(self.config.data.length),
            "evaluation": self.evaluation.as_json(self.config.data.length),
            "memory": {
                "parameters": self.bank,
                "gradients": self.bank,
                "first_moments": self.bank,
                "second_moments": self.bank,
                "state": self.state,
                "training": self.training.memory_json(),
                "evaluation": self.evaluation.memory_json(),
                "peak": self.peak(),
            },
        })
    }

    fn as_text(&self, style: Style) -> String {
        let c = &self.config;
        let batch = format!("{} examples of {} tokens", grouped(c.training.batch as u64), c.data.length);
        let mut text =
            format!("{} on {}, {batch}, {} drawn in each\n", style.bold(&c.preset), self.device, c.max_predictions());
        let mut section = |title: &str, table: &Table| {
            text += &format!("\n{}\n", style.bold(title));
            for line in table.lines() {
                text += &format!("  {line}\n");
            }
        };
        section("Parameters", &self.parameters.table());
        section("Steps", &self.steps());
        section("Memory", &self.memory());
        section("FLOPs of the training step by op", &self.training.shares());
        section("Largest slots of the training step", &self.training.largest());
        text
    }

    fn steps(&self) -> Table {
        let (t, e) = (&self.training, &self.evaluation);
        let length = self.config.data.length;
        let mut table = Table::new(&[false, true, true]);
        table.row(["", "training", "evaluation"]);
        table.row(["examples".into(), grouped(t.batch as u64), grouped(e.batch as u64)]);
        if self.gpu {
            table.row(["dispatches".into(), grouped(t.dispatches as u64), grouped(e.dispatches as u64)]);
        }
        table.row(["nodes".into(), grouped(t.nodes as u64), grouped(e.nodes as u64)]);
        table.row(["copies".into(), grouped(t.copies as u64), grouped(e.copies as u64)]);
        table.row(["FLOPs a step".into(), flop(t.flops), flop(e.flops)]);
        table.row(["FLOPs a token".into(), flop(t.flops_a_token(length)), flop(e.flops_a_token(length))]);
        table
    }

    fn memory(&self) -> Table {
        let (t, e) = (&self.training, &self.evaluation);
        let mut table = Table::new(&[false, true, true, true]);
        let empty = String::new;
        table.row(["", "always", "training", "evaluation"]);
        table.row(["parameters".into(), bytes(self.bank)]);
        table.row(["gradients".into(), bytes(self.bank)]);
        table.row(["two moments".into(), bytes(2 * self.bank)]);
        table.row(["inputs".into(), empty(), bytes(t.inputs), bytes(e.inputs)]);
        let slots = format!("{} and {} slots", t.slots.len(), e.slots.len());
        table.row([format!("activations, scratch ({slots})"), empty(), bytes(sum(&t.slots)), bytes(sum(&e.slots))]);
        if self.gpu {
            table.row(["uniforms".into(), bytes(self.state), bytes(t.uniforms), bytes(e.uniforms)]);
            table.row(["readback".into(), empty(), bytes(t.readback), bytes(e.readback)]);
        }
        let always = self.bank * Bank::ALL.len() as u64 + self.state;
        table.row(["together".into(), bytes(always), bytes(t.bytes()), bytes(e.bytes())]);
        table.row(["peak: all of it".into(), bytes(self.peak())]);
        table
    }
}
