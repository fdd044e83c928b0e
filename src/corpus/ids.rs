//! What a tokenizer.json may hold: ids that a model can have, each given once, and scores that every reader takes for the same.

use serde_json::Value;

/// One more than the largest id: a model has fewer words than this (`Config::check`).
pub(super) const MOST_IDS: u64 = (1 << 20) - 1;

/// Whether every id of a tokenizer.json makes sense, before anything is made as large as an id says.
pub(super) fn check_ids(tokenizer: &Value) -> Result<(), String> {
    let id_of = |token: &str, id: &Value| match id.as_u64() {
        Some(id) => check_id(token, id),
        None => Err(format!("the id of {:?} is {}, expected a whole number from 0", cut(token), shortened(id))),
    };
    match tokenizer.pointer("/model/vocab") {
        Some(Value::Object(words)) => words.iter().try_for_each(|(token, id)| id_of(token, id))?,
        Some(Value::Array(words)) if words.len() as u64 > MOST_IDS => {
            return Err(format!("{} words are too many: a model has at most {MOST_IDS}", words.len()));
        }
        _ => {}
    }
    let is = |key: &str, value: Value| tokenizer.pointer(key).unwrap_or(&Value::Null) == &value;
    if is("/model/type", "Unigram".into())
        && is("/model/unk_id", Value::Null)
        && !is("/model/byte_fallback", true.into())
    {
        return Err("its model has no unk_id, and would fail at the first character that it does not know".into());
    }
    let added = tokenizer.get("added_tokens").and_then(Value::as_array);
    added.into_iter().flatten().try_for_each(|token| match token.get("id") {
        Some(id) => id_of(token.get("content").and_then(Value::as_str).unwrap_or_default(), id),
        None => Ok(()),
    })
}

/// Rounds the scores of a Unigram model to 15 digits; whether it is one. Python's build of `tokenizers` reads longer numbers up to a
/// last bit otherwise, and that bit decides between splits of equal score.
pub(super) fn round_scores(tokenizer: &mut Value) -> bool {
    if tokenizer.pointer("/model/type") != Some(&Value::from("Unigram")) {
        return false;
    }
    let Some(Value::Array(words)) = tokenizer.pointer_mut("/model/vocab") else { return false };
    for score in words.iter_mut().filter_map(|word| word.get_mut(1)) {
        if let Some(rounded) = score.as_f64().and_then(|exact| format!("{exact:.14e}").parse::<f64>().ok()) {
            *score = rounded.into();
        }
    }
    true
}

/// The added tokens of a tokenizer.json with the ids that it says.
pub(super) fn added_tokens(tokenizer: &Value) -> Vec<(String, u64)> {
    let added = tokenizer.get("added_tokens").and_then(Value::as_array);
    let entry = |token: &Value| Some((token.get("content")?.as_str()?.to_owned(), token.get("id")?.as_u64()?));
    added.into_iter().flatten().filter_map(entry).collect()
}

pub(super) fn check_id(token: &str, id: u64) -> Result<(), String> {
    if id < MOST_IDS {
        return Ok(());
    }
    Err(format!("the id of {:?} is {id}, and a model has at most {MOST_IDS} words", cut(token)))
}

/// Whether a token has the id that a file says. `tokenizers` numbers added tokens itself.
pub(super) fn check_place(inner: &tokenizers::Tokenizer, token: &str, said: u64) -> Result<(), String> {
    match inner.token_to_id(token) {
        Some(id) if u64::from(id) != said && !token.is_empty() => {
            Err(format!("the added token {:?} has the id {said} there, but transformers gives it {id}", cut(token)))
        }
        _ => Ok(()),
    }
}

pub(super) fn twice(id: u64, a: &str, b: &str) -> String {
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    format!("the id {id} is given twice: to {:?} and to {:?}", cut(a), cut(b))
}

/// The beginning of a text, for a message.
pub(super) fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

pub(super) fn shortened(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}
