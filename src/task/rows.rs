//! Rows of a table, of JSON or of parquet, by the names of their columns.

use super::{Part, Report, TaskError};
use crate::numbers::shortened;
use crate::text::{
    Form, ParquetFile, ReadError, TextEncoding, Values, field_names, inside, listed, read_whole, unquoted,
};
use serde_json::{Map, Value};
use std::path::Path;

/// Records of JSON whose fields are looked at to find out which there are.
const LOOKED_AT: usize = 100;

/// What quotation marks mean between tabs. Between commas they always stand around cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// They are text like any other, as in GLUE's files.
    Text,
    /// A cell that is quoted whole loses its marks.
    Around,
}

/// A cell as it is, not trimmed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// The row has no such field, or it is null.
    Missing,
    Text(String),
    /// A list of JSON.
    List(Vec<String>),
}

impl Cell {
    /// Its text; `None` where it is missing or a list.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Missing | Self::List(_) => None,
        }
    }
}

/// A row that could be read.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its line, or its number where there are no lines; from 1.
    pub line: u64,
    /// Its number among all rows, from 0.
    pub number: u64,
    /// Those asked for, in that order.
    pub cells: Vec<Cell>,
}

/// A file that has rows.
pub(super) struct Rows {
    pub file: String,
    /// The columns' names; of a table without a header, none.
    pub names: Vec<String>,
    quotes: Quotes,
    content: Content,
}

enum Content {
    Table { text: String, separator: u8 },
    Json { text: String, lines: bool },
    Parquet(ParquetFile),
}

impl Rows {
    pub(super) fn open(path: &Path, encoding: TextEncoding, quotes: Quotes) -> Result<Self, TaskError> {
        let file = path.display().to_string();
        let (text, form) = read_whole(path, encoding)?;
        let content = match form {
            Form::Parquet => Content::Parquet(ParquetFile::open(path)?),
            Form::Table { separator } => Content::Table { text, separator },
            Form::JsonLines => Content::Json { text, lines: true },
            Form::JsonValues => Content::Json { text, lines: false },
            // MRPC's own file ends with .txt.
            Form::Text | Form::Wiki if text.lines().next().is_some_and(|line| line.contains('\t')) => {
                Content::Table { text, separator: b'\t' }
            }
            Form::Text | Form::Wiki if text.trim().is_empty() => {
                return Err(TaskError::NoRecords { file, reason: "holds no rows".into() });
            }
            Form::Text | Form::Wiki => {
                let found = "lines of text without columns".into();
                return Err(TaskError::Form { file, found, expected: "a table (csv, tsv, jsonl or parquet)" });
            }
        };
        Self::new(file, quotes, content)
    }

    /// A table between tabs that is in memory; `file` is what errors call it.
    pub(super) fn in_memory(file: &str, text: &str, quotes: Quotes) -> Result<Self, TaskError> {
        Self::new(file.into(), quotes, Content::Table { text: text.into(), separator: b'\t' })
    }

    fn new(file: String, quotes: Quotes, content: Content) -> Result<Self, TaskError> {
        let mut rows = Self { file, names: Vec::new(), quotes, content };
        rows.names = rows.header()?;
        Ok(rows)
    }

    fn header(&self) -> Result<Vec<String>, TaskError> {
        Ok(match &self.content {
            Content::Table { text, separator: b'\t' } => {
                let header = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
                header.split('\t').map(|name| unquoted(name, false).trim().to_owned()).collect()
            }
            Content::Table { text, separator } => {
                let header = table(text, *separator).into_records().next();
                let header = header.transpose().map_err(|e| self.broken(&e))?.unwrap_or_default();
                header.iter().map(|name| name.trim().to_owned()).collect()
            }
            Content::Json { text, lines } => {
                let mut names = Vec::new();
                let mut looked_at = 0;
                records(text, *lines, |_, record| {
                    for name in record.iter().flat_map(field_names) {
                        if !names.contains(&name) {
                            names.push(name);
                        }
                    }
                    looked_at += 1;
                    looked_at < LOOKED_AT
                });
                names
            }
            Content::Parquet(file) => file.columns(),
        })
    }

    fn broken(&self, error: &csv::Error) -> TaskError {
        let line = error.position().map_or(0, csv::Position::line);
        TaskError::Row { file: self.file.clone(), place: format!("line {line}"), reason: error.to_string() }
    }

    /// Whether there is a column of this name. A field inside of an object of JSON has a dot: `a.b`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// The first of these names that there is.
    pub(super) fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// The error that these columns are not there.
    pub(super) fn without(&self, names: &[&str], help: &'static str) -> TaskError {
        let column = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
        TaskError::Columns { file: self.file.clone(), column, there: listed(&self.names), help }
    }

    /// Whether the first line, which has no names in it, has so many cells between tabs.
    pub(super) fn is_headerless(&self, cells: usize) -> bool {
        matches!(self.content, Content::Table { separator: b'\t', .. }) && self.names.len() >= cells
    }

