//! Documents in portions, read ahead on a thread of their own.
//!
//! How documents are put into portions depends on their text alone, so whatever is done portion by portion comes out the same
//! on any number of threads.

use super::DatasetError;
use super::input::{Reading, Source};
use super::manifest::SourceEntry;
use std::sync::atomic::Ordering;
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

/// What reading came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The sources with their counts.
    pub sources: Vec<SourceEntry>,
    /// The first lines that are not UTF-8: (source, line).
    pub invalid: Vec<(String, u64)>,
}

/// Lines that are not UTF-8 are named so many times.
const NAMED: usize = 5;

/// Reads all sources and gives `work` portion after portion. What `work` returns first as an error ends it.
pub(super) fn for_each_portion(
    sources: &[Source],
    reading: &Reading,
    mut work: impl FnMut(Portion) -> Result<(), DatasetError>,
) -> Result<Found, DatasetError> {
    reading.counter.store(0, Ordering::Relaxed);
    std::thread::scope(|scope| {
        // One portion waits while another is worked on and the next is read.
        let (send, receive): (SyncSender<Portion>, Receiver<Portion>) = sync_channel(1);
        let reader = scope.spawn(move || Reader { reading, send, portion: Portion::default(), next: 0 }.run(sources));
        let worked = receive.iter().try_for_each(&mut work);
        // The reader must find out that nobody listens any more.
        drop(receive);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // After an error at work the reader has failed too, since it was cut off.
        worked.and(read)
    })
}

struct Reader<'a> {
    reading: &'a Reading,
    send: SyncSender<Portion>,
    portion: Portion,
    /// Index of the next document.
    next: u64,
}

impl Reader<'_> {
    fn run(mut self, sources: &[Source]) -> Result<Found, DatasetError> {
        let mut found = Found::default();
        for source in sources {
            let mut entry = SourceEntry { name: source.name.clone(), documents: 0, bytes: 0, invalid: 0 };
            let (documents, bytes, invalid) = (&mut entry.documents, &mut entry.bytes, &mut entry.invalid);
            let named = &mut found.invalid;
            source.read(
                self.reading,
                &mut |document| {
                    *documents += 1;
                    *bytes += document.len() as u64;
                    self.document(document)
                },
                &mut |line| {
                    *invalid += 1;
                    if named.len() < NAMED {
                        named.push((source.name.clone(), line));
                    }
                },
            )?;
            found.sources.push(entry);
        }
        self.send()?;
        Ok(found)
    }

    fn document(&mut self, document: &str) -> Result<(), DatasetError> {
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

    fn send(&mut self) -> Result<(), DatasetError> {
        self.portion.read = self.reading.counter.load(Ordering::Relaxed);
        self.send.send(std::mem::take(&mut self.portion)).map_err(|_| DatasetError::Interrupted)
    }
}
