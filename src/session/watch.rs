//! Notices a run that learns nothing or flies apart, early enough to do something about it.

use super::Warning;
use super::warning::wide;
use crate::measure::{Advice, Better, Measure, Measures, Values};
use crate::numbers::fixed;
use crate::train::{Interval, Recipe};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of a measure that is better than its baseline by less than this share one says that nothing was learnt.
const MARGIN: f64 = 0.005;
/// Losses are smoothed over about this many intervals.
const SMOOTH: f64 = 10.0;
/// Of a loss that is above guessing by more than this share one says that training diverges.
const WORSE: f64 = 0.1;
/// So many steps in a row with losses that no healthy run has are no spike.
const IN_A_ROW: u32 = 10;
/// The fewest steps of which it is said that they taught nothing, and by how much it has to get better in more.
const FEWEST: usize = 50;
const GAIN: f64 = 0.01;
/// A warm-up of more than this share of the run leaves less than a third of the learning rate.
const MOST_WARMUP: f64 = 0.75;

/// So few held-out examples are a handful.
const HANDFUL: usize = 5;

/// What is to be said before the first of the steps from `step` on, of so many examples to train on and held out.
pub(super) fn beforehand(recipe: &Recipe, step: u64, (examples, held_out): (usize, usize)) -> Vec<Warning> {
    let (warmup, t) = (recipe.optimizer.warmup, &recipe.training);
    let mut found = Vec::new();
    if step < warmup.min(t.steps) && warmup as f64 > MOST_WARMUP * t.steps as f64 {
        let peak = peak(recipe, 0, t.steps);
        let share = peak / recipe.optimizer.learning_rate;
        if share.is_finite() {
            found.push(Warning::Warmup { warmup, steps: t.steps, peak, share });
        }
    }
    if examples < t.batch {
        found.push(Warning::Batch { examples, batch: t.batch });
    }
    if held_out <= HANDFUL {
        found.push(Warning::HeldOut { examples: held_out });
    }
    found
}

/// The largest learning rate of the steps from `from` up to `to`: the schedule rises to its peak at the end of the
/// warm-up or in the middle of the run, whatever is first, and falls from there.
fn peak(recipe: &Recipe, from: u64, to: u64) -> f64 {
    let top = recipe.optimizer.warmup.min(recipe.training.steps / 2);
    recipe.learning_rate(top.clamp(from, to.max(from)) as f64)
}

/// Watches the steps and intervals of a sitting.
#[derive(Debug)]
pub(super) struct Watch {
    /// No network is expected to have learnt anything before this step.
    patience: u64,
    watched: Vec<Watched>,
    /// Intervals that the means are of.
    intervals: f64,
    /// Steps in a row of which a loss is far above guessing.
    far: u32,
    /// The first loss that has a baseline that does not move, a step each, until intervals can tell.
    early: Vec<f32>,
    /// Whether intervals could tell.
    told: bool,
    said: BTreeSet<String>,
}

/// A measure that somebody has an advice on.
#[derive(Debug)]
struct Watched {
    measure: Arc<Measure>,
    advice: Advice,
    /// Of the last step.
    last: f64,
    /// Its mean and that of its last baseline over the last intervals.
    mean: f64,
    baseline: f64,
}

impl Watched {
    /// Whether it is above so many times guessing, so that larger steps would be no help.
    fn exceeds(&self, value: f64, times: f64) -> bool {
        self.measure.better == Better::Lower && value > times * self.advice.guessing
    }

    /// Whether `value` is no better than a baseline.
    fn stays(&self, value: f64, baseline: f64) -> bool {
        match self.measure.better {
            Better::Lower => value > baseline * (1.0 - MARGIN),
            Better::Higher => value < baseline * (1.0 + MARGIN),
            Better::Neither => false,
        }
    }

    /// The last baseline, as these values have it if it moves.
    fn baseline_of(&self, values: &Values) -> f64 {
        let last = self.measure.baselines.last();
        last.map_or(f64::NAN, |b| b.at.unwrap_or_else(|| values.or_nan(&b.key(&self.measure.name))))
    }

