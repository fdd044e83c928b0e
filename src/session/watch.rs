//! Notices a run that learns nothing or flies apart, early enough to do something about it.

use super::Warning;
use crate::electra::Config;
use crate::train::Interval;
use crate::train::step::learning_rate;

/// Of a loss below its floor by less than this share one says that nothing was learnt.
const GENERATOR_MARGIN: f64 = 0.005;
const DISCRIMINATOR_MARGIN: f64 = 0.005;
/// Losses are smoothed over about this many intervals.
const SMOOTH: f64 = 10.0;
/// Of a loss that is above guessing by more than this share one says that training diverges.
const WORSE: f64 = 0.1;
/// A step's losses that no healthy run has: so many times those of guessing.
const FAR: (f64, f64) = (2.0, 5.0);
/// So many such steps in a row are no spike.
const IN_A_ROW: u32 = 10;
/// The fewest steps of which it is said that they taught nothing, and by how much the loss has to fall in more.
const FEWEST: usize = 50;
const FALL: f64 = 0.01;
/// A warm-up of more than this share of the run leaves less than a third of the learning rate.
const MOST_WARMUP: f64 = 0.75;

/// So few held-out examples are a handful.
const HANDFUL: usize = 5;

/// What is to be said before the first of the steps from `step` on, of so many examples to train on and held out.
pub(super) fn beforehand(config: &Config, step: u64, (examples, held_out): (usize, usize)) -> Vec<Warning> {
    let (warmup, t) = (config.optimizer.warmup, &config.training);
    let mut found = Vec::new();
    if step < warmup.min(t.steps) && warmup as f64 > MOST_WARMUP * t.steps as f64 {
        let peak = peak(config, 0, t.steps);
        let share = peak / config.optimizer.learning_rate;
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
fn peak(config: &Config, from: u64, to: u64) -> f64 {
    let top = config.optimizer.warmup.min(config.training.steps / 2);
    learning_rate(config, top.clamp(from, to.max(from)) as f64)
}

/// Watches the steps and intervals of a sitting.
#[derive(Debug)]
pub(super) struct Watch {
    /// Neither network is expected to have learnt anything before this step.
    patience: u64,
    unigram_entropy: f64,
    /// The generator's loss if it guesses blindly.
    uniform: f64,
    smooth: Option<Smooth>,
    /// Steps in a row whose losses are far above guessing, and the last losses.
    far: u32,
    last: (f64, f64),
    /// The generator's losses, a step each, until intervals can tell.
    early: Vec<f32>,
    /// Whether intervals could tell.
    told: bool,
    said: [bool; 3],
}

#[derive(Debug, Clone, Copy)]
struct Smooth {
    generator: f64,
    discriminator: f64,
    base_rate: f64,
    intervals: f64,
}

impl Watch {
    pub(super) fn new(config: &Config, unigram_entropy: f64) -> Self {
        let t = &config.training;
        // A third of a short run; of a long one as many steps as any published run needed to leave both floors.
        let patience = config.optimizer.warmup.min(t.steps) + (t.steps / 3).clamp(200, 20_000);
        Self {
            patience,
            unigram_entropy,
            uniform: (config.model.vocabulary as f64).ln(),
            smooth: None,
            far: 0,
            last: (0.0, 0.0),
            early: Vec::new(),
            told: false,
            said: [false; 3],
        }
    }

    /// Takes in a step's losses.
    pub(super) fn step(&mut self, config: &Config, step: u64, generator: f32, discriminator: f32) -> Option<Warning> {
        self.last = (generator.into(), discriminator.into());
        let far = self.last.0 > FAR.0 * self.uniform || self.last.1 > FAR.1 * std::f64::consts::LN_2;
        self.far = if far { self.far + 1 } else { 0 };
        if !self.told {
            self.early.push(generator);
        }
        let warning = self.diverging(config, step + 1, self.last);
        (self.far >= IN_A_ROW).then(|| self.once(warning)).flatten()
    }

    /// Takes in an interval.
    pub(super) fn look(&mut self, config: &Config, interval: &Interval) -> Vec<Warning> {
        let m = &interval.measures;
        let new = Smooth {
            generator: m.generator_loss,
            discriminator: m.discriminator_loss,
            base_rate: m.base_rate_entropy(),
            intervals: 1.0,
        };
        let smooth = self.smooth.map_or(new, |old| old.toward(&new));
        self.smooth = Some(smooth);
        let step = interval.step;
        if step < self.patience || smooth.intervals < SMOOTH {
            return Vec::new();
        }
        (self.told, self.early) = (true, Vec::new());
        let (g, d) = (smooth.generator, smooth.discriminator);
        if self.is_worse(g, d) {
            return self.once(self.diverging(config, step, (g, d))).into_iter().collect();
        }
        let generator = self.frequencies(config, step, g, interval.gradient_norm.into());
        let discriminator = (d > smooth.base_rate * (1.0 - DISCRIMINATOR_MARGIN)).then_some(Warning::Discriminator {
            step,
            loss: d,
            floor: smooth.base_rate,
            generator: config.generator.hidden,
            learning_rate: config.optimizer.learning_rate,
        });
        [generator, discriminator].into_iter().flatten().filter_map(|warning| self.once(warning)).collect()
    }

    /// What is to be said at the end of a sitting after `step` steps, of which intervals could not tell; `complete` where
    /// the schedule is at its end.
    pub(super) fn end(&mut self, config: &Config, step: u64, complete: bool) -> Option<Warning> {
        if self.far > 0 {
            return self.once(self.diverging(config, step, self.last));
        }
        if self.told || !complete || self.early.len() < FEWEST {
            return None;
        }
        let steps = self.early.len();
        let (first, last) = (Part::of(&self.early[..steps / 3]), Part::of(&self.early[steps - steps / 3..]));
        if self.is_worse(last.mean, self.last.1) {
            return self.once(self.diverging(config, step, (last.mean, self.last.1)));
        }
        let clip_norm = config.optimizer.clip_norm;
        if step >= self.patience {
            return self.frequencies(config, step, last.mean, clip_norm).and_then(|warning| self.once(warning));
        }
        let noise = 2.0 * (first.variance + last.variance).sqrt();
        let flat = first.mean - last.mean < (FALL * first.mean).max(noise);
        if !flat || last.mean < self.unigram_entropy {
            return None;
        }
        self.once(Warning::Nothing {
            steps: steps as u64,
            first: first.mean,
            last: last.mean,
            uniform: self.uniform,
            floor: self.unigram_entropy,
            // By the clock, a run that is done has been through all of its schedule.
            peak: match config.training.hours {
                Some(_) => peak(config, 0, config.training.steps),
                None => peak(config, step.saturating_sub(steps as u64), step),
            },
            learning_rate: config.optimizer.learning_rate,
            warmup: config.optimizer.warmup,
        })
    }

    fn frequencies(&self, config: &Config, step: u64, loss: f64, gradient_norm: f64) -> Option<Warning> {
        (loss > self.unigram_entropy * (1.0 - GENERATOR_MARGIN)).then_some(Warning::Generator {
            step,
            loss,
            floor: self.unigram_entropy,
            clip_norm: config.optimizer.clip_norm,
            gradient_norm,
            learning_rate: config.optimizer.learning_rate,
        })
    }

    /// Whether the losses are above those of guessing, so that larger steps would be no help.
    fn is_worse(&self, generator: f64, discriminator: f64) -> bool {
        generator > (1.0 + WORSE) * self.uniform || discriminator > (1.0 + WORSE) * std::f64::consts::LN_2
    }

    fn diverging(&self, config: &Config, step: u64, (generator, discriminator): (f64, f64)) -> Warning {
        let o = &config.optimizer;
        Warning::Diverging {
            step,
            generator,
            discriminator,
            uniform: self.uniform,
            learning_rate: o.learning_rate,
            warmup: o.warmup,
            clip_norm: o.clip_norm,
        }
    }

    /// The warning, unless one of its kind was said.
    fn once(&mut self, warning: Warning) -> Option<Warning> {
        let kind = match warning {
            Warning::Generator { .. } | Warning::Nothing { .. } => 0,
            Warning::Discriminator { .. } => 1,
            _ => 2,
        };
        (!std::mem::replace(&mut self.said[kind], true)).then_some(warning)
    }
}

impl Smooth {
    fn toward(&self, new: &Self) -> Self {
        let intervals = self.intervals + 1.0;
        let mean = |old: f64, new: f64| old + (new - old) / intervals.min(SMOOTH);
        Self {
            generator: mean(self.generator, new.generator),
            discriminator: mean(self.discriminator, new.discriminator),
            base_rate: mean(self.base_rate, new.base_rate),
            intervals,
        }
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
    use crate::electra::preset;
    use crate::train::Measures;

    fn interval(step: u64, generator_loss: f64, discriminator_loss: f64) -> Interval {
        let measures = Measures { generator_loss, discriminator_loss, replaced_rate: 0.1, ..Measures::default() };
        Interval { step, tokens: 1, learning_rate: 0.0, gradient_norm: 0.0, loss_scale: None, skipped: 0, measures }
    }

    /// The warnings of a run of `steps` steps whose losses are these functions of the step.
    fn warnings_of(steps: u64, losses: impl Fn(f64) -> (f64, f64)) -> Vec<Warning> {
        let config = preset("tiny").unwrap().set(&format!("training.steps={steps}")).unwrap();
        let mut watch = Watch::new(&config, 6.0);
        let mut all = Vec::new();
        for step in 1..=steps {
            let (g, d) = losses(step as f64);
            all.extend(watch.step(&config, step - 1, g as f32, d as f32));
            if step % 50 == 0 || step == steps {
                all.extend(watch.look(&config, &interval(step, g, d)));
            }
        }
        all.extend(watch.end(&config, steps, true));
        all
    }

    fn warnings(losses: impl Fn(f64) -> (f64, f64)) -> Vec<Warning> {
        warnings_of(4_500, losses)
    }

    #[test]
    fn speaks_once_of_each_network_that_stands_still() {
        // The entropy of a rate of 10 % is .3251.
        let both = warnings(|_| (6.01, 0.325));
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(matches!(both[0], Warning::Generator { step, .. } if (2_000..2_100).contains(&step)), "{both:?}");
        assert!(both[1].to_string().contains("0.3251"), "{}", both[1]);
        assert!(matches!(warnings(|_| (5.5, 0.325))[..], [Warning::Discriminator { .. }]));
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
        for (norm, advice) in [(2_000.0, "larger optimizer.clip_norm (now 1000)"), (9.0, "more text")] {
            let mut watch = Watch::new(&config, 6.0);
            let mut all = Vec::new();
            for step in (50..=4_500).step_by(50) {
                let interval = Interval { gradient_norm: norm, ..interval(step, 6.01, 0.2) };
                all.extend(watch.look(&config, &interval));
            }
            assert!(all[0].to_string().contains(advice), "{}", all[0]);
        }
    }

    #[test]
    fn what_is_wrong_from_the_start_is_said_at_the_start() {
        let small = preset("small").unwrap().set("training.steps=1000").unwrap();
        let found = beforehand(&small, 0, (9_999, 99));
        let text = found[0].to_string();
        let expected = "the warm-up of 10,000 steps is longer than the run of 1,000: the learning rate never gets above \
                        1.3e-5, 2.5 % of what was asked for. Choose a smaller optimizer.warmup, such as 100, or more steps";
        assert_eq!((found.len(), text.as_str()), (1, expected));
        assert_eq!(beforehand(&preset("small").unwrap(), 0, (128, 6)), []);
        assert_eq!(beforehand(&preset("tiny").unwrap().set("training.steps=700").unwrap(), 0, (32, 6)), []);
        let few = beforehand(&preset("tiny").unwrap(), 0, (7, 1));
        assert_eq!(few, [Warning::Batch { examples: 7, batch: 32 }, Warning::HeldOut { examples: 1 }]);
        assert!(few[1].to_string().starts_with("the held-out text has 1 example: "), "{}", few[1]);
        assert!(few[0].to_string().contains("7 examples, fewer than the 32"), "{}", few[0]);
        // The rate asked for is reached where the warm-up ends before the middle.
        let tiny = preset("tiny").unwrap();
        assert_eq!(peak(&tiny, 0, 4_500), learning_rate(&tiny, 500.0));
        assert_eq!(peak(&tiny, 0, 100), learning_rate(&tiny, 100.0));
        assert_eq!(peak(&tiny, 2_000, 4_500), learning_rate(&tiny, 2_000.0));
    }
}
