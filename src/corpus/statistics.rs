//! What a corpus looks like in numbers.

use super::{Examples, SpecialTokens};

/// Counts over the training examples, special tokens apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Tokens, without `[CLS]` and `[SEP]`.
    pub tokens: u64,
    /// Tokens among them that are `[UNK]`.
    pub unknown: u64,
    /// Different tokens that occur.
    pub distinct: usize,
    /// Entropy of the token frequencies, in nats: the loss of a network that knows how frequent every token is and
    /// nothing else. One that stays above it has learnt nothing from context.
    pub unigram_entropy: f64,
}

/// How often every token occurs.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenCounts(Vec<u64>);

impl TokenCounts {
    /// Counts the tokens of `examples`, special tokens too.
    pub(crate) fn add(&mut self, examples: &Examples) {
        for view in examples.views() {
            view.ids.for_each(|id| {
                let id = id as usize;
                if id >= self.0.len() {
                    self.0.resize(id + 1, 0);
                }
                self.0[id] += 1;
            });
        }
    }

    /// (id, count) of the tokens that occur, `[CLS]` and `[SEP]` apart, in the order of their ids.
    pub(crate) fn occurring(&self, special: SpecialTokens) -> impl Iterator<Item = (u32, u64)> {
        let counts = self.0.iter().enumerate().map(|(id, &count)| (id as u32, count));
        counts.filter(move |&(id, count)| count > 0 && id != special.cls && id != special.sep)
    }

    /// What the counts come to.
    pub(crate) fn statistics(&self, special: SpecialTokens) -> Statistics {
        let tokens: u64 = self.occurring(special).map(|(_, count)| count).sum();
        let term = |(_, count)| {
            let frequency = count as f64 / tokens as f64;
            -frequency * frequency.ln()
        };
        Statistics {
            tokens,
            unknown: self.0.get(special.unk as usize).copied().unwrap_or(0),
            distinct: self.occurring(special).count(),
            // A text of one word has -1 ln 1, which is -0.
            unigram_entropy: self.occurring(special).map(term).sum::<f64>() + 0.0,
        }
    }
}

impl Statistics {
    /// Counts the tokens of `examples`.
    pub fn of(examples: &Examples, special: SpecialTokens) -> Self {
        let mut counts = TokenCounts::default();
        counts.add(examples);
        counts.statistics(special)
    }

    /// `[UNK]` as a fraction of all tokens; 0 where there are none.
    pub fn unknown_rate(&self) -> f64 {
        if self.tokens == 0 { 0.0 } else { self.unknown as f64 / self.tokens as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };

    #[test]
    fn entropy_of_known_frequencies() {
        let mut examples = Examples::new(8);
        examples.push(&[2, 5, 5, 3], 4);
        examples.push(&[2, 6, 3, 1, 3], 3);
        let found = Statistics::of(&examples, SPECIAL);
        assert_eq!((found.tokens, found.unknown, found.distinct), (4, 1, 3));
        assert!((found.unigram_entropy - 1.5 * 2f64.ln()).abs() < 1e-12);
        assert_eq!(found.unknown_rate(), 0.25);
    }

    #[test]
    fn one_word_has_no_entropy_and_no_sign() {
        let mut examples = Examples::new(8);
        examples.push(&[2, 5, 5, 3], 4);
        assert!(Statistics::of(&examples, SPECIAL).unigram_entropy.is_sign_positive());
    }

    #[test]
    fn of_nothing_is_zero() {
        let found = Statistics::of(&Examples::new(8), SPECIAL);
        assert_eq!(found, Statistics::default());
        assert_eq!(found.unknown_rate(), 0.0);
    }
}
