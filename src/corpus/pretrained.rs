//! Reading the tokenizer of a folder as `transformers`' `AutoTokenizer` does: which class it is of, and what the files beside
//! the vocabulary say.

use super::ids::{MOST_IDS, added_tokens, check_id, check_ids, check_place, round_scores, shortened, twice};
use super::tokenizer::{NAMES, SPECIAL_TOKENS, Tokenizer, encode_error, unknown_of};
use super::wordpiece::{CONTINUATION, MAXIMUM_WORD_CHARACTERS};
use super::{Error, files};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Model as _, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

pub(super) const TOKENIZER_JSON: &str = "tokenizer.json";
pub(super) const VOCAB_TXT: &str = "vocab.txt";
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
const MODEL_CONFIG: &str = "config.json";

/// Classes that `transformers` builds anew from the vocabulary and three options, whatever else tokenizer.json says.
const BERT_CLASSES: [&str; 7] = [
    "BertTokenizer",
    "ElectraTokenizer",
    "DistilBertTokenizer",
    "SqueezeBertTokenizer",
    "LayoutLMTokenizer",
    "MobileBertTokenizer",
    "LxmertTokenizer",
];
/// Classes that are what tokenizer.json says.
const FAST_CLASSES: [&str; 3] = ["PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"];
/// Models whose tokenizer is BERT's where no class is named.
const BERT_MODELS: [&str; 7] = ["electra", "bert", "distilbert", "squeezebert", "layoutlm", "mobilebert", "lxmert"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Bert,
    Fast,
    /// Nothing says: a tokenizer.json is what it says, a vocab.txt is BERT's.
    Unsaid,
}

/// What the files beside a vocabulary say of it.
#[derive(Debug)]
struct Beside {
    class: Class,
    /// Which file says so, for people.
    said: String,
    lower_case: Option<bool>,
    /// `Some(None)` is a `null`, which means as `lower_case`.
    strip_accents: Option<Option<bool>>,
    chinese: Option<bool>,
    /// The five special tokens, in the order of [`SPECIAL_TOKENS`].
    names: [String; 5],
    /// The one of unknown words is named, and need not be asked of the model.
    names_unknown: bool,
    /// Tokens by their ids.
    added: BTreeMap<u32, AddedToken>,
    /// They are all there are: those of tokenizer.json do not count where the class builds it anew.
    listed: bool,
    /// Special tokens that are added where they are missing.
    special: Vec<AddedToken>,
}

/// [`Tokenizer::load`]; with `cased`, in the text's own case whatever the files say.
pub(super) fn load(path: &Path, cased: bool) -> Result<Tokenizer, Error> {
    let mut tokenizer = read(path, cased)?;
    tokenizer.notes.extend(tokenizer.unreachable());
    Ok(tokenizer)
}

fn read(path: &Path, cased: bool) -> Result<Tokenizer, Error> {
    if !crate::fs::is_dir(path) {
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        // Another name is no part of the folder's tokenizer.
        let alone = is_json && path.file_name().is_none_or(|name| name != TOKENIZER_JSON);
        let beside = if alone { Beside::none() } else { Beside::read(folder)? };
        return if is_json { beside.read_json(path, cased) } else { beside.read_vocabulary(path, cased) };
    }
    let file = |name| Some(path.join(name)).filter(|file| crate::fs::is_file(file));
    match (file(TOKENIZER_JSON), file(VOCAB_TXT)) {
        (None, None) => {
            // A class that is not read is the better reason.
            Beside::read(path)?;
            Err(Error::NoTokenizer { path: path.into() })
        }
        (Some(json), _) => Beside::read(path)?.read_json(&json, cased),
        (None, Some(vocabulary)) => {
            let beside = Beside::read(path)?;
            if beside.class == Class::Fast {
                let message = format!("{}, which needs a {TOKENIZER_JSON}", beside.said);
                return Err(Error::Tokenizer { path: vocabulary, message });
            }
            beside.read_vocabulary(&vocabulary, cased)
        }
    }
}

/// [`Tokenizer::load_saved`].
pub(super) fn load_saved(folder: &Path) -> Result<Tokenizer, Error> {
    let json = folder.join(TOKENIZER_JSON);
    if !crate::fs::is_file(&json) {
        return read(folder, false);
    }
    let config = read_object(&folder.join(TOKENIZER_CONFIG))?;
    let names_unknown = config.contains_key(NAMES[1]);
    let beside = Beside { names: names(&config, &Map::new()), names_unknown, ..Beside::none() };
    beside.read_json(&json, false)
}

