//! `leyden bench`.

mod burn;
mod fine_tune;
mod pre_training;
mod print;
mod python;
mod targets;
mod tokenize;
mod torch;
mod window;

use super::Failure;
use super::kernels::KernelArguments;
use super::memory::{self, Memory};
use super::output;
use super::settings::Settings;
use crate::bench::{
    Machine, MatmulFailure, MatmulTime, MatmulTimes, Peak, Profile, Stepper, chrome_trace, matmul_shapes, matmul_times,
    median, peak, profile,
};
use crate::config::Precision;
use crate::cpu::CpuEngine;
use crate::gpu::GpuEngine;
use crate::session::{self, Device, SessionOptions};
use crate::train::{Recipe, Resources};
use clap::{ArgGroup, Args, ValueEnum};
use pre_training::StepPeer;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long kernels may be tried before they are measured, unless somebody says otherwise.
const TUNING: Duration = Duration::from_secs(60);

/// Arguments of `leyden bench`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("steps", |arg| arg.help("Steps to time [default: 10; with --fine-tune, those of a few seconds]")))]
#[command(mut_arg("tune_seconds", |arg| arg.help("How long kernels may be tried before anything is timed [default: 60]")))]
#[command(group(ArgGroup::new("peers").args(["against", "targets"])))]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    settings: Settings,
    /// auto, cpu, or part of a GPU's name
    #[arg(long, default_value = "auto")]
    device: Device,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    kernels: KernelArguments,
    /// Time every kernel of a step, beside the device's measured peak and the step as it really runs
    #[arg(long)]
    profile: bool,
    /// Write the profiled step as a file for chrome://tracing or ui.perfetto.dev
    #[arg(long, value_name = "FILE", requires = "profile")]
    trace: Option<PathBuf>,
    /// Time matrix multiplication at the shapes that matter
    #[arg(long)]
    matmul: bool,
    /// With --matmul: time every kernel that the device can run, not only the one that it uses
    #[arg(long, requires = "matmul")]
    all: bool,
    /// Take the same steps with another framework, in alternation
    #[arg(long, value_name = "PEER")]
    against: Option<Peer>,
    /// Measure what leyden is meant to reach, one after the other: shares of the device's peak, gaps, memory, mixed
    /// precision, with --python PyTorch, and burn in builds with it
    #[arg(long, conflicts_with_all = ["profile", "matmul", "tokenize", "window", "memory", "recompute"])]
    targets: bool,
    /// The Python that has torch and transformers [default: python3; with --targets none]
    #[arg(long, value_name = "PATH", requires = "peers")]
    python: Option<PathBuf>,
    /// Seconds that the Python may take to start and warm up, which compiles, and for each answer [default: 600]
    #[arg(long, value_name = "N", requires = "peers", value_parser = clap::value_parser!(u64).range(1..))]
    peer_seconds: Option<u64>,
    /// How PyTorch runs the steps, separated by commas [default: all that the device has]
    #[arg(long, value_name = "MODES", value_delimiter = ',', requires = "against")]
    torch_modes: Vec<torch::Mode>,
    /// Measure nothing but how fast this text becomes tokens, against the tokenizers library in turn
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "matmul", "against"])]
    tokenize: Option<PathBuf>,
    /// The vocabulary for --tokenize: tokenizer.json, vocab.txt, or their folder; learnt from the text if not given
    #[arg(long, value_name = "FILE", requires = "tokenize")]
    tokenizer: Option<PathBuf>,
    /// Measure nothing but fine-tuning of this model, as one of two classes, in batches of texts that are about as long, and then
    /// predicting: a run, a checkpoint, or a folder of any ELECTRA that transformers loads. Speeds count no padding
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["profile", "matmul", "targets", "tokenize", "window", "preset",
        "objective", "config", "set", "learning_rate"])]
    fine_tune: Option<PathBuf>,
    /// The texts for --fine-tune, one a line; sentences that are in the program if not given
    #[arg(long, value_name = "FILE", requires = "fine_tune")]
    texts: Option<PathBuf>,
    /// Measure nothing but what the window costs: train with it drawn and still, in turns
    #[arg(long, conflicts_with_all = ["profile", "matmul", "against", "tokenize"])]
    window: bool,
    /// Print one line of JSON; with --targets one a measurement
    #[arg(long)]
    json: bool,
}

