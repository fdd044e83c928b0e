//! A panel for each main measure over one x axis, the runs' names above them.

use super::canvas::{Anchor, Canvas, Stroke, fitted, width_of};
use super::panel::{self, BASELINE, Frame, INK, Label, Panel, Series};
use super::{COLOURS, MOST_RUNS, PictureError};
use crate::history::{Moment, Point, Recorded, Scale, X, smooth, smoothing_for, ticks};
use crate::measure::{Axis, Baseline, Measure, Measures};
use crate::numbers::{fixed, grouped};
use std::sync::Arc;

const LEAST: (u32, u32) = (480, 320);
const MOST: (u32, u32) = (8_000, 8_000);
/// The least height for each of more than two panels.
const PANEL: u32 = 160;
/// Runs beside each other in the legend.
const LEGEND_COLUMNS: usize = 3;

/// What to draw and how.
#[derive(Debug)]
pub struct Figure<'a> {
    /// The runs, each with its name.
    pub runs: &'a [(String, Recorded)],
    /// What is along the x axis.
    pub x: X,
    /// How the losses are laid along theirs.
    pub scale: Scale,
    /// The weight of what was before in the bold curves, 0 to 1; by each run's number of intervals if not given.
    pub smoothing: Option<f64>,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// The x axis' unit: its name, and how many of [`X`]'s make one.
struct Unit {
    name: &'static str,
    size: f64,
}

impl Unit {
    fn of(x: X, end: f64) -> Self {
        let (name, size) = x.unit(end);
        Self { name, size }
    }
}

