//! The trainer. It owns the session and its device; the window sends [`Command`]s and gets [`News`], and neither ever waits for
//! the other. It has a thread of its own, or in a browser, where threads share nothing, a Worker: what is said is bytes then.

#[cfg(target_family = "wasm")]
mod browser;
mod job;
mod look;
#[cfg(any(test, target_family = "wasm"))]
mod message;
mod networks;
mod question;
#[cfg(not(target_family = "wasm"))]
mod thread;
mod training;

#[cfg(target_family = "wasm")]
pub use browser::{Worker, complaints, kept_runs, put_files, read_run, save_now, serve, take_run_away};
pub use job::{Begun, Job, PrepareProgress};
pub use question::{Demonstrates, Example, Question, Said};
#[cfg(not(target_family = "wasm"))]
pub use thread::Worker;

use super::Stir;
use crate::probe::{Request, Sentence};
use crate::session::{Ending, Report};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use web_time::Duration;

/// What the window asks of the trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Serialize, Deserialize)]
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
    Times(Vec<(String, f64)>),
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
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct At {
    /// Steps started.
    pub step: u64,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// How much of the schedule is behind, 0 to 1.
    pub progress: f64,
}

/// The trainer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// In words, if by a fault.
    pub fault: Option<&'static str>,
}

/// What a trainer that has panicked is said to have done.
const PANICKED: &str = "the trainer ended by a fault of its own; the run goes on from its last checkpoint";

impl News {
    /// How much of a hurry the window is in to draw it.
    fn stir(&self) -> Stir {
        match self {
            Self::Reports { reports, .. } => {
                let steps = reports.iter().filter(|report| matches!(report, Report::Step { .. }));
                Stir::Steps(steps.count() as u64)
            }
            Self::Times(_) => Stir::Steps(0),
            _ => Stir::Now,
        }
    }
}

/// The trainer's way to the window.
struct Outbox {
    send: Box<dyn Fn(News) -> bool>,
}

impl Outbox {
    /// Whether there is still a window.
    fn tell(&self, news: News) -> bool {
        (self.send)(news)
    }
}

/// The window's way to the trainer.
struct Inbox {
    commands: Receiver<Command>,
}

/// What the trainer finds in its inbox.
enum Heard {
    Command(Command),
    Nothing,
    /// There is no window any more.
    Gone,
}

impl Inbox {
    /// What is there, without waiting for it.
    fn look(&self) -> Heard {
        match self.commands.try_recv() {
            Ok(command) => Heard::Command(command),
            Err(TryRecvError::Empty) => Heard::Nothing,
            Err(TryRecvError::Disconnected) => Heard::Gone,
        }
    }

    /// The next command, or nothing once `patience` is over.
    #[cfg(not(target_family = "wasm"))]
    async fn next(&self, patience: Duration) -> Heard {
        use std::sync::mpsc::RecvTimeoutError;
        if patience.is_zero() {
            return self.look();
        }
        match self.commands.recv_timeout(patience) {
            Ok(command) => Heard::Command(command),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::Gone,
        }
    }

    /// The next command, or nothing once `patience` is over. The browser brings them, and gets its turn for that.
    #[cfg(target_family = "wasm")]
    async fn next(&self, patience: Duration) -> Heard {
        let began = web_time::Instant::now();
        crate::plan::pause().await;
        loop {
            match self.look() {
                Heard::Nothing if began.elapsed() < patience => crate::web::sleep(Duration::from_millis(20)).await,
                heard => return heard,
            }
        }
    }
}
