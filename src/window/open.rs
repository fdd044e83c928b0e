//! Opens the window on a display, with a graphics device of its own.

use super::turns::Turn;
use super::{App, Job, Stir, Turns, Wake};
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};
use std::path::PathBuf;
use std::sync::Arc;
use web_time::{Duration, Instant};

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// Nothing to show it on.
    #[error("there is no display to open a window on; `leyden train` works without one")]
    NoDisplay,
    /// The display's system would not have it.
    #[error("cannot open a window: {reason}; `leyden train` works without one")]
    Failed {
        /// What was said.
        reason: String,
    },
}

/// What the window is opened with.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// What to train at once.
    pub job: Option<Job>,
    /// Runs to open.
    pub runs: Vec<PathBuf>,
    /// To measure what the window costs; it closes when that is done.
    pub turns: Option<Arc<Turns>>,
}

/// Whether there may be a display to open a window on.
pub fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || set("WAYLAND_DISPLAY") || set("WAYLAND_SOCKET") || set("DISPLAY")
}

/// The window while it trains is drawn again so often: a GPU hardly notices, a software driver shares the processor with
/// training.
const SMOOTH: Duration = Duration::from_millis(33);
/// An answer to what somebody did comes so soon.
const SOON: Duration = Duration::from_millis(150);
const FRUGAL: Duration = Duration::from_millis(4_000);

/// Opens the window and returns when it is closed.
///
/// # Errors
/// [`WindowError`], in words for the person.
pub fn open(opening: Opening) -> Result<(), WindowError> {
    if !has_display() {
        return Err(WindowError::NoDisplay);
    }
    let viewport = egui::ViewportBuilder::default()
        .with_title("leyden")
        .with_app_id("leyden")
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([760.0, 520.0]);
    let options = eframe::NativeOptions { viewport, wgpu_options: graphics(), ..Default::default() };
    let run = eframe::run_native(
        "leyden",
        options,
        Box::new(|context| {
            let (pace, ctx, turns) = (pace(context), context.egui_ctx.clone(), opening.turns.clone());
            // Many news between two frames ask for one.
            let wake: Wake = Arc::new(move |stir| {
                let steps = if let Stir::Steps(steps) = stir { steps } else { 0 };
                match (turns.as_ref().map(|turns| turns.step(Instant::now(), steps)), stir) {
                    (Some(Turn::Still), _) => {}
                    (Some(Turn::Over), _) => ctx.request_repaint(),
                    // A sentence comes by itself while a run trains; what somebody has asked for comes with the pointer's
                    // or the keys' own frame.
                    (Some(Turn::Draw), _) | (None, Stir::Steps(_)) => ctx.request_repaint_after(pace),
                    (None, Stir::Now) => ctx.request_repaint_after(pace.min(SOON)),
                }
            });
            let mut app = App::new(wake);
            app.turns = opening.turns;
            app.list_runs(crate::run::RUNS.into());
            for run in opening.runs {
                app.open(run);
            }
            if let Some(job) = opening.job {
                app.begin(job);
            }
            Ok(Box::new(app))
        }),
    );
    run.map_err(|error| WindowError::Failed {
        reason: error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

/// How long after news the window is drawn again.
fn pace(context: &eframe::CreationContext<'_>) -> Duration {
    let software = context
        .wgpu_render_state
        .as_ref()
        .is_some_and(|state| state.adapter.get_info().device_type == wgpu::DeviceType::Cpu);
    if software { FRUGAL } else { SMOOTH }
}

/// The graphics device: the one that saves power, which drives the display on a laptop, so that the other one trains.
fn graphics() -> WgpuConfiguration {
    let setup = WgpuSetupCreateNew {
        power_preference: wgpu::PowerPreference::LowPower,
        ..WgpuSetupCreateNew::without_display_handle()
    };
    WgpuConfiguration { wgpu_setup: WgpuSetup::CreateNew(setup), ..WgpuConfiguration::default() }
}
