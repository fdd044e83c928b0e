//! Files that are never seen half-written, and hashes that notice damage.

use crate::fs;
use sha2::{Digest as _, Sha256};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use web_time::SystemTime;

/// Writes a file so that a reader sees the old content or the new, never a part.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = Beside::create(path)?;
    file.write_all(content)?;
    file.finish()
}

/// A file that is written beside the one whose name it gets at the end.
pub(crate) struct Beside {
    file: BufWriter<fs::File>,
    beside: PathBuf,
    path: PathBuf,
}

impl Beside {
    /// Begins the file that will be at `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".partial");
        let beside = PathBuf::from(beside);
        Ok(Self { file: BufWriter::new(fs::File::create(&beside)?), beside, path: path.into() })
    }

    /// Makes it last, and gives it its name.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.beside, &self.path)
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Beside {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.file.seek(place)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // There is none any more where it was finished; and a leftover is only untidy.
        let _ = fs::remove_file(&self.beside);
    }
}

/// Makes the names in a folder last through a power cut, where the system has a way to.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub(crate) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The paths that a file or folder of that name may have where others have it: `parent/name`, `parent/name-2`, ...
pub(crate) fn numbered(parent: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    (1u64..).map(move |number| parent.join(if number == 1 { name.into() } else { format!("{name}-{number}") }))
}

/// The first of those that is not there.
pub(crate) fn free(parent: &Path, name: &str) -> PathBuf {
    numbered(parent, name).find(|path| !fs::is_there(path)).unwrap_or_else(|| parent.join(name))
}

/// When a file was written last, where its system says.
pub(crate) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// That in seconds since 1970; 0 where it is not known.
pub(crate) fn modified_seconds(path: &Path) -> f64 {
    modified(path).and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0.0, |t| t.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_are_those_of_the_standard() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256(b"abc"), expected);
    }
}
