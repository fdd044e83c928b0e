//! Writing a tokenizer down, so that `transformers` gives the same ids; and what is to be said of one that was read.

use super::pretrained::{SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG, TOKENIZER_JSON, VOCAB_TXT};
use super::tokenizer::{NAMES, Tokenizer, encode_error};
use super::wordpiece::{CONTINUATION, MAXIMUM_WORD_CHARACTERS};
use super::{Error, files};
use serde_json::{Map, Value, json};
use std::path::Path;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{
    AddedToken, Model as _, ModelWrapper, NormalizedString, Normalizer as _, NormalizerWrapper, PreTokenizerWrapper,
};

impl Tokenizer {
    /// The names of the files that [`Tokenizer::save`] may write; vocab.txt only where it says all there is to a tokenizer.
    pub const FILES: [&'static str; 4] = [TOKENIZER_JSON, VOCAB_TXT, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP];

    /// Whether `transformers` builds the same from the vocabulary and the three options that its BERT classes know.
    fn is_plain_bert(&self) -> bool {
        let inner = &self.inner;
        let plain = matches!(inner.get_normalizer(), Some(NormalizerWrapper::BertNormalizer(n)) if n.clean_text)
            && matches!(inner.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)));
        match inner.get_model() {
            ModelWrapper::WordPiece(model) if plain => {
                let words = model.get_vocab();
                model.continuing_subword_prefix == CONTINUATION
                    && model.max_input_chars_per_word == MAXIMUM_WORD_CHARACTERS
                    && model.unk_token == self.names[1]
                    // A line of vocab.txt cannot say every word.
                    && words.keys().all(|word| !word.is_empty() && word.trim_end() == word && !word.contains('\n'))
            }
            _ => false,
        }
    }

    /// The names and contents of `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, and `vocab.txt` where that is
    /// enough, with which `transformers`' `AutoTokenizer` gives the same ids. `maximum_length` is the model's number of
    /// positions.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer cannot be written down.
    pub fn files(&self, maximum_length: usize) -> Result<Vec<(&'static str, String)>, Error> {
        let tokenizer = self.inner.to_string(true).map_err(encode_error)?;
        let plain = self.is_plain_bert();
        let names = NAMES.iter().zip(&self.names).map(|(key, name)| ((*key).to_owned(), json!(name)));
        let special = Value::Object(names.collect());
        let mut config = special.clone();
        let mut added: Vec<(u32, AddedToken)> = self.inner.get_added_tokens_decoder().into_iter().collect();
        added.sort_by_key(|(id, _)| *id);
        let added = added.into_iter().map(|(id, token)| Ok((id.to_string(), serde_json::to_value(token)?)));
        let added: Result<Map<String, Value>, serde_json::Error> = added.collect();
        config["added_tokens_decoder"] = added.map_err(|error| encode_error(error.into()))?.into();
        // The classes of BERT drop the pipeline of tokenizer.json for their own.
        config["tokenizer_class"] = json!(if plain { "ElectraTokenizer" } else { "PreTrainedTokenizerFast" });
        config["model_max_length"] = json!(maximum_length);
        if let Some(NormalizerWrapper::BertNormalizer(normalizer)) = self.inner.get_normalizer() {
            config["do_lower_case"] = json!(normalizer.lowercase);
            config["strip_accents"] = json!(normalizer.strip_accents);
            config["tokenize_chinese_chars"] = json!(normalizer.handle_chinese_chars);
        }
        let mut files = vec![
            (TOKENIZER_JSON, tokenizer),
            (TOKENIZER_CONFIG, format!("{config:#}\n")),
            (SPECIAL_TOKENS_MAP, format!("{special:#}\n")),
        ];
        if plain {
            files.insert(1, (VOCAB_TXT, self.lines()));
        }
        Ok(files)
    }

    /// The words of the model, a line each. A line's number is its word's id, so ids that a foreign file leaves out need a line
    /// as well.
    fn lines(&self) -> String {
        let words = self.inner.get_model().get_vocab();
        let size = words.values().max().map_or(0, |&id| id as usize + 1);
        let mut lines: Vec<Option<&str>> = vec![None; size];
        for (word, &id) in &words {
            lines[id as usize] = Some(word);
        }
        let unused = |id: usize| {
            let name = format!("[unused{id}]");
            if words.contains_key(&name) { format!("[unused-{id}]") } else { name }
        };
        let line = |(id, word): (usize, Option<&str>)| word.map_or_else(|| unused(id), str::to_owned) + "\n";
        lines.into_iter().enumerate().map(line).collect()
    }

    /// Saves [`Tokenizer::files`] into a folder, which is made if it is missing. Each file is written beside and renamed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, folder: &Path, maximum_length: usize) -> Result<(), Error> {
        crate::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
        for (name, content) in self.files(maximum_length)? {
            files::write(&folder.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// Words with capitals or marks, where the text loses them before it is looked up.
    pub(super) fn unreachable(&self) -> Option<String> {
        let Some(NormalizerWrapper::BertNormalizer(found)) = self.inner.get_normalizer() else { return None };
        let normalizer = BertNormalizer::new(false, false, found.strip_accents, found.lowercase);
        let added = self.inner.get_added_tokens_decoder();
        let (mut all, mut lost, mut shown) = (0, 0, Vec::new());
        for (word, id) in self.inner.get_vocab(false) {
            if added.contains_key(&id) || (word.starts_with("[unused") && word.ends_with(']')) {
                continue;
            }
            all += 1;
            let same = word.is_ascii() && !word.bytes().any(|byte| byte.is_ascii_uppercase());
            if same {
                continue;
            }
            let mut normalized = NormalizedString::from(word.as_str());
            if normalizer.normalize(&mut normalized).is_ok() && normalized.get() != word {
                lost += 1;
                shown.push((id, word));
            }
        }
        // A handful of them is in many a vocabulary.
        if lost * 100 <= all {
            return None;
        }
        shown.sort();
        let shown: Vec<&str> = shown.iter().take(3).map(|(_, word)| word.as_str()).collect();
        let what = match (found.lowercase, found.strip_accents.unwrap_or(found.lowercase)) {
            (true, true) => "capitals or marks",
            (true, false) => "capitals",
            _ => "marks",
        };
        Some(format!(
            "{lost} of the vocabulary's {all} words have {what} ({}, ...), which can never be reached, since the text loses them \
             first; --cased keeps them, or do_lower_case and strip_accents in {TOKENIZER_CONFIG}",
            shown.join(", "),
        ))
    }
}
