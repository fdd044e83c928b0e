//! What a person types for a fine-tuned network, as what it reads, and back.

use super::Input;
use crate::model::Head;

impl Input {
    /// What a line asks of a network with this head, or of an encoder without one: a text or two with a tab between them; words with
    /// spaces between them, where those are tagged; a question, a tab, and the text that answers it.
    ///
    /// # Errors
    /// What the line lacks, in words that go on a sentence about it.
    pub fn typed(head: Option<&Head>, line: &str) -> Result<Self, String> {
        let parts = line.split_once('\t');
        match head {
            Some(Head::TokenClassification(_)) => {
                let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
                if words.is_empty() { Err("it has no word to be tagged".into()) } else { Ok(Self::Words(words)) }
            }
            Some(Head::QuestionAnswering(_)) => match parts {
                Some((question, context)) if !context.trim().is_empty() => {
                    Ok(Self::Question { question: question.into(), context: context.into() })
                }
                _ => {
                    Err("it has no text behind its question; expected a question, a tab, and the text that answers it"
                        .into())
                }
            },
            _ => {
                let (text, pair) = parts.map_or((line, None), |(text, pair)| (text, Some(pair.to_string())));
                Ok(Self::Text { text: text.into(), pair })
            }
        }
    }

    /// The line that a person would type for it.
    pub fn as_typed(&self) -> String {
        match self {
            Self::Text { text, pair: None } => text.clone(),
            Self::Text { text, pair: Some(pair) } => format!("{text}\t{pair}"),
            Self::Words(words) => words.join(" "),
            Self::Question { question, context } => format!("{question}\t{context}"),
        }
    }
}

/// Labels with their probabilities, the likeliest first.
pub fn ranked<'a>(probabilities: &[f32], labels: &'a [String]) -> Vec<(&'a str, f32)> {
    let mut ranked: Vec<(&str, f32)> = labels.iter().map(String::as_str).zip(probabilities.iter().copied()).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}
