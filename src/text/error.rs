//! Why files cannot be read as text.

use super::find::{ENDINGS, PassedOver};
use std::io;
use std::path::PathBuf;

/// What is wrong with an input, and what to do about it. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// An input that does not exist.
    #[error("{} does not exist: name a file, a folder, or - for standard input", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// A folder without a file that could be read.
    #[error("{} holds no file that ends with {ENDINGS}, at any depth{}", path.display(), besides(passed_over))]
    NoFiles {
        /// The folder.
        path: PathBuf,
        /// What it holds instead.
        passed_over: PassedOver,
    },
    /// A file that could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of another kind, whatever its name says.
    #[error("{name} is {what}; {help}")]
    Foreign {
        /// The file.
        name: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A compressed or parquet file that is broken.
    #[error("{name}: broken {format} data {place}: {reason}; the file is damaged or was not copied whole")]
    Broken {
        /// The file.
        name: String,
        /// What it should be.
        format: &'static str,
        /// Where, as in `behind line 7`.
        place: String,
        /// What the decoder found.
        reason: String,
    },
    /// A zstd file that asks for more memory than is given.
    #[error(
        "{name}: compressed with a window of {} MiB, and at most {} MiB are given; compress it again without --long or \
         --ultra: zstd -d --long=31 FILE, then zstd -19",
        window >> 20, most >> 20
    )]
    Window {
        /// The file.
        name: String,
        /// The window, in bytes.
        window: u64,
        /// The largest one, in bytes.
        most: u64,
    },
    /// Bytes that are no UTF-8.
    #[error(
        "{name} is not UTF-8: byte {offset}, on line {line}, is not text; name its encoding with --encoding \
         (windows-1252, gbk, ...), or convert it to UTF-8"
    )]
    NotUtf8 {
        /// The file.
        name: String,
        /// Line or row of the first bad byte, from 1.
        line: u64,
        /// Offset of the first bad byte from the start of the text.
        offset: u64,
    },
    /// Bytes that are not of the encoding that was named or that a byte-order mark says.
    #[error("{name} is not {encoding}: byte {offset} is not text; name its encoding with --encoding")]
    Malformed {
        /// The file.
        name: String,
        /// The encoding.
        encoding: String,
        /// Offset of the first bad bytes.
        offset: u64,
    },
    /// A record that holds no document, where none may be left out.
    #[error("{name}: {place}: {reason}; without --strict it is left out")]
    Record {
        /// The file.
        name: String,
        /// The line or row, from 1.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// No record of a file has the field.
    #[error("{name}: no field {field:?}; there are {there}; choose one with --field")]
    Field {
        /// The file.
        name: String,
        /// The field asked for.
        field: String,
        /// Those that there are.
        there: String,
    },
    /// A column that is not of text.
    #[error("{name}: the column {field:?} is not of text; choose another with --field")]
    Column {
        /// The file.
        name: String,
        /// The column asked for.
        field: String,
    },
    /// Not one record of a file could be read.
    #[error("{name}: not one of {records} records can be read; {place}: {reason}")]
    NoRecord {
        /// The file.
        name: String,
        /// How many there are.
        records: u64,
        /// Where the first is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing but white space.
    #[error("{} holds no text: it is empty or all white space", path.display())]
    Empty {
        /// The first input.
        path: PathBuf,
    },
    /// Whoever takes the documents wants no more.
    #[error("reading was stopped")]
    Stopped,
}

fn besides(passed_over: &PassedOver) -> String {
    passed_over.describe().map_or_else(String::new, |what| format!("; it holds {what}"))
}
