//! The runs of a folder, listed now and then for the start page.

use super::state::FoundRun;
use super::{Stir, Wake, desktop};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use web_time::{Duration, Instant};

/// A list that is never older, while it is looked at.
const FRESH: Duration = Duration::from_secs(2);

/// Looks for runs on another thread: there may be many.
pub(super) struct Listing {
    folder: PathBuf,
    /// When they were listed.
    listed: Option<Instant>,
    /// They are being listed.
    looking: Option<Receiver<Vec<FoundRun>>>,
}

impl Listing {
    /// Of this folder, which need not be there.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, listed: None, looking: None }
    }

    /// A new list, if there is one; begins another where the last is old.
    pub(super) fn next(&mut self, wake: &Wake) -> Option<Vec<FoundRun>> {
        if let Some(looking) = &self.looking {
            let found = looking.try_recv().ok()?;
            (self.looking, self.listed) = (None, Some(Instant::now()));
            return Some(found);
        }
        if self.listed.is_none_or(|when| when.elapsed() > FRESH) {
            let (to, from) = channel();
            let (folder, wake) = (self.folder.clone(), wake.clone());
            desktop::aside(move || {
                let _ = to.send(FoundRun::all_in(&folder));
                wake(Stir::Now);
            });
            self.looking = Some(from);
        }
        None
    }
}
