//! Documents in portions, read ahead on a thread of their own.
//!
//! How documents are put into portions depends on their text alone, so whatever is done portion by portion comes out the same
//! on any number of threads.

use super::DatasetError;
use crate::text::{self, Found, MAXIMUM_DOCUMENT, ReadError, Reading, Report};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A chunk is full with so many bytes: what a thread works on at a time.
const CHUNK_BYTES: usize = 1 << 18;
/// A portion is full with so many bytes.
const PORTION_BYTES: usize = 16 << 20;

/// Neighbouring documents, end to end.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Index of the first document, of all sources.
    pub first: u64,
    text: String,
    ends: Vec<usize>,
}

impl Chunk {
    /// The documents, in order.
    pub(super) fn documents(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| &self.text[start..end])
    }
}

/// Documents that are worked on together.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
    /// Bytes of text in them.
    pub bytes: usize,
    /// Bytes of the sources read so far.
    pub read: u64,
}

/// Reads all files and gives `work` portion after portion; `counter` counts the bytes read from disk. What `work` returns
/// first as an error ends it.
pub(super) fn for_each_portion(
    found: &Found,
    reading: &Reading,
    counter: &Arc<AtomicU64>,
    mut work: impl FnMut(Portion) -> Result<(), DatasetError>,
) -> Result<Report, DatasetError> {
    counter.store(0, Ordering::Relaxed);
    std::thread::scope(|scope| {
        // One portion waits while another is worked on and the next is read.
        let (send, receive): (SyncSender<Portion>, Receiver<Portion>) = sync_channel(1);
        let mut reader = Reader { counter, send, portion: Portion::default(), next: 0 };
        let reader = scope.spawn(move || {
            let report = text::read(found, reading, MAXIMUM_DOCUMENT, counter, &mut |text| reader.document(text))?;
            reader.send().map(|()| report)
        });
        let worked = receive.iter().try_for_each(&mut work);
        // The reader must find out that nobody listens any more.
        drop(receive);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // After an error at work the reader has failed too, since it was cut off.
        worked?;
        Ok(read?)
    })
}

struct Reader<'a> {
    counter: &'a AtomicU64,
    send: SyncSender<Portion>,
    portion: Portion,
    /// Index of the next document.
    next: u64,
}

impl Reader<'_> {
    fn document(&mut self, document: &str) -> Result<(), ReadError> {
        let full = self.portion.chunks.last().is_none_or(|chunk| chunk.text.len() >= CHUNK_BYTES);
        if full && self.portion.bytes >= PORTION_BYTES {
            self.send()?;
        }
        if full {
            self.portion.chunks.push(Chunk { first: self.next, ..Chunk::default() });
        }
        if let Some(chunk) = self.portion.chunks.last_mut() {
            chunk.text.push_str(document);
            chunk.ends.push(chunk.text.len());
        }
        self.portion.bytes += document.len();
        self.next += 1;
        Ok(())
    }

    fn send(&mut self) -> Result<(), ReadError> {
        self.portion.read = self.counter.load(Ordering::Relaxed);
        self.send.send(std::mem::take(&mut self.portion)).map_err(|_| ReadError::Stopped)
    }
}
