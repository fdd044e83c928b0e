//! Files in memory, with the names that [`std::fs`] has for them: as much of it as a run needs.
//!
//! What has changed since somebody asked is kept, so that another storage can follow ([`changes`]).

mod file;

pub use file::{File, OpenOptions, TryLockError};

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use web_time::SystemTime;

/// All of them.
static DISK: Mutex<Disk> = Mutex::new(Disk { entries: BTreeMap::new(), changed: BTreeSet::new() });

/// By path, as [`name`] makes it. What is above everything, the empty path, is a folder that is not listed.
struct Disk {
    entries: BTreeMap<PathBuf, Entry>,
    changed: BTreeSet<PathBuf>,
}

#[derive(Clone)]
enum Entry {
    Folder,
    File(Arc<Mutex<Content>>),
}

struct Content {
    bytes: Vec<u8>,
    modified: SystemTime,
    /// Whether a [`File`] that is open holds it for itself.
    locked: bool,
}

/// A thread that panicked has left files as a program that was killed would have.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A path without `.`, `..` and a beginning: all are seen from above.
fn name(path: &Path) -> PathBuf {
    let mut name = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => name.push(part),
            Component::ParentDir => drop(name.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    name
}

fn not_found() -> io::Error {
    ErrorKind::NotFound.into()
}

impl Disk {
    fn folder(&self, name: &Path) -> io::Result<()> {
        match self.entries.get(name) {
            _ if name.as_os_str().is_empty() => Ok(()),
            Some(Entry::Folder) => Ok(()),
            Some(Entry::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(not_found()),
        }
    }

    fn file(&self, name: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.entries.get(name) {
            Some(Entry::File(content)) => Ok(content.clone()),
            Some(Entry::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => Err(not_found()),
        }
    }

    /// The file, made where there is none; its folder has to be there.
    fn file_or_new(&mut self, name: &Path) -> io::Result<Arc<Mutex<Content>>> {
        if let Err(error) = self.file(name).map(drop)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        self.folder(name.parent().ok_or_else(not_found)?)?;
        self.changed.insert(name.into());
        let new = || Content { bytes: Vec::new(), modified: SystemTime::now(), locked: false };
        let entry = self.entries.entry(name.into()).or_insert_with(|| Entry::File(Arc::new(Mutex::new(new()))));
        match entry {
            Entry::File(content) => Ok(content.clone()),
            Entry::Folder => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// The names of an entry and all that is in it.
    fn with_all_in_it(&self, name: &Path) -> Vec<PathBuf> {
        let from = self.entries.range(name.to_path_buf()..);
        from.map(|(path, _)| path).take_while(|path| path.starts_with(name)).cloned().collect()
    }
}

/// The files and folders that were made, changed or removed since the last call.
pub fn changes() -> BTreeSet<PathBuf> {
    std::mem::take(&mut lock(&DISK).changed)
}

/// As [`std::fs::read`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = lock(&DISK).file(&name(path.as_ref()))?;
    let content = lock(&file);
    Ok(content.bytes.clone())
}

/// As [`std::fs::read_to_string`].
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// As [`std::fs::write`].
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path)?.write_all(content.as_ref())
}

/// As [`std::fs::create_dir_all`].
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let (mut disk, name) = (lock(&DISK), name(path.as_ref()));
    let mut above: Vec<&Path> = name.ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
    while let Some(folder) = above.pop() {
        match disk.entries.get(folder) {
            Some(Entry::Folder) => {}
            Some(Entry::File(_)) => return Err(ErrorKind::AlreadyExists.into()),
            None => {
                disk.entries.insert(folder.into(), Entry::Folder);
                disk.changed.insert(folder.into());
            }
        }
    }
    Ok(())
}

/// As [`std::fs::rename`].
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (mut disk, from, to) = (lock(&DISK), name(from.as_ref()), name(to.as_ref()));
    let moved = disk.entries.get(&from).cloned().ok_or_else(not_found)?;
    disk.folder(to.parent().ok_or_else(not_found)?)?;
    if from == to {
        return Ok(());
    }
    match (moved, disk.entries.get(&to)) {
        (_, None) | (Entry::File(_), Some(Entry::File(_))) => {}
        (Entry::File(_), Some(Entry::Folder)) => return Err(ErrorKind::IsADirectory.into()),
        (Entry::Folder, Some(Entry::File(_))) => return Err(ErrorKind::NotADirectory.into()),
        (Entry::Folder, Some(Entry::Folder)) => {
            if disk.with_all_in_it(&to).len() > 1 {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
        }
    }
    for path in disk.with_all_in_it(&from) {
        let rest = path.strip_prefix(&from).unwrap_or(Path::new(""));
        let new = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
        if let Some(entry) = disk.entries.remove(&path) {
            disk.entries.insert(new.clone(), entry);
        }
        disk.changed.extend([path, new]);
    }
    Ok(())
}

/// As [`std::fs::canonicalize`]: there are no links.
pub fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    metadata(&path)?;
    Ok(name(path.as_ref()))
}

