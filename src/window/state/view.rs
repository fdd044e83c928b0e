//! One plot's curves: chosen, smoothed, and thinned to what its pixels can show.

use super::Track;
use crate::history::{Moment, Point, Scale, Split, X, smooth, smoothing_for, thin};
use crate::measure::{Axis, Baseline, Measure};

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
    /// The baselines that move.
    pub baselines: Vec<(Baseline, Split)>,
}

impl View {
    /// The curves of `measure` of a run between `from` and `to` for so many pixel columns. `unit` is of [`X::unit`].
    pub fn draw(&self, track: &Track, measure: &Measure, unit: f64, (from, to): (f64, f64), columns: usize) -> Drawn {
        let y = |value: f64| match self.scale_of(measure) {
            Scale::Linear => value,
            // What is not above 0 has no place there, and is not hidden either.
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Log => f64::NAN,
        };
        let points = |moments: &[Moment], name: &str| -> Vec<Point> {
            let point = |m: &Moment| Some((m.x(self.x) / unit, y(m.get(name)?)));
            moments.iter().filter_map(point).filter(|p| p.0.is_finite()).collect()
        };
        let intervals = points(&track.intervals, &measure.name);
        let middles = middles(&intervals);
        let weight = self.smoothing.unwrap_or_else(|| smoothing_for(intervals.len()));
        let raw = self.raw(track, measure, unit, &intervals, &y);
        // Dots would lie on top of each other; their thinning is of no consequence.
        let held_out = within(&points(&track.held_out, &measure.name), from, to).to_vec();
        let thinned = |points: &[Point]| thin(within(points, from, to), from, to, columns);
        let moving = track.measures.baselines(&measure.name).filter(|b| b.at.is_none());
        let baselines = moving.map(|baseline| {
            let line = smooth(&points(&track.intervals, &baseline.key(&measure.name)), weight);
            (baseline.clone(), thinned(&line))
        });
        Drawn {
            raw: thinned(&raw),
            smoothed: thinned(&steady(smooth(&middles, weight), &middles)),
            held_out,
            baselines: baselines.collect(),
        }
    }

    /// The single steps of this sitting where there are any, the intervals before them.
    fn raw(
        &self,
        track: &Track,
        measure: &Measure,
        unit: f64,
        intervals: &[Point],
        y: &dyn Fn(f64) -> f64,
    ) -> Vec<Point> {
        if !track.steps.has(&measure.name) {
            return intervals.to_vec();
        }
        // Steps have no line of their own: as many of both as intervals have had so far.
        let a_step = |x: fn(&Moment) -> f64| track.intervals.last().map_or(0.0, |m| x(m) / m.step.max(1) as f64);
        let (tokens, flops) = (a_step(|m| m.tokens as f64), a_step(|m| m.flops));
        let steps: Vec<Point> = track
            .steps
            .samples()
            .map(|s| {
                let x = match self.x {
                    X::Steps => s.step as f64,
                    X::Tokens => s.step as f64 * tokens,
                    X::Hours => s.seconds / 3_600.0,
                    X::Flops => s.step as f64 * flops,
                };
                (x / unit, y(s.values.or_nan(&measure.name)))
            })
            .collect();
        let before = steps.first().map_or(intervals.len(), |first| intervals.partition_point(|p| p.0 < first.0));
        let mut raw = [&intervals[..before], &steps].concat();
        raw.retain(|p| p.0.is_finite());
        raw
    }

    /// Losses and norms may be laid along a logarithmic axis; shares and rates stay as they are.
    pub fn scale_of(&self, measure: &Measure) -> Scale {
        if measure.axis == Axis::Log { self.scale } else { Scale::Linear }
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
    use crate::config::preset;
    use crate::measure::{Measures, Plot};
    use crate::session::Report;
    use crate::train::Interval;
    use std::path::Path;

    fn loss() -> Measure {
        let baselines = vec![Baseline {
            name: "rate".into(),
            short: "rate".into(),
            title: "always saying the rate".into(),
            at: None,
            follows: None,
        }];
        Measure { axis: Axis::Log, plot: Plot::Main, baselines, ..Measure::new("loss", "Loss", "nats") }
    }

    fn hits() -> Measure {
        Measure::new("hits", "Hits", "share")
    }

    fn track(steps: u64) -> Track {
        let measures = Measures::new([loss(), hits()]);
        let mut track = Track::live(Path::new("none"), None, &preset("tiny").unwrap(), &measures, 0);
        for step in 1..=steps {
            let noise = (step * 7919 % 101) as f64 / 100.0;
            let interval = Interval {
                step,
                tokens: 1_000,
                flops: 1e9 * step as f64,
                learning_rate: 1e-3,
                gradient_norm: 1.0,
                loss_scale: None,
                skipped: 0,
                values: [("loss", 5.0 + noise), ("hits", 0.0), ("baseline.loss.rate", 0.3)].into(),
            };
            track.record(&Report::Interval { interval, tokens_per_second: 1e3 }, step as f64);
        }
        track
    }

    fn count(split: &Split) -> usize {
        split.pieces.iter().map(Vec::len).sum()
    }

    #[test]
    fn a_long_run_is_thinned_to_the_columns() {
        let track = track(50_000);
        let drawn = View::default().draw(&track, &loss(), 1.0, (0.0, 50_000.0), 300);
        assert!(count(&drawn.raw) <= 4 * 302 && count(&drawn.smoothed) <= 4 * 302, "{}", count(&drawn.raw));
        let highest = drawn.raw.pieces.iter().flatten().map(|p| p.1).fold(0.0, f64::max);
        assert_eq!(highest, 6.0);
        let near = View::default().draw(&track, &loss(), 1.0, (100.0, 110.0), 300);
        assert_eq!(count(&near.raw), 13);
        let (baseline, line) = &drawn.baselines[0];
        assert_eq!((baseline.name.as_str(), line.pieces.len()), ("rate", 1));
    }

    #[test]
    fn every_axis_and_scale() {
        let track = track(100);
        for x in [X::Steps, X::Tokens, X::Hours, X::Flops] {
            let view = View { x, ..View::default() };
            let end = view.end([&track]);
            let (_, unit) = x.unit(end);
            let drawn = view.draw(&track, &loss(), unit, (0.0, end / unit), 1_000);
            assert_eq!(count(&drawn.raw), 100, "{x:?}");
            let last = drawn.raw.pieces[0].last().unwrap().0;
            assert!((last - end / unit).abs() < 1e-9, "{x:?}: {last} of {}", end / unit);
        }
        let log = View { scale: Scale::Log, ..View::default() };
        let drawn = log.draw(&track, &loss(), 1.0, (0.0, 100.0), 100);
        assert!(drawn.raw.pieces[0].iter().all(|p| p.1 < 1.0 && p.1 > 0.6));
        // Accuracies of 0 are no losses.
        assert!(log.draw(&track, &hits(), 1.0, (0.0, 100.0), 100).raw.gaps.is_empty());
    }

    #[test]
    fn steps_go_on_where_the_intervals_before_this_sitting_end() {
        let mut track = track(10);
        for step in 10..15 {
            let report = Report::Step { step, values: [("loss", 4.0), ("hits", f64::NAN)].into() };
            track.record(&report, step as f64);
        }
        let drawn = View::default().draw(&track, &loss(), 1.0, (0.0, 20.0), 1_000);
        assert_eq!(count(&drawn.raw), 15);
        let gaps = View::default().draw(&track, &hits(), 1.0, (0.0, 20.0), 1_000).raw.gaps;
        assert_eq!(gaps, [11.0, 12.0, 13.0, 14.0, 15.0]);
    }
}
