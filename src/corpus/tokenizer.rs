//! The tokenizer: trained, loaded and saved so that `transformers` reads it as ELECTRA's.

use super::pretrained::{self, plain_bert};
use super::wordpiece::{self, CONTINUATION, VocabularyOptions};
use super::words::{PlainWords, WordCounts, ascii_parts};
use super::{Error, spaceless};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{
    AddedToken, AddedVocabulary, Model as _, ModelWrapper, Normalizer as _, NormalizerWrapper, OffsetReferential,
    OffsetType, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
};

/// The special tokens, in the order of their ids in a vocabulary trained here.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Different words that are counted at most to learn a vocabulary from.
pub(crate) const MOST_WORDS: usize = 1 << 19;

/// What `transformers` calls [`SPECIAL_TOKENS`], whatever their texts are.
pub(super) const NAMES: [&str; 5] = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"];

/// Ids of the special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `[PAD]`, which fills a batch's rows.
    pub pad: u32,
    /// `[UNK]`, a word the vocabulary cannot spell.
    pub unk: u32,
    /// `[CLS]`, the start of every example.
    pub cls: u32,
    /// `[SEP]`, the end of every segment.
    pub sep: u32,
    /// `[MASK]`, what a network has to fill in.
    pub mask: u32,
}

impl SpecialTokens {
    /// Whether an id is one of theirs.
    pub fn contains(&self, id: u32) -> bool {
        [self.pad, self.unk, self.cls, self.sep, self.mask].contains(&id)
    }
}

/// A tokenizer: text to ids and back. A vocabulary that is learnt here is BERT's WordPiece; others are taken as they are.
///
/// Special tokens that are written in a text, such as `[SEP]`, are text like any other.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    pub(super) inner: tokenizers::Tokenizer,
    /// As `inner`, but it knows the mask where it is written; made when it is first asked for.
    masking: Arc<OnceLock<tokenizers::Tokenizer>>,
    special: SpecialTokens,
    /// Their texts, in the order of [`SPECIAL_TOKENS`].
    pub(super) names: [String; 5],
    size: usize,
    /// White space always separates words, so words may be encoded one by one.
    separable: bool,
    /// What is known of most words without asking the library.
    plain: Option<PlainWords>,
    /// What its reader should know of it.
    pub(super) notes: Vec<String>,
}

impl Tokenizer {
    /// Learns a vocabulary from texts (files, lines: how they are cut does not matter, as long as words are whole).
    ///
    /// The special tokens have the ids 0 to 4 in the order of [`SPECIAL_TOKENS`]. The same words give the same vocabulary in
    /// every process.
    ///
    /// # Errors
    /// [`Error::VocabularySize`] for a size below [`MINIMUM_VOCABULARY`](super::MINIMUM_VOCABULARY), [`Error::NoWords`]
    /// for texts without words.
    pub fn train<T: AsRef<str> + Sync>(
        texts: impl IntoIterator<Item = T>,
        options: &VocabularyOptions,
    ) -> Result<Self, Error> {
        let texts: Vec<T> = texts.into_iter().collect();
        let mut counts = WordCounts::new(options, MOST_WORDS);
        counts.add(&texts)?;
        Self::learn(counts, options)
    }

    /// As [`train`](Self::train) from words that were counted with the same options.
    pub(crate) fn learn(counts: WordCounts, options: &VocabularyOptions) -> Result<Self, Error> {
        let spaceless = counts.is_spaceless();
        let pieces = wordpiece::learn(counts.into_words(), &SPECIAL_TOKENS, options)?;
        let words = pieces.into_iter().zip(0..);
        let mut inner = plain_bert(words, SPECIAL_TOKENS[1], options.normalizer())?;
        if spaceless {
            inner.with_pre_tokenizer(Some(spaceless::pre_tokenizer()?));
        }
        Self::new(inner, SPECIAL_TOKENS.map(str::to_owned))
    }

    /// Loads a tokenizer from a folder or a file, as `transformers`' `AutoTokenizer` does.
    ///
    /// A folder's `tokenizer.json` is taken if there is one, else its `vocab.txt`; what lies beside counts: the class, the special
    /// tokens' names, `do_lower_case`, `strip_accents` and `tokenize_chinese_chars` of `tokenizer_config.json`,
    /// `special_tokens_map.json`, `added_tokens.json`. Without them a vocabulary, a token a line, is BERT's in lower case.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NoTokenizer`], [`Error::Tokenizer`] for a file that cannot be understood,
    /// [`Error::TokenizerClass`] for a class that is not BERT's, and [`Error::MissingSpecial`] for a vocabulary without one of the
    /// five special tokens.
    pub fn load(path: &Path) -> Result<Self, Error> {
        pretrained::load(path, false)
    }

    /// As [`load`](Self::load), but case is kept, and accents unless the files say otherwise.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Tokenizer`] for one that is not BERT's.
    pub fn load_cased(path: &Path) -> Result<Self, Error> {
        pretrained::load(path, true)
    }

