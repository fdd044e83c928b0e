//! Text to ids: as datasets are made, against the `tokenizers` library's own batches.

use crate::corpus::{Encoder, Error, REMEMBERED_WORDS, Tokenizer};
use rayon::prelude::*;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Text of a round, in bytes.
const ROUND: usize = 1 << 20;
/// The most rounds.
const ROUNDS: usize = 32;

/// Speeds in 10^6 bytes of text a second, on all threads.
#[derive(Debug, Clone, Serialize)]
pub struct TokenizeTimes {
    /// Bytes of text.
    pub bytes: usize,
    /// Ids it makes.
    pub ids: usize,
    /// Threads of either side.
    pub threads: usize,
    /// leyden, its memory of words empty at the start.
    pub leyden: f64,
    /// The library's `encode_batch`.
    pub encode_batch: f64,
    /// The library's `encode_batch_fast`, which leaves out where tokens stand in the text.
    pub encode_batch_fast: f64,
    /// leyden over `encode_batch`, round by round.
    pub rounds: Vec<f64>,
}

/// Encodes up to 32 MiB of documents in rounds of a MiB, in which the sides take turns.
///
/// # Errors
/// [`Error::Encode`] if the tokenizer fails or the sides find different ids.
pub fn tokenize_times(documents: &[String], tokenizer: &Tokenizer) -> Result<TokenizeTimes, Error> {
    let threads = rayon::current_num_threads();
    let encoder = |_| Mutex::new(Encoder::new(tokenizer, REMEMBERED_WORDS / threads));
    let encoders: Vec<Mutex<Encoder<'_>>> = (0..threads).map(encoder).collect();
    let encode = |document: &&str| {
        let encoder = &encoders[rayon::current_thread_index().unwrap_or(0) % threads];
        let mut ids = Vec::new();
        encoder.lock().unwrap_or_else(PoisonError::into_inner).encode_into(document, &mut ids).map(|()| ids)
    };
    let (mut seconds, mut rounds) = ([0.0; 3], Vec::new());
    let (mut bytes, mut found) = (0, 0);
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    for round in portions(&documents).into_iter().take(ROUNDS) {
        let start = Instant::now();
        let ids: Result<Vec<Vec<u32>>, Error> = round.par_iter().map(encode).collect();
        let ours = start.elapsed().as_secs_f64();
        let ids = ids?;
        let start = Instant::now();
        let same = tokenizer.encode_batch(&round)?.iter().map(tokenizers::Encoding::get_ids).eq(ids.iter());
        let theirs = start.elapsed().as_secs_f64();
        let start = Instant::now();
        drop(tokenizer.encode_batch_fast(&round)?);
        let fast = start.elapsed().as_secs_f64();
        if !same {
            return Err(Error::Encode { message: "leyden and encode_batch found different ids".into() });
        }
        for (sum, time) in seconds.iter_mut().zip([ours, theirs, fast]) {
            *sum += time;
        }
        rounds.push(theirs / ours.max(1e-9));
        bytes += round.iter().map(|document| document.len()).sum::<usize>();
        found += ids.iter().map(Vec::len).sum::<usize>();
    }
    let [leyden, encode_batch, encode_batch_fast] = seconds.map(|seconds| bytes as f64 / 1e6 / f64::max(seconds, 1e-9));
    Ok(TokenizeTimes { bytes, ids: found, threads, leyden, encode_batch, encode_batch_fast, rounds })
}

/// Neighbouring documents of about a round together.
fn portions<'a>(documents: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut portions: Vec<Vec<&str>> = Vec::new();
    let mut room = 0;
    for document in documents {
        if room == 0 {
            portions.push(Vec::new());
            room = ROUND;
        }
        room = room.saturating_sub(document.len());
        portions.last_mut().into_iter().for_each(|portion| portion.push(document));
    }
    portions
}
