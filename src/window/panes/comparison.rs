//! A comparison at equal cost: scores along what they cost, with their spread; of a setting's values also over these; and the table.

use super::plot::{label, marks, short, tick};
use crate::measure::mean_and_deviation;
use crate::picture::ValuePanel;
use crate::window::app::App;
use crate::window::look::Palette;
use crate::window::state::Compared;
use egui::{Align2, CentralPanel, Color32, Grid, Panel, RichText, ScrollArea, Ui, WidgetInfo};
use egui_plot::{
    FilledArea, GridMark, HLine, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoint, PlotPoints, Points, Text,
};

/// Colours of their own; those that come after have another mark.
const COLOURS: usize = 7;

/// Draws the page.
pub(super) fn show(ui: &mut Ui, app: &mut App) {
    let Some(compared) = &mut app.state.comparison else { return };
    let mut closed = false;
    Panel::right("comparison").resizable(true).default_size(520.0).size_range(320.0..=820.0).show(ui, |ui| {
        ScrollArea::both().auto_shrink([false, false]).show(ui, |ui| {
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                ui.label(RichText::new("At equal cost, on held-out records").strong());
                closed = ui.button("Close").on_hover_text("Back to comparing runs").clicked();
            });
            ui.label(RichText::new(compared.comparison.folder.display().to_string()).weak());
            ui.add_space(6.0);
            table(ui, compared);
            ui.add_space(6.0);
            // As wide as what is seen: the table may be wider.
            let seen = egui::vec2(ui.clip_rect().width() - 16.0, 0.0);
            ui.allocate_ui(seen, |ui| ui.label(RichText::new(compared.table.explained()).weak()));
        });
    });
    CentralPanel::default().show(ui, |ui| {
        let plots = compared.comparison.judged.len() + compared.by_value.len();
        let height = (ui.available_height() / plots as f32 - 34.0).max(150.0);
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            if let Some(setting) = compared.comparison.setting() {
                compared.by_value.iter().for_each(|panel| by_value(ui, setting, panel, height));
            }
            for i in 0..compared.comparison.judged.len() {
                curves(ui, compared, i, height);
            }
        });
    });
    if closed {
        app.state.comparison = None;
    }
}

/// The colour and the mark of one of what is compared.
fn look(palette: Palette, place: usize) -> (Color32, MarkerShape) {
    let shapes = [MarkerShape::Circle, MarkerShape::Square, MarkerShape::Diamond, MarkerShape::Up];
    (palette.run(place), shapes[place / COLOURS % shapes.len()])
}

fn table(ui: &mut Ui, compared: &mut Compared) {
    let palette = Palette::of(ui);
    let Compared { comparison, table, hidden, .. } = compared;
    let several = comparison.budgets.len() > 1;
    Grid::new("scores").striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
        ui.label("");
        for (heading, _) in table.headings() {
            ui.label(RichText::new(heading).strong());
            ui.label(RichText::new(format!("to {}", table.first)).strong());
        }
        for heading in ["seeds", "TFLOP", "steps"] {
            ui.label(RichText::new(heading).strong());
        }
        ui.end_row();
        for row in &table.rows {
            match comparison.arms.iter().position(|arm| *arm == row.name) {
                Some(place) => {
                    ui.horizontal(|ui| {
                        let mut shown = !hidden.contains(&row.name);
                        let color = look(palette, place).0;
                        let name = RichText::new(&row.name).color(color).strong();
                        if ui.checkbox(&mut shown, name).on_hover_text("Whether it is drawn").changed() {
                            if shown {
                                hidden.remove(&row.name)
                            } else {
                                hidden.insert(row.name.clone())
                            };
                        }
                    });
                }
                None => {
                    ui.label(&row.name);
                }
            }
            for (score, (_, measure)) in row.scores.iter().zip(table.headings()) {
                ui.label(score.text(measure));
                ui.label(if row.is_first { String::new() } else { score.difference_text(measure) });
            }
            ui.label(row.seeds().to_string());
            let (flops, steps) = row.cost.map_or(("-".into(), "-".into()), |(flops, steps, ..)| {
                (crate::numbers::fixed(flops / 1e12, 2), crate::numbers::grouped(steps))
            });
            ui.label(if several { RichText::new(flops).strong() } else { RichText::new(flops) });
            ui.label(steps);
            ui.end_row();
        }
    });
}

