//! The window's frame: takes in news, sends commands, and asks before it closes.

use super::export::ExportForm;
use super::look::Look;
use super::panes;
use super::platform::{self, Listing};
use super::runs::{FOLLOW, Opened};
use super::state::{AppState, Drawn, Page, Phase, Quiz, Track, View};
use super::texts::{Pasted, TEXTS};
use super::worker::{Command, Gone, Job, Worker};
use super::{Stir, Turns, Wake, keys};
use crate::comparison::Comparison;
use crate::session::{Change, Extension, SessionOptions};
use egui::{Context, Ui, ViewportCommand};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use web_time::Instant;

/// A dialog that lies over the page.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Dialog {
    /// None.
    #[default]
    None,
    /// Whether to save before the window closes.
    Closing,
    /// What to take away, and where to.
    Export(ExportForm),
    /// What the keys do.
    Keys,
    /// Which run to open.
    Open(String),
    /// A text to train on.
    Paste,
}

/// What a file dialog was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picking {
    /// Text to train on.
    Text,
    /// A run to look at.
    Run,
    /// A place to write to.
    Export,
    /// Nothing in particular: it was dropped on the window.
    Dropped,
}

/// What was chosen in a file dialog.
type Picked = (Picking, Vec<PathBuf>);

/// What makes a drawn curve another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DrawnKey {
    pub version: u64,
    pub view: View,
    pub unit: f64,
    pub range: (f64, f64),
    pub columns: usize,
}

/// The window.
pub struct App {
    /// All that is shown.
    pub state: AppState,
    pub(super) look: Look,
    pub(super) dialog: Dialog,
    /// The path that is being typed on the start page.
    pub(super) typed_text: String,
    /// The text that is being pasted.
    pub(super) pasted: Pasted,
    /// Where pasted texts are kept.
    pub(super) texts: PathBuf,
    /// Why the start page's fields or a file could not be used.
    pub(super) complaint: Option<String>,
    pub(super) drawn: HashMap<(usize, Arc<str>), (DrawnKey, Rc<Drawn>)>,
    pub(super) quiz_seed: u64,
    /// The adapters' names, once they were looked for.
    pub(super) adapters: Arc<OnceLock<Vec<String>>>,
    adapters_asked: bool,
    /// Closes the window when the measurement is over.
    pub(super) turns: Option<Arc<Turns>>,
    worker: Option<Worker>,
    /// What the last sitting used.
    how: Option<SessionOptions>,
    pub(super) wake: Wake,
    picked: (Sender<Picked>, Receiver<Picked>),
    pub(super) opened: (Sender<Opened>, Receiver<Opened>),
    /// The folders of runs that are being read.
    pub(super) awaited: Vec<PathBuf>,
    pub(super) followed: Instant,
    /// The runs that the start page lists.
    listing: Option<Listing>,
    /// Runs that are being read again on a thread.
    pub(super) reading: Option<Receiver<Vec<Track>>>,
    looked: Option<Look>,
    /// The window goes when the trainer has ended.
    closes: bool,
    /// The window may go.
    closed: bool,
}

impl App {
    /// A window with nothing open; `wake` asks for it to be drawn again.
    pub fn new(wake: Wake) -> Self {
        Self {
            state: AppState::default(),
            look: Look::default(),
            dialog: Dialog::None,
            typed_text: String::new(),
            pasted: Pasted::default(),
            texts: TEXTS.into(),
            complaint: None,
            drawn: HashMap::new(),
            quiz_seed: 0,
            adapters: Arc::default(),
            adapters_asked: false,
            turns: None,
            worker: None,
            how: None,
            wake,
            picked: channel(),
            opened: channel(),
            awaited: Vec::new(),
            followed: Instant::now(),
            listing: None,
            reading: None,
            looked: None,
            closes: false,
            closed: false,
        }
    }

    /// Starts a trainer's thread. One that is there already is asked to save and end first.
    pub fn begin(&mut self, job: Job) {
        self.state.phase = Phase::Preparing { note: "opening".into(), progress: None };
        if let Job::Start { how, .. } | Job::FineTune { how, .. } | Job::GoOn { how, .. } = &job {
            self.how = Some(how.clone());
            self.state.page = Page::Run;
        }
        self.worker = Some(Worker::spawn(job, self.wake.clone(), self.worker.take()));
    }

    /// Light or dark, whatever the desktop has.
    pub fn set_theme(&mut self, theme: egui::Theme) {
        self.look.theme = theme.into();
    }

