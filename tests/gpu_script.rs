//! `tests/gpu` with a program in leyden's place that answers at once, fails or hangs: whatever happens to a step, the others'
//! results stay.
// Where its tools are at hand: bash, and of coreutils timeout.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Answers as leyden does. `FAIL` and `HANG` are patterns of arguments with which it fails, or never ends.
const FAKE: &str = r#"#!/bin/sh
case "$*" in $FAIL) echo "error: the device was lost" >&2; exit 1 ;; esac
case "$*" in $HANG) echo $$ >"$PLACE/hanging"; exec sleep 600 ;; esac
case "$*" in
  --version) echo "leyden 0.0.1" ;;
  "devices --json") echo '[
  {
    "backend": "Vulkan",
    "driver": "fake 1",
    "f16": true,
    "kind": "software",
    "name": "llvmpipe"
  },
  {
    "backend": "Vulkan",
    "driver": "fake 2",
    "f16": true,
    "kind": "discrete GPU",
    "name": "Radiant 9000"
  }
]' ;;
  devices*) echo '[{"kernels": {"matmul": [{"base_seconds": 3e-3, "seconds": 2e-3}, {"untried": "no time"}]}}]' ;;
  "bench --help") echo "--torch-modes" ;;
  bench*)
    mkdir -p "$LEYDEN_CACHE"
    [ -f "$LEYDEN_CACHE/two" ] || case "$*" in *"--kernels tuned"*) mv "$LEYDEN_CACHE/one" "$LEYDEN_CACHE/two" 2>/dev/null ||
      echo >"$LEYDEN_CACHE/one" ;; esac
    echo '{"preset": "small", "batch": 128, "length": 128, "steps": 9, "tokens_per_second": 1234567.0, "parts": 1,
    "median_step": 0.01, "fastest_step": 0.009, "slowest_step": 0.02, "gflops": 4000.0, "dispatches": 644,
    "peak": {"gflops": 50000.0, "multiply_adds": 60000.0, "gigabytes": 4000.0}, "profile": {"step": 0.01, "gaps": 0.001,
    "drain": 2e-6, "kernels": [{"name": "adamw", "calls": 1, "seconds": 0.002}]},
    "torch": {"version": "2.15", "modes": [{"mode": "some-bf16", "tokens_per_second": 1e6, "leyden_tokens_per_second": 2e6,
    "ratio": 2.0, "rounds": [2.0, 2.1, 1.9]}, {"mode": "other", "error": "no CUDA"}]}, "matmul": [{"precision": "f32", "gflops": 30000.0, "layout": "dy W", "m": 1, "n": 2, "k": 3, "kernel": "tiles"}]}' ;;
  train*)
    while [ "$1" != --run ]; do shift; done
    mkdir -p "$2/checkpoints/step-000010/generator"
    echo '{"step":10,"generator_loss":7.5,"discriminator_loss":0.5,"tokens_per_second":9e3,"loss_scale":2}' >"$2/metrics.jsonl"
    echo weights >"$2/checkpoints/step-000010/generator/model.safetensors"
    echo kernels >"$2/kernels.json" ;;
esac
"#;

/// A Python that has torch, and whatever it is asked for.
const PYTHON: &str = "#!/bin/sh\necho warm";

/// Tests of kernels, one of which fails.
const TESTS: &str = "#!/bin/sh
echo 'test softmax ... ok
test one::two ... FAILED
test other ... ok

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out'
exit 101";

/// A folder with the program, and where the script puts what it finds.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.program("leyden", FAKE);
        fs::create_dir(place.path("tmp")).unwrap();
        place
    }

    fn program(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The script for so many seconds, from another folder than the project's.
    fn script(&self, seconds: u32) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu"));
        command.args(["out", &seconds.to_string()]).current_dir(&self.folder).stdin(Stdio::null());
        for name in ["LEYDEN_TESTS", "LEYDEN_TEXT", "LEYDEN_TEST_DEVICE"] {
            command.env_remove(name);
        }
        command.env("LEYDEN", self.path("leyden")).env("LEYDEN_PYTHON", self.path("no-python"));
        command.env("TMPDIR", self.path("tmp")).env("PLACE", self.folder.path());
        command.env("FAIL", "nothing").env("HANG", "nothing");
        command
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.path("out/summary.md")).unwrap_or_default()
    }

    /// The names in the archive, which must be whole.
    fn archived(&self) -> String {
        let tar = Command::new("tar").arg("tzf").arg(self.path("out/raw.tgz")).output().unwrap();
        assert!(tar.status.success(), "{tar:?}");
        String::from_utf8(tar.stdout).unwrap()
    }

    /// Nothing is left of it but its results.
    fn is_clean(&self) {
        assert_eq!(fs::read_dir(self.path("tmp")).unwrap().count(), 0);
        let mut left: Vec<_> =
            fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["raw.tgz", "summary.md"]);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Without a Python there is a list of steps and no table.
fn has_python() -> bool {
    Command::new("python3").args(["-c", ""]).output().is_ok_and(|output| output.status.success())
}