fn curves(ui: &mut Ui, compared: &Compared, task: usize, height: f32) {
    let palette = Palette::of(ui);
    let judged = &compared.comparison.judged[task];
    let (unit_name, unit, end) = compared.axis();
    let shown = compared.shown(&judged.name, unit);
    ui.label(RichText::new(judged.title()).strong());
    let wide = (ui.available_width() / 110.0).max(2.0) as usize;
    let high = (height / 46.0).max(2.0) as usize;
    let response = Plot::new(("comparison", &judged.name))
        .height(height)
        .include_x(0.0)
        .include_x(end)
        .y_axis_min_width(54.0)
        .x_axis_label(unit_name)
        .x_grid_spacer(move |input| marks(input, wide))
        .x_axis_formatter(move |mark, range| tick(mark.value, *range.start(), *range.end(), wide))
        .y_grid_spacer(move |input| marks(input, high))
        .y_axis_formatter(move |mark, range| tick(mark.value, *range.start(), *range.end(), high))
        .label_formatter(|position| match position {
            HoverPosition::NearDataPoint { plot_name, position, .. } => {
                Some(format!("{plot_name}\n{} at {}", short(position.y), short(position.x)))
            }
            HoverPosition::Elsewhere { .. } => None,
        })
        .allow_scroll(false)
        .grid_color(palette.grid())
        .show(ui, |plot| {
            for curve in &shown {
                let ends = |of: fn(&(f64, f64, f64)) -> f64| curve.band.iter().map(of).collect::<Vec<f64>>();
                let (xs, low, high) = (ends(|band| band.0), ends(|band| band.1), ends(|band| band.2));
                let faint = look(palette, curve.place).0.gamma_multiply(0.15);
                plot.add(FilledArea::new(curve.name, &xs, &low, &high).fill_color(faint).allow_hover(false));
            }
            for curve in &shown {
                let (color, shape) = look(palette, curve.place);
                let points = || curve.points.iter().map(|&(x, y)| [x, y]).collect::<PlotPoints<'_>>();
                plot.line(Line::new(curve.name, points()).color(color).width(2.4));
                plot.points(Points::new(curve.name, points()).color(color).radius(4.5).shape(shape));
            }
        });
    let mut words = format!("{} along {unit_name}", judged.title());
    for curve in &shown {
        if let Some(&(x, y)) = curve.points.last() {
            words += &format!("; {} {} at {}", curve.name, short(y), short(x));
        }
    }
    response.response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, &words));
}

/// Over the values of a setting their scores, the mean and the spread.
fn by_value(ui: &mut Ui, setting: &str, panel: &ValuePanel, height: f32) {
    let palette = Palette::of(ui);
    let color = palette.run(0);
    ui.label(RichText::new(format!("{} over {setting}", panel.title)).strong());
    let high = (height / 46.0).max(2.0) as usize;
    let names: Vec<String> = panel.values.iter().map(|(name, _)| name.clone()).collect();
    let spread: Vec<(f64, f64)> = panel.values.iter().map(|(_, scores)| mean_and_deviation(scores)).collect();
    let places = names.len();
    let hovered = names.clone();
    let response = Plot::new(("values", &panel.title))
        .height(height)
        .include_x(-0.5)
        .include_x(places as f64 - 0.5)
        .y_axis_min_width(54.0)
        .x_axis_label(setting)
        .x_grid_spacer(move |_| (0..places).map(|i| GridMark { value: i as f64, step_size: 1.0 }).collect())
        .x_axis_formatter(move |mark, _| names.get(mark.value.round() as usize).cloned().unwrap_or_default())
        .y_grid_spacer(move |input| marks(input, high))
        .y_axis_formatter(move |mark, range| tick(mark.value, *range.start(), *range.end(), high))
        .label_formatter(move |position| match position {
            HoverPosition::NearDataPoint { position, .. } => {
                Some(format!("{}: {}", hovered.get(position.x.round() as usize)?, short(position.y)))
            }
            HoverPosition::Elsewhere { .. } => None,
        })
        .allow_scroll(false)
        .allow_drag(false)
        .grid_color(palette.grid())
        .show(ui, |plot| {
            if let Some((name, level)) = &panel.level {
                let line = HLine::new(name, *level).color(palette.baseline()).style(LineStyle::dashed_loose());
                plot.hline(line.width(1.2).allow_hover(false));
                let place = PlotPoint::new(places as f64 - 0.5, *level);
                let text = Text::new(name, place, label(name, palette));
                plot.text(text.anchor(Align2::RIGHT_BOTTOM).allow_hover(false));
            }
            let means =
                || spread.iter().enumerate().map(|(i, (mean, _))| [i as f64, *mean]).collect::<PlotPoints<'_>>();
            plot.line(Line::new("mean", means()).color(color).width(2.4).allow_hover(false));
            for (i, (mean, deviation)) in spread.iter().enumerate().filter(|(_, (_, deviation))| deviation.is_finite())
            {
                let ends = vec![[i as f64, mean - deviation], [i as f64, mean + deviation]];
                plot.line(Line::new("one standard deviation", ends).color(color).width(3.0).allow_hover(false));
            }
            let seeds = panel.values.iter().enumerate().filter(|(_, (_, scores))| scores.len() > 1);
            let seeds = seeds.flat_map(|(i, (_, scores))| scores.iter().map(move |score| [i as f64 + 0.08, *score]));
            let faint = color.gamma_multiply(0.5);
            plot.points(Points::new("seeds", seeds.collect::<PlotPoints<'_>>()).color(faint).radius(3.0));
            plot.points(Points::new("mean", means()).color(color).radius(5.0));
        });
    let mut words = format!("{} over {setting}", panel.title);
    for ((name, _), (mean, _)) in panel.values.iter().zip(&spread) {
        words += &format!("; {name} {}", short(*mean));
    }
    response.response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, &words));
}
