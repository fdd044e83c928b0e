//! One sentence, token by token: what is asked, what came back, and how the networks did.

use crate::probe::{Mark, Request, Sentence, mark};

/// How often each of the marks that count was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Fakes found, or masked words guessed.
    pub hits: usize,
    /// Fakes not found, or masked words not guessed.
    pub misses: usize,
    /// Originals called fakes.
    pub false_alarms: usize,
}

impl Counts {
    /// Of a sentence.
    pub fn of(sentence: &Sentence) -> Self {
        let count = |what: Mark| sentence.tokens.iter().filter(|t| mark(t) == what).count();
        Self { hits: count(Mark::Hit), misses: count(Mark::Miss), false_alarms: count(Mark::FalseAlarm) }
    }
}

/// What of a sentence is shown to somebody who is new to it, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guide {
    /// The sentence with its words hidden.
    Sees,
    /// What the generator puts there.
    Puts,
    /// What the discriminator thinks of all.
    Thinks,
}

impl Guide {
    /// In their order.
    pub const ALL: [Self; 3] = [Self::Sees, Self::Puts, Self::Thinks];

    /// What comes behind it; nothing behind the last.
    pub fn next(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|guide| *guide == self)?;
        Self::ALL.get(at + 1).copied()
    }

    /// What is to be seen, in a sentence.
    pub fn says(self) -> &'static str {
        match self {
            Self::Sees => "The generator sees this: some words are hidden, and it has to guess them from the others.",
            Self::Puts => {
                "It puts these words there: the ones that it happens to guess right are no fakes, the others are."
            }
            Self::Thinks => {
                "The discriminator sees only that sentence, and says of every word how sure it is that it is a fake."
            }
        }
    }
}

/// The sentence pane: a sentence from the held-out text or typed, and the newest answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SentencePane {
    /// Sentences to choose from.
    pub sentences: Vec<String>,
    /// What is asked.
    pub request: Request,
    /// Whether masked words are guessed, and nothing more: there is no discriminator to find fakes.
    pub masked_lm: bool,
    /// Whether no network puts in words for another to find.
    pub lacks_fakes: bool,
    /// What is being typed.
    pub typed: String,
    /// What came back last.
    pub answer: Option<Sentence>,
    /// After how many steps.
    pub step: u64,
    /// Where somebody is being shown how it works.
    pub guide: Option<Guide>,
    /// The token whose word is being replaced, and the word typed for it.
    pub editing: Option<(usize, String)>,
    next: usize,
}

impl SentencePane {
    /// With these sentences to choose from; the first is asked about. Networks guess masked words and no more, or some put in `fakes`.
    pub fn new(sentences: Vec<String>, masked_lm: bool, fakes: bool) -> Self {
        let request = Request { masks: true, ..Request::default() };
        let mut pane = Self { sentences, request, masked_lm, lacks_fakes: !fakes, ..Self::default() };
        pane.next_sentence();
        pane
    }

    /// Takes the next of the held-out sentences.
    pub fn next_sentence(&mut self) {
        if let Some(text) = self.sentences.get(self.next % self.sentences.len().max(1)) {
            let text = text.clone();
            self.next += 1;
            self.take(text);
        }
    }

    /// Takes what was typed; whether there was anything.
    pub fn take_typed(&mut self) -> bool {
        let text = self.typed.trim().to_string();
        let some = !text.is_empty();
        if some {
            self.take(text);
        }
        some
    }

    fn take(&mut self, text: String) {
        self.typed.clone_from(&text);
        self.request.text = text;
        self.restore();
    }

    /// Selects other tokens of the same sentence.
    pub fn draw_again(&mut self) {
        self.request.seed += 1;
        self.request.masks = true;
    }

    /// Puts a word in a token's place; nothing, or the token's own word, takes an earlier one back.
    pub fn edit(&mut self, position: usize, word: &str) {
        let word = word.trim();
        self.request.edits.retain(|(at, _)| *at != position);
        let own =
            self.answer.iter().flat_map(|s| &s.tokens).find(|t| t.position == position).map(|t| t.original.as_str());
        if !word.is_empty() && own != Some(word) {
            self.request.edits.push((position, word.to_string()));
            self.request.edits.sort();
        }
        self.editing = None;
    }

    /// Masks a token, or shows it if it is masked.
    pub fn toggle_mask(&mut self, position: usize) {
        // What was asked for last may not have been answered yet.
        let asked = self.request.chosen.get(&position).copied();
        let answered = || {
            let token = self.answer.iter().flat_map(|s| &s.tokens).find(|t| t.position == position)?;
            // A [MASK] in the text has no word to be shown.
            (mark(token) != Mark::Open).then_some(token.selected)
        };
        if let Some(masked) = asked.or_else(answered) {
            self.request.chosen.insert(position, !masked);
        }
    }

    /// Whether there is a generator that hides words and a discriminator behind it, which can be shown one after the other.
    pub fn explains(&self) -> bool {
        !self.masked_lm && !self.lacks_fakes
    }

    /// Begins to show how it works, goes on with that, or ends it.
    pub fn explain(&mut self) {
        self.guide = self.guide.map_or(Some(Guide::Sees), Guide::next);
        // Without hidden words there is nothing to see.
        self.request.masks |= self.guide.is_some();
    }

