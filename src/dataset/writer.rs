//! A dataset's files: written into a folder beside, which gets its name when all is there.

use super::DatasetError;
use super::manifest::{Counts, FileEntry, PartEntry, ShardEntry};
use crate::corpus::{Examples, IdSlice, LENGTH, TENSORS};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A shard is full with so many tokens: 32 MiB at 2 bytes each.
const SHARD_TOKENS: usize = 16 << 20;
/// The file that says that a folder was left over by leyden, and that is locked while the folder is written.
const MARK: &str = "unfinished-dataset";

/// A dataset under construction. Dropped before [`Folder::finish`], it takes its files away.
#[derive(Debug)]
pub(super) struct Folder {
    target: PathBuf,
    partial: PathBuf,
    lock: Option<File>,
}

impl Folder {
    /// Starts a dataset that is to become `target`, which must not be there or be empty. What an interrupted one left behind is
    /// removed.
    pub(super) fn create(target: &Path) -> Result<Self, DatasetError> {
        let occupied = |folder: &Path| DatasetError::Occupied { folder: folder.into() };
        if !is_free(target)? {
            return Err(occupied(target));
        }
        let target = std::path::absolute(target).map_err(|e| DatasetError::write(target, e))?;
        let mut partial = target.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mark = partial.join(MARK);
        let error = |e| DatasetError::write(&mark, e);
        if !is_free(&partial)? && !mark.is_file() {
            return Err(occupied(&partial));
        }
        fs::create_dir_all(&partial).map_err(|e| DatasetError::write(&partial, e))?;
        let lock = File::create(&mark).map_err(error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DatasetError::Busy { folder: target }),
            // A file system without locks.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(error(e)),
        }
        for entry in fs::read_dir(&partial).map_err(|e| DatasetError::write(&partial, e))? {
            let path = entry.map_err(|e| DatasetError::write(&partial, e))?.path();
            if path != mark {
                fs::remove_file(&path).map_err(|e| DatasetError::write(&path, e))?;
            }
        }
        Ok(Self { target, partial, lock: Some(lock) })
    }

    /// Where files are written.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes a file and gives its entry.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<FileEntry, DatasetError> {
        let path = self.partial.join(name);
        let attempt = || -> io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        attempt().map_err(|e| DatasetError::write(&path, e))?;
        Ok(FileEntry::of(name, content))
    }

    /// All is there: the folder gets its name.
    pub(super) fn finish(mut self) -> Result<(), DatasetError> {
        self.lock = None;
        let target = self.target.clone();
        let attempt = || -> io::Result<()> {
            fs::remove_file(self.partial.join(MARK))?;
            // Only an empty one can be removed; some systems do not rename over it.
            match fs::remove_dir(&target) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            fs::rename(&self.partial, &target)
        };
        attempt().map_err(|e| DatasetError::write(&target, e))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.lock = None;
        // After a failure this is all that can be done; after success nothing is there.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// Whether a folder is not there, or is empty.
fn is_free(folder: &Path) -> Result<bool, DatasetError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(e) => Err(DatasetError::write(folder, e)),
    }
}

/// The shards of a part, one after the other.
#[derive(Debug)]
pub(super) struct Shards {
    /// How the files are called.
    name: &'static str,
    /// A shard is full with so many tokens.
    full: usize,
    open: Examples,
    counts: Counts,
    part: PartEntry,
}

impl Shards {
    pub(super) fn new(name: &'static str, length: usize) -> Self {
        Self {
            name,
            full: SHARD_TOKENS,
            open: Examples::new(length),
            counts: Counts::default(),
            part: PartEntry::default(),
        }
    }

    /// Adds the examples of whole documents.
    pub(super) fn add(&mut self, folder: &Folder, examples: &Examples, counts: Counts) -> Result<(), DatasetError> {
        self.open.append(examples);
        self.counts += counts;
        if self.open.tokens() >= self.full { self.close(folder) } else { Ok(()) }
    }

    /// Writes what is left, and gives all that was written.
    pub(super) fn finish(mut self, folder: &Folder) -> Result<PartEntry, DatasetError> {
        if self.counts != Counts::default() {
            self.close(folder)?;
        }
        Ok(self.part)
    }

    fn close(&mut self, folder: &Folder) -> Result<(), DatasetError> {
        let name = format!("{}-{:05}.safetensors", self.name, self.part.shards.len());
        let content = serialize(&self.open)
            .map_err(|e| DatasetError::write(&folder.path().join(&name), io::Error::other(e.to_string())))?;
        let entry = folder.write(&name, &content)?;
        self.part.shards.push(ShardEntry { entry, counts: self.counts });
        self.part.counts += self.counts;
        self.open = Examples::new(self.open.length());
        self.counts = Counts::default();
        Ok(())
    }
}

/// Examples in memory as the content of a file.
fn serialize(examples: &Examples) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let [view] = examples.views()[..] else { return Ok(Vec::new()) };
    let (dtype, ids): (Dtype, &[u8]) = match view.ids {
        IdSlice::Narrow(ids) => (Dtype::U16, bytemuck::cast_slice(ids)),
        IdSlice::Wide(ids) => (Dtype::U32, bytemuck::cast_slice(ids)),
    };
    let [tokens, ends, boundaries] = TENSORS;
    let tensors = [
        (tokens, TensorView::new(dtype, vec![view.ids.len()], ids)?),
        (ends, TensorView::new(Dtype::U64, vec![view.ends.len()], bytemuck::cast_slice(view.ends))?),
        (boundaries, TensorView::new(Dtype::U16, vec![view.boundaries.len()], bytemuck::cast_slice(view.boundaries))?),
    ];
    // One key, since several would be written in an order of their own in every process.
    let about = HashMap::from([(LENGTH.to_owned(), examples.length().to_string())]);
    safetensors::serialize(tensors, Some(about))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::MappedShard;
    use memmap2::Mmap;

    #[test]
    fn several_shards_are_one_run_of_examples() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("data")).unwrap();
        let mut shards = Shards { full: 40, ..Shards::new("training", 16) };
        let mut all = Examples::new(16);
        for number in 0..30u32 {
            let mut document = Examples::new(16);
            // Some shards need 4 bytes an id.
            let id = if number % 10 == 7 { 70_000 + number } else { number };
            let ids: Vec<u32> = (0..3 + number % 9).map(|at| id + at).collect();
            document.push(&ids, 3);
            all.append(&document);
            let counts = Counts { documents: 1, examples: 1, stored: ids.len() as u64, ..Counts::default() };
            shards.add(&folder, &document, counts).unwrap();
        }
        let part = shards.finish(&folder).unwrap();
        assert!(part.shards.len() > 4);
        assert_eq!((part.counts.documents, part.counts.stored), (30, all.tokens() as u64));
        let map = |shard: &ShardEntry| {
            let file = File::open(folder.path().join(&shard.entry.file)).unwrap();
            // SAFETY: nobody else knows the file.
            MappedShard::new(unsafe { Mmap::map(&file) }.unwrap(), 16, 80_000).unwrap()
        };
        let mapped = Examples::mapped(16, part.shards.iter().map(map).collect());
        assert_eq!(mapped, all);
        assert_eq!(mapped.fingerprint(), all.fingerprint());
        assert_eq!((mapped.len(), mapped.tokens()), (30, all.tokens()));
    }
}
