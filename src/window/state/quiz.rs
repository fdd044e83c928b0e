//! Ten sentences with fakes: a class guesses which tokens they are, then the discriminator answers, and both are scored.

use super::Counts;
use crate::probe::{Request, Sentence};
use std::collections::BTreeSet;

/// Sentences of a quiz.
const ROUNDS: usize = 10;

/// Points: one for every fake found, one less for every original that was called a fake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Points, which may be below 0.
    pub points: i64,
    /// Fakes found.
    pub found: usize,
    /// Fakes there were.
    pub fakes: usize,
    /// Originals called fakes.
    pub false_alarms: usize,
}

impl Score {
    fn of(counts: Counts) -> Self {
        let Counts { hits, misses, false_alarms } = counts;
        let points = hits as i64 - false_alarms as i64;
        Self { points, found: hits, fakes: hits + misses, false_alarms }
    }

    fn add(self, other: Self) -> Self {
        Self {
            points: self.points + other.points,
            found: self.found + other.found,
            fakes: self.fakes + other.fakes,
            false_alarms: self.false_alarms + other.false_alarms,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Round {
    sentence: Sentence,
    /// Tokens that the class takes for fakes.
    picked: BTreeSet<usize>,
    revealed: bool,
}

/// A quiz under way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quiz {
    rounds: Vec<Round>,
    current: usize,
}

impl Quiz {
    /// What to ask for a quiz out of these sentences; more than are asked, since some will have no fake.
    pub fn requests(sentences: &[String], seed: u64) -> Vec<Request> {
        let most = sentences.len().max(1);
        let request = |i: usize| Request {
            text: sentences[(seed as usize).wrapping_add(i) % most].clone(),
            // Every sentence again and again, with other seeds.
            seed: seed.wrapping_add(i as u64 + 1),
            masks: true,
            ..Request::default()
        };
        if sentences.is_empty() { Vec::new() } else { (0..3 * ROUNDS).map(request).collect() }
    }

    /// Sentences of a whole quiz.
    pub const ROUNDS: usize = ROUNDS;

    /// Whether a sentence is good for a quiz: it has a fake and an original.
    pub fn takes(sentence: &Sentence) -> bool {
        let fakes = sentence.tokens.iter().filter(|t| t.is_fake()).count();
        fakes > 0 && fakes < sentence.tokens.len()
    }

    /// A quiz of the sentences that are good for one.
    pub fn new(sentences: Vec<Sentence>) -> Self {
        let round = |sentence| Round { sentence, picked: BTreeSet::new(), revealed: false };
        Self { rounds: sentences.into_iter().filter(Self::takes).take(ROUNDS).map(round).collect(), current: 0 }
    }

    /// How many sentences there are.
    pub fn len(&self) -> usize {
        self.rounds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rounds.is_empty()
    }

    /// The number of the sentence, from 0.
    pub fn current(&self) -> usize {
        self.current
    }

    /// The sentence.
    pub fn sentence(&self) -> Option<&Sentence> {
        self.rounds.get(self.current).map(|round| &round.sentence)
    }

    /// Whether a token of the sentence was picked.
    pub fn is_picked(&self, token: usize) -> bool {
        self.rounds.get(self.current).is_some_and(|round| round.picked.contains(&token))
    }

    /// Whether the answer is shown.
    pub fn is_revealed(&self) -> bool {
        self.rounds.get(self.current).is_some_and(|round| round.revealed)
    }

    /// Picks a token of the sentence, or takes that back; nothing once the answer is shown.
    pub fn toggle(&mut self, token: usize) {
        if let Some(round) = self.rounds.get_mut(self.current)
            && !round.revealed
            && token < round.sentence.tokens.len()
            && !round.picked.remove(&token)
        {
            round.picked.insert(token);
        }
    }

    /// Shows the answer.
    pub fn reveal(&mut self) {
        if let Some(round) = self.rounds.get_mut(self.current) {
            round.revealed = true;
        }
    }

    /// On to the next sentence, if there is one.
    pub fn next(&mut self) {
        self.current = (self.current + 1).min(self.rounds.len().saturating_sub(1));
    }

    /// Back to the one before.
    pub fn back(&mut self) {
        self.current = self.current.saturating_sub(1);
    }

    /// Whether every answer was shown.
    pub fn is_over(&self) -> bool {
        !self.is_empty() && self.rounds.iter().all(|round| round.revealed)
    }

    /// The class's score and the discriminator's, of the sentences whose answer was shown.
    pub fn scores(&self) -> (Score, Score) {
        let shown = self.rounds.iter().filter(|round| round.revealed);
        shown.fold((Score::default(), Score::default()), |(class, network), round| {
            (class.add(round.class()), network.add(Score::of(Counts::of(&round.sentence))))
        })
    }

    /// The class's score in this sentence and the discriminator's.
    pub fn round_scores(&self) -> Option<(Score, Score)> {
        let round = self.rounds.get(self.current).filter(|round| round.revealed)?;
        Some((round.class(), Score::of(Counts::of(&round.sentence))))
    }
}

impl Round {
    fn class(&self) -> Score {
        let fake = |i: &usize| self.sentence.tokens.get(*i).is_some_and(|t| t.is_fake());
        let hits = self.picked.iter().filter(|i| fake(i)).count();
        let fakes = self.sentence.tokens.iter().filter(|t| t.is_fake()).count();
        Score::of(Counts { hits, misses: fakes - hits, false_alarms: self.picked.len() - hits })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sentence::tests::{sentence, token};
    use super::*;

    #[test]
    fn class_and_discriminator_are_scored_alike() {
        let plain = Sentence { tokens: vec![token(1, "a", "a", false, 0.1)], cut: false };
        let mut quiz = Quiz::new(vec![plain, sentence(), sentence()]);
        assert_eq!((quiz.len(), quiz.current(), quiz.round_scores()), (2, 0, None));
        quiz.toggle(1);
        quiz.toggle(0);
        quiz.toggle(0);
        quiz.toggle(3);
        quiz.toggle(4);
        quiz.toggle(99);
        assert!(quiz.is_picked(1) && !quiz.is_picked(0));
        quiz.reveal();
        quiz.toggle(0);
        assert!(!quiz.is_picked(0) && quiz.is_revealed() && !quiz.is_over());
        let (class, network) = quiz.round_scores().unwrap();
        assert_eq!(class, Score { points: 1, found: 2, fakes: 2, false_alarms: 1 });
        assert_eq!(network, Score { points: 0, found: 1, fakes: 2, false_alarms: 1 });
        quiz.next();
        quiz.next();
        assert_eq!(quiz.current(), 1);
        assert!(!quiz.is_revealed());
        quiz.reveal();
        assert!(quiz.is_over());
        assert_eq!(quiz.scores().0, Score { points: 1, found: 2, fakes: 4, false_alarms: 1 });
        quiz.back();
        assert_eq!(quiz.current(), 0);
    }

    #[test]
    fn every_sentence_has_its_turn() {
        assert_eq!(Quiz::requests(&[], 1), []);
        let requests = Quiz::requests(&["a".into(), "b".into()], 5);
        assert_eq!(requests.len(), 30);
        assert_ne!(requests[0].text, requests[1].text);
        assert_ne!(requests[0].seed, requests[2].seed);
        let mut none = Quiz::new(Vec::new());
        none.toggle(0);
        none.reveal();
        none.next();
        assert!(none.is_empty() && !none.is_over() && none.sentence().is_none());
    }
}
