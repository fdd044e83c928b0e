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

/// A run that was to be opened, or why it cannot be, in words; and whether it is of the start page's list.
pub(super) type Read = (Result<Track, String>, bool);

impl App {
    /// Opens a run: the first is shown, and its networks can be asked; others are compared with it. Or a comparison.
    pub fn open(&mut self, folder: PathBuf) {
        if !Comparison::is_in(&folder) {
            return self.read(folder, false);
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
            None => self.read(folder, true),
        }
    }

    fn read(&mut self, folder: PathBuf, listed: bool) {
        let (to, wake) = (self.read.0.clone(), self.wake.clone());
        platform::read_run(folder, &self.wake, move |run| {
            let _ = to.send((run, listed));
            wake(Stir::Now);
        });
        self.take_read();
    }

    /// Takes in the runs that were read.
    pub(super) fn take_read(&mut self) {
        while let Ok((run, listed)) = self.read.1.try_recv() {
            let busy = self.state.phase.is_busy();
            let folder = run.as_ref().ok().map(|track| track.folder.clone());
            self.state.open(run);
            let Some(i) = self.state.others.iter().position(|track| Some(&track.folder) == folder.as_ref()) else {
                continue;
            };
            if !busy && (listed || self.state.run.is_none()) {
                self.show_other(i);
                self.state.page = Page::Run;
            } else {
                self.state.page = Page::Compare;
                self.state.comparison = None;
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
