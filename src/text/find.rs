//! Which files there are.

use super::unpack::Packing;
use super::{ReadError, Source};
use crate::fs;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// The endings of files that are read in a folder.
pub(super) const ENDINGS: &str = ".txt, .jsonl, .ndjson, .json, .csv, .tsv or .parquet (all but the last also with .gz, \
                                  .bz2, .zst or .xz behind)";

/// Files of a folder that are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// How many by kind: an ending such as `.docx`, or words.
    pub kinds: BTreeMap<String, u64>,
    /// Files that were named or found twice, and are read once.
    pub twice: u64,
}

impl PassedOver {
    pub(super) fn add(&mut self, kind: String) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// In a line, such as `4 files passed over: 3 .docx, 1 .html`; `None` where there is nothing to say.
    pub fn describe(&self) -> Option<String> {
        let total: u64 = self.kinds.values().sum();
        let mut kinds: Vec<(&String, &u64)> = self.kinds.iter().collect();
        kinds.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut named: Vec<String> = kinds.iter().take(8).map(|(kind, count)| format!("{count} {kind}")).collect();
        let rest: u64 = kinds.iter().skip(8).map(|(_, count)| **count).sum();
        if rest > 0 {
            named.push(format!("{rest} others"));
        }
        let files = |n: u64| if n == 1 { "file" } else { "files" };
        let over = (total > 0).then(|| format!("{total} {} passed over: {}", files(total), named.join(", ")));
        let twice = (self.twice > 0).then(|| format!("{} {} named twice and read once", self.twice, files(self.twice)));
        match (over, twice) {
            (Some(over), Some(twice)) => Some(format!("{over}; {twice}")),
            (over, twice) => over.or(twice),
        }
    }
}

/// The files of some inputs.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What is read, in order.
    pub sources: Vec<Source>,
    /// What is not.
    pub passed_over: PassedOver,
    /// Folders and files that were seen, by where they really are.
    seen: HashSet<PathBuf>,
}

/// Finds the files of the inputs: a file that is named is read whatever its ending says, and of a folder all that end as text
/// does, at any depth, in the order of their paths. Links are followed, and every file and folder is taken once.
///
/// # Errors
/// [`ReadError::Missing`], [`ReadError::NoFiles`] for a folder without text, [`ReadError::Read`].
pub fn find(inputs: &[PathBuf]) -> Result<Found, ReadError> {
    let mut found = Found::default();
    for input in inputs {
        if input.as_os_str() == "-" {
            if found.sources.iter().all(|source| source.path.is_some()) {
                found.sources.push(Source::standard_input());
            }
            continue;
        }
        let about = fs::metadata(input).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ReadError::Missing { path: input.clone() },
            _ => ReadError::Read { path: input.clone(), source },
        })?;
        if !about.is_dir() {
            if found.is_new(input)? {
                found.sources.push(Source::file(input, about.len(), false));
            } else {
                found.passed_over.twice += 1;
            }
        } else if found.is_new(input)? {
            let before = (found.sources.len(), found.passed_over.twice);
            found.collect(input)?;
            if (found.sources.len(), found.passed_over.twice) == before {
                return Err(ReadError::NoFiles { path: input.clone(), passed_over: found.passed_over });
            }
        } else {
            found.passed_over.twice += 1;
        }
    }
    Ok(found)
}

impl Found {
    /// Whether it is seen for the first time.
    fn is_new(&mut self, path: &Path) -> Result<bool, ReadError> {
        let real = fs::canonicalize(path).map_err(|source| ReadError::Read { path: path.into(), source })?;
        Ok(self.seen.insert(real))
    }

    fn collect(&mut self, folder: &Path) -> Result<(), ReadError> {
        let read_error = |source| ReadError::Read { path: folder.into(), source };
        let entries: io::Result<Vec<fs::DirEntry>> = fs::read_dir(folder).map_err(read_error)?.collect();
        let mut paths: Vec<PathBuf> = entries.map_err(read_error)?.iter().map(fs::DirEntry::path).collect();
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            // A link may lead nowhere.
            let Ok(about) = fs::metadata(&path) else {
                self.passed_over.add("dead link(s)".into());
                continue;
            };
            if name.starts_with('.') {
                if about.is_file() {
                    self.passed_over.add("hidden".into());
                }
            } else if about.is_dir() {
                // A link may lead to a folder above, or to one that is read already.
                if self.is_new(&path)? {
                    self.collect(&path)?;
                }
            } else if !about.is_file() || !is_text(&name) {
                self.passed_over.add(kind(&name));
            } else if self.is_new(&path)? {
                self.sources.push(Source::file(&path, about.len(), true));
            } else {
                self.passed_over.twice += 1;
            }
        }
        Ok(())
    }
}