impl Beside {
    fn none() -> Self {
        Self {
            class: Class::Unsaid,
            said: String::new(),
            lower_case: None,
            strip_accents: None,
            chinese: None,
            names: SPECIAL_TOKENS.map(str::to_owned),
            names_unknown: false,
            added: BTreeMap::new(),
            listed: false,
            special: Vec::new(),
        }
    }

    fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(TOKENIZER_CONFIG);
        let config = read_object(&path)?;
        let invalid = |message: String| Error::Tokenizer { path: path.clone(), message };
        let flag = |key: &str| match config.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(invalid(format!("{key} is {}, expected true or false", shortened(other)))),
        };
        let strip_accents = match config.get("strip_accents") {
            Some(Value::Null) => Some(None),
            _ => flag("strip_accents")?.map(Some),
        };
        let (class, said) = class(folder, &config)?;
        let listed = config.get("added_tokens_decoder").and_then(Value::as_object);
        // As in transformers, the older files count where the newer list is missing.
        let map = if listed.is_some() { Map::new() } else { read_object(&folder.join(SPECIAL_TOKENS_MAP))? };
        let mut special = Vec::new();
        for key in ["bos_token", "eos_token", NAMES[1], NAMES[3], NAMES[0], NAMES[2], NAMES[4]] {
            special.extend(map.get(key).or(config.get(key)).and_then(|value| token(value, true)));
        }
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            let list = map.get(key).or(config.get(key)).and_then(Value::as_array);
            special.extend(list.into_iter().flatten().filter_map(|value| token(value, true)));
        }
        let names = names(&config, &map);
        let mut added = BTreeMap::new();
        let mut add = |id: Option<u64>, found: Option<AddedToken>, file: &str| {
            let fault = |message| Error::Tokenizer { path: folder.join(file), message };
            let (Some(id), Some(found)) = (id, found) else {
                return Err(fault("an added token has no text, or no whole number as its id".into()));
            };
            check_id(&found.content, id).map_err(fault)?;
            match added.insert(id as u32, found.clone()) {
                Some(other) => Err(fault(twice(id, &other.content, &found.content))),
                None => Ok(()),
            }
        };
        for (id, value) in listed.into_iter().flatten() {
            add(id.parse().ok(), token(value, false), TOKENIZER_CONFIG)?;
        }
        if listed.is_none() {
            for (text, id) in read_object(&folder.join(ADDED_TOKENS))? {
                let is_special = special.iter().any(|token| token.content == text) || names.contains(&text);
                add(id.as_u64(), Some(AddedToken::from(text, is_special)), ADDED_TOKENS)?;
            }
        }
        Ok(Self {
            class,
            said,
            lower_case: flag("do_lower_case")?,
            strip_accents,
            chinese: flag("tokenize_chinese_chars")?,
            names,
            names_unknown: class == Class::Bert || map.contains_key(NAMES[1]) || config.contains_key(NAMES[1]),
            added,
            listed: listed.is_some(),
            special,
        })
    }

    /// BERT's normalizer as the options say, else as ELECTRA's defaults are.
    fn normalizer(&self, cased: bool) -> BertNormalizer {
        BertNormalizer::new(
            true,
            self.chinese.unwrap_or(true),
            self.strip_accents.flatten(),
            !cased && self.lower_case.unwrap_or(true),
        )
    }

    fn read_vocabulary(self, path: &Path, cased: bool) -> Result<Tokenizer, Error> {
        let content = files::read_utf8(path)?;
        let lines = content.trim_end();
        let count = lines.lines().count() as u64;
        if count > MOST_IDS {
            let message = format!("{count} lines are too many: a model has at most {MOST_IDS} words");
            return Err(Error::Tokenizer { path: path.into(), message });
        }
        let words = WordPiece::read_bytes(lines.as_bytes()).map_err(encode_error)?;
        let inner = plain_bert(words, &self.names[1], self.normalizer(cased))?;
        self.finish(inner, path, Vec::new())
    }

    fn read_json(mut self, path: &Path, cased: bool) -> Result<Tokenizer, Error> {
        let content = files::read_utf8(path)?;
        let invalid = |message: String| Error::Tokenizer { path: path.into(), message };
        let mut value: Value = serde_json::from_str(&content).map_err(|error| invalid(error.to_string()))?;
        check_ids(&value).map_err(&invalid)?;
        let listed = added_tokens(&value);
        let content = if round_scores(&mut value) { value.to_string() } else { content };
        drop(value);
        // The library panics at a decoder that is not JSON, and at a normalizer that is JSON but not what it expects.
        let parsed = std::panic::catch_unwind(|| content.parse::<tokenizers::Tokenizer>());
        let mut inner = match parsed {
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => return Err(invalid(error.to_string())),
            Err(_) => return Err(invalid("a part of it is not what its type says".into())),
        };
        for (token, id) in &listed {
            check_place(&inner, token, *id).map_err(&invalid)?;
        }
        if let (false, Some(unknown)) = (self.names_unknown, unknown_of(&inner)) {
            self.names[1] = unknown;
        }
        if !self.listed {
            self.added.extend(inner.get_added_tokens_decoder());
        }
        let mut notes = Vec::new();
        let aside = self.set_aside(&inner);
        // Older versions of this program named ELECTRA's class for whatever it was.
        if self.class == Class::Bert && (aside.is_empty() || !is_ours(path)) {
            let ModelWrapper::WordPiece(model) = inner.get_model() else {
                let wrong = format!("{}, and its model is no WordPiece; if it is right", self.said);
                return Err(invalid(format!("{wrong}, {TOKENIZER_CONFIG} should name PreTrainedTokenizerFast")));
            };
            let rebuilt = plain_bert(model.get_vocab(), &self.names[1], self.normalizer(cased))?;
            if !aside.is_empty() {
                let (said, aside) = (&self.said, aside.join(", "));
                notes.push(format!(
                    "{said}, so {aside} of {TOKENIZER_JSON} is set aside, as transformers 5 does; with \
                     PreTrainedTokenizerFast in {TOKENIZER_CONFIG} it counts"
                ));
            }
            inner = rebuilt;
        } else if let Some(NormalizerWrapper::BertNormalizer(found)) = inner.get_normalizer().cloned() {
            let options = self.class == Class::Unsaid;
            let normalizer = BertNormalizer::new(
                found.clean_text,
                self.chinese.filter(|_| options).unwrap_or(found.handle_chinese_chars),
                self.strip_accents.filter(|_| options).unwrap_or(found.strip_accents),
                !cased && self.lower_case.filter(|_| options).unwrap_or(found.lowercase),
            );
            inner.with_normalizer(Some(normalizer)).map_err(encode_error)?;
        } else if cased && inner.get_normalizer().is_some() {
            return Err(invalid("it is not BERT's, so its case cannot be chosen: leave out --cased".into()));
        }
        self.finish(inner, path, notes)
    }

    /// Adds the tokens that the files beside name, and checks that they got the ids that are said.
    fn finish(self, mut inner: tokenizers::Tokenizer, path: &Path, notes: Vec<String>) -> Result<Tokenizer, Error> {
        inner.add_tokens(self.added.values().cloned()).map_err(encode_error)?;
        for (&id, token) in &self.added {
            check_place(&inner, &token.content, u64::from(id))
                .map_err(|message| Error::Tokenizer { path: path.into(), message })?;
        }
        let known = inner.get_added_tokens_decoder();
        let missing =
            self.special.into_iter().filter(|token| known.values().all(|other| other.content != token.content));
        inner.add_tokens(missing).map_err(encode_error)?;
        let words = inner.get_vocab(true);
        let mut by_id: Vec<&str> =
            vec![""; words.values().max().map_or(0, |&id| (id as usize + 1).min(MOST_IDS as usize))];
        for (word, &id) in &words {
            let fault = match by_id.get_mut(id as usize) {
                Some(place) if place.is_empty() => {
                    *place = word;
                    continue;
                }
                Some(other) => twice(id.into(), other, word),
                None => check_id(word, id.into()).err().unwrap_or_default(),
            };
            return Err(Error::Tokenizer { path: path.into(), message: fault });
        }
        let mut tokenizer = Tokenizer::new(inner, self.names)?;
        tokenizer.notes = notes;
        Ok(tokenizer)
    }

    /// What a class of BERT's leaves aside of tokenizer.json.
    fn set_aside(&self, found: &tokenizers::Tokenizer) -> Vec<&'static str> {
        let mut parts = Vec::new();
        match found.get_normalizer() {
            Some(NormalizerWrapper::BertNormalizer(normalizer)) if normalizer.clean_text => {}
            Some(NormalizerWrapper::BertNormalizer(_)) => parts.push("clean_text = false"),
            _ => parts.push("the normalizer"),
        }
        if !matches!(found.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_))) {
            parts.push("the pre-tokenizer");
        }
        match found.get_model() {
            ModelWrapper::WordPiece(model) => {
                if model.continuing_subword_prefix != CONTINUATION {
                    parts.push("the prefix of pieces");
                }
                if model.max_input_chars_per_word != MAXIMUM_WORD_CHARACTERS {
                    parts.push("the longest word");
                }
                if model.unk_token != self.names[1] {
                    parts.push("the unknown word");
                }
            }
            _ => parts.push("the model"),
        }
        parts
    }
}

