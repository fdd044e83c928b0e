//! A file of text: how it is opened, and the documents in it.

use super::blocks::Blocks;
use super::decode::{Decoded, Malformed};
use super::form::{self, Form, HEAD};
use super::json::{self, Bad, MAXIMUM_RECORD, Values};
use super::lines::{LineError, Lines, pieces};
use super::read::Job;
use super::table::{Table, TableError};
use super::unpack::{self, MAXIMUM_WINDOW, Packing};
use super::{DocumentRule, ReadError, Sink, TextEncoding, parquet};
use crate::fs::File;
use crate::numbers::shortened;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file of text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as it was given or found; `-` for standard input.
    pub name: String,
    /// Where it is; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Its size on disk; unknown for standard input.
    pub bytes: Option<u64>,
    /// Whether it was found in a folder, and not named.
    found: bool,
}

/// What is inside a file, from its start.
type Content = Box<dyn Read + Send>;

/// A file that is open.
struct Opened {
    content: Content,
    form: Form,
    packing: Option<Packing>,
}

/// Records of a file, counted as they are read.
#[derive(Default)]
pub(super) struct Records {
    read: u64,
    bad: u64,
    /// Of the bad ones, those without the field.
    missing: u64,
    /// The first bad one: where, and why.
    first: Option<(String, String)>,
    /// The first without the field.
    without: Option<String>,
}

impl Source {
    pub(super) fn file(path: &Path, bytes: u64, found: bool) -> Self {
        Self { name: path.display().to_string(), path: Some(path.into()), bytes: Some(bytes), found }
    }

    pub(super) fn standard_input() -> Self {
        Self { name: "-".into(), path: None, bytes: None, found: false }
    }

    /// Gives every document to `sink`, none of them blank.
    pub(super) fn read(&self, job: &mut Job<'_>, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let (ending, packing) =
            self.path.as_deref().map_or(Ok((None, None)), |path| form::of_path(&self.name, path))?;
        let opened = self.open(job.reading.encoding, &job.counter, ending, packing)?;
        if ending.is_some_and(|ending| !same_kind(ending, opened.form)) {
            job.report.forms.push((self.name.clone(), opened.form.describe()));
        }
        match opened.form {
            Form::Text | Form::Wiki => self.read_text(opened, job, sink)?,
            Form::JsonLines => self.read_lines(opened, job, sink)?,
            Form::JsonValues => self.read_values(opened, job, sink)?,
            Form::Table { separator } => self.read_table(opened, separator, job, sink)?,
            Form::Parquet => {
                let Some(path) = &self.path else {
                    let help = "name the file instead";
                    return Err(ReadError::Foreign { name: self.name.clone(), what: "parquet", help });
                };
                let mut whole = |text: &str| give(text, usize::MAX, sink);
                parquet::read(path, &job.reading.field, &job.counter, &mut whole)?;
            }
        }
        self.judge(ending, job)
    }

    /// What the records of a file come to: where not one gave a document, something is wrong with all of them.
    fn judge(&self, ending: Option<Form>, job: &mut Job<'_>) -> Result<(), ReadError> {
        let records = std::mem::take(&mut job.records);
        let name = || self.name.clone();
        if records.read == 0 || records.bad < records.read {
            return Ok(());
        }
        // A folder may hold a note about its files beside them.
        if self.found && ending == Some(Form::JsonValues) && records.missing == records.read {
            job.report.passed_over.add(format!(".json without {:?}", shortened(&job.reading.field, 30)));
            job.forget(records.bad);
            return Ok(());
        }
        if let Some(record) = records.without.filter(|_| records.missing == records.bad) {
            let (field, there) = (job.reading.field.clone(), json::fields(&record));
            return Err(ReadError::Field { name: name(), field, there });
        }
        let (place, reason) = records.first.unwrap_or_default();
        Err(ReadError::NoRecord { name: name(), records: records.read, place, reason })
    }

