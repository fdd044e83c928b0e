//! The page's speed held against the program's, in turn, on one thread of the CPU and on a GPU's driver that both use.

use crate::browser::Browser;
use crate::story::{file, lines, link};
use crate::{WEBGPU, serve};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Pairs of runs.
const PAIRS: usize = 3;
/// What is trained on the CPU.
const CPU: [&str; 4] = [
    "data.sample=stories",
    "training.log_every=10",
    "training.evaluation_examples=8",
    "training.checkpoint_every=1000000",
];
/// What a software driver takes a step of within a second.
const GPU: [&str; 6] = [
    "data.sample=stories",
    "training.log_every=2",
    "training.evaluation_examples=8",
    "training.checkpoint_every=1000000",
    "training.batch=8",
    "data.length=32",
];

/// Measures, and prints tokens a second and their ratios; whether all could be measured.
pub fn measure(folder: &Path, leyden: &Path, chromium: &str, out: &Path) -> bool {
    let mut all = true;
    std::fs::create_dir_all(out).expect("a folder");
    let address = serve::begin(folder);
    for (name, device, native, steps, settings) in [
        ("one thread of the CPU", "cpu", "cpu", 60, &CPU[..]),
        ("WebGPU and Vulkan, base kernels", "webgpu", "vulkan", 12, &GPU[..]),
    ] {
        let mut ratios = Vec::new();
        for pair in 0..PAIRS {
            let profile = out.join(format!("{device}-{pair}"));
            let mut browser = Browser::start(chromium, &profile, WEBGPU);
            let (steps_asked, device) = (format!("steps={steps}"), format!("device={device}"));
            browser.open(&format!("{address}/{}", link(&[&steps_asked, &device], settings)));
            let ended =
                format!("(async () => (await {})?.includes('\"done\"') ? true : null)()", file("tiny", "events.jsonl"));
            browser.wait_for("end of the run", 600, &ended);
            let page = speed(browser.evaluate(&file("tiny", "metrics.jsonl")).as_str().unwrap_or_default());
            drop(browser);
            let run = out.join(format!("{native}-{pair}-native"));
            let mut command = Command::new(leyden);
            command.args(["train", "--device", native, "--precision", "f32", "--kernels", "base", "--steps"]);
            command.arg(steps.to_string()).arg("--run").arg(&run).env("RAYON_NUM_THREADS", "1");
            settings.iter().for_each(|setting| {
                command.args(["--set", setting]);
            });
            let output = command.output().expect("leyden runs");
            if !output.status.success() {
                println!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
                break;
            }
            let program = speed(&std::fs::read_to_string(run.join("metrics.jsonl")).expect("its metrics"));
            println!("{name}: the page {page:.0} tokens/s, the program {program:.0}: {:.2}", page / program);
            ratios.push(page / program);
        }
        all &= ratios.len() == PAIRS;
        println!("{name}: {:.2} of the program, the median of {}", median(&mut ratios), ratios.len());
    }
    all
}

/// Tokens a second behind the first intervals, in which buffers and caches are new.
fn speed(metrics: &str) -> f64 {
    let of = |line: &Value| line["tokens_per_second"].as_f64();
    median(&mut lines(metrics).iter().filter_map(of).skip(2).collect::<Vec<f64>>())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}
