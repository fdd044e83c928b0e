//! One loss over the course of training, with its axes.

use super::canvas::{Anchor, Canvas, Stroke};
use super::labels::spread;
use crate::history::{Point, Scale, thin, ticks};
use crate::measure::Baseline;
use crate::numbers::fixed;

/// A run's part of a panel.
#[derive(Debug)]
pub(super) struct Series<'a> {
    pub colour: &'a str,
    pub raw: Vec<Point>,
    pub smoothed: Vec<Point>,
    pub held_out: Vec<Point>,
    /// The lower and the upper end of a spread, at the same places; none of a single run.
    pub band: (Vec<Point>, Vec<Point>),
    /// What it is to be held against, where that moves with the run.
    pub baselines: Vec<(Baseline, Vec<Point>)>,
}

/// A line across the panel, or the name of what ends at `y`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label<'a> {
    pub y: f64,
    pub text: String,
    pub colour: &'a str,
    /// Whether a line is drawn at `y`.
    pub line: bool,
}

#[derive(Debug)]
pub(super) struct Panel<'a> {
    /// Unique in the picture.
    pub name: String,
    pub title: String,
    pub series: Vec<Series<'a>>,
    pub labels: Vec<Label<'a>>,
    pub scale: Scale,
    /// Whether the y axis goes down to 0.
    pub from_zero: bool,
    /// The x axis' last value; it begins at 0.
    pub end: f64,
}

/// Pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    /// 1 in a picture of 1200 x 800.
    pub unit: f64,
}

pub(super) const INK: &str = "#222222";
pub(super) const BASELINE: &str = "#595959";
const GRID: &str = "#dddddd";
/// Radius of a held-out point.
pub(super) const DOT: f64 = 6.5;
/// Half the width of the mark of what is no number.
pub(super) const CROSS: f64 = 6.0;

/// The line of the values as they were logged.
pub(super) fn raw(colour: &str, unit: f64) -> Stroke<'_> {
    Stroke { opacity: 0.4, ..Stroke::new(colour, 1.3 * unit) }
}

/// The line of their average.
pub(super) fn smoothed(colour: &str, unit: f64) -> Stroke<'_> {
    Stroke::new(colour, 3.2 * unit)
}

/// The line of a baseline that moves with a run.
pub(super) fn baseline(colour: &str, unit: f64) -> Stroke<'_> {
    Stroke { dashes: Some((1.0 * unit, 6.0 * unit)), ..Stroke::new(colour, 2.6 * unit) }
}

