//! The main measures over one x axis, and the others under them.

use super::plot::{self, Plotted};
use crate::history::{Scale, X};
use crate::measure::Measure;
use crate::window::app::App;
use egui::{Button, ComboBox, Slider, Ui};
use std::sync::Arc;

/// The axes' names.
const AXES: [(X, &str); 4] = [(X::Steps, "Steps"), (X::Tokens, "Tokens"), (X::Hours, "Time"), (X::Flops, "FLOPs")];

/// The axis after this one.
pub(in crate::window) fn next_axis(x: X) -> X {
    let at = AXES.iter().position(|(axis, _)| *axis == x).unwrap_or(0);
    AXES[(at + 1) % AXES.len()].0
}

/// Makes the bold curves smoother, or rougher.
pub(in crate::window) fn smooth_more(app: &mut App, by: f64) {
    let count = app.state.run.as_ref().map_or(0, |run| run.intervals.len());
    let now = app.state.view.smoothing.unwrap_or_else(|| crate::history::smoothing_for(count));
    app.state.view.smoothing = Some((now + by).clamp(0.0, 0.99));
}

/// Draws the pane.
pub(super) fn show(ui: &mut Ui, app: &mut App) {
    let one = app.state.run.iter().count();
    toolbar(ui, app, one);
    plots(ui, app, one);
}

/// What the curves of the first `runs` runs are looked at with.
pub(super) fn toolbar(ui: &mut Ui, app: &mut App, runs: usize) {
    ui.horizontal_wrapped(|ui| {
        let view = &mut app.state.view;
        let name = AXES.iter().find(|(x, _)| *x == view.x).map_or("", |(_, name)| *name);
        let label = ui.label("Along");
        let combo = ComboBox::from_id_salt("axis").selected_text(name).width(84.0).show_ui(ui, |ui| {
            for (x, name) in AXES {
                ui.selectable_value(&mut view.x, x, name);
            }
        });
        combo.response.labelled_by(label.id);
        let mut log = view.scale == Scale::Log;
        if ui.checkbox(&mut log, "Logarithmic").changed() {
            view.scale = if log { Scale::Log } else { Scale::Linear };
        }
        let count = app.state.run.as_ref().map_or(0, |run| run.intervals.len());
        let mut weight = view.smoothing.unwrap_or_else(|| crate::history::smoothing_for(count));
        let label = ui.label("Smoothing");
        ui.spacing_mut().slider_width = 110.0;
        let slider = Slider::new(&mut weight, 0.0..=0.99).max_decimals(2);
        let slider = ui.add(slider).labelled_by(label.id);
        if slider.on_hover_text("How much of the bold curve is what was before").changed() {
            view.smoothing = Some(weight);
        }
        ui.menu_button("More plots", |ui| {
            for measure in app.state.measures(runs).1 {
                let mut shown = app.state.shown.contains(&measure.name);
                if ui.checkbox(&mut shown, &measure.title).changed() {
                    match shown {
                        true => app.state.shown.insert(measure.name.clone()),
                        false => app.state.shown.remove(&measure.name),
                    };
                }
            }
        });
        if ui.add(Button::new("Show all")).on_hover_text("Back to the whole run, after zooming or dragging").clicked() {
            plot::reset(ui.ctx());
        }
    });
}

/// Draws the main measures and those that are shown of the first `runs` runs; of all if that is more.
pub(super) fn plots(ui: &mut Ui, app: &mut App, runs: usize) {
    let end = app.state.view.end(app.state.tracks().take(runs));
    let (unit_name, unit) = app.state.view.x.unit(end);
    let (main, mut others) = app.state.measures(runs);
    others.retain(|measure| app.state.shown.contains(&measure.name));
    let spacing = ui.spacing().item_spacing.y;
    let rows = (main.len() + others.len().div_ceil(2)).max(1);
    let available = ui.available_height();
    let height = ((available - rows as f32 * spacing) / rows as f32 - 3.0).max(150.0);
    let plotted = |measure: &Arc<Measure>, height, last| Plotted {
        measure: measure.clone(),
        height,
        runs,
        unit,
        unit_name: if last { unit_name } else { "" },
        end: end / unit,
    };
    egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        for (i, measure) in main.iter().enumerate() {
            let last = i + 1 == main.len() && others.is_empty();
            plot::show(ui, app, &plotted(measure, height, last));
        }
        for (i, pair) in others.chunks(2).enumerate() {
            let last = (i + 1) * 2 >= others.len();
            ui.columns(2, |columns| {
                for (ui, measure) in columns.iter_mut().zip(pair) {
                    plot::show(ui, app, &plotted(measure, height, last));
                }
            });
        }
    });
}
