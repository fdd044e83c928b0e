//! Asks a trained network about sentences: a discriminator for each token's probability that it was replaced, a masked
//! language model for the words it would put where a sentence has `[MASK]`.
//!
//! [`Judge`] and [`Guesser`] run an encoder and its head, as [`Pretrained::load`](crate::transformers::Pretrained::load)
//! reads them, on any [`Engine`](crate::plan::Engine). [`Demonstrator`] shows what networks do with a sentence while they are
//! trained. Sentences are padded to one of few lengths, so that a GPU has few plans to load.

mod demonstrator;
mod error;
mod first;
mod guess;
mod judge;
mod mark;
mod network;
mod verdict;

pub use demonstrator::{Demonstrator, Request, Sentence, Token};
pub use error::ProbeError;
pub use guess::{Guess, Guessed, Guesser, Mask};
pub use judge::{Judge, Judged};
pub use mark::{Mark, mark};