    fn stuck(&self, step: u64, value: f64, baseline: f64, is_clipped: bool) -> Option<Warning> {
        let digits = usize::from(self.measure.digits);
        let given = self.measure.baselines.len().checked_sub(1).and_then(|last| self.advice.given.get(last));
        self.stays(value, baseline).then(|| Warning::Stuck {
            measure: self.measure.name.to_string(),
            step,
            found: format!("{} {}", self.advice.stuck, fixed(value, digits)),
            given: format!("{} {}", given.unwrap_or(&"the baseline is"), fixed(baseline, digits)),
            attempt: if is_clipped { &self.advice.where_clipped } else { &self.advice.attempt }.clone(),
        })
    }

    /// The last word of its title, as in `loss`.
    fn kind(&self) -> String {
        self.measure.title.rsplit(' ').next().unwrap_or_default().to_lowercase()
    }
}

impl Watch {
    pub(super) fn new(recipe: &Recipe, measures: &Measures) -> Self {
        let t = &recipe.training;
        // A third of a short run; of a long one as many steps as any published run needed to leave both baselines.
        let patience = recipe.optimizer.warmup.min(t.steps) + (t.steps / 3).clamp(200, 20_000);
        let watched = |measure: &Arc<Measure>| {
            let (measure, advice) = (measure.clone(), measure.advice.clone()?);
            Some(Watched { measure, advice, last: f64::NAN, mean: f64::NAN, baseline: f64::NAN })
        };
        Self {
            patience,
            watched: measures.iter().filter_map(watched).collect(),
            intervals: 0.0,
            far: 0,
            early: Vec::new(),
            told: false,
            said: BTreeSet::new(),
        }
    }

    /// The measure by which one sees early that nothing is learnt.
    fn first(&self) -> Option<usize> {
        let still = |w: &Watched| !w.measure.baselines.is_empty() && w.measure.baselines.iter().all(|b| b.at.is_some());
        self.watched.iter().position(still)
    }

    /// Takes in a step's losses.
    pub(super) fn step(&mut self, recipe: &Recipe, step: u64, values: &Values) -> Option<Warning> {
        for watched in &mut self.watched {
            watched.last = values.or_nan(&watched.measure.name);
        }
        let far = self.watched.iter().any(|w| w.exceeds(w.last, w.advice.far));
        self.far = if far { self.far + 1 } else { 0 };
        if let Some(first) = self.first().filter(|_| !self.told) {
            self.early.push(self.watched[first].last as f32);
        }
        if self.far < IN_A_ROW {
            return None;
        }
        self.once(self.diverging(recipe, step + 1, |w| w.last))
    }

    /// Takes in an interval.
    pub(super) fn look(&mut self, recipe: &Recipe, interval: &Interval) -> Vec<Warning> {
        self.intervals += 1.0;
        let (first, weight) = (self.intervals == 1.0, 1.0 / self.intervals.min(SMOOTH));
        for w in &mut self.watched {
            let (value, baseline) = (interval.values.or_nan(&w.measure.name), w.baseline_of(&interval.values));
            w.mean = if first { value } else { w.mean + (value - w.mean) * weight };
            w.baseline = if first { baseline } else { w.baseline + (baseline - w.baseline) * weight };
        }
        let step = interval.step;
        if step < self.patience || self.intervals < SMOOTH {
            return Vec::new();
        }
        (self.told, self.early) = (true, Vec::new());
        if self.watched.iter().any(|w| w.exceeds(w.mean, 1.0 + WORSE)) {
            return self.once(self.diverging(recipe, step, |w| w.mean)).into_iter().collect();
        }
        let is_clipped = f64::from(interval.gradient_norm) > recipe.optimizer.clip_norm;
        let stuck = self.watched.iter().filter_map(|w| w.stuck(step, w.mean, w.baseline, is_clipped));
        let stuck: Vec<Warning> = stuck.collect();
        stuck.into_iter().filter_map(|warning| self.once(warning)).collect()
    }

