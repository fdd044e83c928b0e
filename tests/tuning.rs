//! Kernels are found by trying them on the device, kept, and a run goes on with its own.

mod common;
#[path = "common/program.rs"]
mod program;

use assert_cmd::Command;
use common::{adapter, small_config};
use leyden::op::DeviceTraits;
use leyden::ops::kernels::Matmul;
use leyden::plan::{Plan, Target};
use leyden::train::{Plans, Recipe, Resources, TrainError, fit};
use leyden::tune::{Cache, Device, KernelChoices, Kernels, LeftOut, Tuned, Tuner, Work, tune};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A GPU's kernels, on whatever device the tests have.
const GPU: DeviceTraits = DeviceTraits::FLOOR;

fn tuner(cache: &Cache) -> Tuner<'static> {
    let (kernels, budget) = (Some(Kernels::Tuned), Duration::from_secs(120));
    Tuner { adapter: adapter(), traits: GPU, kernels, record: None, cache: cache.clone(), budget }
}

/// Training of a small model.
struct Small {
    recipe: Recipe,
    /// What whole steps are found to do.
    repeats: bool,
    /// How often that was asked.
    asked: usize,
}

impl Small {
    fn new() -> Self {
        // Few kernels have tiles that are not too large for it.
        Self { recipe: Recipe::new(&small_config(&["data.length=32"])), repeats: true, asked: 0 }
    }
}

impl Work for Small {
    type Error = TrainError;

    fn plans(&mut self, traits: DeviceTraits) -> Result<Vec<(Plan, usize)>, TrainError> {
        let (target, limits) = (Target::Gpu(traits), adapter().info().limits());
        let fit = fit(&self.recipe, target, Resources::default(), limits)?;
        let plans = Plans::new(&self.recipe, fit, target)?;
        Ok(vec![(plans.training.plan, 1), (plans.evaluation.plan, 1)])
    }

    fn repeats(&mut self, _: DeviceTraits) -> Option<bool> {
        self.asked += 1;
        Some(self.repeats)
    }
}

/// Tunes for a small model; what was said about trying, too.
fn tuned(tuner: Tuner<'_>) -> (Tuned, Vec<String>) {
    tuned_for(tuner, &mut Small::new())
}

fn tuned_for(tuner: Tuner<'_>, work: &mut Small) -> (Tuned, Vec<String>) {
    let mut said = Vec::new();
    let tuned = tune(tuner, work, &mut |text| said.push(text.to_string())).unwrap_or_else(|e| panic!("{e}"));
    said.retain(|line| !line.contains("steps repeat"));
    (tuned, said)
}