impl Figure<'_> {
    /// The picture as an SVG file.
    ///
    /// # Errors
    /// [`PictureError`] for runs, a size or an axis that cannot be drawn.
    pub fn to_svg(&self) -> Result<String, PictureError> {
        let (width, height) = self.size;
        if self.runs.is_empty() || self.runs.len() > MOST_RUNS {
            return Err(PictureError::Runs { found: self.runs.len() });
        }
        let measures = Measures::merged(self.runs.iter().flat_map(|(_, run)| run.measures.main()));
        let least = (LEAST.0, LEAST.1.max(PANEL * measures.len() as u32).min(MOST.1));
        if width < least.0 || height < least.1 || width > MOST.0 || height > MOST.1 {
            return Err(PictureError::Size { found: self.size, least, most: MOST });
        }
        let unit = (f64::from(width) / 1200.0).min(f64::from(height) / (400.0 * measures.len().max(2) as f64));
        let (width, height) = (f64::from(width), f64::from(height));
        let end = self.end(&measures)?;
        let axis = Unit::of(self.x, end);
        let panels: Vec<Panel<'_>> = measures.iter().enumerate().map(|(i, m)| self.panel(i, m, &axis, end)).collect();

        let mut canvas = Canvas::new(self.size.0, self.size.1);
        let (left, right) = (88.0 * unit, width - 236.0 * unit);
        let header = self.legend(&mut canvas, unit, left, width, &panels);
        let footer = height - 68.0 * unit;
        let between = 50.0 * unit;
        let each = (footer - header) / panels.len() as f64 - between;
        let wide = ((right - left) / (110.0 * unit)) as usize;
        let (xs, digits) = ticks(0.0, end / axis.size, wide, Scale::Linear);
        for (i, panel) in panels.iter().enumerate() {
            let top = header + between + i as f64 * (each + between);
            // A baseline alone is no reason for a panel.
            if panel.scale == Scale::Log && !panel.has_place() {
                return Err(PictureError::NotPositive { panel: panel.title.clone() });
            }
            // One of the measures that is no number at all is drawn as such.
            let range = panel.range().unwrap_or((0.0, 1.0));
            panel.draw(&mut canvas, Frame { left, top, right, bottom: top + each, unit }, range, &xs);
        }
        for &tick in &xs {
            let place = left + tick * axis.size / end * (right - left);
            let text = number(tick, digits);
            canvas.text((place, footer + 20.0 * unit), 16.0 * unit, Anchor::Middle, INK, &text);
        }
        let middle = ((left + right) / 2.0, footer + 46.0 * unit);
        canvas.text(middle, 18.0 * unit, Anchor::Middle, INK, axis.name);
        Ok(canvas.finish())
    }

    /// Where the x axis ends, if there is something to draw of every run.
    fn end(&self, measures: &[Arc<Measure>]) -> Result<f64, PictureError> {
        let mut end: f64 = 0.0;
        for (run, recorded) in self.runs {
            let moments = || recorded.intervals.iter().chain(&recorded.held_out);
            if !moments().any(|m| measures.iter().any(|measure| m.get(&measure.name).is_some_and(f64::is_finite))) {
                return Err(PictureError::NoNumber { run: run.clone() });
            }
            let Some(last) = moments().map(|m| m.x(self.x)).filter(|x| x.is_finite()).reduce(f64::max) else {
                let settings = self.x == X::Flops;
                return Err(PictureError::NoPlace { run: run.clone(), what: self.x.name(), settings });
            };
            end = end.max(last);
        }
        if end > 0.0 { Ok(end) } else { Err(PictureError::NoExtent { what: self.x.name() }) }
    }

    fn panel(&self, i: usize, measure: &Measure, axis: &Unit, end: f64) -> Panel<'static> {
        let unit = if measure.unit.is_empty() { String::new() } else { format!(", {}", measure.unit) };
        let mut panel = Panel {
            name: format!("panel{i}"),
            title: format!("{}{unit}", measure.title),
            series: (0..self.runs.len()).map(|run| self.series(run, measure, axis)).collect(),
            labels: Vec::new(),
            scale: if measure.axis == Axis::Log { self.scale } else { Scale::Linear },
            from_zero: measure.axis == Axis::Zero,
            end: end / axis.size,
        };
        self.levels(measure, &mut panel);
        panel
    }

    fn series(&self, run: usize, measure: &Measure, axis: &Unit) -> Series<'static> {
        let recorded = &self.runs[run].1;
        let points = |moments: &[Moment], name: &str| -> Vec<Point> {
            let point = |m: &Moment| Some((m.x(self.x) / axis.size, m.get(name)?));
            moments.iter().filter_map(point).filter(|p| p.0.is_finite()).collect()
        };
        let smoothed = |raw: &[Point]| smooth(raw, self.smoothing.unwrap_or_else(|| smoothing_for(raw.len())));
        let raw = points(&recorded.intervals, &measure.name);
        // A run that does not note it has no such baseline.
        let moving = recorded.measures.baselines(&measure.name).filter(|b| b.at.is_none()).map(|baseline| {
            let line = smoothed(&points(&recorded.intervals, &baseline.key(&measure.name)));
            (baseline.clone(), line.into_iter().filter(|p| p.1.is_finite()).collect())
        });
        let held_out = points(&recorded.held_out, &measure.name);
        // Of means over several runs: what lies a deviation below and above.
        let [low, high] = [".low", ".high"].map(|side| points(&recorded.held_out, &format!("{}{side}", measure.name)));
        Series {
            colour: COLOURS[run],
            // Where nothing was logged in between, the line goes from point to point.
            smoothed: if raw.is_empty() { held_out.clone() } else { smoothed(&raw) },
            held_out,
            band: (low, high),
            baselines: moving.filter(|(_, line): &(_, Vec<Point>)| !line.is_empty()).collect(),
            raw,
        }
    }

    /// Names the baselines: those that stand still across the panel, those that move at their ends.
    fn levels(&self, measure: &Measure, panel: &mut Panel<'_>) {
        let digits = usize::from(measure.digits.saturating_sub(1));
        let text = |y: f64, baseline: &Baseline| format!("{} {}", fixed(y, digits), baseline.short);
        let of_run = |(_, run): &(String, Recorded)| -> Vec<(f64, String)> {
            run.measures.baselines(&measure.name).filter_map(|b| Some((b.at?, text(b.at?, b)))).collect()
        };
        let still: Vec<Vec<(f64, String)>> = self.runs.iter().map(of_run).collect();
        for (i, found) in still.iter().enumerate() {
            for (y, text) in found {
                // A baseline of all runs belongs to none of them.
                let all = still.iter().all(|other| other.iter().any(|(_, t)| t == text));
                if panel.labels.iter().all(|label| label.text != *text) {
                    let colour = if all { BASELINE } else { COLOURS[i] };
                    panel.labels.push(Label { y: *y, text: text.clone(), colour, line: true });
                }
            }
        }
        for series in &panel.series {
            for (baseline, line) in &series.baselines {
                let Some(&(_, y)) = line.last() else { continue };
                let text = text(y, baseline);
                match panel.labels.iter_mut().find(|label| label.text == text) {
                    // Of several runs: no run's colour.
                    Some(label) => label.colour = INK,
                    None => panel.labels.push(Label { y, text, colour: series.colour, line: false }),
                }
            }
        }
    }

    /// Draws the runs' names and what each kind of line is; where it ends.
    fn legend(&self, canvas: &mut Canvas, unit: f64, left: f64, width: f64, panels: &[Panel<'_>]) -> f64 {
        let size = 18.0 * unit;
        let right = width - 24.0 * unit;
        let columns = self.runs.len().min(LEGEND_COLUMNS);
        let column = (right - left) / columns as f64;
        let mut y = 30.0 * unit;
        for (row, runs) in self.runs.chunks(columns).enumerate() {
            y = (30.0 + 30.0 * row as f64) * unit;
            for (i, (name, _)) in runs.iter().enumerate() {
                let x = left + i as f64 * column;
                let colour = COLOURS[row * columns + i];
                canvas.line((x, y), (x + 36.0 * unit, y), Stroke::new(colour, 5.0 * unit));
                let name = fitted(name, size, column - 64.0 * unit);
                canvas.text((x + 46.0 * unit, y), size, Anchor::Start, INK, &name);
            }
        }
        y += 30.0 * unit;
        let mut x = left;
        for key in self.keys(panels) {
            key.draw(canvas, (x, y), unit);
            x += 46.0 * unit + width_of(key.text(), KEY * unit);
        }
        y
    }

    /// The kinds of marks that the picture has.
    fn keys(&self, panels: &[Panel<'_>]) -> Vec<Key> {
        let series = || panels.iter().flat_map(|p| &p.series);
        let broken = |s: &Series<'_>| s.raw.iter().chain(&s.held_out).any(|p| !p.1.is_finite());
        let has_raw = series().any(|s| !s.raw.is_empty());
        let mut baselines: Vec<&str> = Vec::new();
        for (baseline, _) in series().flat_map(|s| &s.baselines) {
            if !baselines.contains(&baseline.title.as_str()) {
                baselines.push(&baseline.title);
            }
        }
        let present =
            [(Key::Raw, has_raw), (Key::Smoothed, has_raw), (Key::HeldOut, series().any(|s| !s.held_out.is_empty()))];
        let mut keys: Vec<Key> = present.into_iter().filter(|k| k.1).map(|k| k.0).collect();
        keys.extend(baselines.into_iter().map(|title| Key::Baseline(title.into())));
        keys.extend(series().any(|s| !s.band.0.is_empty()).then_some(Key::Band));
        keys.extend(series().any(broken).then_some(Key::NoNumber));
        keys
    }
}

/// The size of a key's letters.
const KEY: f64 = 15.0;

/// A kind of mark.
#[derive(Debug)]
enum Key {
    Raw,
    Smoothed,
    HeldOut,
    /// One that moves, by what reaches it.
    Baseline(String),
    /// Around the mean of several runs.
    Band,
    NoNumber,
}

impl Key {
    fn text(&self) -> &str {
        match self {
            Self::Raw => "every interval",
            Self::Smoothed => "smoothed",
            Self::HeldOut => "held-out text",
            Self::Baseline(title) => title,
            Self::Band => "one standard deviation",
            Self::NoNumber => "no number",
        }
    }

    fn draw(&self, canvas: &mut Canvas, (x, y): Point, unit: f64) {
        let end = (x + 28.0 * unit, y);
        let middle = (x + 18.0 * unit, y);
        match self {
            Self::Raw => canvas.line((x, y), end, panel::raw(INK, unit)),
            Self::Smoothed => canvas.line((x, y), end, panel::smoothed(INK, unit)),
            Self::HeldOut => canvas.dot(middle, panel::DOT * unit, INK),
            Self::Baseline(_) => canvas.line((x, y), end, panel::baseline(INK, unit)),
            Self::Band => {
                let (above, below) = (y - 7.0 * unit, y + 7.0 * unit);
                canvas.area(&[(x, above), (end.0, above), (end.0, below), (x, below)], INK, "");
            }
            Self::NoNumber => canvas.cross(middle, panel::CROSS * unit, INK),
        }
        canvas.text((x + 34.0 * unit, y), KEY * unit, Anchor::Start, INK, self.text());
    }
}

/// A tick of the x axis: thousands grouped.
fn number(value: f64, digits: usize) -> String {
    if digits == 0 { grouped(value.round() as u64) } else { fixed(value, digits) }
}