/// BERT's tokenizer of these words, without special tokens.
pub(super) fn plain_bert(
    words: impl IntoIterator<Item = (String, u32)>,
    unknown: &str,
    normalizer: BertNormalizer,
) -> Result<tokenizers::Tokenizer, Error> {
    // The library's own kind of map.
    let mut vocabulary = WordPiece::read_bytes(b"").map_err(encode_error)?;
    vocabulary.extend(words);
    let model = WordPiece::builder()
        .vocab(vocabulary)
        .unk_token(unknown.to_owned())
        .continuing_subword_prefix(CONTINUATION.to_owned())
        .max_input_chars_per_word(MAXIMUM_WORD_CHARACTERS)
        .build()
        .map_err(encode_error)?;
    let mut inner = tokenizers::Tokenizer::new(model);
    inner.with_normalizer(Some(normalizer)).map_err(encode_error)?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    inner.with_decoder(Some(WordPieceDecoder::new(CONTINUATION.to_owned(), true)));
    Ok(inner)
}

/// The class that `transformers` would take, with its name.
fn class(folder: &Path, config: &Map<String, Value>) -> Result<(Class, String), Error> {
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    // A model's configuration that is damaged is for its reader to refuse.
    let model = read_object(&folder.join(MODEL_CONFIG)).unwrap_or_default();
    if let Some(other) = config.get("tokenizer_class").filter(|value| !value.is_string() && !value.is_null()) {
        let message = format!("tokenizer_class is {}, expected a name", shortened(other));
        return Err(Error::Tokenizer { path: folder.join(TOKENIZER_CONFIG), message });
    }
    let said = [(config, TOKENIZER_CONFIG), (&model, MODEL_CONFIG)];
    let said = said.into_iter().find_map(|(map, file)| Some((text(map, "tokenizer_class")?, file)));
    let Some((name, file)) = said else {
        let bert = text(&model, "model_type").is_some_and(|model| BERT_MODELS.contains(&model.as_str()));
        let said = format!("{MODEL_CONFIG} is of a BERT or ELECTRA");
        return Ok(if bert { (Class::Bert, said) } else { (Class::Unsaid, String::new()) });
    };
    let class = match name.as_str() {
        name if FAST_CLASSES.contains(&name) => Class::Fast,
        name if BERT_CLASSES.contains(&name.strip_suffix("Fast").unwrap_or(name)) => Class::Bert,
        _ => return Err(Error::TokenizerClass { path: folder.join(file), class: shortened(&Value::String(name)) }),
    };
    Ok((class, format!("{file} says {name}")))
}

