//! Tables: a record a row, under a first row with the columns' names.
//!
//! Between commas or semicolons a cell may be quoted, and then hold anything; between tabs a quotation mark at the start of a
//! cell opens nothing (as in GLUE's files), but a cell that is quoted whole loses its marks.

use super::json::listed;
use crate::numbers::shortened;
use csv::{ByteRecord, ReaderBuilder};
use std::borrow::Cow;
use std::io::Read;

/// Rows of a table.
pub(super) struct Table<R> {
    reader: csv::Reader<R>,
    row: ByteRecord,
    column: usize,
    columns: usize,
    quoting: bool,
}

/// Why a table cannot be read.
pub(super) enum TableError {
    /// It has no such column; these it has.
    Column(String),
    /// Reading failed, or met what is no text.
    Read(csv::Error),
    /// A cell of this line is not UTF-8; the row begins at this byte.
    NotUtf8 { line: u64, offset: u64 },
}

/// A row's cell, or why it has none.
pub(super) type Cell<'a> = Result<Cow<'a, str>, String>;

impl<R: Read> Table<R> {
    pub(super) fn new(reader: R, separator: u8, field: &str) -> Result<Self, TableError> {
        let quoting = separator != b'\t';
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .quoting(quoting)
            .flexible(true)
            .buffer_capacity(1 << 18)
            .from_reader(reader);
        let names: Vec<String> = reader
            .byte_headers()
            .map_err(TableError::Read)?
            .iter()
            .map(|name| unquoted(&String::from_utf8_lossy(name), quoting).trim().to_string())
            .collect();
        let column = names.iter().position(|name| name == field);
        let column = column.ok_or_else(|| TableError::Column(listed(&names)))?;
        Ok(Self { reader, row: ByteRecord::new(), column, columns: names.len(), quoting })
    }

    /// The next row's line and cell; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Cell<'_>)>, TableError> {
        if !self.reader.read_byte_record(&mut self.row).map_err(TableError::Read)? {
            return Ok(None);
        }
        let (line, offset) = self.row.position().map_or((0, 0), |place| (place.line(), place.byte()));
        if self.row.len() != self.columns {
            let first = shortened(&String::from_utf8_lossy(self.row.get(0).unwrap_or_default()), 20);
            let reason = format!("{} cells, expected {}; it begins with {first:?}", self.row.len(), self.columns);
            return Ok(Some((line, Err(reason))));
        }
        let cell = self.row.get(self.column).unwrap_or_default();
        match std::str::from_utf8(cell) {
            Ok(cell) => Ok(Some((line, Ok(unquoted(cell, self.quoting))))),
            Err(_) => Err(TableError::NotUtf8 { line, offset }),
        }
    }
}

/// A cell without quotation marks around all of it, where the library leaves them.
pub(crate) fn unquoted(cell: &str, quoting: bool) -> Cow<'_, str> {
    match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
        Some(inner) if !quoting && !inner.replace("\"\"", "").contains('"') => Cow::Owned(inner.replace("\"\"", "\"")),
        _ => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str, separator: u8) -> Vec<(u64, Result<String, String>)> {
        let Ok(mut table) = Table::new(text.as_bytes(), separator, "text") else { panic!("no column") };
        let mut all = Vec::new();
        while let Ok(Some((line, cell))) = table.next() {
            all.push((line, cell.map(Cow::into_owned)));
        }
        all
    }

    #[test]
    fn cells_are_read_as_they_are_meant() {
        let found = cells("id,text\n1,\"a, \"\"b\"\"\nc\"\n2,d\n3\n4,e,f\n", b',');
        assert_eq!(found[0], (2, Ok("a, \"b\"\nc".into())));
        assert_eq!(found[1], (4, Ok("d".into())));
        assert!(found[2].1.as_ref().unwrap_err().contains("1 cells, expected 2"), "{found:?}");
        assert!(found[3].1.is_err());
        let found = cells("\"text\"\tn\n\"open, he said\t1\n\"a \"\"b\"\"\"\t2\n\"x\" and \"y\"\t3\n", b'\t');
        let texts: Vec<String> = found.into_iter().map(|(_, cell)| cell.unwrap()).collect();
        assert_eq!(texts, ["\"open, he said", "a \"b\"", "\"x\" and \"y\""]);
        let missing = Table::new(&b"a,b\n1,2\n"[..], b',', "text");
        assert!(matches!(missing, Err(TableError::Column(names)) if names == "a, b"));
        assert!(matches!(Table::new(&b"text\n\xff\n"[..], b',', "text").map(|mut t| t.next().is_err()), Ok(true)));
    }
}
