//! The runs there are, on the start page.

use crate::numbers::grouped;
use crate::window::app::App;
use egui::{Grid, RichText, Ui};

/// Runs that are listed; the others are counted.
const MOST: usize = 8;

/// Draws the list, if there is a run.
pub(super) fn show(ui: &mut Ui, app: &mut App) {
    app.look_for_runs();
    let found = &app.state.found;
    if found.is_empty() {
        return;
    }
    ui.add_space(18.0);
    ui.label(RichText::new("Or open a run").strong());
    ui.add_space(4.0);
    let mut opened = None;
    Grid::new("runs").num_columns(4).spacing([22.0, 4.0]).show(ui, |ui| {
        for run in found.iter().take(MOST) {
            let name = run.folder.file_name().unwrap_or(run.folder.as_os_str()).to_string_lossy();
            if ui.button(&*name).on_hover_text(run.folder.display().to_string()).clicked() {
                opened = Some(run.folder.clone());
            }
            ui.label(&run.about);
            ui.label(RichText::new(format!("{} steps", grouped(run.step))).weak());
            ui.label(RichText::new(&run.best).weak());
            ui.end_row();
        }
    });
    if found.len() > MOST {
        ui.label(RichText::new(format!("and {} older", found.len() - MOST)).weak());
    }
    if let Some(folder) = opened {
        app.open_listed(folder);
    }
}
