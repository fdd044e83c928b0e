//! What the window asks of a desktop: threads, adapters, file dialogs.

pub(super) use super::listing::Listing;

use super::Wake;
use super::app::Picking;
use super::state::Track;
use std::path::{Path, PathBuf};

/// What could not be done beside the trainer's job, in words: here everything is told where it is done.
pub(super) fn complaints() -> Vec<String> {
    Vec::new()
}

/// Does something that may take its time, out of the window's way.
pub(super) fn aside(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

/// Looks for adapters, whose drivers may take their time, and tells their names.
pub(super) fn adapters(tell: impl FnOnce(Vec<String>) + Send + 'static) {
    aside(move || tell(crate::gpu::adapters().iter().map(|adapter| adapter.info().name.clone()).collect()));
}

/// Reads what a run has recorded, and tells it, or why there is nothing, in words.
pub(super) fn read_run(folder: PathBuf, _: &Wake, tell: impl FnOnce(Result<Track, String>)) {
    tell(Track::read(&folder).map_err(|error| error.to_string()));
}

/// Whether files are named by their paths here.
pub(super) const PATHS: bool = true;

/// Writes what somebody takes away.
pub(super) fn take_away(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    crate::files::write(path, bytes)
}

/// Puts a text where the trainer can read it.
pub(super) fn keep(path: &Path, content: &[u8]) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    crate::files::write(path, content)
}

/// Tells the paths of files and folders that were dropped on the window.
pub(super) fn dropped(files: Vec<egui::DroppedFileHandle>, tell: impl FnOnce(Vec<PathBuf>)) {
    tell(files.iter().map(|file| file.path().to_path_buf()).collect());
}

/// Opens a file dialog of the system; what was chosen is told later. It does not hold the window up.
pub(super) fn pick(what: Picking, folders: bool, tell: impl FnOnce(Vec<PathBuf>) + Send + 'static) {
    let dialog = rfd::AsyncFileDialog::new();
    // On macOS the dialog has to be opened here; waiting for it is for another thread.
    type Chosen = std::pin::Pin<Box<dyn Future<Output = Vec<PathBuf>> + Send>>;
    let paths = |files: Option<Vec<rfd::FileHandle>>| -> Vec<PathBuf> {
        files.unwrap_or_default().iter().map(|file| file.path().to_path_buf()).collect()
    };
    let chosen: Chosen = match (what, folders) {
        (Picking::Export, _) => {
            let future = dialog.save_file();
            Box::pin(async move { paths(future.await.map(|file| vec![file])) })
        }
        (_, true) => {
            let future = dialog.pick_folders();
            Box::pin(async move { paths(future.await) })
        }
        (_, false) => {
            let future = dialog.add_filter("Text", &super::TEXT_FILES).pick_files();
            Box::pin(async move { paths(future.await) })
        }
    };
    aside(move || tell(pollster::block_on(chosen)));
}
