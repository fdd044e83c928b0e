//! All files of some inputs, one after the other.

use super::find::Found;
use super::source::Records;
use super::{FileReport, Form, ReadError, Reading, Report, Source, TextEncoding, find};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What a file's reader needs, and fills in.
pub(super) struct Job<'a> {
    pub reading: &'a Reading,
    pub report: &'a mut Report,
    /// The longest document, in bytes.
    pub limit: usize,
    /// Bytes read from disk so far.
    pub counter: Arc<AtomicU64>,
    /// The records of the file that is being read.
    pub records: Records,
}

impl Job<'_> {
    /// Counts a record of the file that is being read as left out.
    pub(super) fn skip(&mut self, place: String, reason: String) {
        if let Some(file) = self.report.files.last_mut() {
            file.skipped += 1;
        }
        self.report.skip(place, reason);
    }

    /// The file's records that were left out were none.
    pub(super) fn forget(&mut self, records: u64) {
        if let Some(file) = self.report.files.last_mut() {
            file.skipped = file.skipped.saturating_sub(records);
            let name = format!("{} ", file.name);
            self.report.skipped.retain(|(place, _)| !place.starts_with(&name));
        }
    }
}

/// Reads all files and gives their documents to `sink`, none of them blank or longer than `limit` bytes by more than a line.
/// `counter` counts the bytes that are read.
///
/// With [`Reading::dedup`] a document that differs from an earlier one in white space only is left out; that takes about 40
/// bytes of memory for every document.
///
/// # Errors
/// [`ReadError`], of a file or of `sink`.
pub fn read(
    found: &Found,
    reading: &Reading,
    limit: usize,
    counter: &Arc<AtomicU64>,
    sink: &mut dyn FnMut(&str) -> Result<(), ReadError>,
) -> Result<Report, ReadError> {
    let mut report = Report { passed_over: found.passed_over.clone(), ..Report::default() };
    let mut seen = HashSet::new();
    for source in &found.sources {
        report.files.push(FileReport { name: source.name.clone(), ..FileReport::default() });
        let (mut documents, mut bytes, mut repeated) = (0, 0, 0);
        let records = Records::default();
        let mut job = Job { reading, report: &mut report, limit, counter: counter.clone(), records };
        source.read(&mut job, &mut |document| {
            if reading.dedup && !seen.insert(words_of(document)) {
                repeated += 1;
                return Ok(());
            }
            documents += 1;
            bytes += document.len() as u64;
            sink(document)
        })?;
        report.repeated += repeated;
        if let Some(file) = report.files.last_mut() {
            (file.documents, file.bytes) = (documents, bytes);
        }
    }
    Ok(report)
}

/// A document's words, in 128 bits.
fn words_of(document: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    for word in document.split_whitespace() {
        hash.update(word);
        hash.update(" ");
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    first
}

/// Documents in memory, and what reading them came to.
#[derive(Clone, Debug)]
pub struct Documents {
    /// In order; none is blank.
    pub documents: Vec<String>,
    /// What a person should know of it.
    pub report: Report,
}

/// Reads all documents of files and folders into memory, none of them cut.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Empty`] where there is not one.
pub fn read_documents(inputs: &[PathBuf], reading: &Reading) -> Result<Documents, ReadError> {
    let mut documents = Vec::new();
    let report = read(&find(inputs)?, reading, usize::MAX, &Arc::default(), &mut |document| {
        documents.push(document.to_owned());
        Ok(())
    })?;
    if documents.is_empty() {
        return Err(ReadError::Empty { path: inputs.first().cloned().unwrap_or_default() });
    }
    Ok(Documents { documents, report })
}

/// All that one file holds, unpacked and decoded, and what it is; of parquet, which is read by columns, no text.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn read_whole(path: &Path, encoding: TextEncoding) -> Result<(String, Form), ReadError> {
    let about = crate::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ReadError::Missing { path: path.into() },
        _ => ReadError::Read { path: path.into(), source },
    })?;
    Source::file(path, about.len(), false).whole(encoding)
}
