//! Both networks on one sentence: what the generator puts where tokens are selected, and what the discriminator makes of it.

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

/// Guesses of the generator that are told for a selected token.
const TOP: usize = 5;
/// Domain of the random numbers that select tokens and sample.
const STREAM: u64 = 0x4455_4554;

/// What is asked: a sentence, and what is done to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// The sentence.
    pub text: String,
    /// Decides which tokens are selected and what is sampled: the same number, the same choice, whatever the weights.
    pub seed: u64,
    /// Words that a person puts in place of a token: its position among the sentence's tokens, `[CLS]` being 0, and the word.
    pub edits: Vec<(usize, String)>,
    /// Whether tokens are masked and the generator fills them; without it only the edits are fakes.
    pub masks: bool,
}

/// One token of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its position in the sentence before any edit, `[CLS]` being 0; that of the edited token for the pieces of a longer word.
    pub position: usize,
    /// The token in the text; empty for a further piece of a word that a person put in.
    pub original: String,
    /// The token that the discriminator saw.
    pub shown: String,
    /// Whether the generator was asked for it.
    pub selected: bool,
    /// Whether the generator saw `[MASK]` there; a few selected tokens it sees as they are.
    pub masked: bool,
    /// Whether a person put it in.
    pub edited: bool,
    /// Where it was selected, the generator's likeliest words, the best first.
    pub guesses: Vec<Guess>,
    /// The discriminator's probability that it was replaced.
    pub p_replaced: f32,
}

impl Token {
    /// Whether it is a fake: another token than the text's.
    pub fn is_fake(&self) -> bool {
        self.shown != self.original
    }
}

/// A sentence, token by token, without `[CLS]` and `[SEP]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sentence {
    /// The tokens as the discriminator saw them.
    pub tokens: Vec<Token>,
    /// Whether the sentence was longer than the model's positions.
    pub cut: bool,
}

/// Generator and discriminator of one model, on the CPU: a sentence is little work, and the device that trains goes on.
pub struct Demonstration {
    network: Network,
    masking: Masking,
}

/// A token on its way to the discriminator.
struct Replaced {
    position: usize,
    original: Option<u32>,
    shown: u32,
    edited: bool,
}

impl Demonstration {
    /// For models of `config`; [`Demonstration::set_weights`] comes before anything is asked.
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

    /// Selects tokens of the sentence, lets the generator fill them, puts in the person's words, and asks the discriminator.
    ///
    /// # Errors
    /// [`ProbeError::Engine`], and [`ProbeError::Tokenizer`] if the tokenizer fails, which a WordPiece tokenizer does not.
    pub fn ask(&mut self, request: &Request) -> Result<Sentence, ProbeError> {
        let (ids, _, cut) = self.network.tokens(&request.text)?;
        let special = self.network.tokenizer.special();
        let words = self.network.tokenizer.size();
        let mut masked = ids.clone();
        let mut random = Random::new(request.seed, STREAM, 0);
        let positions = match request.masks {
            true => self.masking.draw(&mut masked, self.masking.slots(ids.len()), (special, words), &mut random),
            false => Vec::new(),
        };
        let logits = self.network.word_logits(&masked, &positions)?;
        let words = logits.first().map_or_else(Vec::new, |logits| self.network.words(logits.len()).to_vec());
        let mut shown = ids.clone();
        for (&position, logits) in positions.iter().zip(&logits) {
            shown[position as usize] = sample(logits, &words, random.unit());
        }
        let tokens = self.replaced(request, &ids, &shown)?;
        let seen: Vec<u32> = tokens.iter().map(|token| token.shown).collect();
        let length = padded(seen.len(), self.network.positions);
        let verdicts = self.network.logits(Shape { rows: 1, length, slots: 0 }, &[&seen], &[])?;
        let tokenizer = &self.network.tokenizer;
        let word = |id: u32| tokenizer.token(id).unwrap_or_default();
        let inner = 1..tokens.len().saturating_sub(1).max(1);
        let answers = tokens.iter().zip(&verdicts).take(inner.end).skip(inner.start).map(|(token, &logit)| {
            let slot = positions.iter().position(|&p| p as usize == token.position).filter(|_| !token.edited);
            Token {
                position: token.position,
                original: token.original.map(word).unwrap_or_default(),
                shown: word(token.shown),
                selected: slot.is_some(),
                masked: slot.is_some() && masked[token.position] == special.mask,
                edited: token.edited,
                guesses: slot.map_or_else(Vec::new, |i| guesses(&logits[i], &words, TOP, tokenizer)),
                p_replaced: sigmoid(logit),
            }
        });
        Ok(Sentence { tokens: answers.collect(), cut })
    }

