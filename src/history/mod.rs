//! A run's history as plain data, ready to be drawn: by [`cli`](crate::cli)'s `plot`, or by anything else with axes.
//!
//! ```text
//! metrics.jsonl, measures.json, config.toml ─ read ─> Recorded: intervals, held-out points, measures
//!                                           ─ curve ─> smoothed, thinned to the columns of a picture
//!                                           ─ ticks ─> round numbers along an axis
//!                                           ─ tensorboard ─> an event file
//! ```
//!
//! A value that is no number is never averaged away: it breaks its curve and is kept as a mark.
//!
//! # From a step to a plot
//!
//! ```text
//! a step's outputs ─ the objective's Tally::add                          sums of one step, no division
//!      ─ log_every steps later ─ Tally::finish ─> Values                 (name, number), the objective's arithmetic
//!      ─> train::Interval { step, flops, .., values }                    the trainer's own numbers beside them
//!      ─> session::Report::Interval ─┬─> metrics.jsonl: a line, every value under its name
//!                                    └─> the terminal's line, the window's curve
//! Objective::measures ─ declared once ─> Measures                        title, unit, digits, better, baselines
//!      ─> measures.json, beside metrics.jsonl, when a run begins or goes on
//! both files ─ Recorded::read ─> Moment::get(name) ─> a panel, a column, a tag for each Measure
//! ```
//!
//! Nothing behind [`Tally::finish`](crate::objective::Tally::finish) and the declaration knows a measure by name: a new one is a
//! value there and an entry in the declaration, and is in the metrics, the table, TensorBoard and the window's list.
//! A baseline that moves is a value too, named `baseline.<measure>.<name>`.

mod curve;
mod line;
mod read;
mod tensorboard;
mod text;
mod ticks;

pub use curve::{Point, Split, smooth, smoothing_for, thin};
pub(crate) use line::step_of;
pub use line::{EXPECTED, Skipped};
pub use read::{HistoryError, Moment, Recorded, X};
pub use tensorboard::{EVENT_FILE, events};
pub use text::TextFacts;
pub use ticks::{Scale, ticks};
