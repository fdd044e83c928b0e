//! Answers to questions, as SQuAD's official scripts count them.
//!
//! Texts are compared in lower case without ASCII's punctuation, the articles a, an and the, and white space beyond one blank. An
//! answer counts by the best of those that are right. Version 2 of the script differs from 1.1 in two points: right answers that are
//! nothing but articles and punctuation do not count, none at all being the empty answer; and the empty answer has an F1 of 1
//! with itself, not of 0.

use std::collections::HashMap;

/// Which script counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// evaluate-v1.1.py: every question has an answer.
    One,
    /// evaluate-v2.0.py: a question without right answers is answered rightly by the empty text.
    Two,
}

/// How right an answer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerScore {
    /// 1 where it is one of the right ones.
    pub exact: f64,
    /// The best F1 of its words with those of a right one.
    pub f1: f64,
}

/// Compares an answer with the right ones; NaN where version 1.1 has none.
///
/// ```
/// use leyden::task::score::answers::{Version, compare};
///
/// let score = compare("The quick brown fox!", &["a brown fox jumped", "quick fox"], Version::One);
/// assert_eq!((score.exact, score.f1), (0.0, 0.8));
/// assert_eq!(compare("", &[] as &[&str], Version::Two).exact, 1.0);
/// ```
pub fn compare<T: AsRef<str>>(said: &str, right: &[T], version: Version) -> AnswerScore {
    let said = normalize(said);
    let mut right: Vec<String> = right.iter().map(|answer| normalize(answer.as_ref())).collect();
    if version == Version::Two {
        right.retain(|answer| !answer.is_empty());
        if right.is_empty() {
            right.push(String::new());
        }
    }
    let best = |score: fn(&str, &str, Version) -> f64| {
        right.iter().map(|answer| score(&said, answer, version)).fold(f64::NAN, f64::max)
    };
    AnswerScore { exact: best(|a, b, _| if a == b { 1.0 } else { 0.0 }), f1: best(f1) }
}

/// F1 of the words of two texts that are normalized.
fn f1(said: &str, right: &str, version: Version) -> f64 {
    if version == Version::Two && (said.is_empty() || right.is_empty()) {
        return if said == right { 1.0 } else { 0.0 };
    }
    let mut left: HashMap<&str, u64> = HashMap::new();
    right.split(' ').for_each(|word| *left.entry(word).or_default() += 1);
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).count() as u64;
    let mut same = 0;
    for word in said.split(' ').filter(|word| !word.is_empty()) {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    super::f1(same, words(right), words(said))
}

/// A text as it is compared.
///
/// ```
/// assert_eq!(leyden::task::score::answers::normalize(" The theatre's  end."), "theatres end");
/// ```
pub fn normalize(text: &str) -> String {
    let bare: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let letter = |c: char| c.is_alphanumeric();
    let mut without = String::with_capacity(bare.len());
    let mut rest = bare.as_str();
    // An article stands between characters that are no letters.
    while !rest.is_empty() {
        let word = &rest[..rest.find(|c| !letter(c)).unwrap_or(rest.len())];
        without.push_str(if matches!(word, "a" | "an" | "the") { " " } else { word });
        rest = &rest[word.len()..];
        let between = &rest[..rest.find(letter).unwrap_or(rest.len())];
        without.push_str(between);
        rest = &rest[between.len()..];
    }
    without.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is known of a question when the threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What its answer scores, if it is given: exact match or F1.
    pub score: f64,
    /// Whether it has an answer.
    pub answerable: bool,
    /// Whether something was said, and not the empty text.
    pub said: bool,
    /// How much speaks for saying nothing: the null score less that of the best answer, or a probability.
    pub null: f64,
}

/// The threshold up to which (and not above) `null` lets an answer be given so that the mean score is the highest, and that
/// score (NaN of no questions).
///
/// It is the one that evaluate-v2.0.py finds, but for two things. Questions with the same `null` are answered together, since
/// no threshold comes between them. And where it is best to answer none, the script says 0, which is right for probabilities;
/// here it is a number below every `null` if 0 is not.
pub fn best_threshold(questions: &[Judged]) -> (f64, f64) {
    let mut order: Vec<&Judged> = questions.iter().collect();
    order.sort_by(|a, b| a.null.total_cmp(&b.null));
    let nothing = questions.iter().filter(|question| !question.answerable).count() as f64;
    let lowest = order.first().map_or(0.0, |question| question.null);
    let (mut threshold, mut best) = (if lowest > 0.0 { 0.0 } else { lowest.next_down() }, nothing);
    let mut current = nothing;
    for together in order.chunk_by(|a, b| a.null == b.null) {
        for question in together {
            current += match (question.answerable, question.said) {
                (true, _) => question.score,
                (false, true) => -1.0,
                (false, false) => 0.0,
            };
        }
        if current > best {
            (threshold, best) = (together[0].null, current);
        }
    }
    (threshold, best / questions.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::{assert_close, golden};
    use super::*;

    #[test]
    fn answers_score_as_in_the_scripts() {
        for case in golden("answers") {
            let said = case["prediction"].as_str().unwrap();
            let right: Vec<String> = serde_json::from_value(case["answers"].clone()).unwrap();
            for (version, exact, f1) in [(Version::One, "exact1", "f1_1"), (Version::Two, "exact2", "f1_2")] {
                let found = compare(said, &right, version);
                assert_close(found.exact, &case[exact], &format!("{exact} of {said:?}"));
                assert_close(found.f1, &case[f1], &format!("{f1} of {said:?}"));
            }
        }
    }

    #[test]
    fn the_threshold_is_that_of_the_script() {
        for case in golden("thresholds") {
            let questions: Vec<(f64, bool, bool, f64)> = serde_json::from_value(case["questions"].clone()).unwrap();
            let judged: Vec<Judged> = questions
                .into_iter()
                .map(|(score, answerable, said, null)| Judged { score, answerable, said, null })
                .collect();
            let (threshold, best) = best_threshold(&judged);
            assert_close(threshold, &case["threshold"], "threshold");
            assert_close(best, &case["best"], "best");
            // And it does what it promises.
            let score = |question: &Judged| match question {
                Judged { null, answerable, .. } if *null > threshold => f64::from(u8::from(!answerable)),
                Judged { answerable: false, said, .. } => f64::from(u8::from(!said)),
                Judged { score, .. } => *score,
            };
            assert_close(judged.iter().map(score).sum::<f64>() / judged.len() as f64, &case["best"], "attained");
        }
    }

    #[test]
    fn a_threshold_is_attained_with_ties_and_below_zero() {
        let judged = |score, answerable, null| Judged { score, answerable, said: true, null };
        // Between the two that tie none can come.
        let (threshold, best) = best_threshold(&[judged(1.0, true, 2.0), judged(0.0, false, 2.0)]);
        assert_eq!((threshold, best), (0.0, 0.5));
        let (threshold, best) = best_threshold(&[judged(0.0, true, -3.0), judged(0.0, false, -2.0)]);
        assert!(threshold < -3.0 && best == 0.5, "{threshold}");
        assert!(best_threshold(&[]).1.is_nan());
    }
}
