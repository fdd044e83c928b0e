//! Files of text: which there are, and the documents in them.

use super::blocks::{Blocks, Sink};
use super::lines::{Lines, pieces};
use super::unpack::{Packing, unpack};
use super::{DatasetError, MAXIMUM_DOCUMENT, parquet};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The endings of files that are read.
pub(super) const ENDINGS: &str = ".txt, .jsonl or .parquet, the first two also with .gz, .zst or .xz behind";
/// The longest line of JSON, in bytes.
const MAXIMUM_JSON: usize = 64 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A paragraph a line, blank lines between documents.
    Text,
    /// A document a line, in a field of an object.
    Json,
    /// A document a row, in a column.
    Parquet,
}

/// A file of text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its path as it was given or found; `-` for standard input.
    pub name: String,
    /// Where it is; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Its size on disk; unknown for standard input.
    pub bytes: Option<u64>,
    kind: Kind,
    packing: Option<Packing>,
}

/// How documents are read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The field or column.
    pub field: String,
    /// Refuse what is not UTF-8.
    pub strict: bool,
    /// Bytes read from disk so far, of all sources.
    pub counter: Arc<AtomicU64>,
}

/// Finds the files of the inputs: in folders all with a known ending, at any depth, in the order of their paths.
pub(super) fn sources(inputs: &[PathBuf]) -> Result<Vec<Source>, DatasetError> {
    let mut found = Vec::new();
    for input in inputs {
        if input.as_os_str() == "-" {
            if found.iter().any(|source: &Source| source.path.is_none()) {
                continue;
            }
            found.push(Source { name: "-".into(), path: None, bytes: None, kind: Kind::Text, packing: None });
            continue;
        }
        let about = fs::metadata(input).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DatasetError::Missing { path: input.clone() },
            _ => DatasetError::Read { path: input.clone(), source },
        })?;
        if about.is_dir() {
            let mut files = Vec::new();
            collect(input, &mut files)?;
            if files.is_empty() {
                return Err(DatasetError::NoFiles { path: input.clone() });
            }
            files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            found.append(&mut files);
        } else {
            found.push(Source::file(input)?.ok_or_else(|| DatasetError::Ending { path: input.clone() })?);
        }
    }
    Ok(found)
}

fn collect(folder: &Path, files: &mut Vec<Source>) -> Result<(), DatasetError> {
    let read_error = |source| DatasetError::Read { path: folder.into(), source };
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let entry = entry.map_err(read_error)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // The entry's own type, so that a link to a parent folder cannot make this endless.
        if entry.file_type().map_err(read_error)?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.path().is_file() {
            files.extend(Source::file(&entry.path())?);
        }
    }
    Ok(())
}

