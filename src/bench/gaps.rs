//! How much of a step a device has nothing to compute in.

use crate::plan::Timed;
use serde::Serialize;
use std::fmt;

/// The parts of a step in which nothing is computed, in seconds.
///
/// Timestamps alone do not show them: one that is written before a dispatch waits until everything before it is done, so that
/// the time in which one dispatch drains and the next one begins is part of some dispatch's time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gaps {
    /// Dispatches of the step.
    pub dispatches: usize,
    /// What a dispatch needs to begin behind another, as `drain` measures it; none on the CPU engine, which has no
    /// dispatches, and where that was not found.
    pub drain: Option<f64>,
    /// Between submissions, those of the step before included, where the end of one and the beginning of the next are known: on
    /// the CPU engine and on devices that take timestamps inside passes.
    pub bubbles: Option<f64>,
    /// `drain * dispatches + bubbles`, of the CPU engine the bubbles; none where a part is not known.
    pub gaps: Option<f64>,
    /// Of the profiled step, from the end of the step before it.
    pub share: Option<f64>,
}

impl Gaps {
    /// The gaps of a step that takes `extent` seconds while it is profiled.
    pub(super) fn new(dispatches: usize, drain: Option<f64>, bubbles: Option<f64>, extent: f64) -> Self {
        let drained = if dispatches == 0 { Some(0.0) } else { drain.map(|drain| drain * dispatches as f64) };
        let gaps = drained.zip(bubbles).map(|(drained, bubbles)| drained + bubbles);
        let share = gaps.filter(|_| extent > 0.0).map(|gaps| gaps / extent);
        Self { dispatches, drain, bubbles, gaps, share }
    }

    /// Why there is no share, in words.
    pub fn unknown(&self) -> &'static str {
        match (self.bubbles, self.gaps) {
            (None, _) => {
                "this device takes no timestamps inside passes, so that the time between submissions is not known"
            }
            (_, None) => "longer chains of dispatches took no longer, so that their drain is not known",
            _ => "the device's clock stood still",
        }
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(drain) = self.drain {
            write!(f, "{} dispatches that begin in {:.2} us", self.dispatches, 1e6 * drain)?;
        }
        let Some(bubbles) = self.bubbles else { return Ok(()) };
        let (and, what) = if self.dispatches == 0 { ("", "steps") } else { (", ", "submissions") };
        write!(f, "{and}{:.2} ms between {what}", 1e3 * bubbles)
    }
}

/// The second of two equal steps, one right behind the other.
#[derive(Debug, PartialEq)]
pub(super) struct Second {
    /// Its calls.
    pub timed: Vec<Timed>,
    /// Seconds from the end of the first step to its own end.
    pub extent: f64,
    /// Of these, between submissions.
    pub bubbles: f64,
}

impl Second {
    /// Of the calls of both steps.
    pub fn of(mut both: Vec<Timed>) -> Self {
        let timed = both.split_off(both.len() / 2);
        let spans = |timed: &[Timed]| -> Vec<_> {
            timed.iter().filter_map(|t| t.span.clone().map(|span| (t.submission, span))).collect()
        };
        let (first, second) = (spans(&both), spans(&timed));
        let begin = first.last().map(|last| last.1.end).or(second.first().map(|first| first.1.start));
        let end = second.last().map(|last| last.1.end);
        let mut bubbles = 0.0;
        let mut before = first.last();
        for next in &second {
            if let Some((submission, span)) = before
                && *submission != next.0
            {
                bubbles += (next.1.start - span.end).max(0.0);
            }
            before = Some(next);
        }
        Self { timed, extent: begin.zip(end).map_or(0.0, |(begin, end)| (end - begin).max(0.0)), bubbles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Program;

    /// Calls of (submission, begin, end), in milliseconds; a negative begin is a call that was not timed.
    fn calls(list: &[(usize, i32, i32)]) -> Vec<Timed> {
        let span = |begin: i32, end: i32| (begin >= 0).then(|| f64::from(begin) * 1e-3..f64::from(end) * 1e-3);
        let timed = list.iter().enumerate();
        timed
            .map(|(i, &(submission, begin, end))| Timed {
                program: Program(0),
                call: i % (list.len() / 2),
                name: "add",
                submission,
                span: span(begin, end),
            })
            .collect()
    }

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn only_time_between_submissions_is_a_bubble() {
        let both = calls(&[
            (0, 0, 10),
            (0, 12, 20),
            (1, 25, 30),
            // The step before ended at 30. Two of waiting before the step; three inside a submission are no bubble.
            (2, 32, 40),
            (2, 43, 50),
            // One between its own submissions.
            (3, 51, 60),
        ]);
        let second = Second::of(both.clone());
        assert_eq!(second.timed, both[3..]);
        assert!(near(Some(second.extent), 0.030) && near(Some(second.bubbles), 0.003), "{second:?}");
    }

    #[test]
    fn calls_that_overlap_or_are_not_timed_make_no_bubbles() {
        let second = Second::of(calls(&[(0, 0, 10), (0, -1, -1), (1, 9, 20), (2, -1, -1)]));
        assert!(near(Some(second.extent), 0.010) && second.bubbles == 0.0, "{second:?}");
        assert_eq!(second.timed.len(), 2);
        let none = Second::of(calls(&[(0, -1, -1), (1, -1, -1)]));
        assert_eq!((none.extent, none.bubbles), (0.0, 0.0));
        assert_eq!(Second::of(Vec::new()).extent, 0.0);
    }

    #[test]
    fn the_share_is_of_the_profiled_step() {
        // 600 dispatches of 2 us and 300 us between submissions.
        let met = Gaps::new(600, Some(2e-6), Some(300e-6), 20e-3);
        assert!(near(met.gaps, 1.5e-3) && near(met.share, 0.075), "{met:?}");
        assert_eq!(met.to_string(), "600 dispatches that begin in 2.00 us, 0.30 ms between submissions");
        let missed = Gaps::new(600, Some(5e-6), Some(300e-6), 20e-3);
        assert!(near(missed.gaps, 3.3e-3) && near(missed.share, 0.165), "{missed:?}");
        let waiting = Gaps::new(600, Some(2e-6), Some(4e-3), 20e-3);
        assert!(near(waiting.share, 0.26), "{waiting:?}");
    }

    #[test]
    fn what_is_not_known_is_not_nothing() {
        let no_timestamps = Gaps::new(600, Some(2e-6), None, 20e-3);
        assert_eq!((no_timestamps.gaps, no_timestamps.share), (None, None));
        assert!(no_timestamps.unknown().contains("no timestamps inside passes"));
        let no_slope = Gaps::new(600, None, Some(0.0), 20e-3);
        assert_eq!((no_slope.gaps, no_slope.share), (None, None));
        assert!(no_slope.unknown().contains("drain"));
        let cpu = Gaps::new(0, None, Some(1e-3), 20e-3);
        assert!(near(cpu.gaps, 1e-3) && near(cpu.share, 0.05), "{cpu:?}");
        assert_eq!(cpu.to_string(), "1.00 ms between steps");
        assert_eq!(Gaps::new(0, None, Some(0.0), 0.0).share, None);
    }
}
