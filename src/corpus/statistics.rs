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
    /// Entropy of the token frequencies, in nats: the loss of a generator that knows how frequent every token is and
    /// nothing else. A generator that stays above it has learnt nothing from context.
    pub unigram_entropy: f64,
}

impl Statistics {
    /// Counts the tokens of `examples`.
    pub fn of(examples: &Examples, special: SpecialTokens) -> Self {
        let mut counts: Vec<u64> = Vec::new();
        let mut row = vec![0; examples.length()];
        for index in 0..examples.len() {
            let (length, _) = examples.copy(index, &mut row);
            for &id in &row[..length] {
                if id == special.cls || id == special.sep {
                    continue;
                }
                let id = id as usize;
                if id >= counts.len() {
                    counts.resize(id + 1, 0);
                }
                counts[id] += 1;
            }
        }
        let tokens: u64 = counts.iter().sum();
        let unigram_entropy = counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| {
                let frequency = count as f64 / tokens as f64;
                -frequency * frequency.ln()
            })
            .sum();
        Self {
            tokens,
            unknown: counts.get(special.unk as usize).copied().unwrap_or(0),
            distinct: counts.iter().filter(|&&count| count > 0).count(),
            unigram_entropy,
        }
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
    fn of_nothing_is_zero() {
        let found = Statistics::of(&Examples::new(8), SPECIAL);
        assert_eq!(found, Statistics::default());
        assert_eq!(found.unknown_rate(), 0.0);
    }
}
