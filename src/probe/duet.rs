//! Both networks on one sentence: what the generator puts where words are drawn, and what the discriminator makes of it.

use super::ProbeError;
use super::guess::{Guess, guesses};
use super::judge::sigmoid;
use super::network::{Network, Shape, padded};
use crate::batch::Masking;
use crate::config::Config;
use crate::corpus::Tokenizer;
use crate::cpu::CpuEngine;
use crate::model::Model;
use crate::plan::Target;
use crate::random::Random;

/// Guesses of the generator that are told for a drawn token.
const TOP: usize = 5;
/// Domain of the random numbers that draw tokens and sample.
const STREAM: u64 = 0x4455_4554;

/// What is played: a sentence, and what is done to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// The sentence.
    pub text: String,
    /// Decides which tokens are drawn and what is sampled: the same number, the same draw, whatever the weights.
    pub draw: u64,
    /// Words that a person puts in place of a token: its place among the sentence's tokens, `[CLS]` being 0, and the word.
    pub edits: Vec<(usize, String)>,
    /// Whether the generator plays at all; without it only the edits are fakes.
    pub masks: bool,
}

/// One token of a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// Its place in the sentence before any edit, `[CLS]` being 0; that of the edited token for the pieces of a longer word.
    pub place: usize,
    /// The token in the text; empty for a further piece of a word that a person put in.
    pub original: String,
    /// The token that the discriminator saw.
    pub shown: String,
    /// Whether the generator was asked for it.
    pub drawn: bool,
    /// Whether the generator saw `[MASK]` there; a few drawn tokens it sees as they are.
    pub masked: bool,
    /// Whether a person put it in.
    pub edited: bool,
    /// Where it was drawn, the generator's likeliest words, the best first.
    pub guesses: Vec<Guess>,
    /// The discriminator's probability that it was replaced.
    pub p_replaced: f32,
}

impl Played {
    /// Whether it is a fake: another token than the text's.
    pub fn is_fake(&self) -> bool {
        self.shown != self.original
    }
}

/// A sentence, token by token, without `[CLS]` and `[SEP]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scene {
    /// The tokens as the discriminator saw them.
    pub tokens: Vec<Played>,
    /// Whether the sentence was longer than the model's positions.
    pub cut: bool,
}

/// Generator and discriminator of one model, on the CPU: a sentence is little work, and the device that trains goes on.
pub struct Duet {
    network: Network,
    masking: Masking,
}

/// A token on its way to the discriminator.
struct Slot {
    place: usize,
    original: Option<u32>,
    shown: u32,
    edited: bool,
}

impl Duet {
    /// For models of `config`; [`Duet::set_weights`] comes before anything is played.
    pub fn new(config: &Config, tokenizer: &Tokenizer) -> Self {
        let model = Model::new(config);
        let engine = Box::new(CpuEngine::<f32>::new(model.table.len()));
        let network = Network::of(model, config.model.positions, tokenizer.clone(), engine, Target::Cpu);
        Self { network, masking: config.objective.masking() }
    }

    /// Takes in a bank of weights, laid out as the model's table says.
    ///
    /// # Errors
    /// [`ProbeError::Engine`].
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), ProbeError> {
        self.network.set_weights(weights)
    }

    /// Draws tokens of the sentence, lets the generator fill them, puts in the person's words, and asks the discriminator.
    ///
    /// # Errors
    /// [`ProbeError::Engine`], and [`ProbeError::Tokenizer`] if the tokenizer fails, which a WordPiece tokenizer does not.
    pub fn play(&mut self, part: &Part) -> Result<Scene, ProbeError> {
        let (ids, _, cut) = self.network.tokens(&part.text)?;
        let special = self.network.tokenizer.special();
        let words = self.network.tokenizer.size();
        let mut masked = ids.clone();
        let mut random = Random::new(part.draw, STREAM, 0);
        let places = match part.masks {
            true => self.masking.draw(&mut masked, self.masking.slots(ids.len()), (special, words), &mut random),
            false => Vec::new(),
        };
        let logits = self.network.word_logits(&masked, &places)?;
        let words = logits.first().map_or_else(Vec::new, |logits| self.network.words(logits.len()).to_vec());
        let mut shown = ids.clone();
        for (&place, logits) in places.iter().zip(&logits) {
            shown[place as usize] = sample(logits, &words, random.unit());
        }
        let slots = self.slots(part, &ids, &shown)?;
        let seen: Vec<u32> = slots.iter().map(|slot| slot.shown).collect();
        let length = padded(seen.len(), self.network.positions);
        let verdicts = self.network.logits(Shape { rows: 1, length, drawn: 0 }, &[&seen], &[])?;
        let tokenizer = &self.network.tokenizer;
        let word = |id: u32| tokenizer.token(id).unwrap_or_default();
        let inner = 1..slots.len().saturating_sub(1).max(1);
        let tokens = slots.iter().zip(&verdicts).take(inner.end).skip(inner.start).map(|(slot, &logit)| {
            let drawn = places.iter().position(|&p| p as usize == slot.place).filter(|_| !slot.edited);
            Played {
                place: slot.place,
                original: slot.original.map(word).unwrap_or_default(),
                shown: word(slot.shown),
                drawn: drawn.is_some(),
                masked: drawn.is_some() && masked[slot.place] == special.mask,
                edited: slot.edited,
                guesses: drawn.map_or_else(Vec::new, |i| guesses(&logits[i], &words, TOP, tokenizer)),
                p_replaced: sigmoid(logit),
            }
        });
        Ok(Scene { tokens: tokens.collect(), cut })
    }

    /// The tokens with the edits put in; a word of several pieces makes the sentence longer, up to the model's positions.
    fn slots(&self, part: &Part, ids: &[u32], shown: &[u32]) -> Result<Vec<Slot>, ProbeError> {
        let mut slots = Vec::with_capacity(ids.len());
        for (place, (&original, &shown)) in ids.iter().zip(shown).enumerate() {
            let inner = place > 0 && place + 1 < ids.len();
            let edit = part.edits.iter().find(|(at, word)| inner && *at == place && !word.trim().is_empty());
            let pieces = match edit {
                Some((_, word)) => self.network.pieces(word)?,
                None => Vec::new(),
            };
            if pieces.is_empty() {
                slots.push(Slot { place, original: Some(original), shown, edited: false });
                continue;
            }
            let room = self.network.positions - ids.len() + 1;
            let pieces = pieces.into_iter().take(room.max(1)).enumerate();
            let edited = |(i, shown)| Slot { place, original: (i == 0).then_some(original), shown, edited: true };
            slots.extend(pieces.map(edited));
        }
        slots.truncate(self.network.positions);
        Ok(slots)
    }
}