#[test]
fn every_choice_is_tried_once_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let (first, said) = tuned(tuner(&cache));
    assert_eq!(first.choices.device, Device::of(adapter().info()));
    assert!(first.choices.matmul.len() > 1, "{first:?}");
    assert!(first.remarks.is_empty(), "a kernel does not agree on this device: {:?}", first.remarks);
    for choice in &first.choices.matmul {
        assert!(Matmul::candidates(&choice.shape, &GPU).contains(&choice.kernel), "{choice:?}");
        assert!(choice.untried.is_none() && choice.gain().is_some_and(|gain| gain >= 1.0), "{choice:?}");
    }
    assert!(said.len() == 1 && said[0].contains("trying kernels") && said[0].contains("once"), "{said:?}");

    let (second, said) = tuned(tuner(&cache));
    assert_eq!(second, first, "a choice stays");
    assert!(said.is_empty(), "{said:?}");

    // A run that goes on needs no cache.
    let record = Some(first.choices.clone());
    let (third, said) = tuned(Tuner { record, kernels: None, ..tuner(&Cache::at(folder.path().join("none"))) });
    assert_eq!(third, first);
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn what_there_was_no_time_for_is_tried_at_another_start() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let (first, _) = tuned(Tuner { budget: Duration::ZERO, ..tuner(&cache) });
    assert!(!first.choices.matmul.is_empty());
    for choice in &first.choices.matmul {
        assert!(choice.untried.is_some() && choice.kernel == Matmul::base(&choice.shape, &GPU), "{choice:?}");
    }
    // A run goes on with what it was begun with; another one does not have to.
    let (again, _) = tuned(Tuner { kernels: None, record: Some(first.choices.clone()), ..tuner(&cache) });
    assert_eq!(again.choices, first.choices);
    // Which is said once.
    assert!(again.remarks.is_empty() && first.remarks.len() == 1, "{:?}", first.remarks);
    assert!(
        first.remarks[0].contains(" for 0 of ") && first.remarks[0].contains("--tune-seconds"),
        "{:?}",
        first.remarks
    );
    let (second, said) = tuned(tuner(&cache));
    assert!(second.choices.matmul.iter().all(|choice| choice.untried.is_none()), "{:?}", second.choices);
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn base_kernels_need_no_trying() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let software = DeviceTraits { software: true, ..GPU };
    for (kernels, traits) in [(Some(Kernels::Base), GPU), (None, software)] {
        let (found, said) = tuned(Tuner { kernels, traits, ..tuner(&cache) });
        assert!(found.choices.base && found.choices.matmul.is_empty() && found.remarks.is_empty(), "{found:?}");
        assert!(said.is_empty(), "{said:?}");
        // What a run was begun with, it goes on with.
        let (again, _) =
            tuned(Tuner { kernels: None, traits: GPU, record: Some(found.choices.clone()), ..tuner(&cache) });
        assert_eq!(again, found);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The choices with other kernels than the base where there are any.
fn forced(mut choices: KernelChoices, traits: &DeviceTraits) -> KernelChoices {
    for choice in &mut choices.matmul {
        choice.kernel = *Matmul::candidates(&choice.shape, traits).last().unwrap();
    }
    choices
}

#[test]
fn a_record_outlives_its_driver_where_it_still_agrees() {
    let cache = Cache::at(tempfile::tempdir().unwrap().path());
    let now = forced(tuned(Tuner { budget: Duration::ZERO, ..tuner(&cache) }).0.choices, &GPU);
    let mut old = now.clone();
    old.device.driver = "an older one".into();
    let go_on = |record: &KernelChoices| tuned(Tuner { kernels: None, record: Some(record.clone()), ..tuner(&cache) });
    let (found, said) = go_on(&old);
    assert_eq!(found.choices, now);
    assert!(said.len() == 1 && said[0].contains("checking"), "{said:?}");
    assert!(
        found.remarks[0].contains("the driver has changed") && found.remarks[0].contains("still agree"),
        "{found:?}"
    );

    // A kernel that the device does not have any more.
    old.matmul[1].kernel = "tiles 8x8x16 8x8".parse().unwrap();
    let (found, _) = go_on(&old);
    let choice = &found.choices.matmul[1];
    assert_eq!(choice.kernel, Matmul::base(&choice.shape, &GPU));
    assert!(matches!(&choice.left_out[..], [LeftOut { reason, .. }] if reason.contains("no kernel for this device")));
    assert!(found.remarks[0].contains("not go on to the same bits"), "{found:?}");
    assert_eq!(found.choices.matmul[0], now.matmul[0]);

    let mut other = now.clone();
    other.device.adapter = "another GPU".into();
    let (found, _) = go_on(&other);
    assert_eq!(found.choices.device, now.device);
    assert!(found.remarks[0].contains("another GPU"), "{found:?}");
    let (found, _) = tuned(Tuner { kernels: Some(Kernels::Base), record: Some(now), ..tuner(&cache) });
    assert!(found.choices.base && found.remarks[0].contains("not to the same bits"), "{found:?}");
}

/// A model small enough for tests, and enough tokens for sums that can be split: kernels that split them elsewhere give other
/// bits.
const SMALL: [&str; 26] = [
    "--set",
    "model.layers=1",
    "--set",
    "model.hidden=32",
    "--set",
    "model.embedding=32",
    "--set",
    "model.heads=2",
    "--set",
    "model.feed_forward=64",
    "--set",
    "generator.layers=1",
    "--set",
    "generator.hidden=16",
    "--set",
    "generator.feed_forward=32",
    "--set",
    "training.evaluation_examples=4",
    "--set",
    "training.log_every=1",
    "--set",
    "model.vocabulary=200",
    "--length",
    "32",
    "--batch",
    "16",
];

fn device() -> String {
    std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into())
}

fn leyden(cache: &Path) -> Command {
    let mut command = program::leyden();
    command.env("LEYDEN_CACHE", cache);
    command
}

fn train(cache: &Path, run: &Path, more: &[&str]) {
    let mut command = leyden(cache);
    command.args(["train", "--device", &device(), "--run"]).arg(run);
    if !run.exists() {
        command.args(SMALL).args(["--steps", "4"]);
    }
    command.args(more).assert().success();
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn read_choices(path: &Path) -> KernelChoices {
    KernelChoices::from_json(&fs::read(path).unwrap()).unwrap()
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-000004/discriminator/model.safetensors")).unwrap()
}

fn losses(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["discriminator_loss"].as_f64()).collect()
}

