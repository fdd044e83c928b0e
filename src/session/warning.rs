//! What a person is told of a run that goes on but should perhaps not.

use crate::numbers::{counted, fixed, grouped};

/// What is wrong with a run that goes on. Each is said once a sitting.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The generator knows no more than how frequent each word is.
    #[error(
        "the generator has learnt no more than how frequent words are: loss {} after {step} steps, where word \
         frequencies alone give {}. {}",
        fixed(*loss, 3), fixed(*floor, 3), drowned(*clip_norm, *gradient_norm, *learning_rate)
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
        /// The gradients' norm before it is held to that.
        gradient_norm: f64,
        /// The peak learning rate.
        learning_rate: f64,
    },
    /// The discriminator knows no more than how many tokens are replaced.
    #[error(
        "the discriminator tells no fake from an original: loss {} after {step} steps, where always saying the \
         replaced rate gives {}. The generator may be too strong for it so far, or the text too small: try \
         more steps, a smaller generator.hidden (now {generator}) or another --learning-rate (now {learning_rate})",
        fixed(*loss, 4), fixed(*floor, 4)
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
    /// A short run at its end, whose loss is where it was at its beginning.
    #[error(
        "the generator has learnt nothing: over {steps} steps its loss went from {} to {}, where guessing blindly gives \
         {} and word frequencies alone {}. The learning rate reached {} at most: try more steps, a larger \
         --learning-rate (now {learning_rate}) or a shorter optimizer.warmup (now {warmup})",
        fixed(*first, 3), fixed(*last, 3), fixed(*uniform, 3), fixed(*floor, 3), rate(*peak)
    )]
    Nothing {
        /// Steps that were looked at.
        steps: u64,
        /// The generator's loss, the mean of the first third.
        first: f64,
        /// That of the last third.
        last: f64,
        /// The logarithm of the vocabulary's size.
        uniform: f64,
        /// The unigram entropy of the text, nats.
        floor: f64,
        /// The largest learning rate of these steps.
        peak: f64,
        /// The peak learning rate that was asked for.
        learning_rate: f64,
        /// Steps of warm-up.
        warmup: u64,
    },
    /// Losses that are worse than those of guessing.
    #[error(
        "training diverges: after {step} steps the generator's loss is {} and the discriminator's {}, where guessing \
         blindly gives {} and 0.693. Its steps are too large: begin again with a smaller --learning-rate (now \
         {learning_rate}), a longer optimizer.warmup (now {warmup}) or a smaller optimizer.clip_norm (now {clip_norm})",
        wide(*generator), wide(*discriminator), fixed(*uniform, 3)
    )]
    Diverging {
        /// Steps done.
        step: u64,
        /// The generator's loss.
        generator: f64,
        /// The discriminator's loss.
        discriminator: f64,
        /// The logarithm of the vocabulary's size.
        uniform: f64,
        /// The peak learning rate.
        learning_rate: f64,
        /// Steps of warm-up.
        warmup: u64,
        /// The gradients' largest norm.
        clip_norm: f64,
    },
    /// A warm-up that takes most of the run.
    #[error(
        "the warm-up of {} steps {} the run of {}: the learning rate never gets above {}, {} % of what was asked for. \
         Choose a smaller optimizer.warmup, such as {}, or more steps",
        grouped(*warmup), if warmup > steps { "is longer than" } else { "takes most of" }, grouped(*steps), rate(*peak),
        fixed(100.0 * share, if *share < 0.1 { 1 } else { 0 }), grouped((steps / 10).max(1))
    )]
    Warmup {
        /// Steps of warm-up.
        warmup: u64,
        /// Steps of the run.
        steps: u64,
        /// The largest learning rate of the schedule.
        peak: f64,
        /// That as a share of the rate that was asked for.
        share: f64,
    },
    /// A text that is smaller than a step.
    #[error(
        "the text has {}, fewer than the {} of a step: every step repeats them. Give it more text, or a smaller \
         training.batch",
        counted(*examples as u64, "example"), grouped(*batch as u64)
    )]
    Batch {
        /// Examples to train on.
        examples: usize,
        /// Examples a step.
        batch: usize,
    },
    /// Hardly anything to measure on.
    #[error(
        "the held-out text has {}: what is measured on it says little. Give it more text, or hold out more of it \
         (data.held_out)",
        counted(*examples as u64, "example")
    )]
    HeldOut {
        /// Examples that are held out.
        examples: usize,
    },
}

/// What may keep a generator at the frequencies of words.
fn drowned(clip_norm: f64, gradient_norm: f64, learning_rate: f64) -> String {
    if gradient_norm > clip_norm {
        format!(
            "Its gradients may be drowned by the discriminator's: try a larger optimizer.clip_norm (now {clip_norm}) or \
             another --learning-rate (now {learning_rate})"
        )
    } else {
        format!("Try more steps, another --learning-rate (now {learning_rate}) or more text")
    }
}

/// A loss that may be of any size.
fn wide(loss: f64) -> String {
    match loss {
        x if !x.is_finite() || x.abs() >= 1e12 => format!("{x:.1e}"),
        x if x >= 1_000.0 => grouped(x.round() as u64),
        x => fixed(x, 3),
    }
}

/// A learning rate in two digits.
fn rate(x: f64) -> String {
    format!("{x:.1e}")
}
