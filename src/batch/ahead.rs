//! Batches drawn and masked ahead of their use, on a thread of their own.

use super::{Batch, Batches};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// Batches by step, of which the next ones are being prepared. They are what [`Batches::batch`] gives.
#[derive(Debug)]
pub struct Ahead {
    batches: Batches,
    worker: Option<Worker>,
}

/// A thread at work on consecutive steps.
#[derive(Debug)]
struct Worker {
    /// The step whose batch comes next.
    next: u64,
    /// Gone before the thread is waited for: that ends it.
    prepared: Option<Receiver<Batch>>,
    thread: Option<JoinHandle<()>>,
}

/// Batches that wait to be used.
const WAITING: usize = 2;

/// Batches whose steps are under way.
const UNDER_WAY: usize = 2;

impl Ahead {
    /// Most batches that exist at a time in training: one being drawn, those waiting, and those of steps under way.
    pub const MOST: usize = 1 + WAITING + UNDER_WAY;

    /// Batches of `batches`; nothing is prepared before the first one is asked for.
    pub fn new(batches: Batches) -> Self {
        Self { batches, worker: None }
    }

    /// The same examples in another order, under other masks.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self::new(self.batches.with_seed(seed))
    }

    /// The batch of `step`. After the step before it is ready, or nearly so; any other step begins anew.
    pub fn batch(&mut self, step: u64) -> Batch {
        if self.worker.as_ref().is_none_or(|worker| worker.next != step) {
            self.worker = None;
            self.worker = Worker::start(self.batches.clone(), step);
        }
        let prepared = self.worker.as_mut().and_then(Worker::take);
        // Where there are no threads, nothing is ahead.
        prepared.unwrap_or_else(|| self.batches.batch(step))
    }
}

impl Worker {
    fn start(batches: Batches, first: u64) -> Option<Self> {
        let (send, prepared) = sync_channel(WAITING);
        let work = move || {
            let mut steps = first..;
            // Nobody who takes them any more: the end.
            while steps.next().is_some_and(|step| send.send(batches.batch(step)).is_ok()) {}
        };
        let thread = thread::Builder::new().name("batches".into()).spawn(work).ok()?;
        Some(Self { next: first, prepared: Some(prepared), thread: Some(thread) })
    }

    fn take(&mut self) -> Option<Batch> {
        let batch = self.prepared.as_ref()?.recv().ok()?;
        self.next += 1;
        Some(batch)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.prepared = None;
        // It has at most the batch in hand to finish. A thread that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