    /// Sends a command to the trainer.
    pub(super) fn send(&mut self, command: Command) {
        if let Some(worker) = &self.worker {
            if command == Command::Stop {
                self.state.phase = Phase::Stopping;
            }
            worker.send(command);
        }
    }

    /// Opens the window as a link asks.
    pub fn follow_link(&mut self, link: Result<super::state::Link, super::state::StartError>) {
        match link {
            Ok(link) => {
                self.state.form = link.form;
                if link.starts {
                    self.start();
                }
            }
            Err(error) => self.complaint = Some(error.to_string()),
        }
    }

    /// Starts training as the start page says.
    pub(super) fn start(&mut self) {
        match self.state.form.job() {
            Ok(job) => {
                self.complaint = None;
                self.begin(job);
            }
            Err(error) => self.complaint = Some(error.to_string()),
        }
    }

    /// Goes on with the run that is shown, if that was stopped or only looked at; `longer` gives it another end.
    pub(super) fn go_on(&mut self, longer: Option<Extension>) {
        let Some(folder) = self.state.folder() else { return };
        // The device of the sitting before, if that was here.
        match self.how.clone().map_or_else(|| self.state.form.how(), Ok) {
            Ok(how) => self.begin(Job::GoOn { folder, change: Change { longer, ..Change::default() }, how }),
            Err(error) => self.state.tell(true, &error.to_string()),
        }
    }

    /// Asks which run to open; in a browser, for the zip of one.
    pub(super) fn ask_for_a_run(&mut self) {
        match platform::PATHS {
            true => self.dialog = Dialog::Open(String::new()),
            false => self.pick(Picking::Run, false),
        }
    }

    /// Has the run that is shown downloaded, where it lies in no folder.
    pub(super) fn take_run_away(&mut self) {
        #[cfg(target_family = "wasm")]
        if let Some(folder) = self.state.folder() {
            super::worker::take_run_away(folder, &self.wake);
        }
    }

    /// Asks about the sentence or the text as it is now.
    pub(super) fn ask(&mut self) {
        if let Some(question) = self.state.question() {
            self.send(Command::Ask(question));
        }
    }

    /// Asks for a new quiz.
    pub(super) fn ask_quiz(&mut self) {
        let sentences = self.state.sentence.sentences.clone();
        self.quiz_seed = self.quiz_seed.wrapping_add(1_000);
        self.send(Command::Quiz(Quiz::requests(&sentences, self.quiz_seed)));
    }

    /// Lists the runs of this folder on the start page.
    pub fn list_runs(&mut self, folder: PathBuf) {
        self.listing = Some(Listing::new(folder));
    }

    /// Looks for runs to list, now and then.
    pub(super) fn look_for_runs(&mut self) {
        if let Some(found) = self.listing.as_mut().and_then(|listing| listing.next(&self.wake)) {
            self.state.found = found;
        }
    }

    /// Looks for adapters, once.
    pub(super) fn look_for_adapters(&mut self) {
        if std::mem::replace(&mut self.adapters_asked, true) {
            return;
        }
        let (found, wake) = (self.adapters.clone(), self.wake.clone());
        platform::adapters(move |names| {
            let _ = found.set(names);
            wake(Stir::Now);
        });
    }

    /// Pauses or goes on.
    pub(super) fn toggle_pause(&mut self) {
        match self.state.phase {
            Phase::Training => self.send(Command::Pause),
            Phase::Paused => self.send(Command::Resume),
            _ => {}
        }
    }

    /// Opens a file dialog of the system; what was chosen comes later. It does not hold the window up.
    pub(super) fn pick(&mut self, what: Picking, folders: bool) {
        let (to, wake) = (self.picked.0.clone(), self.wake.clone());
        platform::pick(what, folders, move |paths| {
            let _ = to.send((what, paths));
            wake(Stir::Now);
        });
    }

    /// Takes in news of the trainer and of file dialogs.
    pub fn drain(&mut self) {
        while let Some(worker) = &mut self.worker {
            match worker.news() {
                Ok(Some(news)) => {
                    if self.state.update(news) {
                        self.drawn.clear();
                        self.ask();
                    }
                }
                Ok(None) => break,
                Err(Gone { fault }) => {
                    self.worker = None;
                    if let Some(text) = fault {
                        self.state.phase = Phase::Failed(text.into());
                        self.state.tell(true, text);
                    } else if matches!(self.state.phase, Phase::Preparing { .. } | Phase::Stopping) {
                        self.state.phase = Phase::Idle;
                        self.state.page = Page::Start;
                    }
                }
            }
        }
        platform::complaints().iter().for_each(|text| self.state.tell(true, text));
        while let Ok((what, paths)) = self.picked.1.try_recv() {
            self.take_picked(what, paths);
        }
        self.take_opened();
        self.follow();
        // What could not be saved is to be read before the window goes.
        self.closes &= !matches!(self.state.phase, Phase::Failed(_));
        self.closed |= self.turns.as_ref().is_some_and(|turns| turns.is_over());
        self.closed |= self.closes && (self.worker.is_none() || !self.state.phase.is_busy());
    }