    /// All that a file holds, in memory; of parquet, which is read by columns, nothing.
    pub(super) fn whole(&self, encoding: TextEncoding) -> Result<(String, Form), ReadError> {
        let (ending, packing) =
            self.path.as_deref().map_or(Ok((None, None)), |path| form::of_path(&self.name, path))?;
        let Opened { mut content, form, packing } = self.open(encoding, &Arc::default(), ending, packing)?;
        if form == Form::Parquet {
            return Ok((String::new(), form));
        }
        let mut bytes = Vec::new();
        let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if let Err(error) = content.read_to_end(&mut bytes) {
            return Err(self.read_error(error, packing, lines(&bytes)));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            ReadError::NotUtf8 { name: self.name.clone(), line: lines(valid) + 1, offset: valid.len() as u64 }
        })?;
        Ok((text, form))
    }

    fn open(
        &self,
        encoding: TextEncoding,
        counter: &Arc<AtomicU64>,
        ending: Option<Form>,
        packing: Option<Packing>,
    ) -> Result<Opened, ReadError> {
        let counter = counter.clone();
        let read_error = |source| ReadError::Read { path: self.path.clone().unwrap_or_default(), source };
        let mut content: Content = match &self.path {
            None => Box::new(Counted { inner: io::stdin(), counter }),
            Some(path) => Box::new(Counted { inner: File::open(path).map_err(read_error)?, counter }),
        };
        let mut head = beginning(&mut content).map_err(|e| self.read_error(e, None, 0))?;
        if packing.is_none() && (head.starts_with(b"PAR1") || ending == Some(Form::Parquet)) {
            return Ok(Opened { content, form: Form::Parquet, packing });
        }
        let packing = packing.or_else(|| form::packing(&head));
        if let Some(packing) = packing {
            content = unpack::unpack(packing, Cursor::new(head).chain(content));
            head = beginning(&mut content).map_err(|e| self.read_error(e, Some(packing), 0))?;
        }
        form::check(&self.name, &head)?;
        let mut encoding = encoding.0;
        let mut mark = 0;
        if let Some((said, length)) = form::byte_order_mark(&head) {
            (encoding, mark) = (said, length);
        }
        head.drain(..mark);
        let mut content: Content = Box::new(Cursor::new(head.clone()).chain(content));
        if encoding != encoding_rs::UTF_8 {
            content = Box::new(Decoded::new(content, encoding));
            head = beginning(&mut content).map_err(|e| self.read_error(e, packing, 0))?;
            content = Box::new(Cursor::new(head.clone()).chain(content));
        }
        let form = form::form(&self.name, &head, ending)?;
        Ok(Opened { content, form, packing })
    }

    fn read_error(&self, source: io::Error, packing: Option<Packing>, line: u64) -> ReadError {
        let name = self.name.clone();
        if let Some(malformed) = source.get_ref().and_then(|e| e.downcast_ref::<Malformed>()) {
            let (encoding, offset) = (malformed.encoding.to_string(), malformed.offset);
            return ReadError::Malformed { name, encoding, offset };
        }
        if let Some(window) = source.get_ref().and_then(|e| e.downcast_ref::<unpack::Window>()) {
            return ReadError::Window { name, window: window.requested, most: MAXIMUM_WINDOW };
        }
        match (packing, source.raw_os_error()) {
            // What the system did not say, the decoder did.
            (Some(packing), None) => ReadError::Broken {
                name,
                format: packing.name(),
                place: if line == 0 { "at the start".into() } else { format!("behind line {line}") },
                reason: shortened(&source.to_string(), 160),
            },
            _ => ReadError::Read { path: self.path.clone().unwrap_or_else(|| "standard input".into()), source },
        }
    }

    fn line_error(&self, error: LineError, packing: Option<Packing>, line: u64) -> ReadError {
        match error {
            LineError::Read(source) => self.read_error(source, packing, line),
            LineError::NotUtf8 { line, offset } => ReadError::NotUtf8 { name: self.name.clone(), line, offset },
        }
    }

    fn read_text(&self, opened: Opened, job: &mut Job<'_>, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let Opened { content, form, packing } = opened;
        let wiki = form == Form::Wiki;
        let rule = match job.reading.documents {
            DocumentRule::Auto if wiki => DocumentRule::Files,
            rule => rule,
        };
        let mut lines = Lines::new(content, job.limit);
        let mut blocks = Blocks::new(rule, job.limit);
        let mut number = 0;
        while let Some(line) = lines.next().map_err(|e| self.line_error(e, packing, number))? {
            if wiki && (line.starts_with("<doc id=") || line.trim_end() == "</doc>") {
                blocks.boundary(sink)?;
            } else {
                blocks.line(line, sink)?;
            }
            number = lines.number;
        }
        let (joined, documents) = blocks.finish(sink)?;
        job.report.joined.0 += joined;
        job.report.joined.1 += documents;
        Ok(())
    }

    fn read_lines(&self, opened: Opened, job: &mut Job<'_>, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let Opened { content, packing, .. } = opened;
        let mut lines = Lines::new(content, MAXIMUM_RECORD);
        let mut number = 0;
        loop {
            let Some(line) = lines.next().map_err(|e| self.line_error(e, packing, number))? else { return Ok(()) };
            number += 1;
            let blank = line.trim().is_empty();
            let text = if blank { Ok("".into()) } else { json::text_of(line, &job.reading.field) };
            match text {
                Ok(text) => {
                    job.records.read += u64::from(!blank);
                    give(&text, job.limit, sink)?;
                }
                Err(bad) => {
                    let first = bad == Bad::Missing && job.records.without.is_none();
                    let without = first.then(|| line.to_owned());
                    // Of a line beyond the limit only a piece was read.
                    let bad = if lines.ended { bad } else { too_long() };
                    self.left_out(format!("line {number}"), bad, without, job)?;
                }
            }
            lines.skip_rest().map_err(|e| self.read_error(e, packing, number))?;
        }
    }

    fn read_values(&self, opened: Opened, job: &mut Job<'_>, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let Opened { content, packing, .. } = opened;
        let mut values = Values::new(content, MAXIMUM_RECORD);
        let mut last = 0;
        while let Some(value) = values.next().map_err(|e| self.read_error(e, packing, last))? {
            last = value.line;
            let Ok(record) = std::str::from_utf8(value.bytes) else {
                if value.long {
                    self.left_out(format!("line {last}"), too_long(), None, job)?;
                    continue;
                }
                let inside = std::str::from_utf8(value.bytes).map_or_else(|e| e.valid_up_to(), |_| 0);
                let line = last + value.bytes[..inside].iter().filter(|&&byte| byte == b'\n').count() as u64;
                return Err(ReadError::NotUtf8 { name: self.name.clone(), line, offset: value.offset + inside as u64 });
            };
            let text = if value.long { Err(too_long()) } else { json::text_of(record, &job.reading.field) };
            match text {
                Ok(text) => {
                    job.records.read += 1;
                    give(&text, job.limit, sink)?;
                }
                Err(bad) => {
                    let first = bad == Bad::Missing && job.records.without.is_none();
                    self.left_out(format!("line {last}"), bad, first.then(|| record.to_owned()), job)?;
                }
            }
        }
        Ok(())
    }

    fn read_table(
        &self,
        opened: Opened,
        separator: u8,
        job: &mut Job<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), ReadError> {
        let Opened { content, packing, .. } = opened;
        let field = job.reading.field.clone();
        let error = |error: TableError, line: u64| match error {
            TableError::Column(there) => ReadError::Field { name: self.name.clone(), field: field.clone(), there },
            TableError::NotUtf8 { line, offset } => ReadError::NotUtf8 { name: self.name.clone(), line, offset },
            TableError::Read(e) => match e.into_kind() {
                csv::ErrorKind::Io(source) => self.read_error(source, packing, line),
                other => self.read_error(io::Error::other(format!("{other:?}")), packing, line),
            },
        };
        let mut last = 0;
        let mut table = Table::new(content, separator, &field).map_err(|e| error(e, 0))?;
        while let Some((line, cell)) = table.next().map_err(|e| error(e, last))? {
            last = line;
            match cell {
                Ok(text) => {
                    job.records.read += 1;
                    give(&text, job.limit, sink)?;
                }
                Err(reason) => self.left_out(format!("line {line}"), Bad::Broken(reason), None, job)?,
            }
        }
        Ok(())
    }

    /// A record that gives no document: counted, or an error where none may be left out.
    fn left_out(&self, place: String, bad: Bad, without: Option<String>, job: &mut Job<'_>) -> Result<(), ReadError> {
        let records = &mut job.records;
        records.missing += u64::from(bad == Bad::Missing);
        records.without = records.without.take().or(without);
        let reason = match bad {
            Bad::Missing => format!("no field {:?}", shortened(&job.reading.field, 40)),
            Bad::Broken(reason) => reason,
        };
        if job.reading.strict {
            return Err(ReadError::Record { name: self.name.clone(), place, reason });
        }
        records.read += 1;
        records.bad += 1;
        records.first.get_or_insert_with(|| (place.clone(), reason.clone()));
        job.skip(format!("{} {place}", self.name), reason);
        Ok(())
    }
}

fn too_long() -> Bad {
    Bad::Broken(format!("a record of more than {} MiB; cut it up, or give it as .txt", MAXIMUM_RECORD >> 20))
}

/// Whether a file of this ending is expected to hold that.
fn same_kind(ending: Form, form: Form) -> bool {
    let is_json = |form| matches!(form, Form::JsonLines | Form::JsonValues);
    ending == form
        || is_json(ending) && is_json(form)
        || matches!((ending, form), (Form::Table { .. }, Form::Table { .. }) | (Form::Text, Form::Wiki))
}

/// Gives a document of any length to `sink`, in pieces if need be.
fn give(text: &str, limit: usize, sink: &mut Sink<'_>) -> Result<(), ReadError> {
    pieces(text, limit).filter(|piece| !piece.trim().is_empty()).try_for_each(sink)
}

/// What a reader begins with, which it has given then.
fn beginning(content: &mut Content) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    content.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

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