#[test]
fn all_that_was_found_is_in_the_table_and_the_archive() {
    let place = Place::new();
    place.program("python", PYTHON);
    place.program("binaries/kernels_rows-0123456789abcdef", TESTS);
    place.program("binaries/window-0123456789abcdef", TESTS);
    let mut script = place.script(100);
    let output = script.env("LEYDEN_PYTHON", "./python").env("LEYDEN_TESTS", "binaries").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let summary = place.summary();
    assert_eq!(String::from_utf8_lossy(&output.stdout), summary);
    for part in ["Radiant 9000", "fake 2", "leyden 0.0.1", "| smoke | passed | ", "| tune-f32-1 | passed | "] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    for part in [
        "| test-kernels_rows | failed: test result: FAILED. 2 ",
        "| warm-compiled-bf16 | passed | ",
        "| text | passed | ",
    ] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    assert!(!summary.contains("window"), "{summary}");
    if has_python() {
        for part in [
            "2 passed, 1 failed, 0 ignored: kernels_rows::one::two | `kernels_rows-0123456789abcdef --test-threads 4`",
            "| against PyTorch some-bf16 | **2.00 times** (by round 2.00, 2.10, 1.90); 2,000,000 against 1,000,000 tokens/s",
            "| against PyTorch other | failed: no CUDA | ",
            "**1,234,567 tokens/s**: 10 ms a step",
            "--device Radiant\\ 9000 --preset small --batch 128 --precision mixed --steps 100",
            "| trying kernels, mixed | 3 starts, ",
            "1 shape tried, 1 not; for 1 another than the base kernel, in the middle 1.50 times",
            "30 TFLOP/s at dy W 1 x 2 x 3, 50 % of the multiply-adds' peak",
            "gaps 1 ms (10 % of the step), drain 2 us, as it runs 10 ms",
            "adamw 100 % (1 call, 2 ms)",
            "weights are **equal to the bit**, kernels.json equal",
            "generator 7.500 against 7.500, smoothed at most 0 apart",
        ] {
            assert!(summary.contains(part), "{part} is not in\n{summary}");
        }
    }
    let archived = place.archived();
    for part in ["raw/steps.tsv", "raw/bench-f32.out", "raw/runs/text/metrics.jsonl", "raw/same.txt"] {
        assert!(archived.contains(part), "{part} is not in\n{archived}");
    }
    assert!(!archived.contains("safetensors"), "{archived}");
    place.is_clean();
}

#[test]
fn a_step_that_fails_or_hangs_leaves_the_others_alone() {
    let place = Place::new();
    let output = place.script(60).env("FAIL", "bench*mixed*").env("HANG", "train*same-2*").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let summary = place.summary();
    for part in [
        "| bench-mixed | failed: error: the device was lost (exit status 1) | ",
        "| tune-mixed-2 | failed: ",
        "| same-2 | timed out: after ",
        "| same-3 | passed | ",
        "| bench-f32 | passed | ",
        "| tests | skipped: LEYDEN_TESTS names no folder",
        "no-python has no torch and transformers",
    ] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    assert!(!summary.contains("tune-mixed-3"), "{summary}");
    if has_python() {
        assert!(summary.contains("- (failed: error: the device was lost (exit status 1))"), "{summary}");
        assert!(summary.contains("| 2 equal runs | weights are **equal"), "{summary}");
    }
    place.is_clean();
}

#[test]
fn a_signal_leaves_what_was_found_until_then() {
    let place = Place::new();
    let mut child =
        place.script(100).env("HANG", "*curve-f32*").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    let hanging = loop {
        let hanging = fs::read_to_string(place.path("hanging")).unwrap_or_default();
        if hanging.ends_with('\n') {
            break hanging.trim().to_string();
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", place.summary());
        std::thread::sleep(Duration::from_millis(50));
    };
    // Whole before it ends, too.
    assert!(place.archived().contains("raw/bench-mixed.out"));
    let signal = |what: &str, id: &str| Command::new("kill").args([what, id]).output().unwrap().status.success();
    assert!(signal("-TERM", &child.id().to_string()));
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let summary = place.summary();
    for part in ["| smoke | passed | ", "| curve-f32 | stopped: the whole was stopped | "] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    assert!(!signal("-0", &hanging), "the step still runs");
    place.archived();
    place.is_clean();
}

#[test]
fn what_is_missing_is_said_in_a_line() {
    let place = Place::new();
    let refused = |command: &mut Command, status: i32, why: &str| {
        let output = command.output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(status), 0), "{}", said(&output));
        assert!(said(&output).starts_with(why) && said(&output).lines().count() == 1, "{}", said(&output));
    };
    refused(place.script(60).env("LEYDEN", "elsewhere/leyden"), 2, "tests/gpu: there is no program /");
    refused(place.script(60).env("LEYDEN_TESTS", "elsewhere"), 2, "tests/gpu: LEYDEN_TESTS: there is no folder /");
    refused(place.script(60).arg("more"), 2, "tests/gpu: usage: ");
    let none = "tests/gpu: there is no adapter called Arc here: leyden lists llvmpipe,Radiant 9000\n";
    refused(place.script(60).env("LEYDEN_TEST_DEVICE", "Arc"), 3, none);
    refused(place.script(60).env("FAIL", "devices --json"), 3, "tests/gpu: leyden devices does not say which");
    assert!(
        place.summary().contains("| devices | failed: error: the device was lost (exit status 1) | "),
        "{}",
        place.summary()
    );
    place.is_clean();
}