/// The word at which the softmax's sum over `words` reaches `u`, from 0 up to 1. The noise is the caller's, so the same `u`
/// follows the weights as they change.
fn sample(logits: &[f32], words: &[bool], u: f64) -> u32 {
    let known = || (0..).zip(logits).zip(words).filter(|(_, word)| **word).map(|(logit, _)| logit);
    let highest = known().map(|(_, &x)| x).fold(f32::MIN, f32::max);
    let part = |x: &f32| (f64::from(*x) - f64::from(highest)).exp();
    let total: f64 = known().map(|(_, x)| part(x)).sum();
    let mut sum = 0.0;
    let found = known().find(|(_, x)| {
        sum += part(x);
        sum > u * total
    });
    found.or_else(|| known().last()).map_or(0, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::corpus::{SAMPLE, VocabularyOptions};

    fn duet() -> Duet {
        let options = VocabularyOptions { size: 200, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut config = preset("tiny").unwrap().set("model.positions=24").unwrap();
        config.model.vocabulary = tokenizer.size();
        let mut duet = Duet::new(&config, &tokenizer);
        duet.set_weights(&Model::new(&config).initial(5)).unwrap();
        duet
    }

    fn part(text: &str) -> Part {
        Part { text: text.into(), draw: 3, edits: Vec::new(), masks: true }
    }

    #[test]
    fn samples_by_the_softmax() {
        let logits = [0.0, 2f32.ln(), f32::MIN];
        let found: Vec<u32> = [0.0, 0.3, 0.4, 0.99, 1.0].iter().map(|&u| sample(&logits, &[true; 3], u)).collect();
        assert_eq!(found, [0, 0, 1, 1, 2]);
        let words = [false, true, false];
        assert!([0.0, 0.3, 0.99, 1.0].iter().all(|&u| sample(&logits, &words, u) == 1));
    }

    #[test]
    fn the_same_draw_gives_the_same_scene() {
        let mut duet = duet();
        let scene = duet.play(&part("the people of the united states")).unwrap();
        assert_eq!(scene, duet.play(&part("the people of the united states")).unwrap());
        assert!(!scene.cut);
        let drawn: Vec<&Played> = scene.tokens.iter().filter(|t| t.drawn).collect();
        assert!(!drawn.is_empty());
        for token in &scene.tokens {
            assert!(token.p_replaced > 0.0 && token.p_replaced < 1.0);
            assert_eq!(token.guesses.len(), if token.drawn { TOP } else { 0 });
            assert!(token.guesses.is_sorted_by(|a, b| a.p >= b.p));
            assert!(token.drawn || !token.is_fake());
        }
        let still = duet.play(&Part { masks: false, ..part("the people of the united states") }).unwrap();
        assert!(still.tokens.iter().all(|t| !t.drawn && !t.is_fake()));
        assert_eq!(duet.play(&part("")).unwrap().tokens, []);
    }

    #[test]
    fn a_person_may_put_in_a_word() {
        let mut duet = duet();
        let plain = Part { masks: false, ..part("the people of the country") };
        let before = duet.play(&plain).unwrap();
        let place = before.tokens[1].place;
        let same = Part { edits: vec![(place, before.tokens[1].shown.clone())], ..plain.clone() };
        assert!(duet.play(&same).unwrap().tokens.iter().all(|t| !t.is_fake()));
        let edited = duet.play(&Part { edits: vec![(place, "qwertyuiop".into())], ..plain.clone() }).unwrap();
        assert!(edited.tokens.len() > before.tokens.len());
        let fakes: Vec<&Played> = edited.tokens.iter().filter(|t| t.is_fake()).collect();
        assert!(fakes.len() > 1 && fakes.iter().all(|t| t.edited && t.place == place));
        // Special tokens cannot be replaced, and nothing is not a word.
        for edit in [(0, "a"), (999, "a"), (place, " ")] {
            let scene = duet.play(&Part { edits: vec![(edit.0, edit.1.into())], ..plain.clone() }).unwrap();
            assert_eq!(scene, before, "{edit:?}");
        }
    }

    #[test]
    fn long_sentences_are_cut_and_edits_do_not_overflow() {
        let mut duet = duet();
        let long = Part { edits: vec![(2, "unpronounceable".into())], ..part(&"peace and war ".repeat(30)) };
        let scene = duet.play(&long).unwrap();
        assert!(scene.cut && scene.tokens.len() <= 23, "{}", scene.tokens.len());
    }
}
