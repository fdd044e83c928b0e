//! The page in a browser, used as people use it, and what it computes held against the program.

use crate::browser::Browser;
use crate::{WEBGPU, serve};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Settings that make lines of metrics of few steps.
pub const OFTEN: [&str; 3] = ["data.sample=stories", "training.log_every=5", "training.evaluation_examples=64"];
/// A model that a software driver takes a step of within a few seconds.
pub const SMALL: [&str; 7] = [
    "data.sample=stories",
    "model.layers=1",
    "data.length=16",
    "model.vocabulary=500",
    "training.batch=4",
    "training.log_every=1",
    "training.evaluation_examples=8",
];

/// Tells the story; whether something in it was not as it should be.
pub fn tell(folder: &Path, leyden: &Path, chromium: &str, out: &Path) -> bool {
    std::fs::create_dir_all(out).expect("a folder for pictures");
    let mut story = Story {
        address: serve::begin(folder),
        browser: Browser::start(chromium, &out.join("profile"), WEBGPU),
        chromium: chromium.into(),
        leyden: leyden.into(),
        out: out.into(),
        began: Instant::now(),
        failed: 0,
        passed: 0,
    };
    story.opens();
    story.trains_on_the_cpu();
    story.goes_on_after_a_reload();
    story.explains();
    story.takes_a_run_away_and_brings_it_back();
    story.refuses_a_run_that_another_tab_has();
    story.trains_on_webgpu();
    story.compares();
    story.is_used_by_keys();
    story.trains_on_a_pasted_text();
    story.survives_the_loss_of_its_gpu();
    story.tells_of_a_full_storage();
    story.tells_where_memory_ends();
    story.trains_where_a_browser_gives_little();
    let Story { browser, passed, mut failed, .. } = story;
    for complaint in &browser.complaints {
        println!("FAILED the page complains: {complaint}");
        failed += 1;
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {passed} passed; {failed} failed");
    failed > 0
}

/// What is being told, and how it goes.
pub struct Story {
    pub address: String,
    pub browser: Browser,
    pub chromium: String,
    leyden: PathBuf,
    pub out: PathBuf,
    began: Instant,
    passed: u32,
    failed: u32,
}

impl Story {
    /// Notes whether something is as it should be.
    pub fn check(&mut self, what: &str, holds: bool, found: &str) {
        let seconds = self.began.elapsed().as_secs();
        match holds {
            true => {
                println!("ok     {what} (after {seconds} s)");
                self.passed += 1;
            }
            false => {
                println!("FAILED {what} (after {seconds} s): {found}");
                self.failed += 1;
            }
        }
    }

    /// Keeps a picture of the page.
    pub fn picture(&mut self, name: &str) {
        self.browser.picture(&self.out.join(name));
    }

    fn opens(&mut self) {
        self.browser.open(&self.address.clone());
        self.browser.wait_for("start page", 60, &element("Start training"));
        let paint = "performance.getEntriesByName('first-paint')[0]?.startTime ?? null";
        let paint = self.browser.evaluate(paint).as_f64().unwrap_or(f64::NAN);
        println!("       first paint after {paint:.0} ms");
        self.check("the start page opens, and its parts have names", true, "");
        self.picture("start.png");
    }

    fn trains_on_the_cpu(&mut self) {
        let link = link(&["steps=20", "device=cpu"], &OFTEN);
        self.browser.open(&format!("{}/{link}", self.address));
        let found = self.metrics("tiny", 20);
        let expected = self.native("cpu", &["--steps", "20"], &OFTEN);
        self.compare("twenty steps on the CPU are the program's", &found, &expected, 1e-5);
        self.browser.wait_for("end of the run", 60, &element("Go on to 30 steps"));
        self.browser.wait_for("its curves", 30, &described("Generator loss plot; ", ", held out"));
        self.picture("cpu.png");
        let size = std::fs::metadata(self.out.join("cpu.png")).map_or(0, |about| about.len());
        self.check("the window shows the curves", size > 20_000, &format!("a picture of {size} bytes"));
    }

    fn goes_on_after_a_reload(&mut self) {
        self.browser.open(&self.address.clone());
        self.browser.wait_for("list of runs", 60, &element("tiny"));
        self.check("a run is there when the page comes back", true, "");
        self.click("tiny");
        self.browser.wait_for("run", 60, &element("Go on to 30 steps"));
        self.click("Go on to 30 steps");
        let found = self.metrics("tiny", 30);
        let expected = self.native("cpu", &["--steps", "30"], &[]);
        self.compare("it goes on as the program does", &found, &expected, 1e-5);
    }

    /// The three steps for whoever is new to it.
    fn explains(&mut self) {
        self.browser.wait_for("run", 60, &element("Explain"));
        self.click("Explain");
        self.browser.wait_for("hidden word", 30, &element("[MASK]"));
        self.picture("explain.png");
        self.click("And then?");
        self.browser.wait_for("second step", 30, &text("2 of 3"));
        self.click("And then?");
        self.browser.wait_for("third step", 30, &text("3 of 3"));
        self.click("I see");
        self.browser.wait_for("end of it", 30, &element("Explain"));
        self.check("what happens is explained in three steps", true, "");
    }

    /// As a zip that is downloaded, and dropped on the page again.
    fn takes_a_run_away_and_brings_it_back(&mut self) {
        self.browser.evaluate(
            "window.taken = null; const real = URL.createObjectURL; \
             URL.createObjectURL = (blob) => { window.taken = blob; return real.call(URL, blob); }; true",
        );
        self.click("Export…");
        let whole = "The whole run, for leyden on a desktop and for transformers (.zip)";
        self.browser.wait_for("choice of what to take away", 30, &element(whole));
        self.click(whole);
        self.browser.wait_for(
            "that choice",
            30,
            &format!("({})?.ariaChecked === 'true' ? true : null", element(whole)),
        );
        self.click("Save");
        let size = self.browser.wait_for("zip", 60, "window.taken?.size ?? null").as_u64().unwrap_or(0);
        self.check("a run is taken away as a zip", size > 1_000_000, &format!("{size} bytes"));
        self.browser.evaluate(
            "(() => { const data = new DataTransfer(); data.items.add(new File([window.taken], 'TINY.ZIP')); \
             document.querySelector('canvas').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true })); \
             return true; })()",
        );
        self.browser.wait_for("run of the zip", 60, &element("tiny-2"));
        self.click("tiny-2");
        self.browser.wait_for("that run", 60, &has("runs/tiny-2"));
        self.browser.wait_for("its end", 60, &element("Go on to 45 steps"));
        let kept = file("tiny-2", "checkpoints/step-000030/state.json");
        self.browser.wait_for("its checkpoint in the browser's storage", 60, &kept);
        self.check("its zip opens as another run, which is kept", true, "");
    }

    fn refuses_a_run_that_another_tab_has(&mut self) {
        let often = ["data.sample=stories", "training.checkpoint_every=20", "training.evaluation_examples=8"];
        self.browser.open(&format!("{}/{}", self.address, link(&["steps=100000", "device=cpu"], &often)));
        let saved =
            "[...document.querySelectorAll('#mirror *')].find(it => it.textContent.startsWith('at step ')) ?? null";
        self.browser.wait_for("checkpoint", 120, saved);
        self.browser.wait_for("kept checkpoint", 60, &file("tiny-3", "checkpoints/step-000020/state.json"));
        let first = self.browser.open_tab();
        self.browser.open(&self.address.clone());
        self.browser.wait_for("list of runs", 60, &element("tiny-3"));
        self.click("tiny-3");
        self.browser.wait_for("run", 60, &element("Go on training"));
        self.click("Go on training");
        self.browser.wait_for("refusal", 60, &has("runs/tiny-3 is open in another tab"));
        self.check("a run that another tab trains is refused", true, "");
        let second = self.browser.tab();
        self.browser.back_to(first);
        self.click("Stop");
        self.browser.wait_for("end of the run", 60, &element("Go on training"));
        self.check("the first tab stops and saves", true, "");
        self.browser.back_to(second);
        // The first tab lets go of the run a moment later.
        let until = Instant::now() + Duration::from_secs(60);
        while self.browser.evaluate(&enabled("Pause")).is_null() {
            assert!(Instant::now() < until, "the second tab does not train");
            self.browser.evaluate(&format!("({})?.click() ?? null", enabled("Go on training")));
            std::thread::sleep(Duration::from_secs(1));
        }
        self.click("Stop");
        self.browser.wait_for("end of the run", 60, &element("Go on training"));
        self.check("the second tab goes on with it then", true, "");
    }

    fn trains_on_webgpu(&mut self) {
        let link = link(&["steps=2", "device=webgpu"], &SMALL);
        self.browser.open(&format!("{}/{link}", self.address));
        let found = self.metrics("tiny-4", 2);
        let expected = self.native("webgpu", &["--steps", "2"], &SMALL);
        self.compare("two steps on WebGPU are the program's", &found, &expected, 1e-4);
        let device = self.browser.evaluate(&file("tiny-4", "events.jsonl"));
        let device = device.as_str().unwrap_or_default();
        self.check("they were on WebGPU", device.contains("WebGPU"), device);
    }

    /// Clicks what has this name, once it is there and can be clicked.
    pub fn click(&mut self, name: &str) {
        self.browser.wait_for(name, 60, &enabled(name));
        self.browser.evaluate(&format!("({}).click(), true", element(name)));
    }

    /// The lines of a run's metrics, once `step` steps and the held-out text behind them are measured.
    fn metrics(&mut self, run: &str, step: u64) -> Vec<Value> {
        let until = Instant::now() + Duration::from_secs(240);
        loop {
            let text = self.browser.evaluate(&file(run, "metrics.jsonl"));
            let found = lines(text.as_str().unwrap_or_default());
            let held_out = |line: &Value| line["step"] == step && line["held_out"].is_object();
            if found.iter().any(held_out) {
                return found;
            }
            if Instant::now() > until {
                self.picture("late.png");
                panic!("no {step} steps of {run}: {text}; complaints: {:?}", self.browser.complaints);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// The metrics of the same run by the program, on its CPU in single precision.
    fn native(&mut self, name: &str, arguments: &[&str], settings: &[&str]) -> Vec<Value> {
        let run = self.out.join(name);
        let mut command = Command::new(&self.leyden);
        command.args(["train", "--device", "cpu", "--run"]).arg(&run).args(arguments);
        if !settings.is_empty() {
            command.args(["--precision", "f32"]);
        }
        for setting in settings {
            command.args(["--set", setting]);
        }
        let output = command.output().expect("leyden runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lines(&std::fs::read_to_string(run.join("metrics.jsonl")).expect("its metrics"))
    }

    /// Whether all numbers that both measured are the same but for rounding; times are not.
    fn compare(&mut self, what: &str, found: &[Value], expected: &[Value], tolerance: f64) {
        let steps = |lines: &[Value]| lines.iter().map(|line| line["step"].clone()).collect::<Vec<_>>();
        let mut worst = (0.0, String::new());
        let mut numbers = 0;
        for (found, expected) in found.iter().zip(expected) {
            for (at, values) in [(&found, &expected), (&&found["held_out"], &&expected["held_out"])] {
                let Some(object) = values.as_object() else { continue };
                for (name, expected) in object {
                    let (Some(expected), false) = (expected.as_f64(), name.contains("second")) else { continue };
                    let found = at[name].as_f64().unwrap_or(f64::NAN);
                    let error = (found - expected).abs() / expected.abs().max(1.0);
                    numbers += 1;
                    if error.is_nan() || error > worst.0 {
                        worst = (error, format!("{name}: {found} for {expected}"));
                    }
                }
            }
        }
        let same = steps(found) == steps(expected) && numbers > 20 && worst.0 <= tolerance;
        println!("       {numbers} numbers, at most {:.1e} apart ({})", worst.0, worst.1);
        self.check(what, same, &format!("{:?} {:?}", steps(found), steps(expected)));
    }
}

/// The address of a link that starts at once.
pub fn link(asked: &[&str], settings: &[&str]) -> String {
    let settings = settings.iter().map(|setting| format!("set={}", setting.replace('=', "%3D")));
    let asked: Vec<String> = asked.iter().map(|part| part.to_string()).chain(settings).collect();
    format!("?{}&start", asked.join("&"))
}

/// The lines that are JSON.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The element of that name, or null.
pub fn element(name: &str) -> String {
    let name = serde_json::to_string(name).expect("a name");
    format!(
        "[...document.querySelectorAll('#mirror [aria-label]')].find(it => it.getAttribute('aria-label') === {name}) ?? null"
    )
}

/// The element of that name if it can be used, or null.
pub fn enabled(name: &str) -> String {
    format!("[{}].find(it => it && it.getAttribute('aria-disabled') !== 'true') ?? null", element(name))
}

/// An element whose name has both in it, or null.
pub fn described(one: &str, other: &str) -> String {
    format!(
        "[...document.querySelectorAll('#mirror [aria-label]')].find(it => \
         it.getAttribute('aria-label').includes('{one}') && it.getAttribute('aria-label').includes('{other}')) ?? null"
    )
}

/// The element with that text, or null.
pub fn text(words: &str) -> String {
    format!("[...document.querySelectorAll('#mirror *')].find(it => it.textContent === '{words}') ?? null")
}

/// The element with text that has this in it, or null.
pub fn has(words: &str) -> String {
    format!("[...document.querySelectorAll('#mirror *')].find(it => it.textContent.includes('{words}')) ?? null")
}

/// The text of a file of a run that the browser keeps, or null.
pub fn file(run: &str, name: &str) -> String {
    format!(
        "(async () => {{ try {{ let at = await navigator.storage.getDirectory(); \
         const path = ['runs', '{run}', ...'{name}'.split('/')]; const name = path.pop(); \
         for (const part of path) at = await at.getDirectoryHandle(part); \
         return await (await (await at.getFileHandle(name)).getFile()).text(); }} catch {{ return null; }} }})()"
    )
}
