//! The browser's own storage, which follows the files in memory: a run is there again when its page is.
//!
//! Files are written one after the other, so that a tab may be closed between two. A checkpoint counts once its state.json is there,
//! which is written behind its other files; what has none when the page comes back was cut off, and goes.

use crate::fs::{self, memory};
use crate::run::CHECKPOINTS;
use js_sys::{Array, Function, Uint8Array};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::task::Poll;
use wasm_bindgen::prelude::*;
use web_time::{Duration, Instant, SystemTime};

#[wasm_bindgen(module = "/assets/web/storage.js")]
extern "C" {
    #[wasm_bindgen(js_name = isThere)]
    async fn is_there() -> JsValue;
    #[wasm_bindgen(catch)]
    async fn put(path: &str, bytes: Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    async fn remove(path: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    async fn read(under: &str) -> Result<JsValue, JsValue>;
    async fn hold(name: &str) -> JsValue;
}

/// How often what has changed is written.
const OFTEN: Duration = Duration::from_millis(500);

/// How long after something went wrong it is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The browser's storage.
#[derive(Default)]
pub(crate) struct Storage {
    /// None where the browser keeps nothing: a private window, or an old one.
    keeps: Cell<bool>,
    /// What has changed and is not written yet.
    changed: RefCell<BTreeSet<PathBuf>>,
    writing: Cell<bool>,
    /// When it is tried again, where something went wrong: there may be no room for a while.
    again: Cell<Option<Instant>>,
    /// What went wrong first since somebody asked.
    trouble: RefCell<Option<String>>,
    /// Whether that nothing can be written was told; it is again once something could be.
    told: Cell<bool>,
}

/// A run that no other tab can take, until this is dropped.
pub(crate) struct Held(Option<Function>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(release) = &self.0 {
            let _ = release.call0(&JsValue::NULL);
        }
    }
}

/// What a browser says, in a line.
fn words(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()).split_whitespace().collect::<Vec<_>>().join(" "),
        None => format!("{error:?}"),
    }
}

impl Storage {
    /// Opens it, and takes into memory what is in it.
    pub(crate) async fn open() -> Self {
        let storage = Self::default();
        storage.keeps.set(is_there().await.is_truthy());
        if storage.keeps.get() {
            storage.refresh(Path::new(""), false).await;
        } else {
            let why = "this browser keeps no files here: what is trained is gone with the tab unless it is downloaded";
            *storage.trouble.borrow_mut() = Some(why.into());
        }
        storage
    }

    /// What went wrong since the last call, in words.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.take()
    }

    /// Takes into memory what the storage has of a folder, in place of what is there: another tab may have gone on with it. What is
    /// not kept yet is kept first, and stays if that cannot be done. A checkpoint that was cut off goes from the storage too
    /// where the folder is this tab's.
    pub(crate) async fn refresh(&self, folder: &Path, ours: bool) {
        self.write().await;
        if !self.keeps.get() || self.is_behind(folder) {
            return;
        }
        let files = match read(&folder.to_string_lossy()).await {
            Ok(files) => Array::from(&files),
            Err(error) => return self.note(&error),
        };
        if self.is_behind(folder) {
            // Something came meanwhile.
            return;
        }
        let _ = fs::remove_dir_all(folder);
        for i in (0..files.length()).step_by(3) {
            let (Some(path), bytes) = (files.get(i).as_string(), files.get(i + 1)) else { continue };
            let written = Duration::from_millis(files.get(i + 2).as_f64().unwrap_or_default() as u64);
            let path = PathBuf::from(path);
            let _ = path.parent().map(fs::create_dir_all);
            let _ = fs::write(&path, bytes.unchecked_into::<Uint8Array>().to_vec());
            let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + written));
        }
        if !ours {
            drop_halves(folder);
        }
        // What has just been read need not be written.
        memory::changes();
        if ours {
            drop_halves(folder);
        }
    }

    /// Whether something in a folder is not kept yet.
    pub(crate) fn is_behind(&self, folder: &Path) -> bool {
        let mut changed = self.changed.borrow_mut();
        changed.extend(memory::changes());
        self.keeps.get() && (self.writing.get() || changed.iter().any(|path| path.starts_with(folder)))
    }

    /// Holds the run in `folder` for this tab; `None` if another has it.
    pub(crate) async fn hold(&self, folder: &Path) -> Option<Held> {
        let held = hold(&format!("leyden {}", folder.display())).await;
        (!held.is_null()).then(|| Held(held.dyn_into().ok()))
    }

    /// Runs something, and keeps what it writes while it does and when it is over.
    pub(crate) async fn while_it_runs<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut follow = std::pin::pin!(async {
            loop {
                super::sleep(OFTEN).await;
                self.write().await;
            }
        });
        let done = std::future::poll_fn(|context| {
            let _: Poll<()> = follow.as_mut().poll(context);
            // Every answer of the browser's costs a turn. With a training step in each, a checkpoint would take minutes to be kept.
            if self.writing.get() {
                return Poll::Pending;
            }
            work.as_mut().poll(context)
        })
        .await;
        self.write().await;
        done
    }

    /// Writes what has changed; what could not be written, and all behind it, another time. Nothing is removed before everything
    /// that is to stay is there.
    pub(crate) async fn write(&self) {
        self.changed.borrow_mut().extend(memory::changes());
        if !self.keeps.get() {
            self.changed.take();
        }
        let waits = self.again.get().is_some_and(|again| Instant::now() < again);
        if waits || self.changed.borrow().is_empty() {
            return;
        }
        let changed = self.changed.take();
        self.again.set(None);
        self.writing.set(true);
        let is_last =
            |path: &PathBuf| path.file_name().is_some_and(|name| name == "state.json" || name == "config.toml");
        let mut ordered: Vec<PathBuf> = changed.into_iter().collect();
        ordered.sort_by_key(|path| if !fs::is_there(path) { 2 } else { u8::from(is_last(path)) });
        let mut ahead = ordered.into_iter();
        while let Some(path) = ahead.next() {
            let name = path.to_string_lossy();
            let done = match fs::read(&path) {
                Ok(bytes) => put(&name, Uint8Array::from(bytes.as_slice())).await,
                // A folder is there with what is in it.
                Err(_) if fs::is_there(&path) => continue,
                Err(_) => remove(&name).await,
            };
            if let Err(error) = done {
                if !self.told.replace(true) {
                    self.note(&error);
                }
                self.again.set(Some(Instant::now() + PATIENCE));
                self.changed.borrow_mut().extend([path].into_iter().chain(ahead));
                break;
            }
        }
        self.told.set(self.told.get() && self.again.get().is_some());
        self.writing.set(false);
    }

    /// Has what has changed written as soon as may be, whatever went wrong before.
    pub(crate) fn hurry(&self) {
        self.again.set(None);
    }

    fn note(&self, error: &JsValue) {
        let text =
            format!("the browser did not keep a file: {}; download the run before closing the tab", words(error));
        self.trouble.borrow_mut().get_or_insert(text);
    }
}

/// Removes checkpoints that were being written when the tab was closed.
fn drop_halves(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let of_checkpoint = folder.file_name().is_some_and(|name| name == CHECKPOINTS);
        if of_checkpoint && !fs::is_file(&path.join("state.json")) {
            let _ = fs::remove_dir_all(&path);
        } else if fs::is_dir(&path) {
            drop_halves(&path);
        }
    }
}
