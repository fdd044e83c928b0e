//! One measure over the x axis: raw faint, smoothed bold, the held-out text as points, the baselines named.

use crate::history::{Moment, Point, Scale, Split, ticks};
use crate::measure::{Axis, Baseline, Hue, Measure};
use crate::numbers::{fixed, grouped};
use crate::window::app::{App, DrawnKey};
use crate::window::look::Palette;
use crate::window::state::{Drawn, Track};
use egui::{Align2, Color32, Context, Id, RichText, Ui};
use egui_plot::{
    GridInput, GridMark, HLine, HoverPosition, Line, LineStyle, Plot, PlotPoint, PlotPoints, Points, Text, VLine,
};
use std::rc::Rc;
use std::sync::Arc;

/// Which plot, and where.
#[derive(Debug, Clone)]
pub(super) struct Plotted {
    pub measure: Arc<Measure>,
    pub height: f32,
    /// How many of the runs.
    pub runs: usize,
    /// How many of the axis' own make one of what is shown.
    pub unit: f64,
    /// Empty where the axis is named under another plot.
    pub unit_name: &'static str,
    /// Where the longest run ends.
    pub end: f64,
}

impl Plotted {
    /// The measure at a moment, if it is a number.
    fn of(&self, moment: Option<&Moment>) -> Option<f64> {
        moment?.get(&self.measure.name).filter(|x| x.is_finite())
    }
}

/// Every plot of a page has this x axis and cursor.
fn group() -> Id {
    Id::unique("x axis")
}

/// Asks for the whole run to be shown again.
pub(super) fn reset(ctx: &Context) {
    // Asked for outside: the context's lock is not to be taken twice.
    let until = ctx.cumulative_pass_nr() + 2;
    ctx.data_mut(|data| data.insert_temp(Id::unique("show all"), until));
}

fn resets(ctx: &Context) -> bool {
    ctx.data(|data| data.get_temp::<u64>(Id::unique("show all"))).is_some_and(|until| ctx.cumulative_pass_nr() <= until)
}

/// Draws the plot.
pub(super) fn show(ui: &mut Ui, app: &mut App, p: &Plotted) {
    let palette = Palette::of(ui);
    let view = app.state.view;
    let scale = view.scale_of(&p.measure);
    // On another axis what was zoomed into lies elsewhere.
    let axes = (view.x as u8, scale == Scale::Log, p.unit.to_bits());
    let key = Id::unique(("axes", &*p.measure.name));
    let before = ui.ctx().data(|data| data.get_temp::<(u8, bool, u64)>(key));
    if before.is_some_and(|before| before != axes) {
        reset(ui.ctx());
    }
    ui.ctx().data_mut(|data| data.insert_temp(key, axes));
    let names = app.state.names();
    title(ui, app, p, palette);
    // As many marks as there is room for their numbers.
    let wide = (ui.available_width() / 110.0).max(2.0) as usize;
    let high = (p.height / 46.0).max(2.0) as usize;
    let mut plot = Plot::new(&p.measure.name)
        .height((p.height - 24.0).max(100.0))
        .link_axis(group(), [true, false])
        .link_cursor(group(), [true, false])
        .include_x(0.0)
        .include_x(p.end.max(1e-9))
        .y_axis_min_width(54.0)
        .set_margin_fraction(egui::vec2(0.02, 0.1))
        .x_grid_spacer(move |input| marks(input, wide))
        .x_axis_formatter(move |mark, range| tick(mark.value, *range.start(), *range.end(), wide))
        .y_axis_formatter(move |mark, range| match scale {
            Scale::Linear => tick(mark.value, *range.start(), *range.end(), high),
            Scale::Log => short(10f64.powf(mark.value)),
        })
        .label_formatter(move |position| hover(position, scale))
        .allow_scroll(false)
        .grid_color(palette.grid())
        .show_background(true);
    plot = match scale {
        Scale::Linear => plot.y_grid_spacer(move |input| marks(input, high)),
        Scale::Log => plot.y_grid_spacer(move |input| log_marks(input, high)),
    };
    if p.measure.axis == Axis::Zero {
        plot = plot.include_y(0.0);
    }
    if !p.unit_name.is_empty() {
        plot = plot.x_axis_label(p.unit_name);
    }
    if resets(ui.ctx()) {
        plot = plot.reset();
    }
    let several = p.runs > 1;
    let response = plot.show(ui, |plot| {
        let bounds = plot.plot_bounds();
        let whole = plot.auto_bounds().x || bounds.width() <= 0.0 || !bounds.width().is_finite();
        let range = if whole { (0.0, p.end) } else { (bounds.min()[0], bounds.max()[0]) };
        let columns = plot.response().rect.width().max(100.0) as usize;
        for (i, name) in names.iter().take(p.runs).enumerate() {
            let color = if several { palette.run(i) } else { color_of(&p.measure, palette) };
            let drawn = cached(app, i, p, range, columns);
            curves(plot, &drawn, name, color, palette, several);
        }
        let tracks: Vec<&Track> = app.state.tracks().take(p.runs).collect();
        baselines(plot, &tracks, &p.measure, scale, range, palette);
    });
    let words = describe(app, p);
    response.response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &words));
}