/// As [`std::fs::remove_file`].
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let (mut disk, name) = (lock(&DISK), name(path.as_ref()));
    disk.file(&name)?;
    disk.entries.remove(&name);
    disk.changed.insert(name);
    Ok(())
}

/// As [`std::fs::remove_dir_all`].
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let (mut disk, name) = (lock(&DISK), name(path.as_ref()));
    disk.folder(&name)?;
    for path in disk.with_all_in_it(&name) {
        disk.entries.remove(&path);
        disk.changed.insert(path);
    }
    Ok(())
}

/// What [`read_dir`] lists.
#[derive(Debug, Clone)]
pub struct DirEntry(PathBuf);

impl DirEntry {
    /// As [`std::fs::DirEntry::path`].
    pub fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// As [`std::fs::DirEntry::file_name`].
    pub fn file_name(&self) -> OsString {
        self.0.file_name().unwrap_or_default().into()
    }
}

/// As [`std::fs::read_dir`].
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    let (disk, folder) = (lock(&DISK), name(path.as_ref()));
    disk.folder(&folder)?;
    let inside = disk.entries.keys().filter(|path| path.parent() == Some(&folder));
    let entries = inside.filter_map(|entry| Some(path.as_ref().join(entry.file_name()?)));
    Ok(entries.map(|path| Ok(DirEntry(path))).collect::<Vec<_>>().into_iter())
}

/// What is known about a file or folder.
#[derive(Debug, Clone, Copy)]
pub struct Metadata {
    len: Option<u64>,
    modified: SystemTime,
}

impl Metadata {
    /// As [`std::fs::Metadata::is_file`].
    pub fn is_file(&self) -> bool {
        self.len.is_some()
    }

    /// As [`std::fs::Metadata::is_dir`].
    pub fn is_dir(&self) -> bool {
        !self.is_file()
    }

    /// As [`std::fs::Metadata::len`]; 0 for a folder.
    pub fn len(&self) -> u64 {
        self.len.unwrap_or(0)
    }

    /// As [`std::fs::Metadata::modified`].
    pub fn modified(&self) -> io::Result<SystemTime> {
        Ok(self.modified)
    }

    fn of(content: &Content) -> Self {
        Self { len: Some(content.bytes.len() as u64), modified: content.modified }
    }
}

