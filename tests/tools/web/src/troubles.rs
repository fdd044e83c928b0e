//! What can go wrong in a browser, and what people do beside training.

use crate::browser::Browser;
use crate::story::{OFTEN, SMALL, Story, described, element, enabled, file, has, link, text};
use serde_json::json;
use std::thread::sleep;
use std::time::{Duration, Instant};

impl Story {
    /// Runs over each other, with what is different between them.
    pub fn compares(&mut self) {
        self.open_listed("tiny");
        self.browser.wait_for("the first run", 60, &text("loaded"));
        self.click("Start");
        self.browser.wait_for("list of runs", 30, &element("tiny-2"));
        self.click("tiny-2");
        self.browser.wait_for("the second run", 60, &has("runs/tiny-2"));
        self.click("Compare");
        self.browser.wait_for("difference", 30, &has("Settings that differ"));
        self.browser.wait_for("curves of both", 30, &described("Generator loss plot; tiny-2 from", "; tiny from"));
        self.picture("compare.png");
        self.check("runs are laid over each other", true, "");
    }

    /// A text from somewhere else.
    pub fn trains_on_a_pasted_text(&mut self) {
        self.browser.open(&self.address.clone());
        self.browser.wait_for("start page", 60, &element("Paste…"));
        self.click("Paste…");
        self.browser.wait_for("field", 30, &element("Text to train on"));
        let focus = "document.querySelector('canvas').getAttribute('aria-activedescendant')";
        let typing = "document.activeElement instanceof HTMLInputElement";
        let ready =
            format!("{typing} && document.getElementById({focus}) === ({}) ? true : null", element("Text to train on"));
        self.browser.wait_for("the field's focus", 30, &ready);
        self.browser.ask("Input.insertText", json!({"text": "the cat drank milk ."}));
        self.browser.wait_for("what was typed", 30, &has("5 words"));
        self.browser.evaluate(
            "(() => { const data = new DataTransfer(); \
             data.setData('text/plain', '\\n\\na dog saw the red ball . ben was glad .'.repeat(3000)); \
             document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true })); return true; })()",
        );
        self.browser.wait_for("what was pasted", 30, &has("33,005 words"));
        self.click("Take it");
        self.browser.wait_for("the text's name", 30, &has("pasted.txt"));
        self.click("Start training");
        self.browser.wait_for("a step", 120, &has("step 1"));
        self.check("a pasted text is trained on", true, "");
        self.click("Stop");
        self.browser.wait_for("end of it", 60, &element("Go on training"));
    }

    /// By keys alone, and what a screen reader hears of it.
    pub fn is_used_by_keys(&mut self) {
        self.browser.open(&self.address.clone());
        self.browser.wait_for("start page", 60, &element("Start training"));
        let focus = "document.querySelector('canvas').getAttribute('aria-activedescendant')";
        let mut heard = Vec::new();
        for _ in 0..40 {
            let before = self.browser.evaluate(focus);
            self.press("Tab", 9);
            // A key may come before the page has the focus, or go to what has no name: the next one then.
            let until = Instant::now() + Duration::from_secs(5);
            while self.browser.evaluate(focus) == before && Instant::now() < until {
                sleep(Duration::from_millis(100));
            }
            let name =
                self.browser.evaluate(&format!("document.getElementById({focus})?.getAttribute('aria-label') ?? null"));
            heard.extend(name.as_str().map(str::to_owned));
            if name == "Start training" {
                break;
            }
        }
        let named = ["Paste…", "Objective", "Start training"].iter().all(|name| heard.iter().any(|it| it == name));
        self.check("keys go through the page, and a screen reader hears where", named, &format!("{heard:?}"));
        self.press("Enter", 13);
        self.browser.wait_for("a run that a key began", 60, &element("One step"));
        self.press("Escape", 27);
        self.browser.wait_for("training", 120, &enabled("Pause"));
        self.click("Stop");
        self.browser.wait_for("end of it", 60, &element("Go on training"));
    }