    /// The tokens with the edits put in; a word of several pieces makes the sentence longer, up to the model's positions.
    fn replaced(&self, request: &Request, ids: &[u32], shown: &[u32]) -> Result<Vec<Replaced>, ProbeError> {
        let mut tokens = Vec::with_capacity(ids.len());
        for (position, (&original, &shown)) in ids.iter().zip(shown).enumerate() {
            let inner = position > 0 && position + 1 < ids.len();
            let edit = request.edits.iter().find(|(at, word)| inner && *at == position && !word.trim().is_empty());
            let pieces = match edit {
                Some((_, word)) => self.network.pieces(word)?,
                None => Vec::new(),
            };
            if pieces.is_empty() {
                tokens.push(Replaced { position, original: Some(original), shown, edited: false });
                continue;
            }
            let room = self.network.positions - ids.len() + 1;
            let pieces = pieces.into_iter().take(room.max(1)).enumerate();
            let edited =
                |(i, shown)| Replaced { position, original: (i == 0).then_some(original), shown, edited: true };
            tokens.extend(pieces.map(edited));
        }
        tokens.truncate(self.network.positions);
        Ok(tokens)
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

    fn demonstration() -> Demonstration {
        let options = VocabularyOptions { size: 200, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut config = preset("tiny").unwrap().set("model.positions=24").unwrap();
        config.model.vocabulary = tokenizer.size();
        let mut demonstration = Demonstration::new(&config, &tokenizer);
        demonstration.set_weights(&Model::new(&config).initial(5)).unwrap();
        demonstration
    }

    fn request(text: &str) -> Request {
        Request { text: text.into(), seed: 3, edits: Vec::new(), masks: true }
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
    fn the_same_seed_gives_the_same_scene() {
        let mut demonstration = demonstration();
        let sentence = demonstration.ask(&request("the people of the united states")).unwrap();
        assert_eq!(sentence, demonstration.ask(&request("the people of the united states")).unwrap());
        assert!(!sentence.cut);
        let selected: Vec<&Token> = sentence.tokens.iter().filter(|t| t.selected).collect();
        assert!(!selected.is_empty());
        for token in &sentence.tokens {
            assert!(token.p_replaced > 0.0 && token.p_replaced < 1.0);
            assert_eq!(token.guesses.len(), if token.selected { TOP } else { 0 });
            assert!(token.guesses.is_sorted_by(|a, b| a.p >= b.p));
            assert!(token.selected || !token.is_fake());
        }
        let still = demonstration.ask(&Request { masks: false, ..request("the people of the united states") }).unwrap();
        assert!(still.tokens.iter().all(|t| !t.selected && !t.is_fake()));
        assert_eq!(demonstration.ask(&request("")).unwrap().tokens, []);
    }

    #[test]
    fn a_person_may_put_in_a_word() {
        let mut demonstration = demonstration();
        let plain = Request { masks: false, ..request("the people of the country") };
        let before = demonstration.ask(&plain).unwrap();
        let position = before.tokens[1].position;
        let same = Request { edits: vec![(position, before.tokens[1].shown.clone())], ..plain.clone() };
        assert!(demonstration.ask(&same).unwrap().tokens.iter().all(|t| !t.is_fake()));
        let edited =
            demonstration.ask(&Request { edits: vec![(position, "qwertyuiop".into())], ..plain.clone() }).unwrap();
        assert!(edited.tokens.len() > before.tokens.len());
        let fakes: Vec<&Token> = edited.tokens.iter().filter(|t| t.is_fake()).collect();
        assert!(fakes.len() > 1 && fakes.iter().all(|t| t.edited && t.position == position));
        // Special tokens cannot be replaced, and nothing is not a word.
        for edit in [(0, "a"), (999, "a"), (position, " ")] {
            let sentence =
                demonstration.ask(&Request { edits: vec![(edit.0, edit.1.into())], ..plain.clone() }).unwrap();
            assert_eq!(sentence, before, "{edit:?}");
        }
    }

    #[test]
    fn long_sentences_are_cut_and_edits_do_not_overflow() {
        let mut demonstration = demonstration();
        let long = Request { edits: vec![(2, "unpronounceable".into())], ..request(&"peace and war ".repeat(30)) };
        let sentence = demonstration.ask(&long).unwrap();
        assert!(sentence.cut && sentence.tokens.len() <= 23, "{}", sentence.tokens.len());
    }
}
