//! How far a file's texts are.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A bar on standard error, if that is a terminal, that counts up to `total` of what there is of `things`, and tells the time left;
/// where nobody knows how many there are, a count.
pub(crate) fn progress(total: Option<u64>, things: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
    let template = match total {
        Some(_) => format!("{{bar:30}} {{pos}} of {{len}} {things}  {{eta}} left"),
        None => format!("{{spinner}} {{pos}} {things}, {{per_sec}}"),
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = bar.with_style(style);
    if !bar.is_hidden() {
        // The time left goes on while a batch is read.
        bar.enable_steady_tick(Duration::from_millis(500));
    }
    bar
}
