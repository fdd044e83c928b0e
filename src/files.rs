//! Files that are never seen half-written.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file so that a reader sees the old content or the new, never a part.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = Path::new(&beside);
    let attempt = || -> io::Result<()> {
        let mut file = fs::File::create(beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(beside, path)
    };
    attempt().inspect_err(|_| {
        // The failure to report is the first one; a leftover is only untidy.
        let _ = fs::remove_file(beside);
    })
}