impl Panel<'_> {
    /// Whether any of its losses has a place along the y axis.
    pub(super) fn has_place(&self) -> bool {
        let mut points = self.series.iter().flat_map(|s| s.raw.iter().chain(&s.held_out));
        points.any(|p| self.scale.place(p.1).is_finite())
    }

    /// The lowest and the highest value to show. A few outliers among the raw values do not stretch it: they are cut off
    /// at the edge. `None` if there is nothing to show.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let shown = |y: &f64| y.is_finite() && (self.scale == Scale::Linear || *y > 0.0);
        let mut values: Vec<f64> = Vec::new();
        for series in &self.series {
            let mut raw: Vec<f64> = series.raw.iter().map(|p| p.1).filter(shown).collect();
            raw.sort_unstable_by(f64::total_cmp);
            if let Some(last) = raw.len().checked_sub(1) {
                values.extend([raw[last / 200], raw[last - last / 200]]);
            }
            let finite = |p: &&Point| p.1.is_finite();
            values.extend(series.smoothed.iter().find(finite).map(|p| p.1));
            values.extend(series.smoothed.iter().rev().find(finite).map(|p| p.1));
            values.extend(series.held_out.iter().map(|p| p.1));
            values.extend(series.band.0.iter().chain(&series.band.1).map(|p| p.1));
            values.extend(series.baselines.iter().flat_map(|(_, line)| line).map(|p| p.1));
        }
        values.extend(self.labels.iter().map(|l| l.y));
        values.extend(self.from_zero.then_some(0.0));
        let mut shown = values.into_iter().filter(shown).map(|y| self.scale.place(y));
        let first = shown.next()?;
        let (low, high) = shown.fold((first, first), |(low, high), y| (low.min(y), high.max(y)));
        // Room above and below; a constant loss is in the middle.
        let room = if high > low { 0.05 * (high - low) } else { 0.05 * high.abs().max(1.0) };
        Some((low - room, high + room))
    }

    /// Draws everything but the x axis' numbers. `xs` are its ticks.
    pub(super) fn draw(&self, canvas: &mut Canvas, frame: Frame, range: (f64, f64), xs: &[f64]) {
        let Frame { left, top, right, bottom, unit } = frame;
        let x = |x: f64| left + x / self.end * (right - left);
        let height = range.1 - range.0;
        let y = |y: f64| bottom - (self.scale.place(y) - range.0) / height * (bottom - top);
        let at = |p: &Point| (x(p.0), y(p.1));
        canvas.text((left, top - 18.0 * unit), 19.0 * unit, Anchor::Start, INK, &self.title);

        let grid = Stroke::new(GRID, unit);
        for &tick in xs {
            canvas.line((x(tick), top), (x(tick), bottom), grid);
        }
        let most = ((bottom - top) / (42.0 * unit)) as usize;
        let (values, digits) = ticks(self.scale.value(range.0), self.scale.value(range.1), most, self.scale);
        for tick in values {
            canvas.line((left, y(tick)), (right, y(tick)), grid);
            let text = fixed(tick, digits);
            canvas.text((left - 10.0 * unit, y(tick)), 16.0 * unit, Anchor::End, INK, &text);
        }
        canvas.line((left, bottom), (right, bottom), Stroke::new(INK, 1.5 * unit));
        canvas.line((left, top), (left, bottom), Stroke::new(INK, 1.5 * unit));

        canvas.clip(&self.name, (left, top), (right + 6.0 * unit, bottom));
        let columns = (right - left).max(1.0) as usize;
        let mut gaps = Vec::new();
        let curves = |canvas: &mut Canvas, points: &[Point], stroke: Stroke<'_>| {
            // Along a logarithmic axis 0 has no place.
            let points: Vec<Point> = points.iter().map(|&(x, y)| (x, placed(self.scale, y))).collect();
            let split = thin(&points, 0.0, self.end, columns);
            for piece in &split.pieces {
                // A point alone makes a line of no length, whose round ends are a dot.
                let piece: Vec<Point> = piece.iter().map(at).collect();
                let twice = [piece[0], piece[0]];
                canvas.curve(if piece.len() == 1 { &twice } else { &piece }, stroke, &self.name);
            }
            split.gaps
        };
        for s in &self.series {
            let placed = |p: &&Point| placed(self.scale, p.1).is_finite();
            let edge = s.band.0.iter().filter(placed).chain(s.band.1.iter().rev().filter(placed)).map(at);
            canvas.area(&edge.collect::<Vec<_>>(), s.colour, &self.name);
        }
        // Neither has a baseline, or the end of a curve, that is 0.
        let labels: Vec<_> = self.labels.iter().filter(|l| placed(self.scale, l.y).is_finite()).collect();
        for s in &self.series {
            gaps.push(curves(canvas, &s.raw, raw(s.colour, unit)));
        }
        for label in labels.iter().filter(|l| l.line) {
            let dashes = Some((9.0 * unit, 5.0 * unit));
            let stroke = Stroke { dashes, ..Stroke::new(label.colour, 1.6 * unit) };
            canvas.line((left, y(label.y)), (right, y(label.y)), stroke);
        }
        for s in &self.series {
            for (_, line) in &s.baselines {
                curves(canvas, line, baseline(s.colour, unit));
            }
        }
        for s in &self.series {
            curves(canvas, &s.smoothed, smoothed(s.colour, unit));
        }
        for s in &self.series {
            for p in s.held_out.iter().filter(|p| placed(self.scale, p.1).is_finite()) {
                canvas.dot(at(p), DOT * unit, s.colour);
            }
            let gone = s.held_out.iter().filter(|p| !placed(self.scale, p.1).is_finite());
            gaps.push(gone.map(|p| p.0).collect());
        }
        // What is no number has no height: it is marked at the upper edge.
        for (i, gaps) in gaps.iter().enumerate() {
            let colour = self.series[i % self.series.len()].colour;
            for &gap in gaps {
                canvas.cross((x(gap), top + 8.0 * unit), CROSS * unit, colour);
            }
        }

        let wanted: Vec<f64> = labels.iter().map(|l| y(l.y)).collect();
        for (label, place) in labels.iter().zip(spread(&wanted, 20.0 * unit, top, bottom)) {
            let start = right + 22.0 * unit;
            // The letters are dark whatever the run's colour: a light one cannot be read from afar.
            let leader = Stroke::new(label.colour, 2.5 * unit);
            canvas.line((right + 2.0 * unit, y(label.y)), (start - 5.0 * unit, place), leader);
            canvas.text((start, place), 15.0 * unit, Anchor::Start, INK, &label.text);
        }
    }
}

/// `y`, or NaN if the scale has no place for it.
fn placed(scale: Scale, y: f64) -> f64 {
    if scale.place(y).is_finite() { y } else { f64::NAN }
}
