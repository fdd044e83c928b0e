//! A file in memory that is open.

use super::{Content, DISK, Metadata, lock, name};
use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use web_time::SystemTime;

/// As [`std::fs::OpenOptions`]. Whatever is opened may be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    create: bool,
    append: bool,
    truncate: bool,
    write: bool,
}

impl OpenOptions {
    /// As [`std::fs::OpenOptions::new`].
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`std::fs::OpenOptions::create`].
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create = create;
        self
    }

    /// As [`std::fs::OpenOptions::append`].
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.append = append;
        self
    }

    /// As [`std::fs::OpenOptions::truncate`].
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.truncate = truncate;
        self
    }

    /// As [`std::fs::OpenOptions::write`].
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.write = write;
        self
    }

    /// As [`std::fs::OpenOptions::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (mut disk, name) = (lock(&DISK), name(path.as_ref()));
        let content = if self.create { disk.file_or_new(&name)? } else { disk.file(&name)? };
        if self.truncate {
            lock(&content).bytes.clear();
            disk.changed.insert(name.clone());
        }
        Ok(File {
            name,
            content,
            position: 0,
            append: self.append,
            writes: self.write || self.append,
            holds_lock: Cell::new(false),
        })
    }
}

/// As [`std::fs::TryLockError`].
#[derive(Debug)]
pub enum TryLockError {
    /// What cannot happen here.
    #[expect(dead_code, reason = "as in std")]
    Error(io::Error),
    /// Another handle holds it.
    WouldBlock,
}

/// As [`std::fs::File`].
pub struct File {
    name: PathBuf,
    content: Arc<Mutex<Content>>,
    position: usize,
    append: bool,
    writes: bool,
    holds_lock: Cell<bool>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.name).finish()
    }
}

impl File {
    /// As [`std::fs::File::open`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().open(path)
    }

    /// As [`std::fs::File::create`].
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().create(true).truncate(true).write(true).open(path)
    }

    /// As [`std::fs::File::sync_all`]: there is nothing behind it.
    pub fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    /// As [`std::fs::File::metadata`].
    pub fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata::of(&lock(&self.content)))
    }

    /// As [`std::fs::File::set_modified`].
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        lock(&self.content).modified = time;
        Ok(())
    }

    /// As [`std::fs::File::try_lock`], within this program.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        let mut content = lock(&self.content);
        if content.locked && !self.holds_lock.get() {
            return Err(TryLockError::WouldBlock);
        }
        content.locked = true;
        self.holds_lock.set(true);
        Ok(())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.holds_lock.get() {
            lock(&self.content).locked = false;
        }
    }
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let content = lock(&self.content);
        let rest = content.bytes.get(self.position..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.writes {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let mut content = lock(&self.content);
        let begin = if self.append { content.bytes.len() } else { self.position };
        let end = begin + bytes.len();
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes[begin..end].copy_from_slice(bytes);
        content.modified = SystemTime::now();
        drop(content);
        self.position = end;
        let mut disk = lock(&DISK);
        // Unless it was renamed or removed under its writer, whose bytes are another file's or nobody's then.
        if disk.file(&self.name).is_ok_and(|content| Arc::ptr_eq(&content, &self.content)) {
            disk.changed.insert(self.name.clone());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        let len = lock(&self.content).bytes.len() as u64;
        let place = match place {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => (self.position as u64).checked_add_signed(by),
            SeekFrom::End(by) => len.checked_add_signed(by),
        };
        let place = place.ok_or(ErrorKind::InvalidInput)?;
        self.position = place as usize;
        Ok(place)
    }
}
