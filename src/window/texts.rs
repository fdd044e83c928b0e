//! Texts that come without a place of their own: pasted, or of a browser, which names none.

use super::app::{App, Dialog};
use super::platform;
use super::state::Source;
use egui::Event;
use std::path::{Path, PathBuf};

/// Bytes of a pasted text that are drawn and edited; a longer one would hold the window up.
pub(super) const EDITED: usize = 20_000;

/// A text that is being pasted.
#[derive(Debug, Clone, Default)]
pub(super) struct Pasted {
    /// The text.
    pub(super) text: String,
    /// Its length when its words were counted, and how many they were.
    counted: (usize, u64),
}

impl Pasted {
    /// How many words it has. A long text only grows: it is counted again when it has.
    pub(super) fn words(&mut self) -> u64 {
        if self.text.len() <= EDITED || self.counted.0 != self.text.len() {
            self.counted = (self.text.len(), self.text.split_whitespace().count() as u64);
        }
        self.counted.1
    }
}

/// The folder that they are kept in, beside the runs.
pub(super) const TEXTS: &str = "texts";

/// Where a text of that name is kept in `folder`: another text of the same name has another place.
pub(super) fn place(folder: &Path, name: &Path, content: &[u8]) -> PathBuf {
    folder.join(&crate::files::sha256(content)[..16]).join(name.file_name().unwrap_or("text.txt".as_ref()))
}

impl App {
    /// Keeps pasted texts in another folder than `texts`.
    pub fn keep_texts_in(&mut self, folder: PathBuf) {
        self.texts = folder;
    }

    /// Takes what is pasted out of the window's input where it is too long to be edited, and puts it behind what is there.
    pub(super) fn take_pasted(&mut self, events: &mut Vec<Event>) {
        events.retain(|event| match event {
            Event::Paste(text) if self.pasted.text.len() + text.len() > EDITED => {
                self.pasted.text += text;
                false
            }
            _ => true,
        });
    }

    /// Trains on what was pasted.
    pub(super) fn use_pasted(&mut self) {
        let text = std::mem::take(&mut self.pasted.text);
        let path = place(&self.texts, "pasted.txt".as_ref(), text.as_bytes());
        match platform::keep(&path, text.as_bytes()) {
            Ok(()) => {
                self.state.form.source = Source::of(vec![path]);
                self.complaint = None;
            }
            Err(error) => {
                self.complaint = Some(format!("{}: {error}", path.display()));
                self.pasted.text = text;
            }
        }
        self.dialog = Dialog::None;
    }
}
