//! Whether trying kernels has brought down the whole process: some drivers end a program where others refuse a kernel. A file
//! says that trying has begun; where it is found at the next start, nobody was left to take it away.

use super::Device;
use crate::files::write;
use serde::{Deserialize, Serialize};
use std::fs;
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
pub struct Attempt {
    path: Option<PathBuf>,
    begun: Begun,
    under_way: bool,
}

impl Attempt {
    /// Reads the file at `path`; without one nothing is known and nothing kept. What another driver or other kernels did does
    /// not count.
    pub(super) fn new(path: Option<PathBuf>, device: &Device) -> Self {
        let text = path.as_ref().and_then(|path| fs::read(path).ok());
        let before = text.and_then(|text| serde_json::from_slice::<Begun>(&text).ok());
        let begun = before.filter(|before| before.device == *device);
        Self { path, begun: begun.unwrap_or(Begun { device: device.clone(), times: 0 }), under_way: false }
    }

    /// Whether it went wrong often enough.
    pub fn hopeless(&self) -> bool {
        self.begun.times >= ENOUGH
    }

    /// Writes that it begins; that it has ended is written when this is dropped.
    pub fn begin(&mut self) {
        if std::mem::replace(&mut self.under_way, true) {
            return;
        }
        self.begun.times += 1;
        let (Some(path), Ok(text)) = (&self.path, serde_json::to_vec(&self.begun)) else { return };
        // Without a folder for it, nothing is remembered; that the choices are not kept either is said elsewhere.
        let _ = path.parent().map(fs::create_dir_all);
        let _ = write(path, &text);
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

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.under_way) {
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
            let mut attempt = cache.attempt(&device("1"));
            attempt.begin();
            attempt
        };
        // What ends takes its file away, begun twice or not.
        let mut attempt = begin();
        attempt.begin();
        drop(attempt);
        assert!(!cache.attempt(&device("1")).hopeless());
        for _ in 0..2 {
            assert!(!cache.attempt(&device("1")).hopeless());
            // As if the process were gone.
            std::mem::forget(begin());
        }
        let found = cache.attempt(&device("1"));
        let remark = found.remark().unwrap();
        assert!(found.hopeless() && remark.contains("2 times") && !remark.contains('\n'), "{remark}");
        assert!(!cache.attempt(&device("2")).hopeless(), "another driver deserves a trial");
        drop(found);
        assert!(cache.attempt(&device("1")).hopeless());
        let path = cache.file(&device("1")).unwrap().with_extension("trying");
        fs::remove_file(path).unwrap();
        std::mem::forget(begin());
        drop(begin());
        let begun = cache.attempt(&device("1"));
        assert!(!begun.hopeless() && begun.remark().is_none());
    }
}
