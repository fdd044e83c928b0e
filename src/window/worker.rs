//! The thread that trains. It owns the session and its device; the window sends [`Command`]s and gets [`News`], and neither
//! ever waits for the other.

mod job;
mod look;
mod networks;
mod question;
mod training;

pub use job::{Begun, Job, PrepareProgress};
pub use question::{Demonstrates, Example, Question, Said};

use super::{Stir, Wake};
use crate::probe::{Request, Sentence};
use crate::session::{Ending, Report};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

/// What the window asks of the trainer.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Take no more steps until told.
    Pause,
    /// Go on.
    Resume,
    /// Take one step, and report on it.
    Step,
    /// Write a checkpoint now.
    Save,
    /// Save and end. While text is prepared: leave it.
    Stop,
    /// Ask this, now and whenever the weights have changed.
    Ask(Question),
    /// Ask about these once, for the quiz.
    Quiz(Vec<Request>),
}

/// What the trainer tells the window.
#[derive(Debug)]
pub enum News {
    /// Work before the first step.
    Note(String),
    /// A dataset is being made.
    Preparing(PrepareProgress),
    /// Training can begin, or a run's networks are there to be asked.
    Begun(Box<Begun>),
    /// What happened, and where the session is.
    Reports {
        /// In order.
        reports: Vec<Report>,
        /// Where it is.
        at: At,
    },
    /// Whether it is paused.
    Paused(bool),
    /// What the networks make of the sentence after `step` steps.
    Sentence {
        /// The sentence.
        sentence: Sentence,
        /// Steps done.
        step: u64,
    },
    /// What a fine-tuned network says of the text after `step` steps.
    Said {
        /// The text and what is said of it.
        said: Said,
        /// Steps done.
        step: u64,
    },
    /// A run that fine-tunes is at its end, and a checkpoint answers from now on.
    Chosen {
        /// Why it is that one, in words.
        why: String,
        /// The steps that it was trained for.
        step: u64,
    },
    /// The quiz's sentences.
    Quiz(Vec<Sentence>),
    /// Seconds by operation so far.
    Times(Vec<(&'static str, f64)>),
    /// The sitting is over, and saved.
    Ended(Ending),
    /// A dataset was made, which the same text need not be made into again.
    Dataset(PathBuf),
    /// Something did not work that the run goes on without, in words.
    Complaint(String),
    /// It could not begin or go on, in words.
    Failed(String),
    /// A run can be looked at, but has no networks to be asked, in words.
    NoNetworks(String),
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct At {
    /// Steps started.
    pub step: u64,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// How much of the schedule is behind, 0 to 1.
    pub progress: f64,
}

/// A running thread, as the window holds it.
pub struct Worker {
    commands: Sender<Command>,
    news: Receiver<News>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the job once `before` has saved and ended. `wake` is called when there is news.
    pub fn spawn(job: Job, wake: Wake, before: Option<Self>) -> Self {
        let (commands, inbox) = channel();
        let (outbox, news) = channel();
        let thread = std::thread::Builder::new().name("trainer".into()).spawn(move || {
            // Not in the window's thread: the old one may have a great model to save.
            if let Some(before) = before {
                before.finish();
            }
            job::run(job, &inbox, &Outbox { news: outbox, wake });
        });
        Self { commands, news, thread: thread.ok() }
    }

    /// Sends a command; a thread that has ended does not hear it.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// The next news, if there is any; an error once the thread has ended and all was read.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn news(&mut self) -> Result<Option<News>, Gone> {
        match self.news.try_recv() {
            Ok(news) => Ok(Some(news)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                let panicked = self.thread.take().is_none_or(|thread| thread.join().is_err());
                Err(Gone { panicked })
            }
        }
    }

    /// Lets the thread be: it ends with the program, and what it has not saved is lost.
    pub fn abandon(self) {
        std::mem::forget(self.commands);
    }

    /// Asks the thread to save and end, and waits until it has.
    pub fn finish(mut self) {
        self.send(Command::Stop);
        drop(self.commands);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Whether by a fault of its own.
    pub panicked: bool,
}

/// The thread's way to the window.
struct Outbox {
    news: Sender<News>,
    wake: Wake,
}

impl Outbox {
    /// Whether there is still a window.
    fn tell(&self, news: News) -> bool {
        let steps = match &news {
            News::Reports { reports, .. } => {
                let steps = reports.iter().filter(|report| matches!(report, Report::Step { .. }));
                Stir::Steps(steps.count() as u64)
            }
            News::Times(_) => Stir::Steps(0),
            _ => Stir::Now,
        };
        let heard = self.news.send(news).is_ok();
        (self.wake)(steps);
        heard
    }
}