impl BenchArguments {
    /// The Python of `--against torch`, and how long it may take for an answer.
    fn python(&self) -> (&Path, Duration) {
        (self.python.as_deref().unwrap_or(Path::new("python3")), self.patience())
    }

    /// How long a Python may take for an answer.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.peer_seconds.unwrap_or(600))
    }
}

/// What leyden can be held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// PyTorch and transformers
    Torch,
    /// burn on the same adapter, in builds with the feature `burn`
    Burn,
}

/// All that was measured. Times are in seconds.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    preset: String,
    precision: Precision,
    batch: usize,
    length: usize,
    /// Parts that a step's batch is worked through in, and examples of each.
    parts: usize,
    rows: usize,
    /// What the backward part computes again.
    recompute: &'static str,
    /// Both in words.
    #[serde(skip)]
    how: Option<String>,
    /// Steps timed.
    steps: usize,
    /// Of the median step, padding counted.
    tokens_per_second: f64,
    median_step: f64,
    fastest_step: f64,
    slowest_step: f64,
    /// Counted floating-point operations of a step, in 10^9 a second.
    gflops: f64,
    /// Dispatches a step; 0 on the CPU.
    dispatches: usize,
    /// Time to write the inputs, encode and submit one step: median; absent on the CPU.
    submitting: Option<f64>,
    /// Of that, to record the commands: median.
    encoding: Option<f64>,
    allocated_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak: Option<Peak>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matmul: Vec<MatmulTime>,
    /// Kernels of --all that could not be run, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matmul_failures: Vec<MatmulFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    torch: Option<torch::Comparison<pre_training::Speeds>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burn: Option<burn::Comparison>,
}

