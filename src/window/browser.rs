//! What the window asks of a browser: adapters, and files, which it hands over with what is in them.

use super::Wake;
use super::app::Picking;
use super::state::FoundRun;
use super::texts::{TEXTS, place};
pub(super) use super::worker::{complaints, read_run};
use super::worker::{kept_runs, put_files};
use std::path::{Path, PathBuf};
use wasm_bindgen_futures::spawn_local;

/// Does something. A page has no threads, and no files that take long.
pub(super) fn aside(work: impl FnOnce() + 'static) {
    work();
}

/// Looks for the adapter that the browser would give, and tells its name.
pub(super) fn adapters(tell: impl FnOnce(Vec<String>) + 'static) {
    spawn_local(async move {
        let found = crate::gpu::adapters_async().await;
        tell(found.iter().map(|adapter| adapter.info().name.clone()).collect());
    });
}

/// The runs that the browser keeps.
pub(super) struct Listing;

impl Listing {
    pub(super) fn new(_: PathBuf) -> Self {
        Self
    }

    /// A new list, if there is one.
    pub(super) fn next(&mut self, wake: &Wake) -> Option<Vec<FoundRun>> {
        kept_runs(wake)
    }
}

/// A browser names files by what is in them.
pub(super) const PATHS: bool = false;

/// Has the browser download what somebody takes away.
pub(super) fn take_away(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    crate::web::download(&path.file_name().unwrap_or_default().to_string_lossy(), bytes);
    Ok(())
}

/// Puts a text where the trainer can read it.
pub(super) fn keep(path: &Path, content: &[u8]) -> std::io::Result<()> {
    put_files(vec![(path.into(), content.into())]);
    Ok(())
}

/// Puts files that were dropped on the window where the trainer can read them, and tells the paths that they have there.
pub(super) fn dropped(files: Vec<egui::DroppedFileHandle>, tell: impl FnOnce(Vec<PathBuf>) + 'static) {
    spawn_local(async move {
        let mut read = Vec::new();
        for file in files {
            match file.bytes_async().await {
                Ok(bytes) => read.push((place(TEXTS.as_ref(), file.path(), &bytes), bytes)),
                Err(error) => crate::web::complain(&error),
            }
        }
        tell(hand_over(read));
    });
}

/// Puts files where the trainer can read them, and returns their paths there.
fn hand_over(files: Vec<(PathBuf, Vec<u8>)>) -> Vec<PathBuf> {
    let paths = files.iter().map(|(path, _)| path.clone()).collect();
    put_files(files);
    paths
}

/// Opens the browser's dialog for files, puts what was chosen where the trainer can read it, and tells the paths that it has there.
pub(super) fn pick(_: Picking, _: bool, tell: impl FnOnce(Vec<PathBuf>) + 'static) {
    let endings: Vec<&str> = super::TEXT_FILES.into_iter().chain(["zip"]).collect();
    let chosen = rfd::AsyncFileDialog::new().add_filter("Text, or a run as a zip", &endings).pick_files();
    spawn_local(async move {
        let mut files = Vec::new();
        for file in chosen.await.unwrap_or_default() {
            let content = file.read().await;
            files.push((place(TEXTS.as_ref(), file.file_name().as_ref(), &content), content));
        }
        tell(hand_over(files));
    });
}
