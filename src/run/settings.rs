//! `config.toml`: a run's settings, with a checksum so that a damaged number is never trained with.

use super::RunError;
use crate::config::Config;
use crate::files::sha256;
use crate::fs;
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
        Err(e) => return Err(RunError::of_folder(folder, || RunError::Damaged { path, reason: e.to_string() })),
    };
    let damaged = |reason: &str| RunError::Damaged { path: path.clone(), reason: reason.into() };
    let Some((sum, rest)) = text.strip_prefix(HEAD).and_then(|text| text.split_once("\n\n")) else {
        return Err(damaged("it was not written by leyden, or its first line was changed"));
    };
    if sum != sha256(rest.as_bytes()) {
        return Err(damaged("it was changed: its content does not match its checksum"));
    }
    Config::from_toml(rest, &path.display().to_string()).map(Some).map_err(|e| damaged(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let config = crate::config::preset("tiny").unwrap();
        write(folder.path(), &config).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(config.clone()));
        let good = sealed(&config).into_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.path().join(CONFIG), &bad).unwrap();
            assert!(read(folder.path()).is_err(), "bit {bit}");
        }
    }
}