    /// Whether there are networks that can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.worker.is_some() && self.state.begun.is_some()
    }

    /// Closes the window and lets what is not saved go.
    pub(super) fn close_without_saving(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.abandon();
        }
        self.closed = true;
    }

    fn take_picked(&mut self, what: Picking, mut paths: Vec<PathBuf>) {
        let is_zip = |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
        if !platform::PATHS && paths.iter().any(is_zip) {
            paths.retain(|path| !is_zip(path));
            self.state.page = Page::Start;
        }
        let Some(first) = paths.first().cloned() else { return };
        match (what, &mut self.dialog) {
            (Picking::Dropped, _) => self.take_paths(paths),
            (Picking::Text, _) => self.state.form.source = super::state::Source::of(paths),
            (Picking::Run, Dialog::Open(text)) => *text = first.display().to_string(),
            (Picking::Run, _) => self.open(first),
            (Picking::Export, Dialog::Export(form)) => form.path = first.display().to_string(),
            (Picking::Export, _) => {}
        }
    }

    /// Whether the window may close now; else it asks.
    pub fn may_close(&mut self) -> bool {
        if self.closed || !self.state.phase.is_busy() || self.worker.is_none() {
            return true;
        }
        self.dialog = Dialog::Closing;
        false
    }

    /// Saves, ends, and closes the window then.
    pub(super) fn save_and_close(&mut self) {
        self.dialog = Dialog::None;
        self.closes = true;
        self.send(Command::Stop);
    }

    /// Whether the window should close now.
    pub fn wants_to_close(&self) -> bool {
        self.closed
    }

    /// Whether curves change by themselves, so that they should be drawn again now and then.
    pub(super) fn follows(&self) -> bool {
        let watches = !self.state.others.is_empty() || self.state.comparison.is_some();
        watches || self.state.run.is_some() && !self.state.phase.is_busy()
    }

    /// Draws everything.
    pub fn draw(&mut self, ui: &mut Ui) {
        if self.looked != Some(self.look) {
            self.look.apply(ui.ctx());
            self.looked = Some(self.look);
        }
        self.take_dropped(ui.ctx());
        keys::handle(ui.ctx(), self);
        panes::top(ui, self);
        panes::notices(ui, self);
        match self.state.page {
            Page::Start => panes::start(ui, self),
            Page::Run => panes::run(ui, self),
            Page::Compare => panes::compare(ui, self),
            Page::Quiz => panes::quiz(ui, self),
        }
        panes::dialogs(ui, self);
    }

    /// Files and folders that were dropped on the window: runs and comparisons are opened, anything else is text to train on.
    fn take_dropped(&mut self, ctx: &Context) {
        let dropped = ctx.input(|input| input.raw.dropped_files.clone());
        if !dropped.is_empty() {
            let (to, wake) = (self.picked.0.clone(), self.wake.clone());
            platform::dropped(dropped, move |paths| {
                let _ = to.send((Picking::Dropped, paths));
                wake(Stir::Now);
            });
        }
    }

    /// Takes in what was dropped.
    fn take_paths(&mut self, dropped: Vec<PathBuf>) {
        let (runs, text): (Vec<_>, Vec<_>) =
            dropped.into_iter().partition(|path| path.join(crate::run::METRICS).is_file() || Comparison::is_in(path));
        for run in runs {
            self.open(run);
        }
        if !text.is_empty() {
            self.state.form.source = super::state::Source::of(text);
            if !self.state.phase.is_busy() {
                self.state.page = Page::Start;
            }
        }
    }
}

impl Drop for App {
    /// A trainer that still runs saves and ends.
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.finish();
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.drain();
        if ctx.input(|input| input.viewport().close_requested()) && !self.may_close() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
        }
        if self.wants_to_close() {
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
        if self.follows() {
            ctx.request_repaint_after(FOLLOW);
        }
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
    }
}
