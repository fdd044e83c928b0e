//! A headless Chromium, told what to do over its debugging pipe.

use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A browser and its first page.
pub struct Browser {
    child: Child,
    commands: File,
    answers: std::sync::mpsc::Receiver<Value>,
    session: String,
    number: u64,
    /// Where a picture goes of a page that something does not come to.
    late: PathBuf,
    /// What the page has complained of.
    pub complaints: Vec<String>,
}

impl Browser {
    /// Starts one, with `flags` of its own. `profile` is a folder for what it keeps, which may be of one before.
    pub fn start(chromium: &str, profile: &Path, flags: &str) -> Self {
        let pipe = |name: &str| -> PathBuf {
            let path = profile.with_extension(name);
            let _ = std::fs::remove_file(&path);
            assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()), "no mkfifo");
            path
        };
        let (to, from) = (pipe("commands"), pipe("answers"));
        let log = File::create(profile.with_extension("log")).expect("a log");
        let script = format!(
            "exec {chromium} --headless --no-sandbox --disable-quic --no-first-run --disable-background-networking \
             --disable-component-update --disable-sync {flags} --window-size=1280,800 \
             --remote-debugging-pipe --user-data-dir='{}' about:blank 3<'{}' 4>'{}'",
            profile.display(),
            to.display(),
            from.display()
        );
        let child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a browser");
        let commands = OpenOptions::new().write(true).open(&to).expect("its pipe");
        let answers = BufReader::new(File::open(&from).expect("its pipe"));
        let (tell, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                if tell.send(serde_json::from_slice(&message).unwrap_or(Value::Null)).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            commands,
            answers: heard,
            session: String::new(),
            number: 0,
            late: profile.with_file_name("late.png"),
            complaints: Vec::new(),
        };
        browser.open_tab();
        browser
    }

    /// Opens another tab, which is told what to do from now on; the one before, for [`Self::back_to`].
    pub fn open_tab(&mut self) -> String {
        let before = std::mem::take(&mut self.session);
        let target = self.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = self.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        self.session = session["sessionId"].as_str().expect("a session").into();
        for domain in ["Page", "Runtime", "Log"] {
            self.ask(&format!("{domain}.enable"), json!({}));
        }
        self.ask("Page.bringToFront", json!({}));
        before
    }

    /// The tab that is told what to do.
    pub fn tab(&self) -> String {
        self.session.clone()
    }

    /// Tells that tab what to do from now on.
    pub fn back_to(&mut self, tab: String) {
        self.session = tab;
        self.ask("Page.bringToFront", json!({}));
    }

    /// Asks for something and waits for the answer.
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("the browser hears");
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.answers.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == json!(self.number) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    /// Asks the browser, not the tab.
    pub fn ask_itself(&mut self, method: &str, parameters: Value) -> Value {
        let session = std::mem::take(&mut self.session);
        let answer = self.ask(method, parameters);
        self.session = session;
        answer
    }

    fn note(&mut self, message: &Value) {
        let p = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                let details = &p["exceptionDetails"];
                self.complaints.push(format!("{} {}", details["text"], details["exception"]["description"]));
            }
            Some("Runtime.consoleAPICalled") if p["type"] == "error" => self.complaints.push(p["args"].to_string()),
            Some("Log.entryAdded") if p["entry"]["level"] == "error" => self.complaints.push(p["entry"].to_string()),
            _ => {}
        }
    }

    /// Goes to an address and waits until it is loaded.
    pub fn open(&mut self, address: &str) {
        self.ask("Page.navigate", json!({"url": address}));
    }

    /// What an expression of JavaScript comes to, promises waited for.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression comes to something that is not null; panics after `seconds`.
    pub fn wait_for(&mut self, what: &str, seconds: u64, expression: &str) -> Value {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            let value = self.evaluate(expression);
            if !value.is_null() {
                return value;
            }
            if Instant::now() > until {
                let late = self.late.clone();
                self.picture(&late);
                panic!("no {what} within {seconds} s, see {}; complaints: {:?}", late.display(), self.complaints);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Writes a picture of the page.
    pub fn picture(&mut self, path: &Path) {
        let answer = self.ask("Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().expect("a picture");
        std::fs::write(path, decoded(data)).expect("a picture is written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Base 64.
fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes().filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte)) {
        (bits, count) = (bits << 6 | letter as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
