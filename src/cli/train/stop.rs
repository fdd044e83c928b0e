//! Ctrl-C: once to save and end, twice to end at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the person wants the run to end.
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Listens from now on. Where the system does not allow it, Ctrl-C ends the program as ever.
    pub(crate) fn on_interrupt() -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = asked.clone();
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nsaving and ending; press Ctrl-C again to end at once");
        });
        Self { asked }
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}
