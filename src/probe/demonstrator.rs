//! What a model's networks do with a sentence: some of its tokens are masked, a masked language model guesses them, and a
//! discriminator, if there is one, says of every token whether it was replaced.

use super::ProbeError;
use super::guess::{Guess, guesses};
use super::network::{Network, judge, with_own};
use crate::batch::{Lexicon, Masking};
use crate::corpus::Tokenizer;
use crate::cpu::CpuEngine;
use crate::model::{self, Model, NEITHER};
use crate::objective::{Demonstration, Objective};
use crate::plan::Target;
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Guesses that are told for a selected token.
const TOP: usize = 5;
/// Domain of the random numbers that select tokens and sample.
const STREAM: u64 = 0x4455_4554;

/// What is asked: a sentence, and what is done to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Request {
    /// The sentence.
    pub text: String,
    /// Decides which tokens are selected and what is sampled: the same number, the same choice, whatever the weights.
    pub seed: u64,
    /// Words that a person puts in place of a token: its position among the sentence's tokens, `[CLS]` being 0, and the word.
    /// They are for a discriminator to find; without one they are left out.
    pub edits: Vec<(usize, String)>,
    /// Tokens by position that a person has masked, or shows, whatever is selected.
    pub chosen: BTreeMap<usize, bool>,
    /// Whether tokens are selected and guessed; without it only what a person did is asked about.
    pub masks: bool,
}

/// One token of a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its position in the sentence before any edit, `[CLS]` being 0; that of the edited token for the pieces of a longer word.
    pub position: usize,
    /// The token in the text; empty for a further piece of a word that a person put in, and for a `[MASK]` that was guessed.
    pub original: String,
    /// The token that the discriminator saw; without one, the likeliest guess where there is one.
    pub shown: String,
    /// Whether it was to be guessed.
    pub selected: bool,
    /// Whether the guess was made of `[MASK]`; a generator sees a few selected tokens as they are.
    pub masked: bool,
    /// Whether a person put it in.
    pub edited: bool,
    /// Where it was selected, the likeliest words, the best first.
    pub guesses: Vec<Guess>,
    /// The discriminator's probability that it was replaced; `None` without one.
    pub p_replaced: Option<f32>,
    /// Where an encoder chooses what a selected or edited token was, from a few words, those words, the likeliest first.
    pub candidates: Vec<Guess>,
}

impl Token {
    /// Whether it is another token than the text's: a fake, or a wrong guess.
    pub fn is_fake(&self) -> bool {
        self.shown != self.original
    }
}

/// A sentence, token by token, without `[CLS]` and `[SEP]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sentence {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// Whether the sentence was longer than the model's positions.
    pub cut: bool,
}

/// The networks of one model, on the CPU: a sentence is little work, and the device that trains goes on.
pub struct Demonstrator {
    pub(super) network: Network,
    masking: Masking,
    /// Whether there is a network that guesses words.
    guesses: bool,
    /// Whether there is one that tells replaced tokens.
    pub(super) discriminates: bool,
    /// Whether that is one which says what the words were: what it doubts, it takes for replaced.
    pub(super) restores: bool,
    /// How many options an encoder chooses from that says what words were, where there is such a one.
    pub(super) options: Option<usize>,
    /// Whether one of them is that it is none of the words, which is its verdict.
    pub(super) rejects: bool,
}

/// A token on its way to the discriminator.
pub(super) struct Replaced {
    pub position: usize,
    pub original: Option<u32>,
    pub shown: u32,
    pub edited: bool,
}

impl Demonstrator {
    /// For a model trained by this objective; [`Demonstrator::set_weights`] comes before anything is asked. Without a
    /// discriminator every selected token is masked: that training leaves some, or puts other words there, is for the
    /// network not to rely on `[MASK]`, and a guess of a word that can be seen says little.
    pub fn new(model: Model, objective: &dyn Objective, tokenizer: &Tokenizer) -> Self {
        let masking = objective.masking().unwrap_or_default();
        let options = match objective.demonstration() {
            Demonstration::Chosen { options, .. } => Some(options),
            _ => None,
        };
        let rejects = with_own(&model, NEITHER).is_some();
        let guess = |network: &&model::Network| network.masked_lm().is_ok();
        let guesses = model.networks.iter().any(|network| guess(&network));
        let restores = judge(&model).is_err() && model.networks.iter().filter(guess).count() > 1;
        let discriminates = restores || judge(&model).is_ok();
        let masking =
            if discriminates { masking } else { Masking { mask_probability: 1.0, random_probability: 0.0, ..masking } };
        let positions = model.networks.iter().map(|network| network.config.positions).min().unwrap_or_default();
        let engine = Box::new(CpuEngine::<f32>::new(model.table.len()));
        let network = Network::of(model, positions, tokenizer.clone(), engine, Target::Cpu);
        Self { network, masking, guesses, discriminates, restores, options, rejects }
    }

