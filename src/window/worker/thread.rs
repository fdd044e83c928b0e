//! The trainer on a thread.

use super::{Command, Gone, Inbox, Job, News, Outbox, PANICKED, job};
use crate::window::Wake;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

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
            let send = move |news: News| {
                let stir = news.stir();
                let heard = outbox.send(news).is_ok();
                wake(stir);
                heard
            };
            pollster::block_on(job::run(job, &Inbox { commands: inbox }, &Outbox { send: Box::new(send) }));
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
                Err(Gone { fault: panicked.then_some(PANICKED) })
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
