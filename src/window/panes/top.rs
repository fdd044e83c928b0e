//! The bar at the top: where one is, what the trainer does, and how the window looks. Below it the newest notice.

use crate::window::app::{App, Dialog};
use crate::window::export::ExportForm;
use crate::window::look::Palette;
use crate::window::state::{Page, Phase};
use egui::{Align, Button, Context, Layout, Panel, RichText, Theme, ThemePreference, Ui};

/// Draws the bar.
pub(in crate::window) fn top(ui: &mut Ui, app: &mut App) {
    Panel::top("top").show(ui, |ui| {
        ui.add_space(2.0);
        ui.horizontal(|ui| {
            ui.label(RichText::new("leyden").heading().strong());
            ui.add_space(6.0);
            for (page, name) in
                [(Page::Start, "Start"), (Page::Run, "Run"), (Page::Compare, "Compare"), (Page::Quiz, "Quiz")]
            {
                let enabled = page != Page::Quiz || app.state.offers_quiz();
                let label = Button::selectable(app.state.page == page, name);
                let reason = "There is no quiz without a generator and a discriminator, and this run has none";
                if ui.add_enabled(enabled, label).on_disabled_hover_text(reason).clicked() {
                    app.state.page = page;
                }
            }
            ui.separator();
            status(ui, app);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("?").on_hover_text("What the keys do (F1)").clicked() {
                    app.dialog = Dialog::Keys;
                }
                let dark = ui.visuals().dark_mode;
                if ui.button(if dark { "Light" } else { "Dark" }).on_hover_text("Light or dark (T)").clicked() {
                    toggle_theme(ui.ctx(), app);
                }
                let projector = ui.selectable_label(app.look.projector, "Projector");
                if projector.on_hover_text("Large type and high contrast (P)").clicked() {
                    app.look.projector ^= true;
                }
                ui.separator();
                if ui
                    .button("Open run…")
                    .on_hover_text("Look at a run or a comparison, or compare with a run (O)")
                    .clicked()
                {
                    app.ask_for_a_run();
                }
                let some = app.state.tracks().next().is_some();
                let export = ui.add_enabled(some, egui::Button::new("Export…"));
                if export.on_hover_text("Take pictures or numbers away (E)").clicked() {
                    app.dialog = Dialog::Export(ExportForm::new(&app.state));
                }
            });
        });
        ui.add_space(2.0);
    });
}

fn status(ui: &mut Ui, app: &App) {
    let palette = Palette::of(ui);
    let color = match app.state.phase {
        Phase::Training => palette.good(),
        Phase::Failed(_) => palette.bad(),
        Phase::Paused | Phase::Stopping | Phase::Preparing { .. } => palette.caution(),
        Phase::Idle | Phase::Done(_) | Phase::Looking => ui.visuals().weak_text_color(),
    };
    ui.label(RichText::new(app.state.phase.name()).color(color).strong());
    if let Some(name) = app.state.folder() {
        let room = (ui.available_width() - 430.0).max(60.0);
        ui.scope(|ui| {
            ui.set_max_width(room);
            ui.add(egui::Label::new(RichText::new(name.display().to_string()).weak()).truncate());
        });
    }
}

/// From light to dark and back.
pub(in crate::window) fn toggle_theme(ctx: &Context, app: &mut App) {
    app.look.theme = if ctx.theme() == Theme::Dark { ThemePreference::Light } else { ThemePreference::Dark };
}

/// Draws the newest notice, which stays until it is dismissed.
pub(in crate::window) fn notices(ui: &mut Ui, app: &mut App) {
    let Some(notice) = app.state.notices.back().cloned() else { return };
    let palette = Palette::of(ui);
    let mut dismissed = false;
    Panel::top("notices").show(ui, |ui| {
        ui.horizontal(|ui| {
            let (word, color) = if notice.warning { ("Note", palette.caution()) } else { ("Done", palette.good()) };
            ui.label(RichText::new(word).color(color).strong());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                dismissed = ui.button("Dismiss").clicked();
                let more = app.state.notices.len() - 1;
                if more > 0 {
                    ui.label(RichText::new(format!("and {more} before")).weak());
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(egui::Label::new(&notice.text).wrap());
                });
            });
        });
    });
    if dismissed {
        app.state.notices.pop_back();
    }
}
