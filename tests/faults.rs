//! What may happen to a run from outside: it is killed at any moment, its disk is full, its files are damaged or
//! swapped, and somebody else trains it. Through the binary.

mod common;
#[path = "common/program.rs"]
mod program;

use common::Seeded;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const SETTINGS: [&str; 15] = [
    "model.layers=1",
    "model.hidden=16",
    "model.embedding=16",
    "model.heads=2",
    "model.feed_forward=16",
    "model.dropout=0.1",
    "model.vocabulary=60",
    "generator.layers=1",
    "generator.hidden=8",
    "generator.feed_forward=8",
    "training.evaluation_examples=4",
    "training.evaluate_every=10",
    "training.log_every=1",
    "training.checkpoint_every=5",
    "training.keep_checkpoints=2",
];

/// A folder with a text and what the runs on it need.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let line = "one two three four five six seven eight nine ten eleven twelve .\n";
        fs::write(folder.path().join("text.txt"), format!("{}\n", line.repeat(9)).repeat(30)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `leyden train` of a new run.
    fn start(&self, run: &Path, steps: u64) -> Command {
        let mut command = go_on(run);
        command.args(["--batch", "2", "--steps", &steps.to_string(), "--text"]).arg(self.path("text.txt"));
        for setting in SETTINGS {
            command.args(["--set", setting]);
        }
        command
    }
}

fn go_on(run: &Path) -> Command {
    let mut command = program::process();
    command.args(["train", "--device", "cpu", "--run"]).arg(run).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Two threads of a tiny model only wait for each other.
    command.env("RAYON_NUM_THREADS", "1");
    command
}

fn succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Exit code and standard error, which holds one line that is no panic.
fn refused(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: ") && error.trim_end().lines().count() == 1, "{error}");
    (output.status.code().unwrap(), error)
}

fn weights(run: &Path, step: u64) -> [Vec<u8>; 3] {
    ["generator/model.safetensors", "discriminator/model.safetensors", "optimizer.safetensors"]
        .map(|file| fs::read(run.join(format!("checkpoints/step-{step:06}")).join(file)).unwrap())
}

/// metrics.jsonl without what the clock decides.
fn metrics(run: &Path) -> Vec<Value> {
    let clockless = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().retain(|key, _| key != "seconds" && key != "tokens_per_second");
        line
    };
    fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().map(clockless).collect()
}

#[test]
fn killed_at_random_moments_a_run_ends_as_if_nothing_had_happened() {
    const STEPS: u64 = 600;
    let kills: u32 = std::env::var("LEYDEN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let place = Place::new();
    let (calm, rough) = (place.path("calm"), place.path("rough"));
    let clock = std::time::Instant::now();
    succeeds(&mut place.start(&calm, STEPS));
    let whole = clock.elapsed();
    let clock = std::time::Instant::now();
    succeeds(&mut go_on(&calm));
    // So short that the kills are spread over the run, and long enough for it to get on.
    let longest = 2.0 * clock.elapsed().as_secs_f64() + whole.as_secs_f64() / f64::from(kills);
    let mut random = Seeded::new(u64::from(std::process::id()));
    let mut landed = 0;
    for _ in 0..kills {
        // In the first moments of a sitting, too.
        let mut child = place.start_or_go_on(&rough, STEPS).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(random.real().abs() * longest));
        landed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!error.contains("error") && !error.contains("panic"), "{error}");
    }
    assert!(landed > kills / 2, "{landed} of {kills} kills found the run alive");
    succeeds(&mut place.start_or_go_on(&rough, STEPS));
    assert_eq!(metrics(&calm), metrics(&rough));
    assert!(weights(&calm, STEPS) == weights(&rough, STEPS));
    println!("{landed} of {kills} kills hit the run alive");
}

impl Place {
    /// As a person would: the same line again where nothing was begun yet, else only the folder.
    fn start_or_go_on(&self, run: &Path, steps: u64) -> Command {
        if run.join("config.toml").exists() { go_on(run) } else { self.start(run, steps) }
    }
}