    /// Whether a person has changed anything in the sentence.
    pub fn is_changed(&self) -> bool {
        !self.request.edits.is_empty() || !self.request.chosen.is_empty()
    }

    /// Takes all of that back.
    pub fn restore(&mut self) {
        self.request.edits.clear();
        self.request.chosen.clear();
        self.editing = None;
    }

    /// The verdict on all of it in words.
    pub fn summary(&self) -> String {
        let Some(sentence) = &self.answer else { return "waiting for the networks…".into() };
        let Counts { hits, misses, false_alarms } = Counts::of(sentence);
        let all = hits + misses;
        let cut = if sentence.cut { "; the sentence is longer than the model reads, and cut" } else { "" };
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if self.masked_lm {
            return format!("{hits} of {all} masked word{} guessed{cut}", plural(all));
        }
        format!("{hits} of {all} fake{} found, {false_alarms} false alarm{}{cut}", plural(all), plural(false_alarms))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::probe::{Guess, Token};

    pub(crate) fn token(position: usize, original: &str, shown: &str, selected: bool, p_replaced: f32) -> Token {
        let guess = |token: &str| Guess { id: 1, token: token.into(), p: 0.5 };
        Token {
            position,
            original: original.into(),
            shown: shown.into(),
            selected,
            masked: selected,
            edited: false,
            guesses: if selected { vec![guess(shown)] } else { Vec::new() },
            p_replaced: Some(p_replaced),
            candidates: Vec::new(),
        }
    }

    pub(crate) fn sentence() -> Sentence {
        let tokens = vec![
            token(1, "the", "the", false, 0.1),
            token(2, "people", "banana", true, 0.9),
            token(3, "want", "want", true, 0.2),
            token(4, "peace", "war", true, 0.3),
            token(5, ".", ".", false, 0.6),
        ];
        Sentence { tokens, cut: false }
    }

    #[test]
    fn marks_are_the_four_cases_and_the_lucky_guess() {
        let marks: Vec<Mark> = sentence().tokens.iter().map(mark).collect();
        assert_eq!(marks, [Mark::Original, Mark::Hit, Mark::Restored, Mark::Miss, Mark::FalseAlarm]);
        assert_eq!(Counts::of(&sentence()), Counts { hits: 1, misses: 1, false_alarms: 1 });
    }

    #[test]
    fn sentences_come_round_and_edits_go_with_them() {
        let mut pane = SentencePane::new(vec!["a b".into(), "c d".into()], false, true);
        assert_eq!((pane.request.text.as_str(), pane.request.masks), ("a b", true));
        pane.answer = Some(sentence());
        assert_eq!(pane.summary(), "1 of 2 fakes found, 1 false alarm");
        pane.edit(4, "war");
        pane.edit(2, " x ");
        assert_eq!(pane.request.edits, [(2, "x".to_string()), (4, "war".to_string())]);
        pane.edit(4, "peace");
        pane.edit(2, "");
        assert_eq!(pane.request.edits, []);
        pane.edit(2, "y");
        pane.next_sentence();
        assert_eq!((pane.request.text.as_str(), pane.request.edits.len()), ("c d", 0));
        pane.next_sentence();
        assert_eq!(pane.request.text, "a b");
        pane.typed = "  ".into();
        assert!(!pane.take_typed());
        pane.typed = " my own ".into();
        assert!(pane.take_typed());
        assert_eq!(pane.request.text, "my own");
        let seed = pane.request.seed;
        pane.draw_again();
        assert_ne!(pane.request.seed, seed);
        assert_eq!(SentencePane::new(Vec::new(), false, true).request.text, "");
    }

    #[test]
    fn it_is_explained_in_three_sentences() {
        let mut pane = SentencePane::new(vec!["a b".into()], false, true);
        pane.request.masks = false;
        let mut seen = Vec::new();
        while {
            pane.explain();
            pane.guide.is_some()
        } {
            seen.extend(pane.guide);
        }
        assert_eq!((seen.as_slice(), pane.request.masks), (Guide::ALL.as_slice(), true));
        assert!(pane.explains() && !SentencePane::new(vec!["a b".into()], true, false).explains());
    }

    #[test]
    fn masked_words_are_chosen_and_counted() {
        let mut pane = SentencePane::new(vec!["a b".into()], true, false);
        let guessed = |token: Token| Token { p_replaced: None, ..token };
        let tokens = sentence().tokens.into_iter().map(guessed).collect();
        pane.answer = Some(Sentence { tokens, cut: false });
        assert_eq!(pane.summary(), "1 of 3 masked words guessed");
        let marks: Vec<Mark> = pane.answer.iter().flat_map(|s| &s.tokens).map(mark).collect();
        assert_eq!(marks, [Mark::Original, Mark::Miss, Mark::Hit, Mark::Miss, Mark::Original]);
        assert!(!pane.is_changed());
        for position in [1, 2, 9] {
            pane.toggle_mask(position);
        }
        assert_eq!(pane.request.chosen, [(1, true), (2, false)].into());
        assert!(pane.is_changed());
        pane.draw_again();
        assert!(pane.is_changed());
        pane.next_sentence();
        assert!(!pane.is_changed());
    }
}
