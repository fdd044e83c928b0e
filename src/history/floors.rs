//! What a network reaches without having learnt anything: the lines that a loss is held against.

use super::{Moment, TextFacts};
use crate::train::Measures;

/// The generator's floors, nats a drawn token. The discriminator's is not one number: it moves with what the generator
/// replaces, and [`Floors::base_rate`] gives it for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Floors {
    /// ln(vocabulary): every word equally likely. `None` where no config.toml says how many there are.
    pub uniform: Option<f64>,
    /// The entropy of the words' frequencies. `None` for a run that did not note it.
    pub unigram: Option<f64>,
}

impl Floors {
    /// The floors of a run with so many words and this text.
    pub fn of(vocabulary: Option<u64>, text: Option<&TextFacts>) -> Self {
        Self {
            uniform: vocabulary.map(|words| (words as f64).ln()),
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

    #[test]
    fn floors_are_what_is_known() {
        let text = TextFacts { documents: 1, tokens: 2, unigram_entropy: 5.5 };
        let floors = Floors::of(Some(2048), Some(&text));
        assert_eq!(floors.uniform, Some(2048f64.ln()));
        assert_eq!(floors.unigram, Some(5.5));
        assert_eq!(Floors::of(None, None), Floors::default());
        let moment = |replaced_rate| Moment { replaced_rate, ..Moment::default() };
        assert!((Floors::base_rate(&moment(0.5)) - 2f64.ln()).abs() < 1e-12);
        assert!(Floors::base_rate(&moment(f64::NAN)).is_nan());
    }
}
