//! Whole files: read with an error that names them, written beside and renamed.

use super::Error;
use crate::fs;
use std::io;
use std::path::Path;

/// Reads a file as UTF-8, without its byte-order mark.
pub(super) fn read_utf8(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { path: path.into() },
        _ => Error::Read { path: path.into(), source },
    })?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..offset];
        Error::NotUtf8 { path: path.into(), line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(), offset }
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Writes a file so that a reader sees the old content or the new, never a part.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    crate::files::write(path, content).map_err(|source| Error::Write { path: path.into(), source })
}
