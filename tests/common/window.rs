//! The window as a test drives it, by the names that a screen reader tells.
#![allow(dead_code)]

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use leyden::session::{Device, SessionOptions};
use leyden::window::App;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub type Window = Harness<'static, App>;

/// A sitting on the CPU.
pub fn how() -> SessionOptions {
    SessionOptions { device: Device::Cpu, ..SessionOptions::default() }
}

/// A window with nothing open.
pub fn window() -> Window {
    let app = App::new(Arc::new(|_| {}));
    Harness::builder().with_size([1280.0, 800.0]).with_max_steps(8).build_ui_state(
        |ui, app: &mut App| {
            app.drain();
            app.draw(ui);
        },
        app,
    )
}

/// Draws until it is so; a window whose trainer works never comes to rest.
///
/// # Panics
/// If it is not so within a minute.
pub fn wait(window: &mut Window, what: &str, is: impl Fn(&App) -> bool) {
    let start = Instant::now();
    while !is(window.state()) {
        let notices = &window.state().state.notices;
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited for {what}; phase {:?}, {notices:?}",
            window.state().state.phase
        );
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    window.run_steps(2);
}

/// Presses what has that name.
pub fn press(window: &mut Window, name: &str) {
    window.get_by_label(name).click();
    window.run_steps(2);
}

/// Types into the field of that name, in place of what is there. A label names the field behind it; both answer to it.
pub fn type_into(window: &mut Window, name: &str, text: &str) {
    window.get_all_by_label(name).last().unwrap().focus();
    window.run_steps(1);
    window.get_all_by_label(name).last().unwrap().type_text(text);
    window.run_steps(2);
}
