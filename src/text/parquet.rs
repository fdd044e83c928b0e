//! Columns of a parquet file, page by page.
//!
//! The library decodes pages, but for zstd it wants a library in C, and so a C compiler. Such pages are taken as they lie in the
//! file and decoded here, as `.zst` files are.

use super::json::listed;
use super::unpack::Zstd;
use super::{ReadError, Sink};
use parquet::basic::{Compression, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{get_column_reader, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows that are decoded at a time.
const ROWS: usize = 256;
/// The largest page, decoded.
const MAXIMUM_PAGE: u64 = 1 << 30;

/// Gives every row of the column to `sink`; `counter` counts what is read of the file.
pub(super) fn read(path: &Path, field: &str, counter: &AtomicU64, sink: &mut Sink<'_>) -> Result<(), ReadError> {
    let file = ParquetFile::open(path)?;
    let index = file.index(field)?;
    if !file.is_text(index) {
        return Err(ReadError::Column { name: file.name, field: field.into() });
    }
    file.each::<ByteArrayType>(index, counter, |row, value| match value {
        Some(value) => sink(file.text(row, value)?),
        None => Ok(()),
    })
}

/// What the library reads of: a file, or in a browser, where those are in memory, what is in it.
#[cfg(not(target_family = "wasm"))]
type Source = std::fs::File;
#[cfg(target_family = "wasm")]
type Source = bytes::Bytes;

/// The file once for the library, once for its pages, and its bytes.
#[cfg(not(target_family = "wasm"))]
fn source(path: &Path) -> std::io::Result<(Source, Source, u64)> {
    let file = std::fs::File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file.try_clone()?, file, bytes))
}

#[cfg(target_family = "wasm")]
fn source(path: &Path) -> std::io::Result<(Source, Source, u64)> {
    let content = Source::from(crate::fs::read(path)?);
    let bytes = content.len() as u64;
    Ok((content.clone(), content, bytes))
}

/// A parquet file that is read by columns.
pub(crate) struct ParquetFile {
    name: String,
    reader: SerializedFileReader<Source>,
    pages: Arc<Source>,
    bytes: u64,
}

impl ParquetFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let read_error = |source| ReadError::Read { path: path.into(), source };
        let (file, pages, bytes) = source(path).map_err(read_error)?;
        let pages = Arc::new(pages);
        let reader = guarded(|| SerializedFileReader::new(file)).map_err(|e| broken(&name, 0, &e))?;
        Ok(Self { name, reader, pages, bytes })
    }

    /// The names of its columns.
    pub(crate) fn columns(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema.columns().iter().map(|column| column.path().string()).collect()
    }

    /// Every row of a column of text, numbers or truth values as text; `None` where there is none.
    pub(crate) fn cells(&self, field: &str) -> Result<Vec<Option<String>>, ReadError> {
        let index = self.index(field)?;
        let about = self.about(index);
        let mut cells = Vec::new();
        let counter = AtomicU64::new(0);
        macro_rules! plain {
            ($type:ty) => {
                self.each::<$type>(index, &counter, |_, value| {
                    cells.push(value.map(ToString::to_string));
                    Ok(())
                })?
            };
        }
        match about.physical_type() {
            _ if about.max_rep_level() > 0 => {
                return Err(ReadError::Column { name: self.name.clone(), field: field.into() });
            }
            Type::BYTE_ARRAY => self.each::<ByteArrayType>(index, &counter, |row, value| {
                cells.push(value.map(|value| self.text(row, value).map(str::to_owned)).transpose()?);
                Ok(())
            })?,
            Type::BOOLEAN => plain!(BoolType),
            Type::INT32 => plain!(Int32Type),
            Type::INT64 => plain!(Int64Type),
            Type::FLOAT => plain!(FloatType),
            Type::DOUBLE => plain!(DoubleType),
            _ => return Err(ReadError::Column { name: self.name.clone(), field: field.into() }),
        }
        Ok(cells)
    }

    fn index(&self, field: &str) -> Result<usize, ReadError> {
        let names = self.columns();
        let index = names.iter().position(|name| name == field);
        index.ok_or_else(|| ReadError::Field { name: self.name.clone(), field: field.into(), there: listed(&names) })
    }

    fn about(&self, index: usize) -> ColumnDescPtr {
        self.reader.metadata().file_metadata().schema_descr().column(index)
    }

    fn is_text(&self, index: usize) -> bool {
        let about = self.about(index);
        about.physical_type() == Type::BYTE_ARRAY && about.max_rep_level() == 0
    }

    fn text<'v>(&self, row: u64, value: &'v ByteArray) -> Result<&'v str, ReadError> {
        std::str::from_utf8(value.data()).map_err(|e| ReadError::NotUtf8 {
            name: self.name.clone(),
            line: row,
            offset: e.valid_up_to() as u64,
        })
    }

    /// Gives every row of a column that is of this type, with its number from 1.
    fn each<T: DataType>(
        &self,
        index: usize,
        counter: &AtomicU64,
        mut sink: impl FnMut(u64, Option<&T::T>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let about = self.about(index);
        let metadata = self.reader.metadata();
        let broken = |row: u64, e: ParquetError| broken(&self.name, row, &e);
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0).max(1);
        let (mut row, mut counted) = (0, 0);
        for group in metadata.row_groups() {
            let pages = guarded(|| Pages::new(self.pages.clone(), group.column(index), group.num_rows()));
            let pages = pages.map_err(|e| broken(row, e))?;
            let mut column = get_typed_column_reader::<T>(get_column_reader(about.clone(), Box::new(pages)));
            loop {
                let (mut levels, mut values) = (Vec::new(), Vec::<T::T>::new());
                let records = guarded(|| column.read_records(ROWS, Some(&mut levels), None, &mut values));
                let (read, ..) = records.map_err(|e| broken(row, e))?;
                if read == 0 {
                    break;
                }
                // Of a column that must not be empty there are no levels, of another the highest is a value.
                let present = |at: usize| levels.get(at).is_none_or(|&level| level == about.max_def_level());
                let mut values = values.iter();
                for at in 0..read {
                    row += 1;
                    sink(row, present(at).then(|| values.next()).flatten())?;
                }
                let so_far = (u128::from(self.bytes) * u128::from(row.min(rows)) / u128::from(rows)) as u64;
                counter.fetch_add(so_far - counted, Ordering::Relaxed);
                counted = so_far;
            }
        }
        counter.fetch_add(self.bytes - counted, Ordering::Relaxed);
        Ok(())
    }
}