#[test]
fn one_process_a_run() {
    let place = Place::new();
    let run = place.path("run");
    let mut first = place.start(&run, 1_000_000).spawn().unwrap();
    while !run.join("checkpoints").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (code, error) = refused(&mut go_on(&run));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(code == 2 && error.contains("another process"), "{code}: {error}");
    succeeds(go_on(&run).args(["--stop-after", "1"]));
}

/// Every file below `folder`, as paths within it.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf());
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

#[test]
fn damaged_and_swapped_files_are_refused_or_do_no_harm() {
    const STEPS: u64 = 12;
    let place = Place::new();
    let (whole, half, other) = (place.path("whole"), place.path("half"), place.path("other"));
    succeeds(&mut place.start(&whole, STEPS));
    succeeds(place.start(&half, STEPS).args(["--stop-after", "10"]));
    succeeds(place.start(&other, STEPS).args(["--stop-after", "10", "--seed", "7"]));
    let (expected, lines) = (weights(&whole, STEPS), metrics(&whole));
    let mut random = Seeded::new(3);
    let (mut refusals, mut harmless) = (0, Vec::new());
    let newest = Path::new("checkpoints/step-000010");
    let all = files(&half);
    for file in all.iter().filter(|f| f.parent() == Some(Path::new("")) || f.starts_with(newest)) {
        let good = fs::read(half.join(file)).unwrap();
        let mut flipped = good.clone();
        if !flipped.is_empty() {
            let bit = random.next() as usize % (8 * flipped.len());
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        let swapped = fs::read(other.join(file)).unwrap();
        let foreign = (0..300).map(|_| random.next() as u8).collect();
        let cut = good[..good.len() / 2].to_vec();
        let cases = [("cut", Some(cut)), ("flipped", Some(flipped)), ("swapped", Some(swapped))];
        let cases =
            cases.into_iter().chain([("foreign", Some(foreign)), ("empty", Some(Vec::new())), ("missing", None)]);
        for (what, content) in cases {
            let name = format!("{} {what}", file.display());
            let run = place.path("copy");
            copy(&half, &run);
            match content {
                Some(content) if content == good => continue,
                Some(content) => fs::write(run.join(file), content).unwrap(),
                None => fs::remove_file(run.join(file)).unwrap(),
            }
            let output = go_on(&run).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                let log = file.extension().is_some_and(|e| e == "jsonl");
                // A log's lost lines are lost, but what is trained is the same.
                assert!(weights(&run, STEPS) == expected, "{name} went unnoticed");
                assert!(log || metrics(&run) == lines, "{name} changed the metrics");
                harmless.push(name);
            } else {
                let line = error.trim_end().lines().next_back().unwrap_or_default();
                assert_eq!(output.status.code(), Some(2), "{name}: {error}");
                let named = file.file_name().unwrap().to_str().unwrap();
                assert!(line.starts_with("error: "), "{name}: {error}");
                assert!(
                    error.contains(named) || error.contains("differ") || error.contains("tokenizer"),
                    "{name}: {error}"
                );
                refusals += 1;
            }
            fs::remove_dir_all(&run).unwrap();
        }
    }
    println!("{refusals} refused; no harm in {harmless:?}");
    assert!(refusals > 60, "{refusals}");
}

/// Needs the right to mount; elsewhere it says that it did not run.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(&disk).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("not run: a small disk cannot be mounted here");
        return;
    }
    let run = disk.join("run");
    let (code, error) = {
        let mut command = place.start(&run, 1_000_000);
        command.args(["--set", "training.keep_checkpoints=100"]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let left = fs::read_dir(run.join("checkpoints")).map_or(0, Iterator::count);
    let partial = files(&run).iter().any(|file| file.display().to_string().contains("partial"));
    // With room again, it goes on.
    let remount = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk).output().unwrap();
    let again = go_on(&run).args(["--stop-after", "3"]).output().unwrap();
    let unmounted = Command::new("umount").arg(&disk).output().unwrap();
    assert!(remount.status.success() && unmounted.status.success());
    assert_eq!(code, Some(1), "{error}");
    assert!(error.lines().any(|line| line.contains("error: ") && line.contains("free space")), "{error}");
    assert!(left >= 1 && !partial, "{left} checkpoints");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}
