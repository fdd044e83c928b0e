//! `--precision` through the binary: what each means on a device, that a run keeps it, and that it is the same bits on any number of
//! threads.

#[path = "common/fine_tuned.rs"]
mod fine_tuned;
#[path = "common/metrics.rs"]
mod metrics;
#[path = "common/program.rs"]
mod program;

use fine_tuned::{golden, model};
use metrics::metrics;
use program::leyden;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A model small enough for tests, whose products are of several blocks.
const SMALL: [&str; 24] = [
    "--steps",
    "6",
    "--batch",
    "6",
    "--set",
    "model.vocabulary=300",
    "--set",
    "model.layers=1",
    "--set",
    "model.hidden=96",
    "--set",
    "model.embedding=24",
    "--set",
    "model.feed_forward=160",
    "--set",
    "generator.hidden=16",
    "--set",
    "generator.feed_forward=24",
    "--set",
    "training.evaluation_examples=8",
    "--set",
    "training.log_every=1",
    "--set",
    "model.dropout=0.1",
];

fn train(run: &Path, device: &str, more: &[&str]) {
    train_on(2, run, device, more);
}

fn train_on(threads: usize, run: &Path, device: &str, more: &[&str]) {
    let mut command = leyden();
    command.env("RAYON_NUM_THREADS", threads.to_string()).args(["train", "--device", device, "--run"]);
    command.arg(run).args(SMALL).args(more).assert().success();
}

fn go_on(threads: usize, run: &Path, device: &str) {
    let mut command = leyden();
    command.env("RAYON_NUM_THREADS", threads.to_string()).args(["train", "--device", device, "--run"]);
    command.arg(run).assert().success();
}

fn gpu() -> String {
    std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into())
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-000006/discriminator/model.safetensors")).unwrap()
}

/// What a run's settings say.
fn precision(run: &Path) -> String {
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let line = config.lines().find_map(|line| line.strip_prefix("precision = "));
    line.unwrap_or_else(|| panic!("{config}")).trim_matches('"').into()
}

/// The instructions for bf16 that this processor has.
fn bf16() -> Option<String> {
    let listed = leyden().args(["devices", "--json"]).assert().success().get_output().stdout.clone();
    let devices: Value = serde_json::from_slice(&listed).unwrap();
    devices.as_array().unwrap().last().unwrap()["bf16"].as_str().map(String::from)
}

/// The training intervals' losses.
fn losses(run: &Path) -> Vec<f64> {
    metrics(run).iter().filter_map(|line| line["generator_loss"].as_f64()).collect()
}

#[test]
fn a_run_in_mixed_precision_goes_on_with_its_loss_scale() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts, device) = (folder.path().join("whole"), folder.path().join("parts"), gpu());
    train(&whole, &device, &["--precision", "mixed"]);
    train(&parts, &device, &["--precision", "mixed", "--stop-after", "3"]);
    go_on(2, &parts, &device);
    let state = fs::read_to_string(parts.join("checkpoints/step-000003/state.json")).unwrap();
    assert!(state.contains("loss_scale"), "{state}");
    assert_eq!(losses(&whole), losses(&parts));
    let last = metrics(&parts).into_iter().rev().find(|line| line.get("held_out").is_none()).unwrap();
    assert!(last["loss_scale"].as_f64().unwrap() >= 1.0, "{last}");
    assert!(weights(&whole) == weights(&parts), "a stop changed the weights");
    let refused = leyden().args(["train", "--precision", "half"]).assert().code(2).get_output().clone();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("no precision \"half\"; there are auto, f32, mixed, bf16"), "{error}");
}

#[test]
fn mixed_precision_on_the_cpu_is_bf16_where_there_is_such_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts, single) =
        (folder.path().join("whole"), folder.path().join("parts"), folder.path().join("single"));
    train(&whole, "cpu", &["--precision", "mixed"]);
    let there = bf16();
    assert_eq!(precision(&whole), if there.is_some() { "bf16" } else { "f32" });
    // A run that has it keeps it, also where the processor has no instructions for it.
    train(&parts, "cpu", &["--precision", "bf16", "--stop-after", "3"]);
    go_on(2, &parts, "cpu");
    if there.is_some() {
        assert_eq!(metrics(&whole), metrics(&parts));
    }
    train(&single, "cpu", &["--precision", "f32"]);
    let (found, expected) = (losses(&parts), losses(&single));
    assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 0.02), "{found:?} {expected:?}");
    assert_ne!(found, expected);
    let refused = leyden().args(["train", "--device", &gpu(), "--precision", "bf16"]).assert().code(2);
    let error = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(error.contains("precision bf16 is the CPU engine's: expected --device cpu"), "{error}");
}