    /// What is to be said at the end of a sitting after `step` steps, of which intervals could not tell; `complete` where
    /// the schedule is at its end.
    pub(super) fn end(&mut self, recipe: &Recipe, step: u64, complete: bool) -> Option<Warning> {
        if self.far > 0 {
            return self.once(self.diverging(recipe, step, |w| w.last));
        }
        if self.told || !complete || self.early.len() < FEWEST {
            return None;
        }
        let at = self.first()?;
        let steps = self.early.len();
        let (first, last) = (Part::of(&self.early[..steps / 3]), Part::of(&self.early[steps - steps / 3..]));
        self.watched[at].last = last.mean;
        if self.watched.iter().any(|w| w.exceeds(w.last, 1.0 + WORSE)) {
            return self.once(self.diverging(recipe, step, |w| w.last));
        }
        let watched = &self.watched[at];
        let baseline = watched.baseline_of(&Values::default());
        if step >= self.patience {
            return watched.stuck(step, last.mean, baseline, false).and_then(|warning| self.once(warning));
        }
        let noise = 2.0 * (first.variance + last.variance).sqrt();
        let gain =
            if watched.measure.better == Better::Higher { last.mean - first.mean } else { first.mean - last.mean };
        if gain >= (GAIN * first.mean).max(noise) || watched.measure.better.beats(last.mean, baseline) {
            return None;
        }
        let Measure { name, short, baselines, digits, .. } = &*watched.measure;
        let digits = usize::from(*digits);
        // The verb is said once.
        let given = baselines.iter().zip(&watched.advice.given).enumerate().map(|(i, (b, given))| {
            let given = if i == 0 { given } else { given.rsplit_once(' ').map_or(*given, |(what, _)| what) };
            format!("{given} {}", fixed(b.at.unwrap_or(f64::NAN), digits))
        });
        let peak = match recipe.training.hours {
            // By the clock, a run that is done has been through all of its schedule.
            Some(_) => peak(recipe, 0, recipe.training.steps),
            None => peak(recipe, step.saturating_sub(steps as u64), step),
        };
        let from_to =
            format!("{} went from {} to {}", watched.kind(), fixed(first.mean, digits), fixed(last.mean, digits));
        let warning = Warning::Nothing {
            measure: name.to_string(),
            network: short.clone(),
            steps: steps as u64,
            from_to,
            given: given.collect::<Vec<_>>().join(" and "),
            peak,
            learning_rate: recipe.optimizer.learning_rate,
            warmup: recipe.optimizer.warmup,
        };
        self.once(warning)
    }

    fn diverging(&self, recipe: &Recipe, step: u64, value: impl Fn(&Watched) -> f64) -> Warning {
        let o = &recipe.optimizer;
        let losses = || self.watched.iter().filter(|w| w.measure.better == Better::Lower);
        let loss = |(i, w): (usize, &Watched)| {
            let kind = if i == 0 { format!(" {} is", w.kind()) } else { String::new() };
            format!("the {}'s{kind} {}", w.measure.short, wide(value(w)))
        };
        Warning::Diverging {
            step,
            losses: losses().enumerate().map(loss).collect::<Vec<_>>().join(" and "),
            guessing: losses().map(|w| fixed(w.advice.guessing, 3)).collect::<Vec<_>>().join(" and "),
            learning_rate: o.learning_rate,
            warmup: o.warmup,
            clip_norm: o.clip_norm,
        }
    }

    /// The warning, unless one of its kind was said.
    fn once(&mut self, warning: Warning) -> Option<Warning> {
        let kind = match &warning {
            Warning::Stuck { measure, .. } | Warning::Nothing { measure, .. } => measure.clone(),
            _ => String::new(),
        };
        self.said.insert(kind).then_some(warning)
    }
}

/// The losses of some steps.
struct Part {
    mean: f64,
    /// Of the mean.
    variance: f64,
}

