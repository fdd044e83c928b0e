//! What the window knows, as plain data: no type of egui here, so all of it has plain tests.

mod board;
mod clock;
mod compare;
mod quiz;
mod start;
mod strip;
mod trace;
mod track;
mod view;

pub use crate::probe::{Mark, mark};
pub use board::{Board, Notice, Page, Phase};
pub use clock::{Pace, paper_days};
pub use compare::{Difference, differences};
pub use quiz::{Quiz, Score};
pub use start::{End, Form, Source, StartError};
pub use strip::{Counts, Strip};
pub use trace::{Sample, Trace};
pub use track::Track;
pub use view::{Drawn, View};