#[test]
fn a_run_that_was_in_bf16_goes_on_in_f32_on_a_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, "cpu", &["--precision", "bf16", "--stop-after", "3"]);
    let output =
        leyden().args(["train", "--device", &gpu(), "--run"]).arg(&run).assert().success().get_output().clone();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("on a GPU it goes on in f32"), "{said}");
    assert_eq!(precision(&run), "f32");
    assert_eq!(losses(&run).len(), 6);
    // Nothing was saved in f32 before it was cut off: it goes on from what was saved in bf16.
    fs::remove_dir_all(run.join("checkpoints/step-000006")).unwrap();
    go_on(2, &run, "cpu");
    assert_eq!(losses(&run).len(), 6);
    assert!(run.join("checkpoints/step-000006").is_dir());
}

#[test]
fn what_nobody_chose_is_chosen_at_the_start_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (cpu, chosen, on_gpu) = (folder.path().join("cpu"), folder.path().join("chosen"), folder.path().join("gpu"));
    train(&cpu, "cpu", &[]);
    let kept = precision(&cpu);
    match bf16().as_deref() {
        Some("AMX") => assert_eq!(kept, "bf16"),
        Some(_) => assert!(["bf16", "f32"].contains(&&kept[..]), "{kept}"),
        None => assert_eq!(kept, "f32"),
    }
    train(&chosen, "cpu", &["--precision", &kept]);
    assert_eq!(metrics(&cpu), metrics(&chosen));
    train(&on_gpu, &gpu(), &["--precision", "auto"]);
    assert_eq!(precision(&on_gpu), "f32");
}

#[test]
fn a_run_is_the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for precision in ["f32", "mixed"] {
        let run = |threads: usize| folder.path().join(format!("{precision}-{threads}"));
        train_on(1, &run(1), "cpu", &["--precision", precision]);
        // On from another number of threads.
        train_on(2, &run(5), "cpu", &["--precision", precision, "--stop-after", "3"]);
        go_on(5, &run(5), "cpu");
        assert_eq!(metrics(&run(1)), metrics(&run(5)), "{precision}");
        assert!(weights(&run(1)) == weights(&run(5)), "{precision}");
    }
}

#[test]
fn answers_are_in_f32_unless_another_precision_is_asked_for() {
    let there = bf16().is_some();
    let near = |name: &str, found: f64, single: f64, tolerance: f64| {
        assert!((found - single).abs() < tolerance, "{name}: {found} in bf16, {single} in f32");
        assert!(there || found == single, "{name}: {found}, {single} without bf16");
        found != single
    };
    let ask = |arguments: &[&str], folder: &Path, precision: &[&str]| -> Value {
        let mut command = leyden();
        command.arg(arguments[0]).arg(folder).args(&arguments[1..]).args(["--json", "--device", "cpu"]).args(precision);
        serde_json::from_slice(&command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let texts = ["predict", "the cat sat on the mat and the dog ran to the house"];
    let classifier = model("single");
    let probabilities = |precision: &[&str]| -> Vec<f64> {
        let said = ask(&texts, classifier.path(), precision);
        said["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).collect()
    };
    let (usual, single) = (probabilities(&[]), probabilities(&["--precision", "f32"]));
    assert_eq!(usual, single);
    let mixed = probabilities(&["--precision", "mixed"]);
    let differ = mixed.iter().zip(&single).filter(|(f, e)| near("predict", **f, **e, 0.05)).count();
    assert_eq!(differ > 0, there, "{mixed:?} {single:?}");
    let replaced = |precision: &[&str]| -> Vec<f64> {
        let said = ask(&["probe", "the cat sat on the mat"], &golden().join("probe"), precision);
        said["p_replaced"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect()
    };
    let (mixed, single) = (replaced(&["--precision", "mixed"]), replaced(&[]));
    let differ = mixed.iter().zip(&single).filter(|(f, e)| near("probe", **f, **e, 0.05)).count();
    assert_eq!(differ > 0, there, "{mixed:?} {single:?}");
}
