//! Batches out: examples drawn in a seeded order and masked, each batch a pure function of (seed, step).

mod ahead;
mod batches;
mod masking;
mod random;

pub use ahead::Ahead;
pub use batches::{Batch, Batches, Evaluation};
pub use masking::Masking;
pub(crate) use random::Random;
