//! Scores along what they cost, like the curves of a run.

use super::found::{Found, RANDOM, RESULTS};
use super::{Comparison, Judged};
use crate::files::modified_seconds;
use crate::history::{Moment, Recorded};
use crate::measure::{Measure, Measures, Plot, Values, mean_and_deviation};

impl Comparison {
    /// For each of what is compared its mean scores from random weights on, with what lies a deviation below and above
    /// (`TASK.low` and `TASK.high`). With one budget they are those of checkpoints on the way to its end; of several each
    /// is a run of its own, whose learning rate falls to 0 there.
    pub fn curves(&self) -> Vec<(String, Recorded)> {
        let written = modified_seconds(&self.folder.join(RESULTS));
        let all = self.arms.iter().map(|arm| (arm.clone(), self.curve(arm, written)));
        // One that is on its way to the first of several budgets has nothing to show.
        all.filter(|(_, curve)| curve.held_out.iter().any(|moment| moment.step > 0)).collect()
    }

    fn curve(&self, arm: &str, written: f64) -> Recorded {
        let of = |f: &&Found| f.arm == RANDOM || f.arm == arm && (f.end || self.budgets.len() == 1);
        let mut found: Vec<&Found> = self.found.iter().filter(of).collect();
        found.sort_by(|a, b| (a.budget, a.step).partial_cmp(&(b.budget, b.step)).unwrap_or(std::cmp::Ordering::Equal));
        let points = found.chunk_by(|a, b| (a.budget, a.step) == (b.budget, b.step));
        Recorded {
            folder: self.folder.join(arm),
            intervals: Vec::new(),
            held_out: points.map(|there| self.point(there)).collect(),
            config: None,
            measures: Measures::new(self.judged.iter().flat_map(measures)),
            skipped: 0,
            first_skipped: None,
            written,
        }
    }

    /// What all seeds have at one place.
    fn point(&self, there: &[&Found]) -> Moment {
        let mut values = Values::default();
        for Judged { name, .. } in &self.judged {
            let scores: Vec<f64> = there.iter().filter(|f| f.task == *name).map(|f| f.score).collect();
            if scores.is_empty() {
                continue;
            }
            let (mean, deviation) = mean_and_deviation(&scores);
            values.set(name.as_str(), mean);
            if deviation.is_finite() {
                values.set(format!("{name}.low").as_str(), mean - deviation);
                values.set(format!("{name}.high").as_str(), mean + deviation);
            }
        }
        let mean = |of: fn(&Found) -> f64| there.iter().map(|f| of(f)).sum::<f64>() / there.len() as f64;
        let (step, tokens) = (there[0].step, there[0].tokens);
        let (seconds, flops) = (mean(|f| f.seconds), mean(|f| f.flops));
        Moment { step, tokens, seconds, flops, values, ..Moment::default() }
    }
}

fn measures(task: &Judged) -> [Measure; 3] {
    let of = |suffix: &str, plot| Measure {
        name: format!("{}{suffix}", task.name).into(),
        tag: format!("score/{}{suffix}", task.name),
        title: task.title(),
        plot,
        selects: false,
        baselines: Vec::new(),
        ..task.measure.clone()
    };
    [of("", Plot::Main), of(".low", Plot::More), of(".high", Plot::More)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comparison, found};
    use super::*;

    fn points(recorded: &Recorded) -> Vec<(f64, Option<f64>, Option<f64>)> {
        recorded.held_out.iter().map(|m| (m.flops / 1e11, m.get("chunk"), m.get("chunk.low"))).collect()
    }

    #[test]
    fn checkpoints_lie_on_a_curve_or_the_ends_of_several_budgets_do() {
        let mut all = vec![
            found(RANDOM, 1, 0, 0.5),
            found("mlm", 1, 10, 0.75),
            found("electra", 1, 5, 0.5),
            found("electra", 2, 5, 0.5),
            found("electra", 1, 10, 0.75),
        ];
        let curves = comparison(&all).curves();
        assert_eq!(curves.iter().map(|(arm, _)| arm.as_str()).collect::<Vec<_>>(), ["mlm", "electra"]);
        let electra = [(0.0, Some(0.5), None), (5.0, Some(0.5), Some(0.5)), (10.0, Some(0.75), None)];
        assert_eq!(points(&curves[1].1), electra);
        // On the way to another budget's end the learning rate was another.
        all.push(Found { budget: 4e12, ..found("electra", 1, 40, 0.875) });
        let electra = [electra[0], electra[2], (40.0, Some(0.875), None)];
        assert_eq!(points(&comparison(&all).curves()[1].1), electra);
    }
}
