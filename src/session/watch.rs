//! Notices a run that learns nothing, early enough to do something about it.

use crate::electra::Config;
use crate::train::Interval;

/// What is wrong with a run that goes on. Each is said once a sitting.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The generator knows no more than how frequent each word is.
    #[error(
        "the generator has learnt no more than how frequent words are: loss {loss:.3} after {step} steps, where word \
         frequencies alone give {floor:.3}. Its gradients may be drowned by the discriminator's: try a larger \
         optimizer.clip_norm (now {clip_norm}) or --learning-rate (now {learning_rate})"
    )]
    Generator {
        /// Steps done.
        step: u64,
        /// The generator's loss, smoothed.
        loss: f64,
        /// The unigram entropy of the text, nats.
        floor: f64,
        /// The gradients' largest norm.
        clip_norm: f64,
        /// The peak learning rate.
        learning_rate: f64,
    },
    /// The discriminator knows no more than how many tokens are replaced.
    #[error(
        "the discriminator tells no fake from an original: loss {loss:.4} after {step} steps, where always saying the \
         replaced rate gives {floor:.4}. The generator may be too strong for it so far, or the text too small: try \
         more steps, a smaller generator.hidden (now {generator}) or another --learning-rate (now {learning_rate})"
    )]
    Discriminator {
        /// Steps done.
        step: u64,
        /// The discriminator's loss, smoothed.
        loss: f64,
        /// The entropy of the replaced rate, nats.
        floor: f64,
        /// The generator's width.
        generator: usize,
        /// The peak learning rate.
        learning_rate: f64,
    },
}

/// Of a loss below its floor by less than this share one says that nothing was learnt.
const GENERATOR_MARGIN: f64 = 0.005;
const DISCRIMINATOR_MARGIN: f64 = 0.005;
/// Losses are smoothed over about this many intervals.
const SMOOTH: f64 = 10.0;

/// Watches the intervals of a sitting.
#[derive(Debug)]
pub(super) struct Watch {
    /// Neither network is expected to have learnt anything before this step.
    patience: u64,
    unigram_entropy: f64,
    smooth: Option<Smooth>,
    said: [bool; 2],
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
        Self { patience, unigram_entropy, smooth: None, said: [false; 2] }
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
        let learning_rate = config.optimizer.learning_rate;
        let (g, d) = (smooth.generator, smooth.discriminator);
        let found = [
            (g > self.unigram_entropy * (1.0 - GENERATOR_MARGIN)).then_some(Warning::Generator {
                step,
                loss: g,
                floor: self.unigram_entropy,
                clip_norm: config.optimizer.clip_norm,
                learning_rate,
            }),
            (d > smooth.base_rate * (1.0 - DISCRIMINATOR_MARGIN)).then_some(Warning::Discriminator {
                step,
                loss: d,
                floor: smooth.base_rate,
                generator: config.generator.hidden,
                learning_rate,
            }),
        ];
        let said = &mut self.said;
        let news = |(warning, said): (Option<Warning>, &mut bool)| {
            let news = warning.filter(|_| !*said);
            *said |= news.is_some();
            news
        };
        found.into_iter().zip(said).filter_map(news).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;
    use crate::train::Measures;

    fn interval(step: u64, generator_loss: f64, discriminator_loss: f64) -> Interval {
        let measures = Measures { generator_loss, discriminator_loss, replaced_rate: 0.1, ..Measures::default() };
        Interval { step, tokens: 1, learning_rate: 0.0, gradient_norm: 0.0, loss_scale: None, skipped: 0, measures }
    }

    /// The warnings of a run whose losses are these functions of the step, and the step of the first.
    fn warnings(losses: impl Fn(f64) -> (f64, f64)) -> Vec<Warning> {
        let config = preset("tiny").unwrap();
        let mut watch = Watch::new(&config, 6.0);
        let mut all = Vec::new();
        for step in (50..=4_500).step_by(50) {
            let (g, d) = losses(step as f64);
            all.extend(watch.look(&config, &interval(step, g, d)));
        }
        all
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
}