/// Runs the command.
pub(crate) fn run(arguments: BenchArguments) -> Result<(), Failure> {
    if let Some(text) = &arguments.tokenize {
        return tokenize::run(text, arguments.tokenizer.as_deref(), arguments.json);
    }
    if let Some(model) = &arguments.fine_tune {
        return fine_tune::run(&arguments, model);
    }
    let mut settings = arguments.settings.clone();
    let steps = settings.steps.take().unwrap_or(10) as usize;
    if steps == 0 {
        return Err(Failure::Input("--steps 0: expected at least 1".into()));
    }
    let mut config = settings.resolve()?;
    if arguments.targets {
        return targets::run(&arguments, &config, steps);
    }
    if arguments.window {
        let (kernels, tuning) = (arguments.kernels.kernels, arguments.kernels.budget(TUNING));
        let (device, resources) = (arguments.device, arguments.memory.resources()?);
        let how = SessionOptions { device, kernels, tuning, resources, ..SessionOptions::default() };
        return window::run(config, how, arguments.json);
    }
    if let Some(path) = &arguments.trace {
        // Better known now than when everything is measured.
        let new = !path.exists();
        let open = std::fs::OpenOptions::new().append(true).create(true).open(path);
        open.map_err(|e| Failure::Input(format!("--trace {}: {e}", path.display())))?;
        if new {
            // It comes back with something in it.
            let _ = std::fs::remove_file(path);
        }
    }
    if arguments.against == Some(Peer::Burn) && !arguments.torch_modes.is_empty() {
        return Err(Failure::Input("--torch-modes: those are PyTorch's; expected --against torch with them".into()));
    }
    config.training.precision = on_device(&arguments, config.training.precision)?;
    let (recipe, resources) = (Recipe::new(&config), arguments.memory.resources()?);
    let machine = open(&arguments, &recipe, resources)?;
    let on_gpu = matches!(machine, Machine::Gpu(_));
    let mut stepper = Stepper::new(machine, recipe, resources).map_err(memory::failure)?;
    let mut times = Vec::new();
    let mut ours = || {
        let now = stepper.run(steps).map_err(Failure::work)?;
        times.extend_from_slice(&now);
        Ok(now.iter().map(|t| t.seconds).collect())
    };
    let (mut torch, mut burn) = (None, None);
    match arguments.against {
        None => {}
        Some(Peer::Torch) => {
            let peer = StepPeer::new(arguments.python(), &arguments.torch_modes, &config, steps, on_gpu)?;
            torch = Some(peer.compare(ours)?);
        }
        Some(Peer::Burn) => {
            burn = Some(burn::Peer::new(&arguments.device, &config, steps)?.compare(&mut ours)?);
        }
    }
    if times.is_empty() {
        times = stepper.run(steps).map_err(Failure::work)?;
    }
    let allocated_bytes = stepper.allocated();
    let profile = match arguments.profile {
        true => Some(profile(&mut stepper, 5).map_err(Failure::work)?),
        false => None,
    };
    if let (Some(profile), Some(path)) = (&profile, &arguments.trace) {
        let trace = chrome_trace(&stepper.describe(), &profile.calls).to_string();
        let unwritable = |e: std::io::Error| Failure::Work(format!("--trace {}: {e}", path.display()));
        crate::files::write(path, trace.as_bytes()).map_err(unwritable)?;
    }
    let (dispatches, flops, tokens) = (stepper.dispatches(), stepper.flops(), stepper.tokens());
    let (device, fit) = (stepper.describe(), stepper.fit());
    let (machine, table) = stepper.machine();
    let products = config.training.precision.products();
    let peak = arguments.profile.then(|| peak(machine, &table, products)).transpose().map_err(Failure::work)?;
    let MatmulTimes { times: matmul, failures: matmul_failures } = if arguments.matmul {
        let shapes = matmul_shapes(machine);
        matmul_times(machine, &table, &shapes, arguments.all).map_err(Failure::work)?
    } else {
        MatmulTimes::default()
    };
    let seconds: Vec<f64> = times.iter().map(|t| t.seconds).collect();
    let median_step = median(&seconds);
    let submitting: Vec<f64> = times.iter().map(|t| t.submitting).collect();
    let encoding: Vec<f64> = times.iter().map(|t| t.encoding).collect();
    let report = Report {
        device,
        preset: config.preset,
        precision: config.training.precision,
        batch: config.training.batch,
        length: config.data.length,
        parts: fit.micro_batches.count,
        rows: fit.micro_batches.examples,
        recompute: fit.recompute.name(),
        how: memory::how(fit),
        steps: seconds.len(),
        tokens_per_second: tokens as f64 / median_step,
        median_step,
        fastest_step: seconds.iter().copied().fold(f64::INFINITY, f64::min),
        slowest_step: seconds.iter().copied().fold(0.0, f64::max),
        gflops: flops as f64 / median_step / 1e9,
        dispatches,
        submitting: on_gpu.then(|| median(&submitting)),
        encoding: on_gpu.then(|| median(&encoding)),
        allocated_bytes,
        peak,
        profile,
        matmul,
        matmul_failures,
        torch,
        burn,
    };
    if arguments.json {
        let line = serde_json::to_string(&report).map_err(Failure::work)?;
        super::output::print(&format!("{line}\n"))?;
    } else {
        print::report(&report);
    }
    Ok(())
}

/// What that precision is on the device.
fn on_device(arguments: &BenchArguments, precision: Precision) -> Result<Precision, Failure> {
    let on_gpu = arguments.device.adapter().map_err(Failure::work)?.is_some();
    precision.beginning(on_gpu).map_err(Failure::input)
}

/// The device with its kernels for `recipe` within `resources`.
fn open(arguments: &BenchArguments, recipe: &Recipe, resources: Resources) -> Result<Machine, Failure> {
    let bank_len = recipe.model.table.len();
    let Some(adapter) = arguments.device.adapter().map_err(Failure::work)? else {
        return Ok(Machine::Cpu(Box::new(CpuEngine::new(bank_len))));
    };
    let mut gpu = GpuEngine::new(&adapter, bank_len).map_err(Failure::work)?;
    let say = &mut |text: &str| output::note(text);
    let kernels = (arguments.kernels.kernels, arguments.kernels.budget(TUNING));
    let tuned = session::find_kernels(&adapter, kernels, None, recipe, resources, say);
    let tuned = tuned.map_err(memory::failure)?;
    for remark in &tuned.remarks {
        output::remark(remark);
    }
    gpu.set_traits(tuned.choices.traits(gpu.traits()));
    Ok(Machine::Gpu(Box::new(gpu)))
}