/// As [`std::fs::metadata`].
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let (disk, name) = (lock(&DISK), name(path.as_ref()));
    match disk.folder(&name) {
        Ok(()) => Ok(Metadata { len: None, modified: SystemTime::UNIX_EPOCH }),
        Err(_) => Ok(Metadata::of(&lock(&*disk.file(&name)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _, SeekFrom};

    /// The same story told to the system and to us: what came of everything that was done.
    macro_rules! story {
        ($fs:path, $root:expr) => {{
            use $fs as fs;
            let root: &Path = $root;
            let at = |name: &str| root.join(name);
            let mut told: Vec<String> = Vec::new();
            macro_rules! tell {
                ($what:expr) => {{
                    let what: io::Result<_> = $what;
                    told.push(format!("{:?}", what.map_err(|error| error.kind())));
                }};
            }
            let listed = |path: &Path| -> io::Result<Vec<OsString>> {
                let mut names: Vec<OsString> = fs::read_dir(path)?.map(|entry| entry.unwrap().file_name()).collect();
                names.sort();
                Ok(names)
            };
            tell!(fs::read(at("none")));
            tell!(fs::write(at("none/file"), "x"));
            tell!(fs::create_dir_all(at("run/./deep/../deep/er")));
            tell!(fs::create_dir_all(at("run/deep")));
            tell!(listed(&at("run")));
            tell!(fs::write(at("run/a"), "one"));
            tell!(fs::create_dir_all(at("run/a/b")).map_err(|_| ErrorKind::Other.into()));
            tell!(fs::write(at("run/deep"), "x"));
            tell!(fs::read_to_string(at("run/a")));
            tell!(fs::read(at("run/deep")));
            let mut log = fs::OpenOptions::new().create(true).append(true).open(at("run/log")).unwrap();
            tell!(log.write_all(b"first "));
            tell!(fs::OpenOptions::new().append(true).open(at("run/log")).unwrap().write_all(b"other "));
            tell!(log.write_all(b"last"));
            tell!(fs::read_to_string(at("run/log")));
            tell!(log.metadata().map(|about| (about.len(), about.is_file(), about.is_dir())));
            tell!(fs::metadata(at("run")).map(|about| (about.is_file(), about.is_dir())));
            tell!(fs::metadata(at("gone")).map(|about| about.len()));
            tell!(fs::File::open(at("run/log")).unwrap().write(b"x").map_err(|_| ErrorKind::Other.into()));
            let mut file = fs::File::create(at("run/b.partial")).unwrap();
            tell!(file.write_all(b"0123456789"));
            tell!(file.seek(SeekFrom::Start(3)));
            tell!(file.write_all(b"abc"));
            tell!(file.seek(SeekFrom::End(2)));
            tell!(file.write_all(b"!"));
            tell!(file.seek(SeekFrom::Current(-99)));
            tell!(file.sync_all());
            tell!(fs::rename(at("run/b.partial"), at("run/b")));
            tell!(fs::rename(at("run/b"), at("run/a")));
            tell!(fs::read(at("run/a")));
            let mut rest = String::new();
            let mut reader = fs::File::open(at("run/a")).unwrap();
            tell!(reader.seek(SeekFrom::Start(8)));
            tell!(reader.read_to_string(&mut rest));
            told.push(rest);
            tell!(fs::write(at("run/deep/er/file"), "deep"));
            tell!(fs::rename(at("run/deep"), at("run/moved")));
            tell!(fs::read_to_string(at("run/moved/er/file")));
            tell!(fs::create_dir_all(at("run/full/er")));
            tell!(fs::rename(at("run/moved"), at("run/full")));
            tell!(fs::rename(at("run/gone"), at("run/full")));
            tell!(fs::rename(at("run/a"), at("run/full")));
            tell!(fs::rename(at("run/full"), at("run/a")));
            tell!(fs::remove_file(at("run/full")).map_err(|_| ErrorKind::Other.into()));
            tell!(fs::remove_dir_all(at("run/full")));
            tell!(fs::remove_dir_all(at("run/full")));
            tell!(fs::remove_file(at("run/log")));
            tell!(log.write_all(b"to nobody"));
            tell!(listed(&at("run")));
            tell!(listed(&at("run/a")));
            let lock = |fs: &fs::File| matches!(fs.try_lock(), Err(fs::TryLockError::WouldBlock));
            let held = fs::OpenOptions::new().create(true).truncate(false).write(true).open(at("lock")).unwrap();
            let other = fs::OpenOptions::new().write(true).open(at("lock")).unwrap();
            told.push(format!("{:?}", (lock(&held), lock(&other))));
            drop(held);
            told.push(format!("{:?}", lock(&other)));
            told
        }};
    }

    #[test]
    fn it_does_what_the_system_does() {
        let folder = tempfile::tempdir().unwrap();
        create_dir_all("it does what the system does").unwrap();
        let system = story!(std::fs, folder.path());
        let ours = story!(super::super::memory, Path::new("it does what the system does"));
        assert_eq!(ours, system);
    }

    #[test]
    fn what_has_changed_is_told() {
        let of = |changes: BTreeSet<PathBuf>| -> Vec<String> {
            let ours =
                changes.into_iter().filter_map(|path| Some(path.strip_prefix("told").ok()?.display().to_string()));
            ours.collect()
        };
        create_dir_all("told/run").unwrap();
        write("told/run/a.partial", "x").unwrap();
        assert_eq!(of(changes()), ["", "run", "run/a.partial"]);
        rename("told/run/a.partial", "told/run/a").unwrap();
        assert_eq!(of(changes()), ["run/a", "run/a.partial"]);
        let mut file = OpenOptions::new().append(true).open("told/run/a").unwrap();
        assert_eq!(of(changes()), [""; 0]);
        file.write_all(b"y").unwrap();
        assert_eq!(of(changes()), ["run/a"]);
        remove_dir_all("told").unwrap();
        file.write_all(b"z").unwrap();
        assert_eq!(of(changes()), ["", "run", "run/a"]);
    }
}
