//! Whether trying kernels has brought down the whole process: some drivers end a program where others refuse a kernel. A file
//! that is locked while a process tries says how often it has begun; where it is found and nobody holds it, nobody was left to
//! take it away.

use super::Device;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;

/// After so many, kernels of cooperative matrices are not tried any more: the first may have been a person who had no patience.
const ENOUGH: u32 = 2;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    device: Device,
    /// How often it has begun without an end.
    times: u32,
}

/// Trying on a device.
#[derive(Debug)]
pub struct CrashGuard {
    path: Option<PathBuf>,
    begun: Begun,
    /// Locked, while it is under way.
    file: Option<File>,
}

impl CrashGuard {
    /// Reads the file at `path`; without one nothing is known and nothing kept. What another driver or other kernels did does
    /// not count, nor what a process that is there does now.
    pub(super) fn new(path: Option<PathBuf>, device: &Device) -> Self {
        let read = |path: &PathBuf| {
            let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
            file.try_lock().ok()?;
            let mut text = Vec::new();
            file.read_to_end(&mut text).ok()?;
            serde_json::from_slice::<Begun>(&text).ok()
        };
        let before = path.as_ref().and_then(read).filter(|before| before.device == *device);
        Self { path, begun: before.unwrap_or(Begun { device: device.clone(), times: 0 }), file: None }
    }

    /// Whether it went wrong often enough.
    pub fn hopeless(&self) -> bool {
        self.begun.times >= ENOUGH
    }

    /// Writes that it begins; that it has ended is written when this is dropped. Where that cannot be written, or another
    /// process tries at the same time, nothing is remembered.
    pub fn begin(&mut self) {
        if self.file.is_some() {
            return;
        }
        self.begun.times += 1;
        let write = |path: &PathBuf| {
            path.parent().map(fs::create_dir_all)?.ok()?;
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).ok()?;
            file.try_lock().ok()?;
            let text = serde_json::to_vec(&self.begun).ok()?;
            // In place: another file of that name would not be locked.
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text)).ok()?;
            file.sync_all().ok()?;
            Some(file)
        };
        self.file = self.path.as_ref().and_then(write);
    }

    /// What a person should know where it is hopeless.
    pub(super) fn remark(&self) -> Option<String> {
        let path = self.path.as_ref().filter(|_| self.hopeless())?;
        Some(format!(
            "tensor cores are not used: leyden was ended {} times while it tried them on this device; \
             delete {} to have them tried again",
            self.begun.times,
            path.display()
        ))
    }
}

impl Drop for CrashGuard {
    fn drop(&mut self) {
        if let (Some(path), Some(file)) = (&self.path, self.file.take()) {
            // A system that removes no file that is open keeps an empty one, which says nothing.
            let _ = file.set_len(0);
            drop(file);
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cache;
    use super::*;

    #[test]
    fn after_two_ends_it_is_hopeless() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let text = |words: [&str; 4]| words.map(String::from);
        let device = |driver: &str| {
            let [adapter, backend, driver, sources] = text(["a GPU", "Vulkan", driver, "abc"]);
            Device { adapter, backend, driver, sources }
        };
        let begin = || {
            let mut guard = cache.guard(&device("1"));
            guard.begin();
            guard
        };
        // As if the process were gone: its lock is.
        let gone = |mut guard: CrashGuard| {
            drop(guard.file.take());
        };
        // What ends takes its file away, begun twice or not.
        let mut guard = begin();
        guard.begin();
        // Somebody else who tries meanwhile neither counts it nor takes it away.
        let other = begin();
        assert!(other.file.is_none() && !other.hopeless());
        drop(other);
        assert!(cache.file(&device("1")).unwrap().with_extension("trying").exists());
        drop(guard);
        assert!(!cache.guard(&device("1")).hopeless());
        for _ in 0..2 {
            assert!(!cache.guard(&device("1")).hopeless());
            gone(begin());
        }
        let found = cache.guard(&device("1"));
        let remark = found.remark().unwrap();
        assert!(found.hopeless() && remark.contains("2 times") && !remark.contains('\n'), "{remark}");
        assert!(!cache.guard(&device("2")).hopeless(), "another driver deserves a trial");
        drop(found);
        assert!(cache.guard(&device("1")).hopeless());
        let path = cache.file(&device("1")).unwrap().with_extension("trying");
        fs::remove_file(path).unwrap();
        gone(begin());
        drop(begin());
        let begun = cache.guard(&device("1"));
        assert!(!begun.hopeless() && begun.remark().is_none());
    }
}
