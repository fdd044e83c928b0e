//! What is drawn, a pane a file. A pane reads the state, and asks the app for what should happen.

mod compare;
mod comparison;
mod control;
mod dialogs;
mod losses;
mod plot;
mod quiz;
mod runs;
mod said;
mod sentence;
mod start;
mod text;
mod token;
mod top;

pub(super) use compare::compare;
pub(super) use dialogs::dialogs;
pub(super) use losses::{next_axis, smooth_more};
pub(super) use quiz::quiz;
pub(super) use start::start;
pub(super) use top::{notices, toggle_theme, top};

use super::app::App;
use super::state::Phase;
use crate::numbers::duration;
use egui::{CentralPanel, Panel, RichText, Ui};

/// A run: losses and sentence, and what controls it.
pub(super) fn run(ui: &mut Ui, app: &mut App) {
    Panel::right("control").resizable(true).default_size(290.0).size_range(250.0..=420.0).show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| control::show(ui, app));
    });
    if app.state.run.is_none() || matches!(app.state.phase, Phase::Preparing { .. }) {
        CentralPanel::default().show(ui, |ui| waiting(ui, app));
        return;
    }
    // A text's classes or its answer take more room than a sentence.
    let (name, size) = if app.state.text.is_some() { ("text", 276.0) } else { ("sentence", 186.0) };
    Panel::bottom(name)
        .resizable(true)
        .default_size(size)
        .size_range(150.0..=420.0)
        .show(ui, |ui| if app.state.text.is_some() { text::show(ui, app) } else { sentence::show(ui, app) });
    CentralPanel::default().show(ui, |ui| losses::show(ui, app));
}

/// Before there is anything to draw.
fn waiting(ui: &mut Ui, app: &mut App) {
    ui.add_space(ui.available_height() * 0.3);
    ui.vertical_centered(|ui| match &app.state.phase {
        Phase::Preparing { note, progress } => {
            let mut words = note.clone();
            if let Some(progress) = progress {
                words = format!("{note}: {}, {:.1} MB/s", start::phase_name(progress.phase), progress.rate / 1e6);
            }
            ui.heading(words);
            ui.add_space(8.0);
            match progress.and_then(|p| p.fraction) {
                Some(fraction) => {
                    let bar = egui::ProgressBar::new(fraction as f32).show_percentage().desired_width(420.0);
                    ui.add(bar);
                }
                None => {
                    ui.spinner();
                }
            }
            if let Some(left) = progress.and_then(|p| p.left) {
                ui.label(RichText::new(format!("{} left", duration(left))).weak());
            }
        }
        Phase::Failed(reason) => {
            ui.heading("This did not work");
            ui.add_space(8.0);
            ui.label(reason);
            ui.add_space(8.0);
            if ui.button("Back to the start").clicked() {
                app.state.page = super::state::Page::Start;
            }
        }
        _ => {
            ui.heading("No run is open");
            ui.add_space(8.0);
            if ui.button("Train one").clicked() {
                app.state.page = super::state::Page::Start;
            }
        }
    });
}
