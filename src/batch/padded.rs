//! Few lengths for rows of any.

/// The length that a row of `tokens` is padded to, so that few plans serve all: 8, 16, 24, ..., 64, 80, 96, 112, 128, 192, 256, 384,
/// ..., at most `positions`. Sentences are short, and their plans small: of them there may be more than of those of long texts.
pub fn padded(tokens: usize, positions: usize) -> usize {
    let below = tokens.saturating_sub(1).checked_ilog2().map_or(1, |log| 1 << log);
    let step = if tokens <= 128 { (below / 4).max(8) } else { below / 2 };
    tokens.next_multiple_of(step).max(8).min(positions)
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn few_lengths_hold_every_sentence() {
        let lengths: std::collections::BTreeSet<usize> = (2..=512).map(|n| padded(n, 512)).collect();
        assert_eq!(
            lengths.into_iter().collect::<Vec<_>>(),
            [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 192, 256, 384, 512]
        );
        for n in 2..=512 {
            assert!((n..=(n + 7).max(3 * n / 2)).contains(&padded(n, 512)), "{n} is padded to {}", padded(n, 512));
        }
        assert_eq!((padded(2, 9), padded(33, 40), padded(40, 40)), (8, 40, 40));
    }
}
