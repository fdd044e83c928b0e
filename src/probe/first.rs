//! The first tokens of a text of any length.

use crate::corpus::{Error, Tokenizer};

/// Tokens beyond those that are asked for: a word that the cut goes through may be other tokens than the whole word, and is
/// rarely of so many.
const MARGIN: usize = 256;
/// How far before the place where a text is to be cut a space is looked for.
const REACH: usize = 4_096;

/// Bytes of a text that are read at most for so many tokens. Only a text that is all spaces, or one word, has fewer.
pub(super) fn most_bytes(tokens: usize) -> usize {
    tokens.saturating_mul(256).max(1 << 20)
}

/// `[CLS]`, the text and `[SEP]`, cut to so many tokens, and whether it was cut. No more of the text is tokenized than
/// they need: it may be a file without a line's end. They are those that the whole text would have.
pub(super) fn first(tokenizer: &Tokenizer, text: &str, tokens: usize) -> Result<(Vec<u32>, bool), Error> {
    let most = most_bytes(tokens);
    let mut bytes = tokens.saturating_mul(16).clamp(REACH, most);
    loop {
        let part = head(text, bytes);
        let whole = part.len() == text.len();
        let mut ids = tokenizer.encode_with_special(part, usize::MAX)?;
        if !whole && bytes < most && ids.len() < tokens.saturating_add(MARGIN) {
            bytes = bytes.saturating_mul(4).min(most);
            continue;
        }
        let cut = !whole || ids.len() > tokens;
        if ids.len() > tokens {
            ids.truncate(tokens.max(1) - 1);
            ids.push(tokenizer.special().sep);
        }
        return Ok((ids, cut));
    }
}

/// The text up to about so many bytes: to the last space before, if there is one near.
fn head(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = text.floor_char_boundary(bytes);
    let from = text.floor_char_boundary(end.saturating_sub(REACH));
    let space = text[from..end].rfind(char::is_whitespace);
    &text[..space.map_or(end, |place| from + place)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{SAMPLE, VocabularyOptions};

    #[test]
    fn the_first_tokens_are_those_of_the_whole() {
        let options = VocabularyOptions { size: 300, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let chinese: String = "中国人民[MASK]".repeat(4_000);
        let unbroken: String = SAMPLE[..60_000].chars().filter(|c| !c.is_whitespace()).collect();
        let texts = [
            SAMPLE[..100_000].to_string(),
            chinese,
            unbroken,
            "x".repeat(90_000) + " and then the people",
            " \u{3000}".repeat(20_000) + "peace and war",
            "a".repeat(101) + &"-b é\u{301}".repeat(9_000),
            "the people".into(),
            String::new(),
        ];
        for text in &texts {
            for tokens in [2, 5, 40, 128, 512] {
                let whole = tokenizer.encode_with_special(text, tokens).unwrap();
                let all = tokenizer.encode_with_special(text, usize::MAX).unwrap();
                let found = first(&tokenizer, text, tokens).unwrap();
                assert_eq!(found, (whole, all.len() > tokens), "{} {tokens}", &text[..text.floor_char_boundary(20)]);
            }
        }
    }

    #[test]
    fn a_text_without_end_is_not_read_to_its_end() {
        let options = VocabularyOptions { size: 300, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let long = "the people of the united states ".repeat(200_000);
        let found = first(&tokenizer, &long, 128).unwrap();
        assert_eq!(found, (tokenizer.encode_with_special(&long[..4_000], 128).unwrap(), true));
        let word = "x".repeat(most_bytes(128) + 9) + " the people";
        let special = tokenizer.special();
        assert_eq!(first(&tokenizer, &word, 128).unwrap(), (vec![special.cls, special.unk, special.sep], true));
    }
}
