//! A Python with PyTorch that runs beside leyden and answers line by line, each within a time.

use crate::cli::Failure;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Times steps or matrix products when it is told to; see its own words on the protocol.
const SCRIPT: &str = include_str!("../../../tests/tools/bench_torch.py");

/// How long to wait for the last words of a process that has ended: one that it started may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A Python that answers lines.
pub(super) struct Python {
    child: Child,
    /// Closed to end it.
    input: Option<ChildStdin>,
    /// Lines of its output.
    lines: Receiver<Vec<u8>>,
    /// What it says to people, in pieces; read all the time, or it would stop when the pipe is full.
    said: Receiver<Vec<u8>>,
    patience: Duration,
}

impl Python {
    /// Starts the script in `python`, which is to answer each time within `patience`.
    ///
    /// # Errors
    /// [`Failure::Input`] where there is no such Python.
    pub(super) fn start<'a>(
        python: &Path,
        flags: impl IntoIterator<Item = &'a str>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT).args(flags);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| Failure::Input(format!("--python {}: {e}", python.display())))?;
        let ((line, lines), (piece, said)) = (channel(), channel());
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || pass_on(BufReader::new(stdout), &line));
        }
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || pass_on(BufReader::new(stderr), &piece));
        }
        Ok(Self { input: child.stdin.take(), child, lines, said, patience })
    }

    /// Whether there is such a program at all: better known before anything is measured.
    ///
    /// # Errors
    /// [`Failure::Input`] where there is none, or none that says its version within `patience`.
    pub(super) fn look_for(python: &Path, patience: Duration) -> Result<(), Failure> {
        let failed = |why: String| Failure::Input(format!("--python {}: {why}", python.display()));
        let mut command = Command::new(python);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
        let start = Instant::now();
        while child.try_wait().map_err(|e| failed(e.to_string()))?.is_none() {
            if start.elapsed() > patience {
                end(&mut child);
                return Err(failed(late("saying its --version", patience)));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Its first line as JSON: it is ready.
    ///
    /// # Errors
    /// In one line, why there is none.
    pub(super) fn ready<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        self.answer("starting and warming up")
    }

    /// Asks in one line and gives the answer.
    ///
    /// # Errors
    /// In one line, why there is none.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T, String> {
        let told = self.input.as_mut().map(|input| writeln!(input, "{question}").and_then(|()| input.flush()));
        if matches!(told, Some(Ok(()))) {
            self.answer(&format!("the answer to {question:?}"))
        } else {
            Err(self.last_words())
        }
    }

    /// The next line of its output as JSON. One that does not come in time ends the process.
    fn answer<T: DeserializeOwned>(&mut self, what: &str) -> Result<T, String> {
        match self.lines.recv_timeout(self.patience) {
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                Err(late(what, self.patience))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.last_words()),
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                serde_json::from_str(&line)
                    .map_err(|error| format!("expected a line of JSON, found {:?} ({error})", line.trim_end()))
            }
        }
    }

    /// Ends it and gives the last line that it said to people.
    fn last_words(&mut self) -> String {
        self.end();
        let (start, mut text) = (Instant::now(), Vec::new());
        while let Ok(line) = self.said.recv_timeout(LAST_WORDS.saturating_sub(start.elapsed())) {
            text.extend(line);
        }
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        last.map_or_else(|| "it ended without a word".to_string(), String::from)
    }

    fn end(&mut self) {
        self.input = None;
        // It may be in the middle of something, and nobody waits for it any more.
        end(&mut self.child);
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes a process's lines on until there are no more, or nobody wants them.
fn pass_on(mut from: impl BufRead, to: &Sender<Vec<u8>>) {
    loop {
        let mut line = Vec::new();
        // What could be read is all there is to tell.
        let read = from.read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) || to.send(line).is_err() {
            return;
        }
    }
}

/// Ends a process; it may be gone already.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// What did not end in time.
fn late(what: &str, patience: Duration) -> String {
    format!("{what} took more than {} s; --peer-seconds N waits longer", patience.as_secs())
}
