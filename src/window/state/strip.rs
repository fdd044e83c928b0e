//! One sentence, token by token: what is asked, what came back, and how the discriminator did.

use crate::probe::{Mark, Part, Scene, mark};

/// How often each of the marks that count was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Fakes found.
    pub hits: usize,
    /// Fakes not found.
    pub misses: usize,
    /// Originals called fakes.
    pub false_alarms: usize,
}

impl Counts {
    /// Of a scene, by the discriminator's verdicts.
    pub fn of(scene: &Scene) -> Self {
        let count = |what: Mark| scene.tokens.iter().filter(|t| mark(t) == what).count();
        Self { hits: count(Mark::Hit), misses: count(Mark::Miss), false_alarms: count(Mark::FalseAlarm) }
    }
}

/// The sentence pane: a sentence from the held-out text or typed, and its newest scene.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strip {
    /// Sentences to choose from.
    pub sentences: Vec<String>,
    /// What is played.
    pub part: Part,
    /// What is being typed.
    pub typed: String,
    /// What was played last.
    pub scene: Option<Scene>,
    /// After how many steps.
    pub step: u64,
    /// The token whose word is being replaced, and the word typed for it.
    pub editing: Option<(usize, String)>,
    next: usize,
}

impl Strip {
    /// With these sentences to choose from; the first is played.
    pub fn new(sentences: Vec<String>) -> Self {
        let mut strip = Self { sentences, part: Part { masks: true, ..Part::default() }, ..Self::default() };
        strip.next_sentence();
        strip
    }

    /// Plays the next of the held-out sentences.
    pub fn next_sentence(&mut self) {
        if let Some(text) = self.sentences.get(self.next % self.sentences.len().max(1)) {
            let text = text.clone();
            self.next += 1;
            self.play(text);
        }
    }

    /// Plays what was typed; whether there was anything.
    pub fn play_typed(&mut self) -> bool {
        let text = self.typed.trim().to_string();
        let some = !text.is_empty();
        if some {
            self.play(text);
        }
        some
    }

    fn play(&mut self, text: String) {
        self.typed.clone_from(&text);
        self.part.text = text;
        self.part.edits.clear();
        self.editing = None;
    }

    /// Draws other tokens of the same sentence.
    pub fn draw_again(&mut self) {
        self.part.draw += 1;
        self.part.masks = true;
    }

    /// Puts a word in a token's place; nothing, or the token's own word, takes an earlier one back.
    pub fn edit(&mut self, place: usize, word: &str) {
        let word = word.trim();
        self.part.edits.retain(|(at, _)| *at != place);
        let own = self.scene.iter().flat_map(|s| &s.tokens).find(|t| t.place == place).map(|t| t.original.as_str());
        if !word.is_empty() && own != Some(word) {
            self.part.edits.push((place, word.to_string()));
            self.part.edits.sort();
        }
        self.editing = None;
    }

    /// Takes all edits back.
    pub fn restore(&mut self) {
        self.part.edits.clear();
        self.editing = None;
    }

    /// The verdict on all of it in words.
    pub fn summary(&self) -> String {
        let Some(scene) = &self.scene else { return "waiting for the networks…".into() };
        let Counts { hits, misses, false_alarms } = Counts::of(scene);
        let fakes = hits + misses;
        let cut = if scene.cut { "; the sentence is longer than the model reads, and cut" } else { "" };
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        format!(
            "{hits} of {fakes} fake{} found, {false_alarms} false alarm{}{cut}",
            plural(fakes),
            plural(false_alarms)
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::probe::{Guess, Played};

    pub(crate) fn token(place: usize, original: &str, shown: &str, drawn: bool, p_replaced: f32) -> Played {
        let guess = |token: &str| Guess { id: 1, token: token.into(), p: 0.5 };
        Played {
            place,
            original: original.into(),
            shown: shown.into(),
            drawn,
            masked: drawn,
            edited: false,
            guesses: if drawn { vec![guess(shown)] } else { Vec::new() },
            p_replaced,
        }
    }

    pub(crate) fn scene() -> Scene {
        let tokens = vec![
            token(1, "the", "the", false, 0.1),
            token(2, "people", "banana", true, 0.9),
            token(3, "want", "want", true, 0.2),
            token(4, "peace", "war", true, 0.3),
            token(5, ".", ".", false, 0.6),
        ];
        Scene { tokens, cut: false }
    }

    #[test]
    fn marks_are_the_four_cases_and_the_lucky_guess() {
        let marks: Vec<Mark> = scene().tokens.iter().map(mark).collect();
        assert_eq!(marks, [Mark::Original, Mark::Hit, Mark::Restored, Mark::Miss, Mark::FalseAlarm]);
        assert_eq!(Counts::of(&scene()), Counts { hits: 1, misses: 1, false_alarms: 1 });
    }

    #[test]
    fn sentences_come_round_and_edits_go_with_them() {
        let mut strip = Strip::new(vec!["a b".into(), "c d".into()]);
        assert_eq!((strip.part.text.as_str(), strip.part.masks), ("a b", true));
        strip.scene = Some(scene());
        assert_eq!(strip.summary(), "1 of 2 fakes found, 1 false alarm");
        strip.edit(4, "war");
        strip.edit(2, " x ");
        assert_eq!(strip.part.edits, [(2, "x".to_string()), (4, "war".to_string())]);
        strip.edit(4, "peace");
        strip.edit(2, "");
        assert_eq!(strip.part.edits, []);
        strip.edit(2, "y");
        strip.next_sentence();
        assert_eq!((strip.part.text.as_str(), strip.part.edits.len()), ("c d", 0));
        strip.next_sentence();
        assert_eq!(strip.part.text, "a b");
        strip.typed = "  ".into();
        assert!(!strip.play_typed());
        strip.typed = " my own ".into();
        assert!(strip.play_typed());
        assert_eq!(strip.part.text, "my own");
        let draw = strip.part.draw;
        strip.draw_again();
        assert_ne!(strip.part.draw, draw);
        assert_eq!(Strip::new(Vec::new()).part.text, "");
    }
}