impl Part {
    fn of(losses: &[f32]) -> Self {
        let n = losses.len().max(1) as f64;
        let mean = losses.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let squares: f64 = losses.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
        Self { mean, variance: squares / n / n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::measure::{Baseline, Plot};

    fn values((generator, discriminator): (f64, f64)) -> Values {
        let mut values: Values = names().into_iter().zip([generator, discriminator]).collect();
        // The entropy of a rate of 10 %.
        values.set(crate::objective::electra::measures::BASE_RATE, 0.3251);
        values
    }

    /// Of both losses.
    fn names() -> [Arc<str>; 2] {
        let measures = preset("tiny").unwrap().measures(6.0);
        let mut main = measures.main().map(|m| m.name.clone());
        [main.next().unwrap(), main.next().unwrap()]
    }

    /// The preset, with another number of steps.
    fn tiny(steps: Option<u64>) -> Recipe {
        let mut recipe = Recipe::new(&preset("tiny").unwrap());
        recipe.training.steps = steps.unwrap_or(recipe.training.steps);
        recipe
    }

    fn interval(step: u64, losses: (f64, f64)) -> Interval {
        let values = values(losses);
        let (learning_rate, gradient_norm) = (0.0, 0.0);
        Interval { step, tokens: 1, flops: 0.0, learning_rate, gradient_norm, loss_scale: None, skipped: 0, values }
    }

    /// The warnings of a run of `steps` steps whose losses are these functions of the step.
    fn warnings_of(steps: u64, losses: impl Fn(f64) -> (f64, f64)) -> Vec<Warning> {
        let config = preset("tiny").unwrap().set(&format!("training.steps={steps}")).unwrap();
        let recipe = Recipe::new(&config);
        let mut watch = Watch::new(&recipe, &config.measures(6.0));
        let mut all = Vec::new();
        for step in 1..=steps {
            let losses = losses(step as f64);
            all.extend(watch.step(&recipe, step - 1, &values(losses)));
            if step % 50 == 0 || step == steps {
                all.extend(watch.look(&recipe, &interval(step, losses)));
            }
        }
        all.extend(watch.end(&recipe, steps, true));
        all
    }

    fn warnings(losses: impl Fn(f64) -> (f64, f64)) -> Vec<Warning> {
        warnings_of(4_500, losses)
    }

    #[test]
    fn speaks_once_of_each_network_that_stands_still() {
        let [generator, discriminator] = names();
        let is = |warning: &Warning, name: &str| matches!(warning, Warning::Stuck { measure, .. } if measure == name);
        let both = warnings(|_| (6.01, 0.325));
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(matches!(both[0], Warning::Stuck { step, .. } if (2_000..2_100).contains(&step)), "{both:?}");
        assert!(is(&both[0], &generator) && is(&both[1], &discriminator));
        let text = "the generator has learnt no more than how frequent words are: loss 6.010 after 2000 steps, where word \
                    frequencies alone give 6.000. Try more steps, another --learning-rate (now 0.002) or more text";
        assert_eq!(both[0].to_string(), text);
        assert!(both[1].to_string().contains("0.3251"), "{}", both[1]);
        assert!(is(&warnings(|_| (5.5, 0.325))[0], &discriminator));
        assert!(warnings(|step| (6.3 - step / 4_500.0, 0.33 - step / 45_000.0)).is_empty());
    }

    /// A spread about as wide as that of steps with some 150 masked tokens.
    fn noise(step: f64) -> f64 {
        0.2 * (step * 12.9898).sin()
    }

    #[test]
    fn a_short_run_hears_at_its_end_that_it_learnt_nothing() {
        for steps in [60, 100, 300, 600] {
            let found = warnings_of(steps, |step| (7.62 + noise(step), 0.6));
            assert!(matches!(found[..], [Warning::Nothing { .. }]), "{steps}: {found:?}");
            let text = found[0].to_string();
            assert!(text.contains("7.625 and word frequencies alone 6.000") && text.contains("warmup"), "{text}");
            let healthy = |step: f64| (6.0 + 1.62 * (-3.0 * step / steps as f64).exp() + noise(step), 0.6);
            assert_eq!(warnings_of(steps, healthy), [], "{steps}");
            // What was known before is nothing to learn anew.
            assert_eq!(warnings_of(steps, |step| (3.0 + noise(step), 0.2)), [], "{steps}");
        }
        assert_eq!(warnings_of(20, |_| (7.62, 0.6)), []);
    }

    #[test]
    fn losses_that_grow_are_not_to_be_clipped_less() {
        for steps in [12, 100, 4_500] {
            for losses in [(71_801.0, 0.5), (7.0, 40.0), (3e14, 3e6)] {
                let found = warnings_of(steps, |step| if step < 3.0 { (7.6, 0.7) } else { losses });
                let [Warning::Diverging { step: 12, .. }] = found[..] else { panic!("{steps}: {found:?}") };
                let text = found[0].to_string();
                assert!(text.contains("smaller --learning-rate (now 0.002)"), "{text}");
                assert!(text.contains("smaller optimizer.clip_norm") && !text.contains("larger"), "{text}");
            }
        }
        let text = warnings_of(100, |_| (71_801.0, 0.5))[0].to_string();
        assert!(text.contains("generator's loss is 71,801 and the discriminator's 0.500"), "{text}");
        // A spike is none, and one at the very end is told.
        assert_eq!(
            warnings_of(4_500, |step| if (step % 100.0 - 7.0).abs() < 3.0 { (99.0, 0.2) } else { (5.0, 0.2) }),
            []
        );
        assert!(matches!(
            warnings_of(8, |step| (if step > 7.0 { 99.0 } else { 7.0 }, 0.2))[..],
            [Warning::Diverging { .. }]
        ));
        // Worse than guessing for long, however little.
        assert!(matches!(warnings(|_| (8.5, 0.5))[..], [Warning::Diverging { .. }]));
        assert!(matches!(warnings_of(200, |step| (8.5 + noise(step), 0.5))[..], [Warning::Diverging { .. }]));
    }

    #[test]
    fn a_larger_clip_norm_is_advised_where_gradients_are_clipped() {
        let config = preset("tiny").unwrap();
        let recipe = Recipe::new(&config);
        for (norm, advice) in [(2_000.0, "larger optimizer.clip_norm (now 1000)"), (9.0, "more text")] {
            let mut watch = Watch::new(&recipe, &config.measures(6.0));
            let mut all = Vec::new();
            for step in (50..=4_500).step_by(50) {
                let interval = Interval { gradient_norm: norm, ..interval(step, (6.01, 0.2)) };
                all.extend(watch.look(&recipe, &interval));
            }
            assert!(all[0].to_string().contains(advice), "{}", all[0]);
        }
    }

    #[test]
    fn an_accuracy_that_stays_at_chance_is_told_too() {
        let baseline = |at| Baseline { name: "c".into(), short: "c".into(), title: "c".into(), at, follows: None };
        let advice = Advice {
            stuck: "it only guesses: hits".into(),
            given: vec!["tossing a coin gives"],
            attempt: "Try more steps".into(),
            where_clipped: String::new(),
            guessing: 0.5,
            far: 2.0,
        };
        let hits = Measure {
            plot: Plot::Main,
            better: Better::Higher,
            baselines: vec![baseline(Some(0.5))],
            advice: Some(advice),
            ..Measure::new("hits", "Hits", "share")
        };
        let (recipe, measures) = (tiny(None), Measures::new([hits]));
        for (value, warned) in [(0.5, true), (0.9, false)] {
            let mut watch = Watch::new(&recipe, &measures);
            let mut all = Vec::new();
            for step in (50..=4_500).step_by(50) {
                let values = Values::from([("hits", value)]);
                all.extend(watch.step(&recipe, step, &values));
                all.extend(watch.look(&recipe, &Interval { values, ..interval(step, (0.0, 0.0)) }));
            }
            let text = "it only guesses: hits 0.500 after 2000 steps, where tossing a coin gives 0.500. Try more steps";
            assert_eq!(all.first().map(ToString::to_string).as_deref(), warned.then_some(text), "{value}");
        }
    }

    #[test]
    fn what_is_wrong_from_the_start_is_said_at_the_start() {
        let small = Recipe::new(&preset("small").unwrap().set("training.steps=1000").unwrap());
        let found = beforehand(&small, 0, (9_999, 99));
        let text = found[0].to_string();
        let expected = "the warm-up of 10,000 steps is longer than the run of 1,000: the learning rate never gets above \
                        1.3e-5, 2.5 % of what was asked for. Choose a smaller optimizer.warmup, such as 100, or more steps";
        assert_eq!((found.len(), text.as_str()), (1, expected));
        assert_eq!(beforehand(&Recipe::new(&preset("small").unwrap()), 0, (128, 6)), []);
        assert_eq!(beforehand(&tiny(Some(700)), 0, (32, 6)), []);
        let few = beforehand(&tiny(None), 0, (7, 1));
        assert_eq!(few, [Warning::Batch { examples: 7, batch: 32 }, Warning::HeldOut { examples: 1 }]);
        assert!(few[1].to_string().starts_with("the held-out text has 1 example: "), "{}", few[1]);
        assert!(few[0].to_string().contains("7 examples, fewer than the 32"), "{}", few[0]);
        // The rate asked for is reached where the warm-up ends before the middle.
        let tiny = tiny(None);
        let learning_rate = |step| tiny.learning_rate(step);
        assert_eq!(peak(&tiny, 0, 4_500), learning_rate(500.0));
        assert_eq!(peak(&tiny, 0, 100), learning_rate(100.0));
        assert_eq!(peak(&tiny, 2_000, 4_500), learning_rate(2_000.0));
    }
}