    /// The GPU's process ends.
    pub fn survives_the_loss_of_its_gpu(&mut self) {
        let mut settings = SMALL.to_vec();
        settings.push("training.checkpoint_every=2");
        self.browser.open(&format!("{}/{}", self.address, link(&["steps=200", "device=webgpu"], &settings)));
        self.browser.wait_for("checkpoint", 120, &has("at step "));
        self.browser.ask_itself("Browser.crashGpuProcess", json!({}));
        self.browser.wait_for("word of it", 120, &has("opened again, going on from step"));
        let later = "(() => { const all = [...document.querySelectorAll('#mirror *')].map(it => it.textContent); \
                     const number = (words) => all.map(it => it.match(words)?.[1]).find(it => it) ?? null; \
                     const from = number(/going on from step (\\d+)/), to = number(/^at step (\\d+)/); \
                     return from !== null && Number(to) > Number(from) ? true : null; })()";
        self.browser.wait_for("the next checkpoint", 240, later);
        self.check("training goes on where the GPU was lost", true, "");
        self.click("Stop");
        self.browser.wait_for("end of it", 120, &element("Go on training"));
    }

    /// The browser has no more room for this page.
    pub fn tells_of_a_full_storage(&mut self) {
        let origin = self.address.clone();
        self.browser.open(&format!("{origin}/"));
        self.browser.wait_for("start page", 60, &element("Start training"));
        let used = self.browser.evaluate("navigator.storage.estimate().then(it => it.usage)").as_u64().unwrap_or(0);
        self.browser.ask("Storage.overrideQuotaForOrigin", json!({"origin": origin, "quotaSize": used + 1_000_000}));
        let often = [&OFTEN[..], &["training.checkpoint_every=20"]].concat();
        self.browser.open(&format!("{origin}/{}", link(&["steps=40", "device=cpu"], &often)));
        self.browser.wait_for("word of it", 120, &has("the browser did not keep a file"));
        self.browser.wait_for("end of the run", 120, &element("Go on to 60 steps"));
        self.browser.ask("Storage.overrideQuotaForOrigin", json!({"origin": origin}));
        let name = self.browser.evaluate(
            "[...document.querySelectorAll('#mirror *')].map(it => it.textContent).find(it => it.startsWith('runs/'))",
        );
        let run = name.as_str().unwrap_or_default().trim_start_matches("runs/").to_owned();
        self.browser.wait_for("what was not kept", 60, &file(&run, "checkpoints/step-000040/state.json"));
        self.check("a full storage is told of, and what was missing is kept once there is room", true, "");
    }

    /// Models that no page has room for: their weights, and what training takes beside them.
    pub fn tells_where_memory_ends(&mut self) {
        for (layers, words) in [("40", "this tab has no memory for 4498 MiB"), ("36", "3.0 GiB are allowed")] {
            let layers = format!("model.layers={layers}");
            let link = link(&["preset=base", "device=cpu"], &["data.sample=stories", &layers]);
            self.browser.open(&format!("{}/{link}", self.address));
            self.browser.wait_for("word of it", 60, &has(words));
        }
        self.check("where a tab's memory ends is said", true, "");
    }

    /// Without encryption from another machine: no GPU and no storage.
    pub fn trains_where_a_browser_gives_little(&mut self) {
        let complaints = std::mem::take(&mut self.browser.complaints);
        let flags = "--host-resolver-rules='MAP elsewhere.test 127.0.0.1'";
        self.browser = Browser::start(&self.chromium, &self.out.join("elsewhere"), flags);
        self.browser.complaints = complaints;
        let address = self.address.replace("127.0.0.1", "elsewhere.test");
        let settings = ["data.sample=stories", "optimizer.warmup=2"];
        self.browser.open(&format!("{address}/{}", link(&["steps=80", "device=auto"], &settings)));
        let words = "browsers give a GPU (WebGPU) only to pages that come over https or from this machine";
        self.browser.wait_for("why the CPU trains", 120, &has(words));
        self.click("Dismiss");
        self.browser.wait_for("word on storage", 30, &has("this browser keeps no files here"));
        self.browser.wait_for("end of the run", 120, &element("Go on to 120 steps"));
        self.check("a page that gets neither GPU nor storage says so, and trains", true, "");
    }

    fn open_listed(&mut self, name: &str) {
        self.browser.open(&self.address.clone());
        self.browser.wait_for("list of runs", 60, &element(name));
        self.click(name);
    }

    fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.browser.ask("Input.dispatchKeyEvent", event);
        }
    }
}