fn broken(name: &str, row: u64, e: &ParquetError) -> ReadError {
    ReadError::Broken {
        name: name.into(),
        format: "parquet",
        place: if row == 0 { "at the start".into() } else { format!("behind row {row}") },
        reason: one_line(e),
    }
}

/// The library takes some numbers of a file at their word, and panics where they are impossible. In a browser nothing catches that: the
/// Worker ends, and the page says so.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let panicked = |_| Err(ParquetError::General("the decoder met what cannot be".into()));
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(panicked)
}

fn one_line(error: &ParquetError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The pages of a column.
struct Pages {
    inner: SerializedPageReader<Source>,
    /// Whether they are still compressed when `inner` gives them.
    zstd: bool,
}

impl Pages {
    fn new(file: Arc<Source>, column: &ColumnChunkMetaData, rows: i64) -> Result<Self, ParquetError> {
        let offsets =
            [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(column.compressed_size())];
        if offsets.into_iter().flatten().any(|offset| offset < 0) {
            return Err(ParquetError::General("a column before the start of the file".into()));
        }
        let zstd = matches!(column.compression(), Compression::ZSTD(_));
        let mut column = column.clone();
        if zstd {
            column = column.into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        }
        let rows = usize::try_from(rows).unwrap_or(0);
        Ok(Self { inner: SerializedPageReader::new(file, &column, rows, None)?, zstd })
    }
}

/// A page compressed by zstd as if it had never been. The levels of a page of version 2 never are.
fn decoded(page: Page) -> Result<Page, ParquetError> {
    let levels = match &page {
        Page::DataPageV2 { is_compressed: false, .. } => return Ok(page),
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
            (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize)
        }
        _ => 0,
    };
    let Some((levels, values)) = page.buffer().split_at_checked(levels) else {
        return Err(ParquetError::General("a page shorter than its levels".into()));
    };
    let mut whole = levels.to_vec();
    // A page of nothing but missing values has nothing to decode.
    let zstd = Zstd::new(std::io::Cursor::new(values));
    let read = zstd.take(MAXIMUM_PAGE + 1).read_to_end(&mut whole);
    if read.map_err(|e| ParquetError::General(e.to_string()))? as u64 > MAXIMUM_PAGE {
        return Err(ParquetError::General("a page of more than a GiB".into()));
    }
    Ok(with_buffer(page, whole))
}

fn with_buffer(page: Page, decoded: Vec<u8>) -> Page {
    let mut page = page;
    match &mut page {
        Page::DataPage { buf, .. } | Page::DataPageV2 { buf, .. } | Page::DictionaryPage { buf, .. } => {
            *buf = decoded.into();
        }
    }
    page
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.inner.get_next_page()?;
        if self.zstd { page.map(decoded).transpose() } else { Ok(page) }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.inner.skip_next_page()
    }
}