    /// Loads what [`save`](Self::save) wrote: its `tokenizer.json` is all that decides.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_saved(folder: &Path) -> Result<Self, Error> {
        pretrained::load_saved(folder)
    }

    /// One that is complete but for the special tokens, which are called `names`.
    pub(super) fn new(mut inner: tokenizers::Tokenizer, names: [String; 5]) -> Result<Self, Error> {
        // Lengths are the caller's: a file may carry the truncation or padding of whoever saved it.
        inner.with_truncation(None).map_err(encode_error)?;
        inner.with_padding(None);
        let ids = names.each_ref().map(|name| inner.token_to_id(name));
        if let Some(missing) = ids.iter().position(Option::is_none) {
            return Err(Error::MissingSpecial { token: names[missing].clone() });
        }
        let [pad, unk, cls, sep, mask] = ids.map(Option::unwrap_or_default);
        let special = SpecialTokens { pad, unk, cls, sep, mask };
        if HashSet::from([pad, unk, cls, sep, mask]).len() < 5 {
            return Err(Error::SpecialTwice { names: names.join(", ") });
        }
        if let Some(unknown) = unknown_of(&inner).filter(|unknown| inner.get_model().token_to_id(unknown).is_none()) {
            return Err(Error::MissingSpecial { token: unknown });
        }
        let known = inner.get_added_tokens_decoder();
        let missing = names.iter().zip([pad, unk, cls, sep, mask]).filter_map(|(name, id)| match known.get(&id) {
            Some(token) if token.special => None,
            Some(token) => Some(token.clone().special(true)),
            None => Some(AddedToken::from(name.clone(), true)),
        });
        inner.add_special_tokens(missing.collect::<Vec<_>>()).map_err(encode_error)?;
        // Examples are [CLS] A [SEP] B [SEP], whatever a file put around sentences.
        inner.with_post_processor(Some(BertProcessing::new((names[3].clone(), sep), (names[2].clone(), cls))));
        inner.set_encode_special_tokens(true);
        // Ids need not be dense in a foreign file: the embedding needs a row for the largest.
        let size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let added = inner.get_added_tokens_decoder();
        let recognised: Vec<&AddedToken> = added.values().filter(|token| !token.special).collect();
        let pre_tokenizer = inner.get_pre_tokenizer();
        let is_spaceless = pre_tokenizer.is_some_and(spaceless::is_ours);
        let separable = matches!(inner.get_normalizer(), Some(NormalizerWrapper::BertNormalizer(_)))
            && (is_spaceless || matches!(pre_tokenizer, Some(PreTokenizerWrapper::BertPreTokenizer(_))))
            && matches!(inner.get_model(), ModelWrapper::WordPiece(_))
            && added.values().all(|token| {
                !token.lstrip && !token.rstrip && !token.single_word && !token.content.chars().any(char::is_whitespace)
            });
        let plain = match inner.get_normalizer() {
            Some(NormalizerWrapper::BertNormalizer(normalizer)) if separable => {
                let recognised = recognised.iter().map(|token| token.content.as_str());
                // Clusters are found in the text as it is, which is not where marks are taken from it.
                let clusters = is_spaceless && !normalizer.strip_accents.unwrap_or(normalizer.lowercase);
                PlainWords::new(normalizer.lowercase, normalizer.handle_chinese_chars, clusters, recognised)
            }
            _ => None,
        };
        Ok(Self { inner, masking: Arc::default(), special, names, size, separable, plain, notes: Vec::new() })
    }

    /// What to tell whoever chose it: parts that are set aside, words that no text can reach.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether words between white space may be encoded one by one.
    pub(crate) fn is_separable(&self) -> bool {
        self.separable
    }

    /// Which words need not go through the library whole, and how they split.
    pub(super) fn plain_words(&self) -> Option<&PlainWords> {
        self.plain.as_ref()
    }

    /// Number of ids: the rows that an embedding needs.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Text to ids, without `[CLS]` and `[SEP]`. Special tokens written in the text, such as `[MASK]`, are plain text; other added
    /// tokens are recognised.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer fails, which a WordPiece tokenizer does not.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.inner.encode_fast(text, false).map_err(encode_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As the library encodes many texts, without special tokens around them.
    pub(crate) fn encode_batch(&self, texts: &[&str]) -> Result<Vec<tokenizers::Encoding>, Error> {
        self.inner.encode_batch(texts.to_vec(), false).map_err(encode_error)
    }

    /// As [`encode_batch`](Self::encode_batch), without where tokens stand in the text.
    pub(crate) fn encode_batch_fast(&self, texts: &[&str]) -> Result<Vec<tokenizers::Encoding>, Error> {
        self.inner.encode_batch_fast(texts.to_vec(), false).map_err(encode_error)
    }

    /// As [`encode`](Self::encode), but the mask is recognised where the text has it: as the vocabulary spells it, or as `[MASK]`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_masked(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mask = &self.names[4];
        let marked = SPECIAL_TOKENS[4];
        let replaced = (self.id(marked).is_none() && text.contains(marked)).then(|| text.replace(marked, mask));
        let text = replaced.as_deref().unwrap_or(text);
        if !text.contains(mask.as_str()) {
            return self.encode(text);
        }
        let masking = match self.masking.get() {
            Some(masking) => masking,
            None => {
                let made = self.masking()?;
                self.masking.get_or_init(|| made)
            }
        };
        Ok(masking.encode_fast(text, false).map_err(encode_error)?.get_ids().to_vec())
    }

    /// The library passes over special tokens all together, so in this one the mask is none.
    fn masking(&self) -> Result<tokenizers::Tokenizer, Error> {
        let mut inner = self.inner.clone();
        let mut added: Vec<(u32, AddedToken)> = inner.get_added_tokens_decoder().into_iter().collect();
        added.sort_by_key(|(id, _)| *id);
        inner.with_added_vocabulary(AddedVocabulary::new());
        let added =
            added.into_iter().map(|(id, token)| if id == self.special.mask { token.special(false) } else { token });
        inner.add_tokens(added).map_err(encode_error)?;
        inner.set_encode_special_tokens(true);
        Ok(inner)
    }

    /// Text to `[CLS] ids [SEP]`, cut to `maximum_length` ids in all (at least 2). `[MASK]` is recognised, as by
    /// [`encode_masked`](Self::encode_masked).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_special(&self, text: &str, maximum_length: usize) -> Result<Vec<u32>, Error> {
        let mut ids = vec![self.special.cls];
        ids.extend(self.encode_masked(text)?);
        ids.truncate(maximum_length.max(2) - 1);
        ids.push(self.special.sep);
        Ok(ids)
    }

    /// A word as it is looked up in the vocabulary, in the parts that it is split into: as they were, and as they are.
    pub(super) fn normalized<'w>(&self, word: &'w str) -> Vec<(&'w str, String)> {
        if let Some(plain) = self.plain.as_ref().filter(|_| word.bytes().all(|byte| byte.is_ascii_graphic())) {
            let becomes = |part: &str| if plain.lowercase() { part.to_ascii_lowercase() } else { part.to_owned() };
            return ascii_parts(word).map(|part| (part, becomes(part))).collect();
        }
        let Some(normalizer) = self.inner.get_normalizer() else { return vec![(word, word.to_owned())] };
        let mut parts = PreTokenizedString::from(word);
        let mut done = parts.normalize(|part| normalizer.normalize(part));
        // Others turn letters into bytes of theirs, which is not what is asked here.
        if let Some(splitter) = self.inner.get_pre_tokenizer().filter(|_| self.separable) {
            done = done.and_then(|()| splitter.pre_tokenize(&mut parts));
        }
        if done.is_err() {
            return vec![(word, word.to_owned())];
        }
        // A mark that is gone belongs to what stood before it, so a part reaches to the next.
        let splits = parts.get_splits(OffsetReferential::Original, OffsetType::Byte);
        if splits.is_empty() {
            return vec![(word, String::new())];
        }
        let starts = splits.iter().skip(1).map(|(_, (start, _), _)| *start).chain([word.len()]);
        let mut from = 0;
        let mut until = |to: usize| word.get(std::mem::replace(&mut from, to)..to);
        let cut = splits.iter().zip(starts).map(|((part, ..), to)| Some((until(to)?, (*part).to_owned())));
        cut.collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// The token of an id, `None` for an id that is not in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether each id goes on a word, as `##ing` does in a WordPiece vocabulary.
    pub fn continues(&self) -> Vec<bool> {
        (0..self.size() as u32).map(|id| self.token(id).is_some_and(|token| token.starts_with("##"))).collect()
    }

    /// The id of a token, `None` for one that is not in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether the token of an id continues a word (`##`).
    pub fn continues_word(&self, id: u32) -> bool {
        let prefix = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => model.continuing_subword_prefix.as_str(),
            _ => CONTINUATION,
        };
        !prefix.is_empty()
            && self.token(id).is_some_and(|token| token.starts_with(prefix) && token.len() > prefix.len())
    }

    /// Ids to text. Special tokens stay visible; ids that are not in the vocabulary are passed over.
    ///
    /// # Errors
    /// [`Error::Encode`] if the decoder fails, which a WordPiece decoder does not.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        self.inner.decode(ids, false).map_err(encode_error)
    }
}

/// The token without which the model fails in the middle of a text.
pub(super) fn unknown_of(inner: &tokenizers::Tokenizer) -> Option<String> {
    match inner.get_model() {
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        ModelWrapper::BPE(model) => model.unk_token.clone(),
        _ => None,
    }
}

pub(super) fn encode_error(error: tokenizers::Error) -> Error {
    Error::Encode { message: error.to_string() }
}
