//! Where vectors go: standard output, or a file that is written beside and renamed.

use crate::cli::Failure;
use crate::cli::output::{grouped, print};
use crate::files::Beside;
use crate::numbers::counted;
use serde::Serialize;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A text and its vector.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    /// Of a table's row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) vector: &'a [f32],
}

/// Bytes in front of the numbers of an .npy file.
const HEADER: usize = 128;

/// Where they go.
pub(super) enum Sink {
    /// JSON, a batch at a time.
    Stdout(String),
    /// JSON.
    Jsonl(Output),
    /// NumPy's file of float32: its header, and `width` numbers a text.
    Npy(Output),
}

/// A file under way.
pub(super) struct Output {
    path: PathBuf,
    file: Beside,
    rows: u64,
    width: usize,
}

impl Sink {
    /// Whether such a file can be written.
    pub(super) fn check(path: Option<&Path>) -> Result<(), Failure> {
        let Some(path) = path else { return Ok(()) };
        match path.extension().and_then(|name| name.to_str()) {
            Some("npy" | "jsonl") => Ok(()),
            _ => Err(Failure::Input(format!("--out {}: expected a name that ends in .npy or .jsonl", path.display()))),
        }
    }

    /// A file, or standard output where there is none.
    pub(super) fn open(path: Option<&Path>, width: usize) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Stdout(String::new())) };
        let file = Beside::create(path).map_err(|error| unwritable(path, &error))?;
        let mut output = Output { path: path.into(), file, rows: 0, width };
        if path.extension().is_some_and(|name| name == "npy") {
            // Room for the header, which says how many rows there are.
            output.write(&[0; HEADER])?;
            return Ok(Self::Npy(output));
        }
        Ok(Self::Jsonl(output))
    }

    pub(super) fn is_file(&self) -> bool {
        !matches!(self, Self::Stdout(_))
    }

    pub(super) fn is_npy(&self) -> bool {
        matches!(self, Self::Npy(_))
    }

    /// Adds a vector.
    pub(super) fn put(&mut self, entry: &Entry<'_>) -> Result<(), Failure> {
        match self {
            Self::Stdout(text) => *text += &line(entry)?,
            Self::Jsonl(output) => {
                output.rows += 1;
                output.write(line(entry)?.as_bytes())?;
            }
            Self::Npy(output) => output.numbers(entry.vector)?,
        }
        Ok(())
    }

    /// Adds what stands in the place of a text that has no vector: a line, or a row of NaN, so that every text has its own.
    pub(super) fn leave_out(&mut self, said: &str) -> Result<(), Failure> {
        match self {
            Self::Stdout(text) => text.push_str(said),
            Self::Jsonl(output) => output.write(said.as_bytes())?,
            Self::Npy(output) => output.numbers(&vec![f32::NAN; output.width])?,
        }
        Ok(())
    }

    /// Shows what there is so far. `false` once nobody reads it.
    pub(super) fn flush(&mut self) -> Result<bool, Failure> {
        match self {
            Self::Stdout(text) => print(&std::mem::take(text)),
            _ => Ok(true),
        }
    }

    /// Gives a file its name, and says what is in it.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let (mut output, npy) = match self {
            Self::Stdout(_) => return Ok(()),
            Self::Jsonl(output) => (output, false),
            Self::Npy(output) => (output, true),
        };
        if npy {
            output.header()?;
        }
        let Output { path, file, rows, width } = output;
        file.finish().map_err(|error| unwritable(&path, &error))?;
        eprintln!("wrote {}: {} of {} numbers", path.display(), counted(rows, "vector"), grouped(width as u64));
        Ok(())
    }
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.path, &error))
    }

    fn numbers(&mut self, vector: &[f32]) -> Result<(), Failure> {
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.rows += 1;
        self.write(&bytes)
    }

    /// Puts the header in front, as NumPy's format 1.0 has it.
    fn header(&mut self) -> Result<(), Failure> {
        let shape = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", self.rows, self.width);
        const START: &[u8] = b"\x93NUMPY\x01\x00";
        let room = HEADER - START.len() - 2;
        let bytes = [START, &(room as u16).to_le_bytes(), format!("{shape:<0$}\n", room - 1).as_bytes()].concat();
        self.file.seek(SeekFrom::Start(0)).map_err(|error| unwritable(&self.path, &error))?;
        self.write(&bytes)
    }
}

fn line(entry: &Entry<'_>) -> Result<String, Failure> {
    serde_json::to_string(entry).map(|line| line + "\n").map_err(Failure::work)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Work(format!("{}: {error}", path.display()))
}
