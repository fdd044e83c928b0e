//! One plot's curves: chosen, smoothed, and thinned to what its pixels can show.

use super::{Measure, Track};
use crate::history::{Floors, Moment, Point, Scale, Split, X, smooth, smoothing_for, thin};

/// How curves are looked at; the same for every plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// What is along the x axis.
    pub x: X,
    /// How losses are laid along theirs.
    pub scale: Scale,
    /// How much of the bold curve is what was before, 0 to 1; by the number of intervals if `None`.
    pub smoothing: Option<f64>,
}

impl Default for View {
    fn default() -> Self {
        Self { x: X::Steps, scale: Scale::Linear, smoothing: None }
    }
}

/// A curve as it is drawn: in the plot's coordinates, x in [`X::unit`]s, y as its logarithm to base 10 on a logarithmic
/// scale.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawn {
    /// Every interval, or every step where there are steps.
    pub raw: Split,
    /// The smoothed intervals.
    pub smoothed: Split,
    /// The held-out text.
    pub held_out: Vec<Point>,
    /// The discriminator's base rate, which moves.
    pub base_rate: Split,
}

impl View {
    /// The curves of `measure` of a run between `from` and `to` for so many pixel columns. `unit` is of [`X::unit`].
    pub fn draw(&self, track: &Track, measure: Measure, unit: f64, (from, to): (f64, f64), columns: usize) -> Drawn {
        let weights = track.weights();
        let y = |value: f64| match self.scale_of(measure) {
            Scale::Linear => value,
            // What is not above 0 has no place there, and is not hidden either.
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Log => f64::NAN,
        };
        let points = |moments: &[Moment], value: &dyn Fn(&Moment) -> f64| -> Vec<Point> {
            moments.iter().map(|m| (m.x(self.x) / unit, y(value(m)))).filter(|p| p.0.is_finite()).collect()
        };
        let value = |m: &Moment| measure.of(m, weights);
        let intervals = points(&track.intervals, &value);
        let middles = middles(&intervals);
        let weight = self.smoothing.unwrap_or_else(|| smoothing_for(intervals.len()));
        let raw = self.raw(track, measure, unit, &intervals, &y);
        let base = match measure {
            Measure::DiscriminatorLoss => smooth(&points(&track.intervals, &Floors::base_rate), weight),
            _ => Vec::new(),
        };
        // Dots would lie on top of each other; their thinning is of no consequence.
        let held_out = within(&points(&track.held_out, &value), from, to).to_vec();
        let thinned = |points: &[Point]| thin(within(points, from, to), from, to, columns);
        Drawn {
            raw: thinned(&raw),
            smoothed: thinned(&steady(smooth(&middles, weight), &middles)),
            held_out,
            base_rate: thinned(&base),
        }
    }

    /// The single steps of this sitting where there are any, the intervals before them.
    fn raw(
        &self,
        track: &Track,
        measure: Measure,
        unit: f64,
        intervals: &[Point],
        y: &dyn Fn(f64) -> f64,
    ) -> Vec<Point> {
        let Some(first) = track.steps.samples().next().map(|s| s.step) else { return intervals.to_vec() };
        if !Measure::LOSSES.contains(&measure) {
            return intervals.to_vec();
        }
        let tokens = track.intervals.last().map_or(0.0, |m| m.tokens as f64 / m.step.max(1) as f64);
        let before = track.intervals.partition_point(|m| m.step < first).min(intervals.len());
        let mut raw = intervals[..before].to_vec();
        raw.extend(track.steps.samples().map(|s| {
            let x = match self.x {
                X::Steps => s.step as f64,
                X::Tokens => s.step as f64 * tokens,
                X::Hours => s.seconds / 3_600.0,
                X::Flops => s.step as f64 * track.flops_a_step,
            };
            let value = match measure {
                Measure::GeneratorLoss => s.generator_loss,
                _ => s.discriminator_loss,
            };
            (x / unit, y(value.into()))
        }));
        raw.retain(|p| p.0.is_finite());
        raw
    }

    /// Losses and norms may be laid along a logarithmic axis; shares and rates stay as they are.
    pub fn scale_of(&self, measure: Measure) -> Scale {
        match measure {
            Measure::GeneratorLoss | Measure::DiscriminatorLoss | Measure::JointLoss | Measure::GradientNorm => {
                self.scale
            }
            _ => Scale::Linear,
        }
    }

    /// Where the runs' x axis ends, in [`X`]'s own unit.
    pub fn end<'a>(&self, tracks: impl IntoIterator<Item = &'a Track>) -> f64 {
        let of = |track: &Track| {
            let last = track.intervals.last().into_iter().chain(track.held_out.last());
            let moments = last.map(|m| m.x(self.x)).filter(|x| x.is_finite()).fold(0.0, f64::max);
            match (self.x, track.steps.samples().last()) {
                (X::Steps, Some(sample)) => moments.max(sample.step as f64),
                (X::Hours, Some(sample)) => moments.max(sample.seconds / 3_600.0),
                _ => moments,
            }
        };
        tracks.into_iter().map(of).fold(0.0, f64::max)
    }
}