#[test]
fn a_run_goes_on_with_its_kernels_whatever_the_cache_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    train(&at("cache"), &at("first"), &["--kernels", "tuned"]);
    let file = only_file(&at("cache/kernels"));
    let found = read_choices(&file);
    assert!(!found.matmul.is_empty() && !found.base);
    // The cache keeps everything that was tried, the run what was chosen.
    assert!(found.matmul.iter().all(|choice| choice.tried.iter().any(|tried| tried.kernel == choice.kernel)));
    let mut alone = found.clone();
    alone.matmul.iter_mut().for_each(|choice| choice.tried.clear());
    assert_eq!(read_choices(&at("first/kernels.json")), alone);

    // Other kernels than the base for everything, so that their bits can be told apart.
    let chosen = forced(alone, &adapter().info().traits());
    fs::write(&file, chosen.to_json().unwrap()).unwrap();
    train(&at("cache"), &at("whole"), &["--kernels", "tuned"]);
    assert_eq!(read_choices(&at("whole/kernels.json")), chosen);
    train(&at("cache"), &at("parts"), &["--kernels", "tuned", "--stop-after", "2"]);
    train(&at("empty"), &at("parts"), &[]);
    assert_eq!(read_choices(&at("parts/kernels.json")), chosen);
    assert!(!at("empty").exists(), "nothing was tried again");
    assert!(weights(&at("parts")) == weights(&at("whole")), "stopped and gone on, to other bits");

    train(&at("cache"), &at("base"), &["--kernels", "base"]);
    assert!(read_choices(&at("base/kernels.json")).base);
    assert!(weights(&at("base")) != weights(&at("whole")), "the kernels were not used");
    for (a, b) in losses(&at("base")).iter().zip(losses(&at("whole"))) {
        assert!((a - b).abs() < 1e-3 * a, "{a} and {b}");
    }

    fs::write(at("base/kernels.json"), "{}").unwrap();
    let mut command = leyden(&at("cache"));
    let assert = command.args(["train", "--device", &device(), "--steps", "5", "--run"]).arg(at("base")).assert();
    let text = String::from_utf8(assert.code(2).get_output().stderr.clone()).unwrap();
    assert!(text.contains("kernels.json") && text.contains("remove it") && text.lines().count() == 1, "{text}");
}

#[test]
fn the_commands_know_about_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let devices = |more: &[&str]| {
        let assert = leyden(&cache).arg("devices").args(more).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let this = |json: &str| -> Value {
        let all: Value = serde_json::from_str(json).unwrap();
        let name = adapter().info().name.as_str();
        all.as_array().unwrap().iter().find(|device| device["name"] == name).unwrap()["kernels"].clone()
    };
    assert!(!devices(&[]).contains("kernels chosen"));
    assert!(this(&devices(&["--json"])).is_null());

    let mut bench = leyden(&cache);
    bench.args(["bench", "--device", &device(), "--steps", "1", "--json", "--kernels", "tuned"]).args(SMALL);
    let output = bench.assert().success().get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(report["steps"], 1);
    let file = only_file(&cache.join("kernels"));

    let short = devices(&[]);
    assert!(short.contains("kernels chosen: for ") && !short.contains("kept in"), "{short}");
    let long = devices(&["--kernels"]);
    let choices = read_choices(&file);
    for choice in &choices.matmul {
        assert!(long.contains(&choice.shape.to_string()), "{} is not in\n{long}", choice.shape);
    }
    assert!(long.contains(file.to_str().unwrap()), "{long}");
    let kernels = this(&devices(&["--json"]));
    assert_eq!(kernels["file"], file.to_str().unwrap());
    assert_eq!(kernels["matmul"].as_array().unwrap().len(), choices.matmul.len());

    fs::write(&file, "nonsense").unwrap();
    let assert = leyden(&cache).arg("devices").assert().success();
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(text.contains("chosen again") && text.lines().count() == 1, "{text}");

    for command in ["train", "bench"] {
        let assert = leyden(&cache).args([command, "--kernels", "fast"]).assert().code(2);
        let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(text.contains("base or tuned"), "{text}");
    }
}

#[test]
fn whole_steps_are_taken_twice_where_kernels_were_chosen_now() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    // A choice of another kernel than the base, which a trial here need not come to.
    let mut kept = tuned(Tuner { budget: Duration::ZERO, ..tuner(&cache) }).0.choices;
    kept.device.driver = "an older one".into();
    let old = forced(kept, &GPU);
    let mut work = Small { repeats: false, ..Small::new() };
    let go_on = |work: &mut Small, record: &KernelChoices| {
        tuned_for(Tuner { kernels: None, record: Some(record.clone()), ..tuner(&cache) }, work).0
    };
    let found = go_on(&mut work, &old);
    let last = found.remarks.last().unwrap();
    assert!(last.contains("does not repeat to the bit") && !last.contains('\n'), "{found:?}");
    assert_eq!((work.asked, found.choices.cooperative()), (1, false));
    // Nothing is chosen anew, so nothing is asked.
    go_on(&mut work, &found.choices);
    assert_eq!(work.asked, 1);
}

#[test]
fn tensor_cores_whose_steps_did_not_repeat_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let mut choices = KernelChoices::new(Device::of(adapter().info()));
    choices.unordered = true;
    let file = cache.file(&choices.device).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let json = choices.to_json().unwrap();
    fs::write(&file, &json).unwrap();
    let traits = DeviceTraits { cooperative: Some(16), workgroup_memory: 49_152, ..GPU };
    let (found, _) = tuned(Tuner { traits, budget: Duration::ZERO, ..tuner(&cache) });
    let remark = found.remarks.last().unwrap();
    assert!(remark.contains("tensor cores") && remark.contains(file.to_str().unwrap()), "{remark}");
    assert!(!found.choices.cooperative() && !remark.contains('\n'));
    // What is chosen without them is kept for itself.
    let (found, _) = tuned(Tuner { traits, ..tuner(&cache) });
    assert!(found.choices.matmul.iter().all(|choice| choice.untried.is_none()), "{found:?}");
    assert_eq!(fs::read(&file).unwrap(), json);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 2);
}
