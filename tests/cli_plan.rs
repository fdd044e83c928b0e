//! `leyden plan` through the binary: the numbers of the presets, and its peak against what engines then allocate.

#[path = "common/program.rs"]
mod program;

use assert_cmd::Command;
use leyden::batch::MaskedText;
use leyden::config::{Config, preset};
use leyden::corpus::{Examples, SpecialTokens};
use leyden::cpu::CpuEngine;
use leyden::gpu::{GpuEngine, adapters};
use leyden::graph::{Bank, Recompute, Tensor};
use leyden::model::Model;
use leyden::op::StepState;
use leyden::plan::{Engine, EngineError, Fetched, Footprint, Limits, Plan, Program, Target};
use leyden::train::{Data, Fit, MicroBatches, Plans, Recipe, Resources, TrainError, Trainer, candidates, fit};
use serde_json::Value;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// A model of few sizes and no dropout; more examples than an evaluation step takes.
const SMALL: [&str; 9] = [
    "model.vocabulary=70",
    "model.embedding=12",
    "model.hidden=20",
    "model.layers=2",
    "model.heads=2",
    "model.feed_forward=28",
    "generator.hidden=8",
    "generator.layers=1",
    "generator.feed_forward=16",
];
const BATCH: usize = 34;
const LENGTH: usize = 9;
/// Bytes that the small model's whole batch fits into.
const PLENTY: u64 = 1_500_000;

fn plan() -> Command {
    let mut command = program::leyden();
    command.arg("plan");
    command
}

fn json(args: &[&str]) -> Value {
    let run = plan().args(args).arg("--json").assert().success();
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

fn small_json(device: &str, memory: u64, recompute: &str) -> Value {
    let (batch, length, memory) = (BATCH.to_string(), LENGTH.to_string(), memory.to_string());
    let mut args = vec!["--device", device, "--batch", &batch, "--length", &length, "--memory", &memory];
    args.extend(["--recompute", recompute]);
    args.extend(SMALL.iter().flat_map(|set| ["--set", *set]));
    json(&args)
}

fn small_config() -> Config {
    let mut config = Config::merge(&preset("tiny").unwrap(), &SMALL.join("\n"), "test").unwrap();
    config.training.batch = BATCH;
    config.data.length = LENGTH;
    config
}

/// An engine that tells what it has allocated after every call that may change it, and has only so much memory.
struct Watched {
    engine: Box<dyn Engine>,
    room: usize,
    allocated: Rc<Cell<usize>>,
}

impl Engine for Watched {
    fn describe(&self) -> String {
        self.engine.describe()
    }
    fn limits(&self) -> Limits {
        self.engine.limits()
    }
    fn reset(&mut self) {
        self.engine.reset();
    }
    fn load(&mut self, plan: Plan) -> Result<Program, EngineError> {
        let program = self.engine.load(plan);
        self.allocated.set(self.engine.allocated());
        if self.engine.allocated() > self.room {
            return Err(EngineError::OutOfMemory { adapter: "a test".into(), needed: 1 });
        }
        program
    }
    fn unload(&mut self, program: Program) -> Result<(), EngineError> {
        self.engine.unload(program)
    }
    fn write(&mut self, program: Program, input: Tensor, words: &[u32]) {
        self.engine.write(program, input, words);
    }
    fn submit(&mut self, program: Program, state: &StepState, fetch: bool) -> Result<(), EngineError> {
        self.engine.submit(program, state, fetch)
    }
    fn collect(&mut self, wait: bool) -> Result<Option<Fetched>, EngineError> {
        self.engine.collect(wait)
    }
    fn read_bank(&mut self, bank: Bank) -> Result<Vec<f32>, EngineError> {
        self.engine.read_bank(bank)
    }
    fn write_bank(&mut self, bank: Bank, data: &[f32]) -> Result<(), EngineError> {
        self.engine.write_bank(bank, data)
    }
    fn allocated(&self) -> usize {
        self.engine.allocated()
    }
}

/// A trainer on `engine` that has `room` bytes and may use `resources`, and what the engine holds then.
fn trainer(
    engine: Box<dyn Engine>,
    target: Target,
    room: usize,
    resources: Resources,
) -> (Result<Trainer, TrainError>, Rc<Cell<usize>>) {
    let config = small_config();
    let mut examples = Examples::new(LENGTH);
    for i in 0..BATCH as u32 {
        examples.push(&[2, 5 + i, 6 + i, 3], 4);
    }
    let special = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };
    let allocated = Rc::new(Cell::new(0));
    let watched = Watched { engine, room, allocated: allocated.clone() };
    let source =
        Arc::new(MaskedText::of(Arc::new(examples), (special, (5..99).collect()), config.objective.masking().unwrap()));
    let data = Data { training: source.clone(), held_out: source, scorer: None };
    (Trainer::new(Box::new(watched), target, Recipe::new(&config), data, resources), allocated)
}