/// Where a curve does not move, its average is the very same number and not one beside it.
fn steady(mut smoothed: Vec<Point>, points: &[Point]) -> Vec<Point> {
    for (s, p) in smoothed.iter_mut().zip(points) {
        if (s.1 - p.1).abs() <= 1e-12 * p.1.abs() {
            s.1 = p.1;
        }
    }
    smoothed
}

/// A mean over an interval stands in its middle, not at its end.
fn middles(points: &[Point]) -> Vec<Point> {
    let before = std::iter::once(0.0).chain(points.iter().map(|p| p.0));
    points.iter().zip(before).map(|(&(x, y), before)| (x.midpoint(before), y)).collect()
}

/// The points between `from` and `to`, and one more on either side, so that a line goes on to the plot's edge.
fn within(points: &[Point], from: f64, to: f64) -> &[Point] {
    if from.is_nan() || to.is_nan() || to <= from {
        return points;
    }
    let start = points.partition_point(|p| p.0 < from).saturating_sub(1);
    let end = (points.partition_point(|p| p.0 <= to) + 1).min(points.len());
    &points[start.min(end)..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;
    use crate::session::Report;
    use crate::train::{Interval, Measures};
    use std::path::Path;

    fn track(steps: u64) -> Track {
        let mut track = Track::live(Path::new("none"), None, &preset("tiny").unwrap(), None, 0);
        for step in 1..=steps {
            let noise = (step * 7919 % 101) as f64 / 100.0;
            let measures = Measures {
                generator_loss: 5.0 + noise,
                discriminator_loss: 0.3,
                replaced_rate: 0.1,
                ..Measures::default()
            };
            let interval = Interval {
                step,
                tokens: 1_000,
                learning_rate: 1e-3,
                gradient_norm: 1.0,
                loss_scale: None,
                skipped: 0,
                measures,
            };
            track.take_in(&Report::Interval { interval, tokens_per_second: 1e3 }, step as f64);
        }
        track
    }

    fn count(split: &Split) -> usize {
        split.pieces.iter().map(Vec::len).sum()
    }

    #[test]
    fn a_long_run_is_thinned_to_the_columns() {
        let track = track(50_000);
        let drawn = View::default().draw(&track, Measure::GeneratorLoss, 1.0, (0.0, 50_000.0), 300);
        assert!(count(&drawn.raw) <= 4 * 302 && count(&drawn.smoothed) <= 4 * 302, "{}", count(&drawn.raw));
        let highest = drawn.raw.pieces.iter().flatten().map(|p| p.1).fold(0.0, f64::max);
        assert_eq!(highest, 6.0);
        let near = View::default().draw(&track, Measure::GeneratorLoss, 1.0, (100.0, 110.0), 300);
        assert_eq!(count(&near.raw), 13);
        assert!(
            View::default().draw(&track, Measure::DiscriminatorLoss, 1.0, (0.0, 1e5), 300).base_rate.pieces.len() == 1
        );
    }

    #[test]
    fn every_axis_and_scale() {
        let track = track(100);
        for x in [X::Steps, X::Tokens, X::Hours, X::Flops] {
            let view = View { x, ..View::default() };
            let end = view.end([&track]);
            let (_, unit) = x.unit(end);
            let drawn = view.draw(&track, Measure::GeneratorLoss, unit, (0.0, end / unit), 1_000);
            assert_eq!(count(&drawn.raw), 100, "{x:?}");
            let last = drawn.raw.pieces[0].last().unwrap().0;
            assert!((last - end / unit).abs() < 1e-9, "{x:?}: {last} of {}", end / unit);
        }
        let log = View { scale: Scale::Log, ..View::default() };
        let drawn = log.draw(&track, Measure::GeneratorLoss, 1.0, (0.0, 100.0), 100);
        assert!(drawn.raw.pieces[0].iter().all(|p| p.1 < 1.0 && p.1 > 0.6));
        // Accuracies of 0 are no losses.
        assert!(log.draw(&track, Measure::GeneratorAccuracy, 1.0, (0.0, 100.0), 100).raw.gaps.is_empty());
    }

    #[test]
    fn steps_go_on_where_the_intervals_before_this_sitting_end() {
        let mut track = track(10);
        for step in 10..15 {
            let report = Report::Step { step, generator_loss: 4.0, discriminator_loss: f32::NAN };
            track.take_in(&report, step as f64);
        }
        let drawn = View::default().draw(&track, Measure::GeneratorLoss, 1.0, (0.0, 20.0), 1_000);
        assert_eq!(count(&drawn.raw), 15);
        let gaps = View::default().draw(&track, Measure::DiscriminatorLoss, 1.0, (0.0, 20.0), 1_000).raw.gaps;
        assert_eq!(gaps, [11.0, 12.0, 13.0, 14.0, 15.0]);
    }
}
