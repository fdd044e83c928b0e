//! Results on standard output, where a reader may leave early.

use super::Failure;
pub(crate) use crate::numbers::{bytes, flop, grouped};
use std::io::{self, ErrorKind, Write};

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