impl Source {
    /// `None` for an unknown ending.
    fn file(path: &Path) -> Result<Option<Self>, DatasetError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let (stem, packing) = Packing::ALL
            .iter()
            .find_map(|&packing| name.strip_suffix(packing.ending()).map(|stem| (stem, Some(packing))))
            .unwrap_or((&name, None));
        let kind = match stem.rsplit_once('.').map(|(_, ending)| ending) {
            Some("txt") => Kind::Text,
            Some("jsonl") => Kind::Json,
            Some("parquet") if packing.is_none() => Kind::Parquet,
            _ => return Ok(None),
        };
        let about = fs::metadata(path).map_err(|source| DatasetError::Read { path: path.into(), source })?;
        Ok(Some(Self {
            name: path.display().to_string(),
            path: Some(path.into()),
            bytes: Some(about.len()),
            kind,
            packing,
        }))
    }

    /// Gives every document to `sink`, none of them blank or longer than [`MAXIMUM_DOCUMENT`] by more than a line, and the
    /// number of every line or row that is not UTF-8 to `invalid`.
    pub(super) fn read(
        &self,
        reading: &Reading,
        sink: &mut Sink<'_>,
        invalid: &mut dyn FnMut(u64),
    ) -> Result<(), DatasetError> {
        let mut invalid = |line: u64| {
            if reading.strict {
                return Err(DatasetError::NotUtf8 { name: self.name.clone(), line });
            }
            invalid(line);
            Ok(())
        };
        match self.kind {
            Kind::Text => self.read_text(reading, sink, &mut invalid),
            Kind::Json => self.read_json(reading, sink, &mut invalid),
            Kind::Parquet => {
                let mut whole = |text: &str| give(text, sink);
                parquet::read(self.path.as_deref().unwrap_or(Path::new("-")), reading, &mut whole, &mut invalid)
            }
        }
    }

    fn open(&self, reading: &Reading) -> Result<Box<dyn Read + Send>, DatasetError> {
        let counter = reading.counter.clone();
        let Some(path) = &self.path else {
            return Ok(Box::new(Counted { inner: io::stdin(), counter }));
        };
        let file = File::open(path).map_err(|source| DatasetError::Read { path: path.clone(), source })?;
        let file = Counted { inner: file, counter };
        Ok(match self.packing {
            None => Box::new(file),
            Some(packing) => unpack(packing, file),
        })
    }

    fn read_error(&self, source: io::Error, line: u64) -> DatasetError {
        match (self.packing, source.raw_os_error()) {
            // What the system did not say, the decoder did.
            (Some(packing), None) => DatasetError::Broken {
                name: self.name.clone(),
                format: packing.name(),
                place: if line == 0 { "at the start".into() } else { format!("behind line {line}") },
                reason: source.to_string(),
            },
            _ => DatasetError::Read { path: self.path.clone().unwrap_or_else(|| "standard input".into()), source },
        }
    }

    fn read_text(&self, reading: &Reading, sink: &mut Sink<'_>, invalid: &mut Invalid<'_>) -> Result<(), DatasetError> {
        let mut lines = Lines::new(self.open(reading)?, MAXIMUM_DOCUMENT);
        let mut blocks = Blocks::default();
        let (mut number, mut last_invalid) = (0, 0);
        loop {
            match lines.next().map_err(|e| self.read_error(e, number))? {
                None => break,
                Some(line) => {
                    let bad = line.invalid;
                    blocks.line(&line.text, sink)?;
                    number = lines.number;
                    // A long line comes in pieces and counts once.
                    if bad && last_invalid < number {
                        invalid(number)?;
                        last_invalid = number;
                    }
                }
            }
        }
        blocks.finish(sink)
    }

    fn read_json(&self, reading: &Reading, sink: &mut Sink<'_>, invalid: &mut Invalid<'_>) -> Result<(), DatasetError> {
        let mut lines = Lines::new(self.open(reading)?, MAXIMUM_JSON);
        let mut number = 0;
        let record = |number: u64, reason: String| DatasetError::Record {
            name: self.name.clone(),
            place: format!("line {number}"),
            reason,
        };
        loop {
            let Some(line) = lines.next().map_err(|e| self.read_error(e, number))? else { return Ok(()) };
            number += 1;
            if !line.text.trim().is_empty() {
                if line.invalid {
                    invalid(number)?;
                }
                let text = field(&line.text, &reading.field).map_err(|reason| record(number, reason))?;
                give(&text, sink)?;
            }
            if !lines.ended {
                return Err(record(number, format!("longer than {} MiB", MAXIMUM_JSON >> 20)));
            }
        }
    }
}

/// What takes the numbers of lines that are not UTF-8.
pub(super) type Invalid<'a> = dyn FnMut(u64) -> Result<(), DatasetError> + 'a;

/// Gives a document of any length to `sink`, in pieces if need be.
fn give(text: &str, sink: &mut Sink<'_>) -> Result<(), DatasetError> {
    pieces(text, MAXIMUM_DOCUMENT).filter(|piece| !piece.trim().is_empty()).try_for_each(sink)
}

/// The text in a field of a line of JSON; blank for `null`.
fn field<'a>(line: &'a str, name: &str) -> Result<Cow<'a, str>, String> {
    let mut json = serde_json::Deserializer::from_str(line);
    let found = Field { name }.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    match found {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(format!("no field {name:?}; choose one with --field")),
        // The line of the file is said already, and JSON is told by its column alone.
        Err(e) if e.is_data() => Err(format!("{}, with --field {name}", shortened(&e))),
        Err(e) => Err(format!("broken JSON: {}", shortened(&e))),
    }
}

fn shortened(error: &serde_json::Error) -> String {
    error.to_string().replace("at line 1 column", "at column")
}

/// Finds one field of an object and passes over the others.
struct Field<'n> {
    name: &'n str,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object a line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Borrowed<'de>>()? {
            if key.0 == self.name {
                found = Some(map.next_value::<Option<Borrowed<'de>>>()?.map_or(Cow::Borrowed(""), |text| text.0));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A string that is borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// Counts the bytes that are read.
struct Counted<R> {
    inner: R,
    counter: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_among_others() {
        let line = r#"{"id": 3, "more": {"text": "no"}, "text": "yes \"and\" no", "z": [1, 2]}"#;
        assert_eq!(field(line, "text").unwrap(), "yes \"and\" no");
        assert_eq!(field(r#"{"text": null}"#, "text").unwrap(), "");
        for (line, reason) in [
            (r#"{"body": "x"}"#, "no field \"text\""),
            (r#"{"text": 3}"#, "invalid type"),
            (r#"["text"]"#, "an object a line"),
            (r#"{"text": "x""#, "broken JSON"),
            (r#"{"text": "x"} {"#, "broken JSON"),
        ] {
            let found = field(line, "text").unwrap_err();
            assert!(found.contains(reason) && !found.contains("line 1 "), "{line}: {found}");
        }
    }
}
