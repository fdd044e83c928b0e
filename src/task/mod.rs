//! Labelled tasks without a device: their files, their rows of ids, and their scores.
//!
//! ```text
//! files ─ table, glue, squad, conll ─> records, labels, a report        what a person labelled
//!     ─ split ─> training, dev                                          where there is no dev file
//!     ─ features ─> rows of ids                                         what a network reads
//!     network ─> logits ─ features::questions ─> answers                what it says, as text
//!     ─ score ─> how well
//! ```
//!
//! # What is an error, and what is counted
//!
//! What can only be a mistake about the whole file stops with one line that names file and row ([`TaskError`]): a column that is not
//! there, a label that is none of the task's or was never seen in training, a number that is none, a tag that is no BIO, bytes that
//! are no text, JSON that breaks off, no row at all, no label at all, only one label to learn, answers most of which do not stand
//! where they should.
//!
//! What may be wrong with a single row is counted by its reason with the first place ([`Report`]). What becomes of the row
//! depends on the [`Part`]:
//!
//! | | training | dev | to predict |
//! |---|---|---|---|
//! | a row that cannot be read (too few cells, broken JSON) | left out | left out | an error, since no answer may be missing |
//! | an empty text | left out | kept: others count it too | kept |
//! | no label | left out | left out | kept |
//! | an answer that is not at its offset | the answer is left out, and a question without others | kept: its text counts | kept |
//! | an `I-` without a `B-` | made a `B-`, as conlleval counts it | the same | the same |
//! | a label with a single example | kept | kept | kept |

pub mod conll;
mod embedder;
mod error;
pub mod evaluation;
pub mod features;
mod forward;
pub mod glue;
mod kind;
pub mod labelled;
mod labels;
mod named;
pub mod objective;
mod prediction;
mod predictor;
mod record;
mod report;
mod rows;
pub mod sample;
pub mod score;
mod scorer;
pub mod split;
pub mod squad;
pub mod table;
mod typed;

pub use embedder::{Embedder, Pooling};
pub use error::TaskError;
pub use kind::TaskKind;
pub use labelled::Labelled;
pub use labels::LabelNames;
pub use named::Task;
pub use prediction::Prediction;
pub use predictor::{PredictError, Predictor};
pub use record::{Answer, Input, Label, Part, Record, TaskData};
pub use report::{Oddity, Report};
pub use scorer::{DevScorer, ScoredOutputs};
pub use typed::ranked;
