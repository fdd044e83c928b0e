//! Files: the system's, or in a browser, which has none, those of [`memory`], which the browser's own storage is kept equal to.

#[cfg(any(test, target_family = "wasm"))]
#[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "tried here, used in a browser"))]
pub(crate) mod memory;

#[cfg(target_family = "wasm")]
pub(crate) use memory::*;
#[cfg(not(target_family = "wasm"))]
pub(crate) use std::fs::*;

use std::path::Path;

/// Whether there is a file or folder of that name.
pub(crate) fn is_there(path: &Path) -> bool {
    metadata(path).is_ok()
}

/// Whether there is surely none: one that cannot be looked at may be there.
pub(crate) fn is_missing(path: &Path) -> bool {
    metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Whether it is a file.
pub(crate) fn is_file(path: &Path) -> bool {
    metadata(path).is_ok_and(|about| about.is_file())
}

/// Whether it is a folder.
pub(crate) fn is_dir(path: &Path) -> bool {
    metadata(path).is_ok_and(|about| about.is_dir())
}
