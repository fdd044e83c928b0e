//! The tokenizer: trained, loaded and saved so that `transformers` reads it as ELECTRA's.

use super::wordpiece::{self, CONTINUATION, MAXIMUM_WORD_CHARACTERS, VocabularyOptions};
use super::words::{PlainWords, WordCounts};
use super::{Error, files};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Model as _, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

/// The special tokens, in the order of their ids in a vocabulary trained here.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Different words that are counted at most to learn a vocabulary from.
pub(crate) const MOST_WORDS: usize = 1 << 19;

const TOKENIZER_JSON: &str = "tokenizer.json";
const VOCAB_TXT: &str = "vocab.txt";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";

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
    /// `[MASK]`, what the generator has to fill in.
    pub mask: u32,
}

/// A BERT-style WordPiece tokenizer: text to ids and back.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: SpecialTokens,
    size: usize,
    /// White space always separates words, so words may be encoded one by one.
    separable: bool,
    /// What is known of most words without asking the library.
    plain: Option<PlainWords>,
}

/// The parts of `tokenizer_config.json` that decide how a `vocab.txt` is applied.
#[derive(Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self { do_lower_case: true, strip_accents: None, tokenize_chinese_chars: true }
    }
}

impl Tokenizer {
    /// The names of the files that [`Tokenizer::save`] writes.
    pub const FILES: [&'static str; 4] = [TOKENIZER_JSON, VOCAB_TXT, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP];

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
        let mut counts = WordCounts::new(options.cased, MOST_WORDS);
        counts.add(&texts)?;
        Self::learn(counts, options)
    }

    /// As [`train`](Self::train) from words that were counted with the same `cased`.
    pub(crate) fn learn(counts: WordCounts, options: &VocabularyOptions) -> Result<Self, Error> {
        let pieces = wordpiece::learn(counts.into_words(), &SPECIAL_TOKENS, options)?;
        let normalizer = BertNormalizer::new(true, true, None, !options.cased);
        Self::from_vocabulary(&pieces.join("\n"), normalizer)
    }

