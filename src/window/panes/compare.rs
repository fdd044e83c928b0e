//! Several runs over each other, and what is different between their settings; or a comparison at equal cost.

use super::control::of_paper;
use super::{comparison, losses};
use crate::config::Config;
use crate::window::app::App;
use crate::window::look::Palette;
use crate::window::state::{differences, paper_days};
use egui::{CentralPanel, Grid, Panel, RichText, ScrollArea, Ui};

/// Draws the page.
pub(in crate::window) fn compare(ui: &mut Ui, app: &mut App) {
    if app.state.comparison.is_some() {
        comparison::show(ui, app);
        return;
    }
    if app.state.tracks().next().is_none() {
        CentralPanel::default().show(ui, |ui| {
            ui.add_space(ui.available_height() * 0.3);
            ui.vertical_centered(|ui| {
                ui.heading("Open runs to compare them");
                ui.add_space(8.0);
                if ui.button("Open run…").clicked() {
                    app.ask_for_a_run();
                }
            });
        });
        return;
    }
    Panel::right("runs").resizable(true).default_size(400.0).size_range(280.0..=640.0).show(ui, |ui| {
        ScrollArea::both().auto_shrink([false, false]).show(ui, |ui| table(ui, app));
    });
    CentralPanel::default().show(ui, |ui| {
        let all = app.state.tracks().count().max(2);
        losses::toolbar(ui, app, all);
        losses::plots(ui, app, all);
    });
}

fn table(ui: &mut Ui, app: &mut App) {
    let palette = Palette::of(ui);
    let names = app.state.names();
    ui.add_space(6.0);
    ui.label(RichText::new("Runs").strong());
    let (mut closed, mut shown) = (None, None);
    let first_is_own = app.state.run.is_some();
    for (i, (track, name)) in app.state.tracks().zip(&names).enumerate() {
        ui.horizontal_wrapped(|ui| {
            let (rect, _) = ui.allocate_exact_size(egui::vec2(18.0, 4.0), egui::Sense::hover());
            ui.painter().rect_filled(rect, 1.0, palette.run(i));
            ui.label(RichText::new(name).strong());
            ui.label(RichText::new(format!("{} steps", crate::numbers::grouped(track.step()))).weak());
        });
        let held_out = track.held_out_values();
        if !held_out.is_empty() {
            ui.label(format!("held out: {}", held_out.join(", ")));
        }
        let pre_trains = !track.config.as_ref().is_some_and(Config::is_fine_tuning);
        if let Some(m) = track.intervals.last().filter(|m| m.flops.is_finite() && pre_trains) {
            ui.label(RichText::new(of_paper(paper_days(m.flops))).weak());
        }
        if !(first_is_own && i == 0) {
            ui.horizontal(|ui| {
                let show = ui.add_enabled(!app.state.phase.is_busy(), egui::Button::new("Show"));
                if show.on_hover_text("Ask its networks, go on with it").clicked() {
                    shown = Some(i - usize::from(first_is_own));
                }
                if ui.button("Close").on_hover_text(format!("Take {name} off the plots")).clicked() {
                    closed = Some(i - usize::from(first_is_own));
                }
            });
        }
        ui.add_space(6.0);
    }
    if let Some(i) = shown {
        app.show_other(i);
        return;
    }
    if let Some(i) = closed {
        app.state.others.remove(i);
        app.drawn.clear();
    }
    if ui.button("Open run…").clicked() {
        app.ask_for_a_run();
    }
    ui.add_space(10.0);
    ui.separator();
    ui.label(RichText::new("Settings that differ").strong());
    let configs: Vec<_> = app.state.tracks().map(|track| track.config.as_ref()).collect();
    let found = differences(&configs);
    if found.is_empty() {
        let words = if configs.len() < 2 { "Open another run to see what is different" } else { "None" };
        ui.label(RichText::new(words).weak());
        return;
    }
    Grid::new("differences").num_columns(1 + configs.len()).striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
        ui.label("");
        for (i, name) in names.iter().enumerate() {
            ui.label(RichText::new(name).color(palette.run(i)).strong());
        }
        ui.end_row();
        for difference in &found {
            ui.label(RichText::new(&difference.key).monospace());
            for value in &difference.values {
                ui.label(shortened(value)).on_hover_text(value);
            }
            ui.end_row();
        }
    });
}

/// A value that is a path shows its end.
fn shortened(value: &str) -> String {
    const MOST: usize = 22;
    let count = value.chars().count();
    if count <= MOST {
        return value.to_string();
    }
    let tail: String = value.chars().skip(count - (MOST - 1)).collect();
    format!("…{tail}")
}