/// Whether a tokenizer.json lies in a run, a checkpoint or a dataset of this program.
fn is_ours(tokenizer: &Path) -> bool {
    let folder = tokenizer.parent().unwrap_or(Path::new(""));
    ["config.toml", "manifest.json", "../state.json"].iter().any(|name| crate::fs::is_file(&folder.join(name)))
}

/// The names of the five special tokens.
fn names(config: &Map<String, Value>, map: &Map<String, Value>) -> [String; 5] {
    let mut names = SPECIAL_TOKENS.map(str::to_owned);
    for (name, key) in names.iter_mut().zip(NAMES) {
        if let Some(token) = map.get(key).or(config.get(key)).and_then(|value| token(value, true)) {
            *name = token.content;
        }
    }
    names
}

/// A token as a text, or as an object that says more.
fn token(value: &Value, special: bool) -> Option<AddedToken> {
    let map = match value {
        Value::String(text) => return Some(AddedToken::from(text.clone(), special)),
        Value::Object(map) => map,
        _ => return None,
    };
    let flag = |key: &str| map.get(key).and_then(Value::as_bool);
    let special = flag("special").unwrap_or(false) || special;
    let text = map.get("content")?.as_str()?;
    let token = AddedToken::from(text, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false));
    Some(token.normalized(flag("normalized").unwrap_or(!special)))
}

/// An object of JSON in a file; empty if there is no such file.
fn read_object(path: &Path) -> Result<Map<String, Value>, Error> {
    if !crate::fs::is_file(path) {
        return Ok(Map::new());
    }
    serde_json::from_str(&files::read_utf8(path)?)
        .map_err(|error| Error::Tokenizer { path: path.into(), message: error.to_string() })
}