    /// Gives the cells of the rows, in the order of `columns`, to `each`. Rows that cannot be read are left out and counted, but
    /// where all must be answered.
    pub(super) fn each(
        &self,
        columns: &[&str],
        part: Part,
        report: &mut Report,
        mut each: impl FnMut(Row, &mut Report) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let mut number = 0;
        let mut give = |line: u64, cells: Result<Vec<Cell>, String>| {
            report.rows += 1;
            match cells {
                Ok(cells) => each(Row { line, number, cells }, report)?,
                Err(reason) if part == Part::Test => {
                    return Err(TaskError::Row { file: self.file.clone(), place: format!("line {line}"), reason });
                }
                Err(reason) => report.leave_out(&reason, format!("line {line}")),
            }
            number += 1;
            Ok(())
        };
        match &self.content {
            Content::Table { text, separator: b'\t' } => {
                let places = self.places(columns);
                self.tabs(text, &places, self.names.len(), false, &mut give)
            }
            Content::Table { text, separator } => {
                let places = self.places(columns);
                let mut table = table(text, *separator);
                let mut record = csv::StringRecord::new();
                table.read_record(&mut record).map_err(|e| self.broken(&e))?;
                while table.read_record(&mut record).map_err(|e| self.broken(&e))? {
                    let line = record.position().map_or(0, csv::Position::line);
                    let cells = if record.len() == self.names.len() {
                        Ok(places.iter().map(|&at| Cell::Text(record.get(at).unwrap_or_default().into())).collect())
                    } else {
                        Err(format!("{} cells, expected {}", record.len(), self.names.len()))
                    };
                    give(line, cells)?;
                }
                Ok(())
            }
            Content::Json { text, lines } => {
                let mut result = Ok(());
                records(text, *lines, |line, record| {
                    let cells = record.and_then(|record| {
                        let record = Value::Object(record);
                        columns.iter().map(|name| cell(&record, name)).collect()
                    });
                    result = give(line, cells);
                    result.is_ok()
                });
                result
            }
            Content::Parquet(file) => {
                let read = |name: &&str| match file.cells(name) {
                    Err(ReadError::Column { .. }) => Err(TaskError::Row {
                        file: self.file.clone(),
                        place: format!("column {name:?}"),
                        reason: "of a kind that is not read, expected text or numbers".into(),
                    }),
                    other => Ok(other?.into_iter()),
                };
                let mut read = columns.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                let rows = read.iter().map(ExactSizeIterator::len).min().unwrap_or(0);
                for line in 1..=rows as u64 {
                    let cells = read.iter_mut().map(|column| column.next().flatten().map_or(Cell::Missing, Cell::Text));
                    give(line, Ok(cells.collect()))?;
                }
                Ok(())
            }
        }
    }

    /// The rows of a table between tabs that has no header: the cells at these places, of rows with at least so many.
    pub(super) fn each_headerless(
        &self,
        places: &[usize],
        cells: usize,
        part: Part,
        report: &mut Report,
        mut each: impl FnMut(Row, &mut Report) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Content::Table { text, .. } = &self.content else { return Ok(()) };
        let mut number = 0;
        self.tabs(text, places, cells, true, &mut |line, found| {
            report.rows += 1;
            match found {
                Ok(cells) => each(Row { line, number, cells }, report)?,
                Err(reason) if part == Part::Test => {
                    return Err(TaskError::Row { file: self.file.clone(), place: format!("line {line}"), reason });
                }
                Err(reason) => report.leave_out(&reason, format!("line {line}")),
            }
            number += 1;
            Ok(())
        })
    }

    fn places(&self, columns: &[&str]) -> Vec<usize> {
        let place = |name: &&str| self.names.iter().position(|known| known == name);
        columns.iter().map(|name| place(name).unwrap_or(usize::MAX)).collect()
    }

    /// Lines of cells between tabs; without a header there may be more cells than `expected`.
    fn tabs(
        &self,
        text: &str,
        places: &[usize],
        expected: usize,
        headerless: bool,
        give: &mut dyn FnMut(u64, Result<Vec<Cell>, String>) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty());
        for (number, line) in lines.skip(usize::from(!headerless)) {
            let cells: Vec<&str> = line.split('\t').collect();
            let fits = if headerless { cells.len() >= expected } else { cells.len() == expected };
            let cell = |&at: &usize| {
                let cell = cells.get(at).copied().unwrap_or_default();
                let cell = if self.quotes == Quotes::Around { unquoted(cell, false).into_owned() } else { cell.into() };
                Cell::Text(cell)
            };
            let found = match fits {
                true => Ok(places.iter().map(cell).collect()),
                false => Err(format!("{} cells, expected {expected}", cells.len())),
            };
            give(number, found)?;
        }
        Ok(())
    }
}

fn table(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(false).from_reader(text.as_bytes())
}

/// Gives every record of JSON with its line, until `each` wants no more.
fn records(text: &str, lines: bool, mut each: impl FnMut(u64, Result<Map<String, Value>, String>) -> bool) {
    let parsed = |record: &str| {
        serde_json::from_str(record).map_err(|e| {
            // The line is said already, and reasons are counted by their words.
            let said = e.to_string();
            let reason = said.split(" at line ").next().unwrap_or_default();
            if e.is_data() { shortened(reason, 80) } else { format!("broken JSON: {}", shortened(reason, 80)) }
        })
    };
    if lines {
        for (number, line) in (1..).zip(text.lines()) {
            if !line.trim().is_empty() && !each(number, parsed(line)) {
                return;
            }
        }
        return;
    }
    let mut values = Values::new(text.as_bytes(), usize::MAX);
    // What is in memory can always be read.
    while let Ok(Some(value)) = values.next() {
        let record = std::str::from_utf8(value.bytes).map_err(|e| e.to_string()).and_then(parsed);
        if !each(value.line, record) {
            return;
        }
    }
}

/// A field of a record as a cell.
fn cell(record: &Value, name: &str) -> Result<Cell, String> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    match inside(record, name) {
        None | Some(Value::Null) => Ok(Cell::Missing),
        Some(Value::Array(list)) => {
            let items: Option<Vec<String>> = list.iter().map(plain).collect();
            items.map(Cell::List).ok_or_else(|| format!("{name} holds a list of lists or objects"))
        }
        Some(other) => plain(other).map(Cell::Text).ok_or_else(|| format!("{name} is an object, expected text")),
    }
}
