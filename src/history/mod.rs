//! A run's history as plain data, ready to be drawn: by [`cli`](crate::cli)'s `plot`, or by anything else with axes.
//!
//! ```text
//! metrics.jsonl, config.toml, text.json ─ read ─> Recorded: intervals, held-out points, floors
//!                                       ─ curve ─> smoothed, thinned to the columns of a picture
//!                                       ─ ticks ─> round numbers along an axis
//!                                       ─ tensorboard ─> an event file
//! ```
//!
//! A value that is no number is never averaged away: it breaks its curve and is kept as a mark.

mod curve;
mod floors;
mod line;
mod read;
mod tensorboard;
mod text;
mod ticks;

pub use curve::{Point, Split, smooth, smoothing_for, thin};
pub use floors::Floors;
pub(crate) use line::step_of;
pub use line::{EXPECTED, Skipped};
pub use read::{HistoryError, Moment, Recorded, X};
pub use tensorboard::{EVENT_FILE, events};
pub use text::TextFacts;
pub use ticks::{Scale, ticks};
