//! Files that are never seen half-written, and hashes that notice damage.

use sha2::{Digest as _, Sha256};
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

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_are_those_of_the_standard() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256(b"abc"), expected);
    }
}