/// Parts only.
fn parts_of(memory: u64) -> Resources {
    Resources { memory: Some(memory), recompute: Some(Recompute::Off) }
}

/// What `engine` holds once a trainer has been made on it, and how it splits a batch.
fn allocated_by_a_trainer(engine: Box<dyn Engine>, target: Target, resources: Resources) -> (u64, Fit) {
    let (trainer, allocated) = trainer(engine, target, usize::MAX, resources);
    let trainer = trainer.unwrap();
    assert!(!trainer.short_of_memory());
    (allocated.get() as u64, trainer.fit())
}

#[test]
fn small_has_the_numbers_of_the_paper() {
    let report = json(&["--preset", "small", "--device", "cpu"]);
    let parameters = &report["parameters"];
    assert_eq!(parameters["generator_own"], 647_162);
    assert_eq!(parameters["discriminator"], 13_549_057);
    assert_eq!(parameters["total"], 14_196_219);
    let total = ["generator_own", "tied", "discriminator_own"].map(|key| parameters[key].as_u64().unwrap());
    assert_eq!(total.iter().sum::<u64>(), 14_196_219);
    // The work actually needed is about 1.17e12 FLOP a step, 72 MFLOP a token.
    let flops = report["training"]["flops"].as_f64().unwrap();
    assert!((1.1e12..1.25e12).contains(&flops), "{flops:e}");
    let by_op = report["training"]["flops_by_op"].as_object().unwrap();
    assert_eq!(by_op.values().map(|v| v.as_u64().unwrap()).sum::<u64>() as f64, flops);

    let run = plan().args(["--preset", "small", "--device", "cpu"]).assert().success();
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    for word in ["647,162", "13,549,057", "14,196,219", "TFLOP", "MFLOP", "GiB", "peak", "linear"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn the_peak_is_what_the_cpu_engine_allocates() {
    let mut split = Vec::new();
    for memory in [PLENTY, PLENTY / 2, PLENTY / 3] {
        let report = small_json("cpu", memory, "off");
        let engine = Box::new(CpuEngine::<f32>::new(Model::new(&small_config()).table.len()));
        let (allocated, found) = allocated_by_a_trainer(engine, Target::Cpu, parts_of(memory));
        let found = found.micro_batches;
        assert_eq!(report["memory"]["peak"], allocated);
        assert!(allocated <= memory, "{allocated} bytes of {memory}");
        assert_eq!([&report["micro_batch"]["parts"], &report["micro_batch"]["rows"]], [found.count, found.examples]);
        assert_eq!(report["evaluation"]["batch"], found.examples.min(32));
        assert!(report["training"]["nodes"].as_u64() > report["evaluation"]["nodes"].as_u64());
        split.push(found.count);
    }
    assert!(split[0] == 1 && split.is_sorted() && split[2] > split[1] && split[1] > 1, "{split:?}");
}

#[test]
fn a_device_with_less_memory_than_planned_gets_smaller_parts() {
    let len = Model::new(&small_config()).table.len();
    let mut engines: Vec<(Box<dyn Engine>, Target)> = vec![(Box::new(CpuEngine::<f32>::new(len)), Target::Cpu)];
    if let Some(adapter) = adapters().pop() {
        let gpu = GpuEngine::new(&adapter, len).unwrap();
        let target = Target::Gpu(gpu.traits());
        engines.push((Box::new(gpu), target));
    }
    for (engine, target) in engines {
        let (trainer, allocated) = trainer(engine, target, 700_000, parts_of(10 * PLENTY));
        let mut trainer = trainer.unwrap();
        assert!(trainer.short_of_memory() && allocated.get() <= 700_000, "{} bytes", allocated.get());
        assert_eq!(trainer.micro_batches(), MicroBatches { count: 4, examples: 9 });
        let (early, late) = (trainer.advance().unwrap(), trainer.finish().unwrap());
        assert_eq!(early.len() + late.len(), 1, "events of one step");
    }
    let (none, _) = trainer(Box::new(CpuEngine::<f32>::new(len)), Target::Cpu, 1_000, parts_of(10 * PLENTY));
    assert!(matches!(none, Err(TrainError::Engine(EngineError::OutOfMemory { .. }))));
}

#[test]
fn bytes_are_counted_against_the_least() {
    let Some(adapter) = adapters().pop() else { return };
    let name = adapter.info().name.clone();
    for memory in [10 * PLENTY, PLENTY / 3 * 2] {
        let report = small_json(&name, memory, "off");
        let steps = report["bytes"].as_object().unwrap();
        for (step, bytes) in steps.iter().filter(|(_, bytes)| !bytes.is_null()) {
            let number = |key: &str| bytes[key].as_u64().unwrap();
            let (moved, needed, least) = (number("moved"), number("needed"), number("least"));
            assert!(moved >= needed && needed >= least && least > 0, "{step}: {moved} {needed} {least}");
            let by_op = bytes["by_op"].as_object().unwrap();
            let sum = |key: &str| by_op.values().map(|op| op[key].as_u64().unwrap()).sum::<u64>();
            assert_eq!([sum("moved"), sum("needed")], [moved, needed], "{step}");
            let of = |key: &str| report[step][key].as_u64().unwrap();
            assert_eq!(sum("dispatches"), of("dispatches") + of("copies"), "{step}");
        }
        let bank = report["memory"]["parameters"].as_u64().unwrap();
        let update =
            if report["bytes"]["update"].is_null() { &report["bytes"]["training"] } else { &report["bytes"]["update"] };
        // Parameters and two moments are read and written, gradients read, and one norm.
        assert_eq!(update["by_op"]["adamw"]["moved"].as_u64().unwrap(), 7 * bank + 4);
        assert_eq!(update["by_op"]["adamw"]["needed"].as_u64().unwrap(), 7 * bank + 4);
    }
    let run = plan().args(["--device", &name, "--preset", "small"]).assert().success();
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    for word in ["bytes moved", "bytes needed", "bytes, least", "Bytes of the training step by op", "needed:"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    assert!(json(&["--device", "cpu"])["bytes"].is_null());
}

#[test]
fn the_peak_is_what_the_gpu_engine_allocates() {
    // Any driver will do, software too.
    let Some(adapter) = adapters().pop() else { return };
    let name = adapter.info().name.clone();
    let config = small_config();
    let model = Model::new(&config);
    let new = || GpuEngine::new(&adapter, model.table.len()).unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let target = Target::Gpu(new().traits());
    for budget in [10 * PLENTY, PLENTY / 3 * 2] {
        let memory = &small_json(&name, budget, "off")["memory"];
        let readback = |step: &str| memory[step]["readback"].as_u64().unwrap_or_default();
        let readbacks = readback("training") + readback("update") + readback("evaluation");
        let (allocated, split) = allocated_by_a_trainer(Box::new(new()), target, parts_of(budget));
        let split = split.micro_batches;
        assert_eq!(allocated, number(&memory["peak"]) - readbacks);
        assert!(number(&memory["peak"]) <= budget && (split.count > 1) == (budget < PLENTY), "{split:?}");
    }

    // A step whose outputs nobody collects holds a readback buffer, up to a most.
    let mut engine = new();
    let fit = Fit { micro_batches: MicroBatches::new(BATCH, 1), recompute: Recompute::Off };
    let plans = Plans::new(&Recipe::new(&config), fit, target).unwrap();
    let footprint = Footprint::of(&plans.training.plan);
    let shared = Footprint::shared(model.table.len(), plans.banks());
    let program = engine.load(plans.training.plan).unwrap();
    for under_way in 1..=Footprint::MOST_READBACKS + 1 {
        engine.submit(program, &StepState::default(), true).unwrap();
        let most = under_way.min(Footprint::MOST_READBACKS);
        assert_eq!(engine.allocated() as u64, shared + footprint.bytes(most), "{under_way} steps");
    }
    while engine.collect(true).unwrap().is_some() {}
}

#[test]
fn small_at_batch_128_trains_within_two_gigabytes() {
    let plan = |memory: &str| json(&["--preset", "small", "--batch", "128", "--device", "cpu", "--memory", memory]);
    let (whole, split) = (plan("8GB"), plan("2GB"));
    let peak = |report: &Value| report["memory"]["peak"].as_u64().unwrap();
    assert_eq!(whole["micro_batch"]["parts"], 1);
    assert!(peak(&whole) > 4_000_000_000, "{}", whole["memory"]);
    let parts = split["micro_batch"]["parts"].as_u64().unwrap();
    assert!((2..=4).contains(&parts), "{}", split["micro_batch"]);
    assert!((1_200_000_000..=2_000_000_000).contains(&peak(&split)), "{}", split["memory"]);
    // All at once fits as well where activations are computed again, in less than half the memory.
    let again = json(&["--preset", "small", "--batch", "128", "--device", "cpu", "--recompute", "full"]);
    assert_eq!(again["micro_batch"]["parts"], 1);
    assert!(peak(&again) < peak(&whole) / 2, "{}", again["memory"]);
}

#[test]
fn what_is_computed_again_needs_no_memory() {
    let len = Model::new(&small_config()).table.len();
    let mut peaks = Vec::new();
    for recompute in Recompute::ALL {
        let report = small_json("cpu", 10 * PLENTY, recompute.name());
        let resources = Resources { memory: None, recompute: Some(recompute) };
        let (allocated, found) = allocated_by_a_trainer(Box::new(CpuEngine::<f32>::new(len)), Target::Cpu, resources);
        assert_eq!(found, Fit { micro_batches: MicroBatches::new(BATCH, 1), recompute });
        assert_eq!([&report["memory"]["peak"], &report["candidates"][0]["peak"]], [allocated, allocated]);
        assert_eq!(report["recompute"], recompute.name());
        peaks.push((allocated, report["training"]["flops"].as_u64().unwrap()));
    }
    let less = |pair: &[(u64, u64)]| pair[0].0 > pair[1].0 && pair[0].1 < pair[1].1;
    assert!(peaks.windows(2).all(less), "bytes and operations: {peaks:?}");
}

#[test]
fn the_least_work_that_fits_is_chosen() {
    let (recipe, limits) = (Recipe::new(&small_config()), CpuEngine::<f32>::new(0).limits());
    // From where there is room down to where nothing fits.
    let memories = std::iter::successors(Some(PLENTY), |memory| Some(memory / 10 * 9));
    let chosen: Vec<Fit> = memories
        .map_while(|memory| {
            let resources = Resources { memory: Some(memory), recompute: None };
            let (best, all) = candidates(&recipe, Target::Cpu, resources, limits).ok()?;
            assert!(all.contains(&best) && all.iter().all(|c| c.work >= best.work && c.bytes <= memory), "{all:?}");
            assert_eq!(fit(&recipe, Target::Cpu, resources, limits).unwrap(), best.fit);
            Some(best.fit)
        })
        .collect();
    assert_eq!(chosen[0], Fit { micro_batches: MicroBatches::new(BATCH, 1), recompute: Recompute::Off });
    assert!(chosen.len() > 4 && chosen.iter().any(|fit| fit.micro_batches.count > 1), "{chosen:?}");
    assert_ne!(chosen.last().unwrap().recompute, Recompute::Off, "{chosen:?}");
}

#[test]
fn settings_decide_and_bad_ones_are_refused() {
    let one = json(&["--device", "cpu", "--batch", "1"]);
    let two = json(&["--device", "cpu", "--batch", "2"]);
    assert_eq!(two["batch"], 2);
    assert_eq!(one["memory"]["parameters"], two["memory"]["parameters"]);
    let peak = |report: &Value| report["memory"]["peak"].as_u64().unwrap();
    assert!(peak(&two) > peak(&one));
    for bad in [["--preset", "huge"], ["--set", "model.heads=3"], ["--batch", "0"], ["--device", "no such GPU"]]
        .into_iter()
        .chain([["--memory", "much"], ["--memory", "1kB"], ["--recompute", "some"]])
    {
        let run = plan().args(bad).assert().code(2);
        let error = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(run.get_output().stdout.is_empty() && error.contains("error:"), "{error}");
    }
}
