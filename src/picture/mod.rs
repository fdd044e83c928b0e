//! Pictures of runs that need no window and no display: an SVG, and its pixels. They are the same on every machine: the
//! font is inside the program. What is drawn comes from [`crate::history`]; here it gets places, colours and letters.

mod by_value;
mod canvas;
mod figure;
mod labels;
mod panel;
mod png;
mod sentence;

pub use by_value::{ByValue, ValuePanel};
pub use figure::Figure;
pub use png::to_png;
pub use sentence::sentence;

/// As many runs as have a colour of their own.
pub const MOST_RUNS: usize = COLOURS.len();

/// Runs' colours, which stay apart for the colour-blind and on white (Okabe and Ito 2008, without their yellow).
pub const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// Why a figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// None, or more than there are colours for.
    #[error("{found} runs to draw, expected 1 to {MOST_RUNS}: more cannot be told apart")]
    Runs {
        /// How many.
        found: usize,
    },
    /// A picture that is too small for its letters or too large for memory.
    #[error("--size {}x{}: expected {}x{} to {}x{}", found.0, found.1, least.0, least.1, most.0, most.1)]
    Size {
        /// Width and height in pixels.
        found: (u32, u32),
        /// The least.
        least: (u32, u32),
        /// The most.
        most: (u32, u32),
    },
    /// Losses that are all zero, negative or no number, along a logarithmic axis.
    #[error("{panel}: no value above 0, which a logarithmic axis needs; leave --log out")]
    NotPositive {
        /// The panel.
        panel: String,
    },
    /// A run whose place along the x axis nobody knows.
    #[error("{run}: its {what} are not known{}; choose another x axis, such as steps", why(*.settings))]
    NoPlace {
        /// The run.
        run: String,
        /// What is along the axis.
        what: &'static str,
        /// Whether the run's settings would tell.
        settings: bool,
    },
    /// Measures that are all no numbers.
    #[error("{run}: none of its main measures is a number, so there is nothing to draw")]
    NoNumber {
        /// The run.
        run: String,
    },
    /// Nothing after the beginning.
    #[error("nothing to draw: all that is measured is at 0 {what}; train for an interval, or choose another x axis")]
    NoExtent {
        /// What is along the axis.
        what: &'static str,
    },
    /// The picture as text is not what the rasterizer takes: a bug.
    #[error("cannot draw the PNG: {0}; an .svg needs no drawing")]
    Raster(String),
}

fn why(settings: bool) -> &'static str {
    if settings { ", since its config.toml does not say how large the model is" } else { "" }
}