/// Whether a file of this name (in lower case) is text, as far as a name can say.
fn is_text(name: &str) -> bool {
    let (stem, packing) = Packing::of(name);
    match stem.rsplit_once('.') {
        Some((_, "parquet")) => packing.is_none(),
        Some((_, ending)) => matches!(ending, "txt" | "jsonl" | "ndjson" | "json" | "csv" | "tsv"),
        // What WikiExtractor writes.
        None => stem.strip_prefix("wiki_").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
    }
}

/// What a file that is not read is called.
fn kind(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((_, ending)) if !ending.is_empty() && ending.chars().count() <= 12 => format!(".{ending}"),
        _ => "without an ending".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &Found) -> Vec<String> {
        let name = |source: &Source| Path::new(&source.name).file_name().unwrap().to_string_lossy().into_owned();
        found.sources.iter().map(name).collect()
    }

    #[test]
    fn folders_are_read_once_and_what_is_not_text_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("deep/er")).unwrap();
        for name in [
            "b.txt",
            "a.JSONL.gz",
            "deep/c.csv",
            "deep/er/wiki_07",
            "deep/er/d.ndjson.bz2",
            "x.docx",
            "y.docx",
            "z.html",
            "README",
            ".secret.txt",
            "deep/e.parquet",
            "deep/f.parquet.gz",
            "wiki_x",
        ] {
            fs::write(path(name), "x").unwrap();
        }
        let found = find(&[folder.path().into()]).unwrap();
        assert_eq!(names(&found), ["a.JSONL.gz", "b.txt", "c.csv", "e.parquet", "d.ndjson.bz2", "wiki_07"]);
        let said = found.passed_over.describe().unwrap();
        assert_eq!(said, "7 files passed over: 2 .docx, 2 without an ending, 1 .gz, 1 .html, 1 hidden");
        let found = find(&[path("b.txt"), folder.path().into(), path("deep/c.csv"), path("z.html")]).unwrap();
        assert_eq!(names(&found)[..2], ["b.txt", "a.JSONL.gz"]);
        assert_eq!((found.sources.len(), found.passed_over.twice), (7, 2));
        let found = find(&[path("deep"), path("deep").join("..").join("deep")]).unwrap();
        assert_eq!((found.sources.len(), found.passed_over.twice), (4, 1));
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_once() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (here, other) = (folder.path().join("here"), folder.path().join("other"));
        fs::create_dir_all(&here).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(here.join("a.txt"), "x").unwrap();
        fs::write(other.join("b.txt"), "x").unwrap();
        symlink(&other, here.join("link")).unwrap();
        symlink(&other, here.join("again")).unwrap();
        symlink(&here, other.join("up")).unwrap();
        symlink(here.join("a.txt"), here.join("same.txt")).unwrap();
        symlink(here.join("gone.txt"), here.join("broken.txt")).unwrap();
        let found = find(&[here]).unwrap();
        assert_eq!(names(&found), ["a.txt", "b.txt"]);
        let said = found.passed_over.describe().unwrap();
        assert_eq!(said, "1 file passed over: 1 dead link(s); 1 file named twice and read once");
    }

    #[test]
    fn a_folder_without_text_says_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let said = || find(&[folder.path().into()]).unwrap_err().to_string();
        assert!(said().contains("holds no file") && !said().contains("passed over"), "{}", said());
        fs::write(folder.path().join("a.pdf"), "x").unwrap();
        assert!(said().ends_with("it holds 1 file passed over: 1 .pdf"), "{}", said());
        assert!(find(&[folder.path().join("none")]).unwrap_err().to_string().contains("does not exist"));
    }
}
