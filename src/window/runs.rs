//! Opening runs: one is shown and its networks are asked, others are compared with it; and following what is written to them.

use super::app::App;
use super::platform;
use super::state::{Compared, Page, Track};
use super::{Job, Stir};
use crate::comparison::Comparison;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use web_time::{Duration, Instant};

/// Time between two looks at what other processes write.
pub(super) const FOLLOW: Duration = Duration::from_secs(2);

/// A run that was asked for.
pub(super) struct Opened {
    folder: PathBuf,
    /// What it has recorded, or why it cannot be opened, in words.
    run: Result<Track, String>,
    /// Whether it is of the start page's list.
    listed: bool,
    /// Where it was asked for.
    page: Page,
}

impl App {
    /// Opens a run: the first is shown, and its networks can be asked; others are compared with it. Or a comparison.
    pub fn open(&mut self, folder: PathBuf) {
        if !Comparison::is_in(&folder) {
            return self.ask_for(folder, false);
        }
        match Compared::read(&folder) {
            Ok(compared) => {
                self.state.comparison = Some(compared);
                self.state.page = Page::Compare;
            }
            Err(error) => self.state.tell(true, &error.to_string()),
        }
    }

    /// Opens a run of the start page's list: it is shown, or compared with the one that is being trained.
    pub(super) fn open_listed(&mut self, folder: PathBuf) {
        let open = self.state.others.iter().position(|track| track.folder == folder);
        match open.filter(|_| !self.state.phase.is_busy()) {
            _ if self.state.folder().as_ref() == Some(&folder) => self.state.page = Page::Run,
            Some(i) => {
                self.show_other(i);
                self.state.page = Page::Run;
            }
            None => self.ask_for(folder, true),
        }
    }

    /// Has a run read, which may take a while where the trainer alone can do it.
    fn ask_for(&mut self, folder: PathBuf, listed: bool) {
        if self.awaited.contains(&folder) {
            return;
        }
        self.awaited.push(folder.clone());
        let (to, wake, page) = (self.opened.0.clone(), self.wake.clone(), self.state.page);
        platform::read_run(folder.clone(), &self.wake, move |run| {
            let _ = to.send(Opened { folder, run, listed, page });
            wake(Stir::Now);
        });
        self.take_opened();
    }

    /// Takes in the runs that were read: the first is shown, and so is one of the list unless one is being trained.
    pub(super) fn take_opened(&mut self) {
        while let Ok(Opened { folder, run, listed, page }) = self.opened.1.try_recv() {
            self.awaited.retain(|awaited| *awaited != folder);
            let (busy, there) = (self.state.phase.is_busy(), run.is_ok());
            self.state.open(run);
            let place = self.state.others.iter().position(|track| track.folder == folder);
            // Whoever has gone elsewhere meanwhile stays there.
            let stays = page != self.state.page;
            match place.filter(|_| !busy && (listed || self.state.run.is_none())) {
                Some(i) => {
                    self.show_other(i);
                    self.state.page = if stays { self.state.page } else { Page::Run };
                }
                None if there && !stays && !self.state.others.is_empty() => {
                    self.state.page = Page::Compare;
                    self.state.comparison = None;
                }
                None => {}
            }
        }
    }

    /// Shows another of the open runs, in the place of the one that is shown.
    pub(super) fn show_other(&mut self, i: usize) {
        if self.state.phase.is_busy() || i >= self.state.others.len() {
            return;
        }
        let track = self.state.others.remove(i);
        let folder = track.folder.clone();
        if let Some(before) = self.state.run.replace(track) {
            self.state.others.push(before);
        }
        self.state.begun = None;
        self.state.forget_answers();
        self.drawn.clear();
        self.begin(Job::Look { folder });
    }

    /// Reads runs again that other processes write to, out of the window's way: their files may be long. A comparison's are not.
    pub(super) fn follow(&mut self) {
        if let Some(Ok(tracks)) = self.reading.as_ref().map(Receiver::try_recv) {
            self.reading = None;
            tracks.into_iter().for_each(|track| self.state.refresh(track));
        }
        if self.reading.is_some() || self.followed.elapsed() < FOLLOW {
            return;
        }
        self.followed = Instant::now();
        if let Some(compared) = &mut self.state.comparison {
            compared.follow();
        }
        let stale = self.state.stale();
        if !stale.is_empty() {
            let (to, from) = channel();
            let wake = self.wake.clone();
            platform::aside(move || {
                let _ = to.send(stale.iter().filter_map(|folder| Track::read(folder).ok()).collect());
                wake(Stir::Now);
            });
            self.reading = Some(from);
        }
    }
}