    /// Loads a tokenizer from a folder or a file, as `transformers` would load it for ELECTRA.
    ///
    /// A folder's `tokenizer.json` is taken if there is one, else its `vocab.txt`. A `.json` file is taken for a
    /// `tokenizer.json`, any other file for a vocabulary, a token a line. A vocabulary is applied as a `tokenizer_config.json`
    /// beside it says (`do_lower_case`, `strip_accents`, `tokenize_chinese_chars`), else in lower case.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NoTokenizer`], [`Error::Tokenizer`] for a file that cannot be understood, and
    /// [`Error::MissingSpecial`] for a vocabulary without one of the five special tokens.
    pub fn load(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return [TOKENIZER_JSON, VOCAB_TXT]
                .iter()
                .map(|name| path.join(name))
                .find(|file| file.is_file())
                .map_or_else(|| Err(Error::NoTokenizer { path: path.into() }), |file| Self::load(&file));
        }
        let content = files::read_utf8(path)?;
        let invalid = |message: String| Error::Tokenizer { path: path.into(), message };
        if path.extension().is_some_and(|ending| ending == "json") {
            // The library panics at a decoder that is not JSON, and at a normalizer that is JSON but not what it expects.
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&content) {
                return Err(invalid(error.to_string()));
            }
            let parsed = std::panic::catch_unwind(|| content.parse::<tokenizers::Tokenizer>());
            return match parsed {
                Ok(Ok(inner)) => Self::new(inner),
                Ok(Err(error)) => Err(invalid(error.to_string())),
                Err(_) => Err(invalid("a part of it is not what its type says".into())),
            };
        }
        let beside = path.with_file_name(TOKENIZER_CONFIG);
        let config = if beside.is_file() {
            serde_json::from_str(&files::read_utf8(&beside)?)
                .map_err(|error| Error::Tokenizer { path: beside, message: error.to_string() })?
        } else {
            TokenizerConfig::default()
        };
        let normalizer =
            BertNormalizer::new(true, config.tokenize_chinese_chars, config.strip_accents, config.do_lower_case);
        Self::from_vocabulary(content.trim_end(), normalizer)
    }

    /// A tokenizer of a vocabulary, a piece a line, a line's number from 0 being the piece's id.
    fn from_vocabulary(lines: &str, normalizer: BertNormalizer) -> Result<Self, Error> {
        let model = WordPiece::builder()
            .vocab(WordPiece::read_bytes(lines.as_bytes()).map_err(encode_error)?)
            .unk_token(SPECIAL_TOKENS[1].to_owned())
            .continuing_subword_prefix(CONTINUATION.to_owned())
            .max_input_chars_per_word(MAXIMUM_WORD_CHARACTERS)
            .build()
            .map_err(encode_error)?;
        let special = special_tokens(|token| model.token_to_id(token))?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_normalizer(Some(normalizer)).map_err(encode_error)?;
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        inner.with_decoder(Some(WordPieceDecoder::new(CONTINUATION.to_owned(), true)));
        inner.with_post_processor(Some(BertProcessing::new(
            (SPECIAL_TOKENS[3].to_owned(), special.sep),
            (SPECIAL_TOKENS[2].to_owned(), special.cls),
        )));
        inner.add_special_tokens(SPECIAL_TOKENS.map(|token| AddedToken::from(token, true))).map_err(encode_error)?;
        Self::new(inner)
    }

    fn new(mut inner: tokenizers::Tokenizer) -> Result<Self, Error> {
        // Lengths are the caller's: a file may carry the truncation or padding of whoever saved it.
        inner.with_truncation(None).map_err(encode_error)?;
        inner.with_padding(None);
        let special = special_tokens(|token| inner.token_to_id(token))?;
        // Ids need not be dense in a foreign file: the embedding needs a row for the largest.
        let size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let separable = matches!(inner.get_normalizer(), Some(NormalizerWrapper::BertNormalizer(_)))
            && matches!(inner.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
            && matches!(inner.get_model(), ModelWrapper::WordPiece(_))
            && inner
                .get_added_tokens_decoder()
                .values()
                .all(|token| !token.lstrip && !token.rstrip && !token.content.chars().any(char::is_whitespace));
        let plain = match inner.get_normalizer() {
            Some(NormalizerWrapper::BertNormalizer(normalizer)) if separable => {
                let added = inner.get_added_tokens_decoder();
                let added = added.values().map(|token| token.content.as_str());
                PlainWords::new(normalizer.lowercase, normalizer.handle_chinese_chars, added)
            }
            _ => None,
        };
        Ok(Self { inner, special, size, separable, plain })
    }

    /// The names and contents of `tokenizer.json`, `vocab.txt`, `tokenizer_config.json` and `special_tokens_map.json`, with
    /// which `transformers`' `AutoTokenizer` loads it as ELECTRA's. `maximum_length` is the model's number of positions.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer cannot be written down, which a WordPiece tokenizer can.
    pub fn files(&self, maximum_length: usize) -> Result<[(&'static str, String); 4], Error> {
        let tokenizer = self.inner.to_string(true).map_err(encode_error)?;
        // A line's number is its token's id, so ids that a foreign file leaves out need a line as well.
        let lines: String =
            (0..self.size as u32).map(|id| self.token(id).unwrap_or_else(|| format!("[unused{id}]")) + "\n").collect();
        let [pad, unk, cls, sep, mask] = SPECIAL_TOKENS;
        let special = json!({
            "pad_token": pad, "unk_token": unk, "cls_token": cls, "sep_token": sep, "mask_token": mask,
        });
        let mut config = special.clone();
        config["tokenizer_class"] = json!("ElectraTokenizer");
        config["model_max_length"] = json!(maximum_length);
        if let Some(NormalizerWrapper::BertNormalizer(normalizer)) = self.inner.get_normalizer() {
            config["do_lower_case"] = json!(normalizer.lowercase);
            config["strip_accents"] = json!(normalizer.strip_accents);
            config["tokenize_chinese_chars"] = json!(normalizer.handle_chinese_chars);
        }
        Ok([
            (TOKENIZER_JSON, tokenizer),
            (VOCAB_TXT, lines),
            (TOKENIZER_CONFIG, format!("{config:#}\n")),
            (SPECIAL_TOKENS_MAP, format!("{special:#}\n")),
        ])
    }

    /// Saves [`Tokenizer::files`] into a folder, which is made if it is missing. Each file is written beside and renamed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, folder: &Path, maximum_length: usize) -> Result<(), Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
        for (name, content) in self.files(maximum_length)? {
            files::write(&folder.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// Whether words between white space may be encoded one by one.
    pub(super) fn is_separable(&self) -> bool {
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

    /// Text to ids, without `[CLS]` and `[SEP]`. Special tokens written in the text, such as `[MASK]`, are recognised.
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

    /// Text to `[CLS] ids [SEP]`, cut to `maximum_length` ids in all (at least 2).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_special(&self, text: &str, maximum_length: usize) -> Result<Vec<u32>, Error> {
        let mut ids = vec![self.special.cls];
        ids.extend(self.encode(text)?);
        ids.truncate(maximum_length.max(2) - 1);
        ids.push(self.special.sep);
        Ok(ids)
    }

    /// The token of an id, `None` for an id that is not in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token, `None` for one that is not in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether the token of an id continues a word (`##`).
    pub fn continues_word(&self, id: u32) -> bool {
        self.token(id).is_some_and(|token| token.starts_with(CONTINUATION) && token.len() > CONTINUATION.len())
    }

    /// Ids to text. Special tokens stay visible; ids that are not in the vocabulary are passed over.
    ///
    /// # Errors
    /// [`Error::Encode`] if the decoder fails, which a WordPiece decoder does not.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        self.inner.decode(ids, false).map_err(encode_error)
    }
}

fn special_tokens(id_of: impl Fn(&str) -> Option<u32>) -> Result<SpecialTokens, Error> {
    let id = |token: &'static str| id_of(token).ok_or(Error::MissingSpecial { token });
    let [pad, unk, cls, sep, mask] = SPECIAL_TOKENS;
    Ok(SpecialTokens { pad: id(pad)?, unk: id(unk)?, cls: id(cls)?, sep: id(sep)?, mask: id(mask)? })
}

pub(super) fn encode_error(error: tokenizers::Error) -> Error {
    Error::Encode { message: error.to_string() }
}
