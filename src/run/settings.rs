//! `config.toml`: a run's settings, with a checksum so that a damaged number is never trained with.

use super::RunError;
use crate::electra::Config;
use crate::files::sha256;
use std::fs;
use std::path::Path;

pub(super) const CONFIG: &str = "config.toml";
const HEAD: &str = "# The settings of a leyden run; flags of `leyden train` change what may be changed. Checksum ";

/// The file's content.
fn sealed(config: &Config) -> String {
    let text = config.to_toml();
    format!("{HEAD}{}\n\n{text}", sha256(text.as_bytes()))
}

/// Writes the settings into `folder`.
pub(super) fn write(folder: &Path, config: &Config) -> Result<(), RunError> {
    super::write(&folder.join(CONFIG), sealed(config).as_bytes())
}

/// The settings in `folder`; `None` if there are none.
pub(super) fn read(folder: &Path) -> Result<Option<Config>, RunError> {
    let path = folder.join(CONFIG);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(RunError::Damaged { path, reason: e.to_string() }),
    };
    let damaged = |reason: &str| RunError::Damaged { path: path.clone(), reason: reason.into() };
    // Without the line, as other programs write it, there is nothing to compare with.
    let rest = match text.strip_prefix(HEAD).and_then(|text| text.split_once("\n\n")) {
        Some((sum, rest)) if sum == sha256(rest.as_bytes()) => rest,
        Some(_) => return Err(damaged("it was changed: its content does not match its checksum")),
        None => &text,
    };
    Config::from_toml(rest, &path.display().to_string()).map(Some).map_err(|e| damaged(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_is_trained_with() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let config = crate::electra::preset("tiny").unwrap();
        write(folder.path(), &config).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(config.clone()));
        let good = sealed(&config).into_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.path().join(CONFIG), &bad).unwrap();
            // The line's own words may suffer, the settings not.
            let found = read(folder.path());
            assert!(found.is_err() || found.is_ok_and(|found| found == Some(config.clone())), "bit {bit}");
        }
    }
}
