//! Files of text to documents, whatever the files are.
//!
//! ```text
//! files, folders ─ find ─> sources ─ unpack, decode ─> what a file holds (form)
//!     lines of text ─ blocks ─┐
//!     JSON, tables, parquet ──┴─> documents ─ dedup ─> whoever asked
//! ```
//!
//! What a file holds is told by its content, with its ending as a hint: lines of JSON under `.txt` are not trained on as
//! text, and a PDF is refused by name. What was not read is counted and said ([`Report::remarks`]).

mod blocks;
mod decode;
mod error;
mod find;
mod form;
mod json;
mod lines;
mod parquet;
mod read;
mod reading;
mod report;
mod source;
mod table;
mod unpack;

pub use error::ReadError;
pub use find::{Found, find};
pub(crate) use form::Form;
pub(crate) use json::{Values, field_names, inside, listed};
pub(crate) use parquet::ParquetFile;
pub(crate) use read::read_whole;
pub use read::{Documents, read, read_documents};
pub use reading::{DocumentRule, Reading, TextEncoding};
pub use report::{FileReport, Report};
pub use source::Source;
pub(crate) use table::unquoted;

/// Longer documents are cut where memory must have a bound, at a line end if there is one.
pub const MAXIMUM_DOCUMENT: usize = 1 << 20;

/// What takes documents.
type Sink<'a> = dyn FnMut(&str) -> Result<(), ReadError> + 'a;