/// A measure's own colour: its network's.
fn color_of(measure: &Measure, palette: Palette) -> Color32 {
    match measure.hue {
        Hue::First => palette.generator(),
        Hue::Second => palette.discriminator(),
        Hue::Neutral => palette.run(2),
    }
}

fn title(ui: &mut Ui, app: &App, p: &Plotted, palette: Palette) {
    ui.horizontal(|ui| {
        ui.set_height(18.0);
        let color = if p.runs > 1 { ui.visuals().text_color() } else { color_of(&p.measure, palette) };
        ui.label(RichText::new(&p.measure.title).color(color).strong());
        ui.label(RichText::new(&p.measure.unit).weak());
        if p.runs == 1
            && let Some(run) = &app.state.run
        {
            let (last, held) = (p.of(run.intervals.last()), p.of(run.held_out.last()));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if let Some(x) = held {
                    ui.label(RichText::new(format!("held out {}", short(x))).weak());
                }
                if let Some(x) = last {
                    ui.label(RichText::new(short(x)).strong());
                }
            });
        }
    });
}

/// The curves as they were drawn last, if nothing has changed.
fn cached(app: &mut App, i: usize, p: &Plotted, range: (f64, f64), columns: usize) -> Rc<Drawn> {
    let view = app.state.view;
    let Some(track) = app.state.tracks().nth(i) else { return Rc::default() };
    let key = DrawnKey { version: track.version, view, unit: p.unit, range, columns };
    let place = (i, p.measure.name.clone());
    match app.drawn.get(&place) {
        Some((before, drawn)) if *before == key => drawn.clone(),
        _ => {
            let drawn = Rc::new(view.draw(track, &p.measure, p.unit, range, columns));
            app.drawn.insert(place, (key, drawn.clone()));
            drawn
        }
    }
}

fn points(points: &[Point]) -> PlotPoints<'static> {
    points.iter().map(|&(x, y)| [x, y]).collect()
}

fn curves(
    plot: &mut egui_plot::PlotUi<'_>,
    drawn: &Drawn,
    name: &str,
    color: Color32,
    palette: Palette,
    several: bool,
) {
    let lines =
        |plot: &mut egui_plot::PlotUi<'_>, split: &Split, what: &str, color: Color32, width: f32, style: LineStyle| {
            for piece in &split.pieces {
                let called = if several { format!("{name}, {what}") } else { what.to_string() };
                plot.line(Line::new(called, points(piece)).color(color).width(width).style(style));
            }
        };
    let faint = color.gamma_multiply(if several { 0.25 } else { 0.4 });
    lines(plot, &drawn.raw, "raw", faint, 1.0, LineStyle::Solid);
    for (baseline, line) in &drawn.baselines {
        let faint = if several { color.gamma_multiply(0.7) } else { palette.baseline() };
        lines(plot, line, &baseline.short, faint, 1.2, LineStyle::dashed_loose());
        if let Some(&(x, y)) = line.pieces.last().and_then(|piece| piece.last()).filter(|_| !several) {
            let text = Text::new("baseline", PlotPoint::new(x, y), label(&baseline.title, palette));
            plot.text(text.anchor(Align2::RIGHT_BOTTOM).allow_hover(false));
        }
    }
    lines(plot, &drawn.smoothed, "smoothed", color, 2.4, LineStyle::Solid);
    for gap in &drawn.raw.gaps {
        let line = VLine::new("no number", *gap).color(palette.bad()).width(1.5).allow_hover(false);
        plot.vline(line);
    }
    if !drawn.held_out.is_empty() {
        let called = if several { format!("{name}, held out") } else { "held out".to_string() };
        plot.points(Points::new(called, points(&drawn.held_out)).color(color).radius(4.0));
    }
}

/// What stands still and a measure is held against, across the plot, and named at its right end.
fn baselines(
    plot: &mut egui_plot::PlotUi<'_>,
    tracks: &[&Track],
    measure: &Measure,
    scale: Scale,
    (_, end): (f64, f64),
    palette: Palette,
) {
    let level = |b: &Baseline| {
        let y = b.at?;
        // A share's is read off the axis.
        let number = format!(", {}", fixed(y, usize::from(measure.digits.saturating_sub(1))));
        Some((y, format!("{}{}", b.title, if measure.axis == Axis::Log { number } else { String::new() })))
    };
    let place = |y: f64| if scale == Scale::Log { y.log10() } else { y };
    let own = tracks.iter().flat_map(|track| track.measures.baselines(&measure.name));
    // Along a logarithmic axis 0 has no place.
    let mut levels: Vec<(f64, String)> = own.filter_map(level).filter(|level| place(level.0).is_finite()).collect();
    levels.dedup_by(|a, b| a.1 == b.1);
    levels.sort_by(|a, b| a.0.total_cmp(&b.0));
    levels.dedup_by(|a, b| a.1 == b.1);
    let highest = levels.last().map(|level| place(level.0)).filter(|_| levels.len() > 1);
    for (y, name) in levels {
        let y = place(y);
        plot.hline(
            HLine::new("baseline", y)
                .color(palette.baseline())
                .width(1.2)
                .style(LineStyle::dashed_loose())
                .allow_hover(false),
        );
        let text = label(&name, palette);
        // The uppermost may lie at the plot's edge.
        let anchor = if Some(y) == highest { Align2::RIGHT_TOP } else { Align2::RIGHT_BOTTOM };
        plot.text(Text::new("baseline", PlotPoint::new(end, y), text).anchor(anchor).allow_hover(false));
    }
}

