//! Results on standard output, where a reader may leave early.

use super::Failure;
use super::style::Style;
pub(crate) use crate::numbers::{bytes, flop, grouped};
use std::io::{self, ErrorKind, IsTerminal as _, Write};

/// Writes `text` to standard output at once. `false` if the reader is gone (`leyden devices | head -1`), which is no
/// failure but the end.
pub(crate) fn print(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Work(format!("cannot write to standard output: {error}"))),
    }
}

/// JSON as one document over several lines.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n")).map(drop)
}

/// Says on standard error what is going on, to a person who watches.
pub(crate) fn note(text: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{}", Style::stderr().dim(text));
    }
}

/// Says on standard error what a person should know.
pub(crate) fn remark(text: &str) {
    eprintln!("{} {text}", Style::stderr().yellow("note:"));
}
