//! A run as one file, for places without folders: a zip with the run's folder in it.

use super::RunError;
use super::lock::LOCK;
use super::settings::CONFIG;
use crate::files::free;
use crate::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Bytes of what is unpacked, at most: a zip can say that it is a great deal.
const MOST: u64 = 2 << 30;

/// The run in `folder` as a zip, which holds that folder.
///
/// # Errors
/// [`RunError::File`] for a file that cannot be read.
pub fn zip(folder: &Path) -> Result<Vec<u8>, RunError> {
    let mut files = Vec::new();
    inside(folder, &mut files)?;
    let top = Path::new(folder.file_name().unwrap_or("run".as_ref()));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    // Weights are most of it, and hardly become smaller.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for path in files {
        let failed = |source: std::io::Error| RunError::file(&path, source);
        let content = fs::read(&path).map_err(failed)?;
        let name = top.join(path.strip_prefix(folder).unwrap_or(&path));
        let name = name.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        writer.start_file(name, options).map_err(|error| failed(error.into()))?;
        writer.write_all(&content).map_err(failed)?;
    }
    let whole = writer.finish().map_err(|error| RunError::file(folder, error.into()))?;
    Ok(whole.into_inner())
}

/// The files of a run, at any depth: those that are whole, and not its lock.
fn inside(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), RunError> {
    let entries = fs::read_dir(folder).map_err(|e| RunError::file(folder, e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let ends = path.extension().is_some_and(|ending| ending == "partial" || ending == "old");
        match fs::is_dir(&path) {
            _ if ends => {}
            true => inside(&path, files)?,
            false if path.file_name().is_some_and(|name| name == LOCK) => {}
            false => files.push(path),
        }
    }
    Ok(())
}

/// Unpacks the run in a zip into a free folder of `runs`, and returns that.
///
/// # Errors
/// [`RunError::Zip`] for what is no zip or holds no run, [`RunError::File`] for a file that cannot be written.
pub fn unzip(content: &[u8], runs: &Path) -> Result<PathBuf, RunError> {
    let bad = |reason: String| RunError::Zip { reason };
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(|e| bad(e.to_string()))?;
    let (mut files, mut left) = (Vec::new(), MOST);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|e| bad(e.to_string()))?;
        // A name that leads out of the folder is none.
        let name = file.enclosed_name().ok_or_else(|| bad(format!("{:?} is no name of a file in it", file.name())))?;
        if file.is_file() {
            let mut bytes = Vec::new();
            let read = (&mut file)
                .take(left + 1)
                .read_to_end(&mut bytes)
                .map_err(|e| bad(format!("{}: {e}", name.display())))?;
            left = left.checked_sub(read as u64).ok_or_else(|| bad(format!("it is larger than {MOST} bytes")))?;
            files.push((name, bytes));
        }
    }
    let of_run = files.iter().filter(|(name, _)| name.file_name().is_some_and(|name| name == CONFIG));
    let top = of_run.map(|(name, _)| name.parent().unwrap_or(Path::new(""))).min_by_key(|top| top.iter().count());
    let top = top.ok_or_else(|| bad(format!("it has no {CONFIG}")))?.to_path_buf();
    let folder = free(runs, &top.file_name().unwrap_or("run".as_ref()).to_string_lossy());
    // As of a new run, config.toml comes last.
    files.sort_by_key(|(name, _)| *name == top.join(CONFIG));
    for (name, bytes) in &files {
        let Ok(rest) = name.strip_prefix(&top) else { continue };
        let path = folder.join(rest);
        let above = path.parent().map_or(Ok(()), fs::create_dir_all);
        above.and_then(|()| fs::write(&path, bytes)).map_err(|e| RunError::file(&path, e))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_back_whole_and_what_is_none_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("tiny");
        let put = |name: &str, content: &str| {
            let path = run.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put("config.toml", "preset = 1");
        put("checkpoints/step-000003/encoder/model.safetensors", "weights");
        put("checkpoints/step-000006.partial/state.json", "half");
        put("lock", "");
        let packed = zip(&run).unwrap();
        let runs = place.path().join("runs");
        assert_eq!(unzip(&packed, &runs).unwrap(), runs.join("tiny"));
        let again = unzip(&packed, &runs).unwrap();
        assert_eq!(again, runs.join("tiny-2"));
        let mut found = Vec::new();
        inside(&again, &mut found).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(&again).unwrap()).collect();
        let expected = ["checkpoints/step-000003/encoder/model.safetensors", "config.toml"];
        assert_eq!(names, expected.map(Path::new));
        assert_eq!(fs::read(&found[0]).unwrap(), b"weights");

        let error = |content: &[u8]| unzip(content, &runs).unwrap_err().to_string();
        assert!(error(b"no zip").contains("holds no run"), "{}", error(b"no zip"));
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("notes.txt", SimpleFileOptions::default()).unwrap();
        let other = writer.finish().unwrap().into_inner();
        assert!(error(&other).contains("it has no config.toml"), "{}", error(&other));
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("../config.toml", SimpleFileOptions::default()).unwrap();
        let outside = writer.finish().unwrap().into_inner();
        assert!(error(&outside).contains("../config.toml"), "{}", error(&outside));
        assert!(!place.path().join("config.toml").exists());
    }
}
