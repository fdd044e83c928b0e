//! A Python with PyTorch that runs beside leyden and answers line by line.

use crate::cli::Failure;
use serde::de::DeserializeOwned;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

/// Times steps or matrix products when it is told to; see its own words on the protocol.
const SCRIPT: &str = include_str!("../../../tests/tools/bench_torch.py");

/// A Python that answers lines.
pub(super) struct Python {
    child: Child,
    /// Closed to end it.
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
    /// Collects what it says to people; read all the time, or it would stop when the pipe is full.
    said: Option<JoinHandle<String>>,
}

impl Python {
    /// Starts the script in `python`.
    ///
    /// # Errors
    /// [`Failure::Input`] where there is no such Python.
    pub(super) fn start<'a>(python: &Path, flags: impl IntoIterator<Item = &'a str>) -> Result<Self, Failure> {
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT).args(flags);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        child.map(Self::new).map_err(|e| Failure::Input(format!("--python {}: {e}", python.display())))
    }

    /// Whether there is such a program at all: better known before anything is measured.
    ///
    /// # Errors
    /// [`Failure::Input`] where there is none.
    pub(super) fn look_for(python: &Path) -> Result<(), Failure> {
        let said = Command::new(python).arg("--version").stdin(Stdio::null()).output();
        said.map(drop).map_err(|e| Failure::Input(format!("--python {}: {e}", python.display())))
    }

    fn new(mut child: Child) -> Self {
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let said = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                // What could be read is all there is to tell.
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Self { child, input, output, said }
    }

    /// The next line of its output as JSON.
    ///
    /// # Errors
    /// In one line, why there is none.
    pub(super) fn answer<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        let read = self.output.as_mut().map_or(Ok(0), |output| output.read_line(&mut line));
        match read {
            Err(error) => Err(error.to_string()),
            Ok(0) => Err(self.last_words()),
            Ok(_) => serde_json::from_str(&line)
                .map_err(|error| format!("expected a line of JSON, found {:?} ({error})", line.trim_end())),
        }
    }

    /// Asks in one line and gives the answer.
    ///
    /// # Errors
    /// In one line, why there is none.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T, String> {
        let told = self.input.as_mut().map(|input| writeln!(input, "{question}").and_then(|()| input.flush()));
        if matches!(told, Some(Ok(()))) { self.answer() } else { Err(self.last_words()) }
    }

    /// Ends it and gives the last line that it said to people.
    fn last_words(&mut self) -> String {
        self.end();
        let text = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        last.map_or_else(|| "it ended without a word".to_string(), String::from)
    }

    fn end(&mut self) {
        self.input = None;
        self.output = None;
        // It may be in the middle of something, and nobody waits for it any more; it may also be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.end();
    }
}
