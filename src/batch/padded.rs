//! Few lengths for rows of any.

/// The length that a row of `tokens` is padded to, so that few plans serve all: 16, 32, 48, 64, 96, 128, 192, ..., at most `positions`.
pub fn padded(tokens: usize, positions: usize) -> usize {
    let step = (tokens.saturating_sub(1).checked_ilog2().map_or(1, |log| 1 << log) / 2).max(16);
    tokens.next_multiple_of(step).max(16).min(positions)
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn few_lengths_hold_every_sentence() {
        let lengths: std::collections::BTreeSet<usize> = (2..=512).map(|n| padded(n, 512)).collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [16, 32, 48, 64, 96, 128, 192, 256, 384, 512]);
        for n in 2..=512 {
            assert!((n..=(n + 15).max(3 * n / 2)).contains(&padded(n, 512)), "{n} is padded to {}", padded(n, 512));
        }
        assert_eq!((padded(2, 9), padded(33, 40), padded(40, 40)), (9, 40, 40));
    }
}
