//! Two panels over one x axis, the runs' names above them.

use super::canvas::{Anchor, Canvas, Stroke, fitted, width_of};
use super::panel::{self, FLOOR, Frame, INK, Label, Panel, Series};
use super::{COLOURS, MOST_RUNS, PictureError};
use crate::history::{Floors, Moment, Point, Recorded, Scale, X, smooth, smoothing_for, ticks};
use crate::numbers::{fixed, grouped};

const LEAST: (u32, u32) = (480, 320);
const MOST: (u32, u32) = (8_000, 8_000);
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

/// One of the two losses.
#[derive(Clone, Copy)]
struct Loss {
    name: &'static str,
    title: &'static str,
    value: fn(&Moment) -> f64,
}

const GENERATOR: Loss =
    Loss { name: "generator", title: "Generator loss, nats a masked token", value: |m| m.generator_loss };
const DISCRIMINATOR: Loss =
    Loss { name: "discriminator", title: "Discriminator loss, nats a token", value: |m| m.discriminator_loss };

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
        if width < LEAST.0 || height < LEAST.1 || width > MOST.0 || height > MOST.1 {
            return Err(PictureError::Size { found: self.size, least: LEAST, most: MOST });
        }
        let unit = (f64::from(width) / 1200.0).min(f64::from(height) / 800.0);
        let (width, height) = (f64::from(width), f64::from(height));
        let end = self.end()?;
        let axis = Unit::of(self.x, end);
        let panels = [self.generator(&axis, end), self.discriminator(&axis, end)];

        let mut canvas = Canvas::new(self.size.0, self.size.1);
        let (left, right) = (88.0 * unit, width - 236.0 * unit);
        let header = self.legend(&mut canvas, unit, left, width, &panels);
        let footer = height - 68.0 * unit;
        let between = 50.0 * unit;
        let each = (footer - header - 2.0 * between) / 2.0;
        let wide = ((right - left) / (110.0 * unit)) as usize;
        let (xs, digits) = ticks(0.0, end / axis.size, wide, Scale::Linear);
        for (i, panel) in panels.iter().enumerate() {
            let top = header + between + i as f64 * (each + between);
            let range = match self.scale {
                // A floor alone is no reason for a panel.
                Scale::Log if !panel.has_place() => return Err(PictureError::NotPositive { panel: panel.title }),
                // One of the losses that is no number at all is drawn as such.
                _ => panel.range().unwrap_or((0.0, 1.0)),
            };
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
    fn end(&self) -> Result<f64, PictureError> {
        let mut end: f64 = 0.0;
        for (run, recorded) in self.runs {
            let moments = || recorded.intervals.iter().chain(&recorded.held_out);
            if moments().all(|m| !(GENERATOR.value)(m).is_finite() && !(DISCRIMINATOR.value)(m).is_finite()) {
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

    fn series(&self, loss: Loss, axis: &Unit) -> Vec<Series<'static>> {
        let one = |(i, (_, run)): (usize, &(String, Recorded))| {
            let points = |moments: &[Moment]| -> Vec<Point> {
                moments.iter().map(|m| (m.x(self.x) / axis.size, (loss.value)(m))).filter(|p| p.0.is_finite()).collect()
            };
            let raw = points(&run.intervals);
            let weight = self.smoothing.unwrap_or_else(|| smoothing_for(raw.len()));
            Series {
                colour: COLOURS[i],
                smoothed: smooth(&raw, weight),
                held_out: points(&run.held_out),
                floor: Vec::new(),
                raw,
            }
        };
        self.runs.iter().enumerate().map(one).collect()
    }

    fn panel<'a>(&self, loss: Loss, axis: &Unit, end: f64) -> Panel<'a> {
        Panel {
            name: loss.name,
            title: loss.title,
            series: self.series(loss, axis),
            labels: Vec::new(),
            scale: self.scale,
            end: end / axis.size,
        }
    }

    fn generator(&self, axis: &Unit, end: f64) -> Panel<'static> {
        let mut panel = self.panel(GENERATOR, axis, end);
        let of_all = |value: fn(&Floors) -> Option<f64>| self.runs.iter().map(|(_, run)| value(&run.floors)).collect();
        let floors: [(&str, Vec<Option<f64>>); 2] =
            [("blind guessing", of_all(|f| f.uniform)), ("word frequency", of_all(|f| f.unigram))];
        for (name, found) in floors {
            let mut seen: Vec<String> = Vec::new();
            for (i, y) in found.iter().enumerate() {
                let Some(y) = *y else { continue };
                let text = format!("{} {name}", fixed(y, 2));
                if seen.contains(&text) {
                    continue;
                }
                // A floor of all runs belongs to none of them.
                let all = found.iter().all(|other| other.is_some_and(|o| format!("{} {name}", fixed(o, 2)) == text));
                let colour = if all { FLOOR } else { COLOURS[i] };
                panel.labels.push(Label { y, text: text.clone(), colour, line: true });
                seen.push(text);
            }
        }
        panel
    }

    fn discriminator(&self, axis: &Unit, end: f64) -> Panel<'static> {
        let mut panel = self.panel(DISCRIMINATOR, axis, end);
        for (series, (_, run)) in panel.series.iter_mut().zip(self.runs) {
            let base: Vec<Point> =
                run.intervals.iter().map(|m| (m.x(self.x) / axis.size, Floors::base_rate(m))).collect();
            let weight = self.smoothing.unwrap_or_else(|| smoothing_for(base.len()));
            // A run that does not note its replaced rate has no such floor.
            series.floor = smooth(&base, weight).into_iter().filter(|p| p.1.is_finite()).collect();
            if let Some(&(_, y)) = series.floor.last() {
                let text = format!("{} base rate", fixed(y, 3));
                match panel.labels.iter_mut().find(|label| label.text == text) {
                    // Of several runs: no run's colour.
                    Some(label) => label.colour = INK,
                    None => panel.labels.push(Label { y, text, colour: series.colour, line: false }),
                }
            }
        }
        panel
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
        let any = |has: fn(&Series<'_>) -> bool| panels.iter().flat_map(|p| &p.series).any(has);
        let broken = |s: &Series<'_>| s.raw.iter().chain(&s.held_out).any(|p| !p.1.is_finite());
        let present = [
            (Key::Raw, any(|s| !s.raw.is_empty())),
            (Key::Smoothed, any(|s| !s.raw.is_empty())),
            (Key::HeldOut, any(|s| !s.held_out.is_empty())),
            (Key::BaseRate, any(|s| !s.floor.is_empty())),
            (Key::NoNumber, any(broken)),
        ];
        present.into_iter().filter(|k| k.1).map(|k| k.0).collect()
    }
}

/// The size of a key's letters.
const KEY: f64 = 15.0;

/// A kind of mark.
#[derive(Debug, Clone, Copy)]
enum Key {
    Raw,
    Smoothed,
    HeldOut,
    BaseRate,
    NoNumber,
}

impl Key {
    fn text(self) -> &'static str {
        match self {
            Self::Raw => "every interval",
            Self::Smoothed => "smoothed",
            Self::HeldOut => "held-out text",
            Self::BaseRate => "always saying the replaced rate",
            Self::NoNumber => "no number",
        }
    }

    fn draw(self, canvas: &mut Canvas, (x, y): Point, unit: f64) {
        let end = (x + 28.0 * unit, y);
        let middle = (x + 18.0 * unit, y);
        match self {
            Self::Raw => canvas.line((x, y), end, panel::raw(INK, unit)),
            Self::Smoothed => canvas.line((x, y), end, panel::smoothed(INK, unit)),
            Self::HeldOut => canvas.dot(middle, panel::DOT * unit, INK),
            Self::BaseRate => canvas.line((x, y), end, panel::base_rate(INK, unit)),
            Self::NoNumber => canvas.cross(middle, panel::CROSS * unit, INK),
        }
        canvas.text((x + 34.0 * unit, y), KEY * unit, Anchor::Start, INK, self.text());
    }
}

/// A tick of the x axis: thousands grouped.
fn number(value: f64, digits: usize) -> String {
    if digits == 0 { grouped(value.round() as u64) } else { fixed(value, digits) }
}
