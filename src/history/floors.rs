//! What a network reaches without having learnt anything: the lines that a loss is held against.

use super::{Moment, TextFacts};
use crate::electra::Config;
use crate::train::Measures;

/// The generator's floors, nats a drawn token. The discriminator's is not one number: it moves with what the generator
/// replaces, and [`Floors::base_rate`] gives it for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Floors {
    /// ln(vocabulary): every word equally likely. `None` without a config.toml.
    pub uniform: Option<f64>,
    /// The entropy of the words' frequencies. `None` for a run that did not note it.
    pub unigram: Option<f64>,
}

impl Floors {
    /// The floors of a run with this configuration and text.
    pub fn of(config: Option<&Config>, text: Option<&TextFacts>) -> Self {
        Self {
            uniform: config.map(|c| (c.model.vocabulary as f64).ln()),
            unigram: text.map(|t| t.unigram_entropy).filter(|x| x.is_finite()),
        }
    }

    /// The discriminator's loss at `moment` if it always gave the replaced rate, nats a token; NaN where that is unknown.
    pub fn base_rate(moment: &Moment) -> f64 {
        let replaced_rate = moment.replaced_rate;
        if replaced_rate.is_nan() {
            return f64::NAN;
        }
        Measures { replaced_rate, ..Measures::default() }.base_rate_entropy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;

    #[test]
    fn floors_are_what_is_known() {
        let config = preset("tiny").unwrap();
        let text = TextFacts { documents: 1, tokens: 2, unigram_entropy: 5.5 };
        let floors = Floors::of(Some(&config), Some(&text));
        assert_eq!(floors.uniform, Some((config.model.vocabulary as f64).ln()));
        assert_eq!(floors.unigram, Some(5.5));
        assert_eq!(Floors::of(None, None), Floors::default());
        let moment = |replaced_rate| Moment { replaced_rate, ..Moment::default() };
        assert!((Floors::base_rate(&moment(0.5)) - 2f64.ln()).abs() < 1e-12);
        assert!(Floors::base_rate(&moment(f64::NAN)).is_nan());
    }
}