/// A baseline's name, to be read over curves.
pub(super) fn label(name: &str, palette: Palette) -> RichText {
    RichText::new(name).size(12.0).color(palette.baseline()).background_color(palette.back().gamma_multiply(0.75))
}

fn hover(position: &HoverPosition<'_>, scale: Scale) -> Option<String> {
    let value = |at: PlotPoint| (short(at.x), short(if scale == Scale::Log { 10f64.powf(at.y) } else { at.y }));
    match position {
        HoverPosition::NearDataPoint { plot_name, position, .. } => {
            let (x, y) = value(*position);
            Some(format!("{plot_name}\n{y} at {x}"))
        }
        HoverPosition::Elsewhere { .. } => None,
    }
}

/// Round marks of an axis.
pub(super) fn marks(input: GridInput, most: usize) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    if !(low.is_finite() && high.is_finite() && high > low) {
        return Vec::new();
    }
    let (values, _) = ticks(low, high, most, Scale::Linear);
    let step_size = (high - low) / most as f64;
    values.into_iter().map(|value| GridMark { value, step_size }).collect()
}

/// A mark's number, with as many digits as tell it from its neighbours.
pub(super) fn tick(value: f64, low: f64, high: f64, most: usize) -> String {
    let (_, digits) = ticks(low, high, most, Scale::Linear);
    match value.abs() {
        a if digits == 0 && a >= 1_000.0 => grouped_signed(value),
        a if a > 0.0 && a < 1e-3 => format!("{value:.1e}"),
        _ => fixed(value, digits),
    }
}

fn grouped_signed(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", grouped(value.abs().round() as u64))
}

/// Marks of a logarithmic axis, in logarithms.
fn log_marks(input: GridInput, most: usize) -> Vec<GridMark> {
    let (low, high) = (10f64.powf(input.bounds.0), 10f64.powf(input.bounds.1));
    if !(low > 0.0 && high.is_finite() && high > low) {
        return Vec::new();
    }
    let (values, _) = ticks(low, high, most, Scale::Log);
    let step_size = (input.bounds.1 - input.bounds.0) / values.len().max(1) as f64;
    values.iter().filter(|x| **x > 0.0).map(|x| GridMark { value: x.log10(), step_size }).collect()
}

/// A number with about four digits.
pub(super) fn short(x: f64) -> String {
    match x.abs() {
        a if a >= 1_000.0 => grouped_signed(x),
        a if a >= 100.0 => format!("{x:.1}"),
        a if a >= 1.0 => format!("{x:.3}"),
        a if a >= 1e-3 || a == 0.0 => fixed(x, 4),
        _ => format!("{x:.2e}"),
    }
}

/// The plot for those who do not see it.
fn describe(app: &App, p: &Plotted) -> String {
    let mut words = format!("{} plot", p.measure.title);
    for (track, name) in app.state.tracks().take(p.runs).zip(app.state.names()) {
        if let (Some(first), Some(last)) = (p.of(track.intervals.first()), p.of(track.intervals.last())) {
            words += &format!("; {name} from {} to {}", short(first), short(last));
        }
        if let Some(held) = p.of(track.held_out.last()) {
            words += &format!(", held out {}", short(held));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        assert_eq!(
            [short(12_345.6), short(7.62451), short(0.30312), short(2e-5)],
            ["12,346", "7.625", "0.3031", "2.00e-5"]
        );
        assert_eq!(
            [tick(4_000.0, 0.0, 5_000.0, 5), tick(0.25, 0.2, 0.3, 2), tick(5.0, 4.9, 9.0, 4)],
            ["4,000", "0.25", "5"]
        );
    }

    #[test]
    fn a_logarithmic_axis_has_marks_inside_it() {
        let marks = log_marks(GridInput { bounds: (0.0, 2.0), base_step_size: 0.1 }, 6);
        assert!(marks.len() > 2 && marks.iter().all(|m| (0.0..=2.0).contains(&m.value)), "{}", marks.len());
        assert!(log_marks(GridInput { bounds: (0.0, f64::INFINITY), base_step_size: 0.1 }, 6).is_empty());
    }
}
