//! What the window costs: training with it drawn and with it still, in turns.

use std::sync::{Mutex, PoisonError};
use web_time::{Duration, Instant};

/// Measures how fast steps come while the window is drawn in every other turn.
#[derive(Debug)]
pub struct Turns {
    length: Duration,
    pairs: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of the turn under way: when it began, and the news since.
    turn: Option<(Instant, u64)>,
    rates: Vec<f64>,
}

/// What the window is to do after news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Draw,
    Still,
    Over,
}

impl Turns {
    /// `pairs` of two turns of that length, after one that does not count.
    pub fn new(pairs: usize, length: Duration) -> Self {
        Self { length, pairs, state: Mutex::default() }
    }

    /// So many steps were reported at `now`.
    pub(super) fn step(&self, now: Instant, steps: u64) -> Turn {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = state.turn.unwrap_or((now, 0));
        let elapsed = now.saturating_duration_since(began);
        if elapsed >= self.length {
            state.rates.push(count as f64 / elapsed.as_secs_f64());
            state.turn = Some((now, steps));
        } else {
            state.turn = Some((began, count + steps));
        }
        self.turn(state.rates.len())
    }

    /// Turn 0 warms up; then it is still and drawn, drawn and still, so that a machine that slows down does so for both.
    fn turn(&self, done: usize) -> Turn {
        match done {
            n if n > 2 * self.pairs => Turn::Over,
            0 => Turn::Draw,
            n => {
                let (pair, second) = ((n - 1) / 2, (n - 1) % 2 == 1);
                if pair.is_multiple_of(2) == second { Turn::Draw } else { Turn::Still }
            }
        }
    }

    /// Whether all turns are over.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn(state.rates.len()) == Turn::Over
    }

    /// Steps a second of each pair: still, and drawn.
    pub fn pairs(&self) -> Vec<(f64, f64)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = state.rates.get(1..).unwrap_or_default();
        let pair = |(i, pair): (usize, &[f64])| if i % 2 == 0 { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
        rates.chunks_exact(2).enumerate().map(pair).take(self.pairs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_alternate_and_are_told_apart() {
        let turns = Turns::new(2, Duration::from_secs(1));
        let start = Instant::now();
        let mut now = start;
        let mut seen = Vec::new();
        loop {
            let turn = turns.step(now, 1);
            if seen.last() != Some(&turn) {
                seen.push(turn);
            }
            // Drawing takes a fifth of the time.
            now += Duration::from_millis(if turn == Turn::Draw { 125 } else { 100 });
            if turn == Turn::Over {
                break;
            }
        }
        assert_eq!(seen, [Turn::Draw, Turn::Still, Turn::Draw, Turn::Still, Turn::Over]);
        let pairs = turns.pairs();
        assert!(turns.is_over() && pairs.len() == 2);
        for (still, drawn) in pairs {
            assert!((still - 10.0).abs() < 0.5 && (drawn - 8.0).abs() < 0.5, "{still} {drawn}");
        }
    }
}
