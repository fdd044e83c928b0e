//! What the window knows, as plain data: no type of egui here, so all of it has plain tests.

mod app_state;
mod clock;
mod compare;
mod comparison;
mod found;
mod link;
mod notice;
mod quiz;
mod sentence;
mod start;
mod text;
mod trace;
mod track;
mod view;

pub use crate::probe::{Mark, mark};
pub use app_state::{AppState, Page, Phase};
pub use clock::{Pace, paper_days};
pub use compare::{Difference, differences};
pub use comparison::{Compared, Curve};
pub use found::FoundRun;
pub use link::Link;
pub use notice::Notice;
pub use quiz::{Quiz, Score};
pub use sentence::{Counts, Guide, SentencePane};
pub use start::{End, Form, Source, StartError};
pub use text::{Fields, NO_ANSWER, Share, Shares, TextPane};
pub use trace::{Sample, Trace};
pub use track::Track;
pub use view::{Drawn, View};