    /// Takes in a bank of weights, laid out as the model's table says.
    ///
    /// # Errors
    /// [`ProbeError::Engine`].
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), ProbeError> {
        self.network.set_weights(weights)
    }

    /// Selects tokens of the sentence, has them guessed, puts in the person's words, and asks the discriminator, as far as
    /// there are networks for it.
    ///
    /// # Errors
    /// [`ProbeError::Engine`], and [`ProbeError::Tokenizer`] if the tokenizer fails, which a WordPiece tokenizer does not.
    pub fn ask(&mut self, request: &Request) -> Result<Sentence, ProbeError> {
        let (ids, _, cut) = self.network.tokens(&request.text)?;
        let mask = self.network.tokenizer.special().mask;
        let mut masked = ids.clone();
        let mut random = Random::new(request.seed, STREAM, 0);
        let positions = self.select(request, &mut masked, &mut random);
        let logits = self.network.word_logits(&masked, &positions, false)?;
        let words = logits.first().map_or_else(Vec::new, |logits| self.network.words(logits.len()).to_vec());
        let tokenizer = &self.network.tokenizer;
        let likeliest: Vec<Vec<Guess>> = logits.iter().map(|logits| guesses(logits, &words, TOP, tokenizer)).collect();
        let mut shown = ids.clone();
        for (i, &position) in positions.iter().enumerate() {
            shown[position as usize] = match self.discriminates {
                true => sample(&logits[i], &words, random.unit()),
                false => likeliest[i].first().map_or(mask, |guess| guess.id),
            };
        }
        let tokens = self.replaced(request, &ids, &shown)?;
        let (p_replaced, candidates) = self.verdicts(&tokens, (&positions, &masked), &likeliest)?;
        let tokenizer = &self.network.tokenizer;
        let word = |id: u32| tokenizer.token(id).unwrap_or_default();
        let inner = 1..tokens.len().saturating_sub(1).max(1);
        let answers = tokens.iter().enumerate().take(inner.end).skip(inner.start).map(|(i, token)| {
            let slot = positions.iter().position(|&p| p as usize == token.position).filter(|_| !token.edited);
            // What a `[MASK]` of the text's own stands for is not known.
            let original = token.original.filter(|&id| slot.is_none() || id != mask);
            Token {
                position: token.position,
                original: original.map(word).unwrap_or_default(),
                shown: word(token.shown),
                selected: slot.is_some(),
                masked: slot.is_some() && masked[token.position] == mask,
                edited: token.edited,
                guesses: slot.map_or_else(Vec::new, |i| likeliest[i].clone()),
                p_replaced: p_replaced.as_ref().map(|p| p[i]),
                candidates: candidates.get(&i).cloned().unwrap_or_default(),
            }
        });
        Ok(Sentence { tokens: answers.collect(), cut })
    }

    /// Selects positions, ascending, and masks them in `masked`, the sentence's ids: those that the masking draws and a person
    /// has chosen and, where guessing is all there is, every `[MASK]` of the text.
    fn select(&self, request: &Request, masked: &mut [u32], random: &mut Random) -> Vec<u32> {
        if !self.guesses {
            return Vec::new();
        }
        let special = self.network.tokenizer.special();
        let ids = masked.to_vec();
        let mut positions = match request.masks {
            true => {
                let lexicon = Lexicon { special, words: &[], continues: None };
                self.masking.draw(masked, self.masking.slots(ids.len()), lexicon, random)
            }
            false => Vec::new(),
        };
        let inner = 1..ids.len().saturating_sub(1);
        for (&position, &masks) in request.chosen.iter().filter(|(position, _)| inner.contains(position)) {
            positions.retain(|&p| p as usize != position);
            masked[position] = if masks { special.mask } else { ids[position] };
            positions.extend(masks.then_some(position as u32));
        }
        if !self.discriminates {
            positions.retain(|&p| ids[p as usize] != special.mask);
            positions.extend(inner.filter(|&i| ids[i] == special.mask).map(|i| i as u32));
        }
        positions.sort_unstable();
        positions
    }

    /// The tokens with the edits put in; a word of several pieces makes the sentence longer, up to the model's positions.
    fn replaced(&self, request: &Request, ids: &[u32], shown: &[u32]) -> Result<Vec<Replaced>, ProbeError> {
        let edits = if self.discriminates { &request.edits[..] } else { &[] };
        let mut tokens = Vec::with_capacity(ids.len());
        for (position, (&original, &shown)) in ids.iter().zip(shown).enumerate() {
            let inner = position > 0 && position + 1 < ids.len();
            let edit = edits.iter().find(|(at, word)| inner && *at == position && !word.trim().is_empty());
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
    use super::super::verdict::{doubt, expected};
    use super::*;
    use crate::batch::{Batch, IDS, LENGTHS, MASKED_IDS, MASKED_TEXT, POSITIONS, TARGETS, WEIGHTS};
    use crate::config::{Config, preset};
    use crate::corpus::{SAMPLE, VocabularyOptions};
    use crate::graph::Bank;
    use crate::model::Builder;
    use crate::op::StepState;
    use crate::plan::Engine;
    use crate::probe::{Mark, mark};
    use crate::train::Recipe;
    use crate::train::step::evaluation_step;

    fn of(model: impl Fn(&Config) -> Model) -> Demonstrator {
        trained_by("electra", model)
    }

    fn trained_by(objective: &str, model: impl Fn(&Config) -> Model) -> Demonstrator {
        let options = VocabularyOptions { size: 200, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut config = preset("tiny").unwrap().set("model.positions=24").unwrap();
        config.model.vocabulary = tokenizer.size();
        let config = config.with_objective(objective).unwrap();
        let (model, objective) = (model(&config), config.objective.clone());
        let weights = model.initial(5);
        let mut demonstrator = Demonstrator::new(model, &*objective, &tokenizer);
        demonstrator.set_weights(&weights).unwrap();
        demonstrator
    }

    fn demonstrator() -> Demonstrator {
        of(Model::new)
    }

    /// Of a network that guesses words, and no other.
    fn masked_lm() -> Demonstrator {
        of(|config| {
            let mut b = Builder::default();
            let mut network = b.network("encoder", &config.model);
            b.masked_lm(&mut network, true);
            b.finish(vec![network])
        })
    }

    fn request(text: &str) -> Request {
        Request { text: text.into(), seed: 3, masks: true, ..Request::default() }
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
    fn an_encoder_that_restores_words_doubts_what_it_would_not_put_there() {
        let mut demonstrator = of(|config| Model::new(&config.with_objective("replace-mlm").unwrap()));
        let answer = demonstrator.ask(&request("the people of the united states")).unwrap();
        assert!(answer.tokens.iter().any(|token| token.selected));
        for token in &answer.tokens {
            let p = token.p_replaced.unwrap();
            assert!((0.0..=1.0).contains(&p), "{token:?}");
        }
        let edit = Request { edits: vec![(2, "war".into())], ..request("the people of the united states") };
        assert!(demonstrator.ask(&edit).unwrap().tokens.iter().any(|token| token.edited));
        assert!((doubt(&[0.0, 3f32.ln()], 1) - 0.25).abs() < 1e-6);
    }

    #[test]
    fn an_encoder_chooses_what_selected_and_edited_tokens_were() {
        for objective in ["mc-bert", "teams"] {
            let mut demonstrator = trained_by(objective, Model::new);
            let edit = Request { edits: vec![(2, "war".into())], ..request("the people of the united states") };
            let answer = demonstrator.ask(&edit).unwrap();
            for token in &answer.tokens {
                assert!(token.p_replaced.is_some_and(|p| p > 0.0 && p < 1.0), "{token:?}");
                let choices = &token.candidates;
                assert_eq!(choices.is_empty(), !token.selected && !token.edited, "{objective} {token:?}");
                assert!(choices.is_sorted_by(|a, b| a.p >= b.p), "{token:?}");
                if !choices.is_empty() {
                    assert!((choices.iter().map(|guess| guess.p).sum::<f64>() - 1.0).abs() < 1e-9, "{token:?}");
                    assert!(choices.iter().any(|guess| guess.token == token.shown), "{token:?}");
                }
            }
        }
    }

    #[test]
    fn what_speaks_for_drawn_words_is_the_expected_sum() {
        // Two words, drawn with 1/4 and 3/4, whose exponentials are 2 and 6.
        let found = expected(&[2f32.ln(), 6f32.ln()], &[0.0, 3f32.ln()], 9);
        assert!((found - (9.0f32 * 5.0).ln()).abs() < 1e-5, "{found}");
    }

    #[test]
    fn what_is_masked_is_seen_by_none_where_the_layers_never_met_a_mask() {
        let mut demonstrator = trained_by("xlnet", Model::new);
        let (mut ids, ..) = demonstrator.network.tokens("the people of the united states").unwrap();
        let (original, mask) = (ids[2], demonstrator.network.tokenizer.special().mask);
        ids[2] = mask;
        let logits = demonstrator.network.word_logits(&ids, &[2], false).unwrap().remove(0);
        let nll = (logits.iter().map(|x| f64::from(*x).exp()).sum::<f64>()).ln() - f64::from(logits[original as usize]);

        // The same of a batch with that token selected, as it is trained.
        let shape = crate::batch::Shape { examples: 1, length: ids.len(), slots: 1 };
        let mut text = ids.clone();
        text[2] = original;
        let batch = Batch::new(shape, &MASKED_TEXT)
            .with(LENGTHS, vec![ids.len() as u32])
            .with(IDS, text)
            .with(MASKED_IDS, ids)
            .with(POSITIONS, vec![2])
            .with(TARGETS, vec![original])
            .with(WEIGHTS, vec![1f32.to_bits()]);
        let config = preset("tiny").unwrap().set("model.positions=24").unwrap();
        let mut config = config.with_objective("xlnet").unwrap();
        config.model.vocabulary = demonstrator.network.tokenizer.size();
        let recipe = Recipe::new(&config);
        let mut engine = CpuEngine::<f32>::new(recipe.model.table.len());
        engine.write_bank(Bank::Parameters, &recipe.model.initial(5)).unwrap();
        let step = evaluation_step(&recipe, shape, Target::Cpu).unwrap();
        let program = engine.load(step.plan.clone()).unwrap();
        step.write(&mut engine, program, &batch, &batch);
        engine.submit(program, &StepState::default(), true).unwrap();
        let found = step.results(engine.collect(true).unwrap().unwrap()).mean("permutation_loss");
        assert!((found - nll).abs() < 1e-4, "{found} as trained, {nll} when asked");
    }

    #[test]
    fn the_same_seed_gives_the_same_sentence() {
        let mut demonstrator = demonstrator();
        let sentence = demonstrator.ask(&request("the people of the united states")).unwrap();
        assert_eq!(sentence, demonstrator.ask(&request("the people of the united states")).unwrap());
        assert!(!sentence.cut);
        let selected: Vec<&Token> = sentence.tokens.iter().filter(|t| t.selected).collect();
        assert!(!selected.is_empty());
        for token in &sentence.tokens {
            assert!(token.p_replaced.is_some_and(|p| p > 0.0 && p < 1.0));
            assert_eq!(token.guesses.len(), if token.selected { TOP } else { 0 });
            assert!(token.guesses.is_sorted_by(|a, b| a.p >= b.p));
            assert!(token.selected || !token.is_fake());
        }
        let still = demonstrator.ask(&Request { masks: false, ..request("the people of the united states") }).unwrap();
        assert!(still.tokens.iter().all(|t| !t.selected && !t.is_fake()));
        assert_eq!(demonstrator.ask(&request("")).unwrap().tokens, []);
    }

    #[test]
    fn a_masked_language_model_guesses_and_nothing_judges() {
        let mut demonstrator = masked_lm();
        let plain = request("the people of the united states");
        let sentence = demonstrator.ask(&plain).unwrap();
        assert_eq!(sentence, demonstrator.ask(&plain).unwrap());
        assert!(sentence.tokens.iter().any(|t| t.selected));
        for token in &sentence.tokens {
            assert_eq!((token.p_replaced, token.masked), (None, token.selected));
            let best = token.guesses.first().map_or(&token.original, |guess| &guess.token);
            assert_eq!((token.guesses.len(), &token.shown), (if token.selected { TOP } else { 0 }, best));
            let expected = match (token.selected, token.shown == token.original) {
                (false, _) => Mark::Original,
                (true, true) => Mark::Hit,
                (true, false) => Mark::Miss,
            };
            assert_eq!(mark(token), expected);
        }
        // A word put in is for a discriminator.
        let edited = Request { edits: vec![(2, "war".into())], ..plain };
        assert_eq!(demonstrator.ask(&edited).unwrap(), sentence);
        assert_eq!(demonstrator.ask(&request("")).unwrap().tokens, []);
    }

    #[test]
    fn a_person_chooses_what_is_masked() {
        let mut demonstrator = masked_lm();
        let selected = |sentence: &Sentence| -> Vec<usize> {
            sentence.tokens.iter().filter(|t| t.selected).map(|t| t.position).collect()
        };
        let plain = request("the people of the united states");
        let drawn = selected(&demonstrator.ask(&plain).unwrap());
        let other = (1..).find(|position| !drawn.contains(position)).unwrap();
        // `[CLS]`, `[SEP]` and what is behind them cannot be masked.
        let chosen = BTreeMap::from([(drawn[0], false), (other, true), (0, true), (999, true)]);
        let mut expected: Vec<usize> = drawn[1..].iter().copied().chain([other]).collect();
        expected.sort_unstable();
        assert_eq!(
            selected(&demonstrator.ask(&Request { chosen: chosen.clone(), ..plain.clone() }).unwrap()),
            expected
        );
        let alone = Request { chosen, masks: false, ..plain };
        assert_eq!(selected(&demonstrator.ask(&alone).unwrap()), [other]);
        // A mask in the text is a question without an answer.
        let open = demonstrator.ask(&Request { masks: false, ..request("the [MASK] of") }).unwrap();
        let asked: Vec<&Token> = open.tokens.iter().filter(|t| t.selected).collect();
        assert_eq!((asked.len(), asked[0].original.as_str(), mark(asked[0])), (1, "", Mark::Open));
        assert_eq!(asked[0].shown, asked[0].guesses[0].token);
    }

    #[test]
    fn a_person_may_put_in_a_word() {
        let mut demonstrator = demonstrator();
        let plain = Request { masks: false, ..request("the people of the country") };
        let before = demonstrator.ask(&plain).unwrap();
        let position = before.tokens[1].position;
        let same = Request { edits: vec![(position, before.tokens[1].shown.clone())], ..plain.clone() };
        assert!(demonstrator.ask(&same).unwrap().tokens.iter().all(|t| !t.is_fake()));
        let edited =
            demonstrator.ask(&Request { edits: vec![(position, "qwertyuiop".into())], ..plain.clone() }).unwrap();
        assert!(edited.tokens.len() > before.tokens.len());
        let fakes: Vec<&Token> = edited.tokens.iter().filter(|t| t.is_fake()).collect();
        assert!(fakes.len() > 1 && fakes.iter().all(|t| t.edited && t.position == position));
        // Special tokens cannot be replaced, and nothing is not a word.
        for edit in [(0, "a"), (999, "a"), (position, " ")] {
            let sentence =
                demonstrator.ask(&Request { edits: vec![(edit.0, edit.1.into())], ..plain.clone() }).unwrap();
            assert_eq!(sentence, before, "{edit:?}");
        }
    }

    #[test]
    fn long_sentences_are_cut_and_edits_do_not_overflow() {
        let mut demonstrator = demonstrator();
        let long = Request { edits: vec![(2, "unpronounceable".into())], ..request(&"peace and war ".repeat(30)) };
        let sentence = demonstrator.ask(&long).unwrap();
        assert!(sentence.cut && sentence.tokens.len() <= 23, "{}", sentence.tokens.len());
    }
}
