//! The desktop window: losses live, one sentence and what the networks make of it, and full control of a run.
//!
//! ```text
//! worker   the thread that trains: a session and its device; commands in, news out
//! state    what the window knows, as plain data
//! app      the window's frame: takes in news, sends commands, asks before it closes
//! panes    what is drawn, a pane a file;  look: colours and sizes
//! ```
//!
//! The trainer never waits for the window and the window never for the trainer: they share two channels and nothing else,
//! and the window draws with a device of its own. So training on and off screen gives the same numbers.

mod app;
#[cfg(target_family = "wasm")]
mod browser;
#[cfg(not(target_family = "wasm"))]
mod desktop;
mod export;
mod keys;
#[cfg(not(target_family = "wasm"))]
mod listing;
mod look;
#[cfg(not(target_family = "wasm"))]
mod open;
mod panes;
mod runs;
pub mod state;
mod texts;
#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "a desktop measures"))]
mod turns;
pub mod worker;

pub use app::App;
#[cfg(target_family = "wasm")]
use browser as platform;
#[cfg(not(target_family = "wasm"))]
use desktop as platform;
#[cfg(not(target_family = "wasm"))]
pub use open::{Opening, WindowError, has_display, open};
pub use turns::Turns;
pub use worker::Job;

use std::sync::Arc;

/// Endings of files of text.
const TEXT_FILES: [&str; 11] = ["txt", "jsonl", "ndjson", "json", "csv", "tsv", "parquet", "gz", "bz2", "zst", "xz"];

/// Asks for the window to be drawn again, from any thread.
pub type Wake = Arc<dyn Fn(Stir) + Send + Sync>;

/// How much the window is in a hurry to be drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stir {
    /// Somebody waits for this.
    Now,
    /// So many steps were taken; others follow.
    Steps(u64),
}
