//! Spans of tagged words, as conlleval counts them.

use super::{f1, ratio};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// Words that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagSpan<'a> {
    /// Of what kind, as in `NP`.
    pub kind: &'a str,
    /// Which words.
    pub words: Range<usize>,
}

/// The spans of a sentence's tags: `B-` begins one, `I-` goes on with one of its kind, and `O` stands between. An `I-` with nothing
/// of its kind before it begins one, as in conlleval; a tag that is none of these is a span of a word.
///
/// ```
/// use leyden::task::score::tag_spans;
///
/// let spans = tag_spans(&["B-NP", "I-NP", "B-NP", "O", "I-VP"]);
/// let words: Vec<_> = spans.iter().map(|span| (span.kind, span.words.clone())).collect();
/// assert_eq!(words, [("NP", 0..2), ("NP", 2..3), ("VP", 4..5)]);
/// ```
pub fn tag_spans<'a>(tags: &[&'a str]) -> Vec<TagSpan<'a>> {
    let mut spans: Vec<TagSpan<'a>> = Vec::new();
    for (at, &tag) in tags.iter().enumerate() {
        if tag == "O" {
            continue;
        }
        let (inside, kind) = match (tag.strip_prefix("B-"), tag.strip_prefix("I-")) {
            (Some(kind), _) => (false, kind),
            (_, Some(kind)) => (true, kind),
            _ => (false, tag),
        };
        match spans.last_mut() {
            Some(last) if inside && last.words.end == at && last.kind == kind => last.words.end += 1,
            _ => spans.push(TagSpan { kind, words: at..at + 1 }),
        }
    }
    spans
}

/// Spans that are there, that were said, and that were said rightly, by their kinds.
///
/// ```
/// use leyden::task::score::SpanCounts;
///
/// let mut counts = SpanCounts::default();
/// counts.add(&["B-NP", "I-NP", "O", "B-VP"], &["B-NP", "I-NP", "O", "B-NP"]);
/// assert_eq!(counts.scores().f1, 0.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Of each kind: said rightly, there, said.
    kinds: BTreeMap<String, [u64; 3]>,
}

/// How well spans were found. A share of none is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanScores {
    /// Of those said, the share that is right.
    pub precision: f64,
    /// Of those there, the share that was said.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Spans that are there.
    pub there: u64,
}

impl SpanCounts {
    /// Counts a sentence: its tags and those that were said.
    pub fn add(&mut self, truth: &[&str], predicted: &[&str]) {
        let (there, said) = (tag_spans(truth), tag_spans(predicted));
        let both: HashSet<&TagSpan<'_>> = there.iter().collect();
        for span in &said {
            let right = both.contains(span);
            self.count(span.kind, [u64::from(right), 0, 1]);
        }
        there.iter().for_each(|span| self.count(span.kind, [0, 1, 0]));
    }

    fn count(&mut self, kind: &str, more: [u64; 3]) {
        // Kinds are few and words are many.
        if !self.kinds.contains_key(kind) {
            self.kinds.insert(kind.to_owned(), [0; 3]);
        }
        if let Some(counts) = self.kinds.get_mut(kind) {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
    }

    /// Over all kinds.
    pub fn scores(&self) -> SpanScores {
        let sum = |part: usize| self.kinds.values().map(|counts| counts[part]).sum();
        scores([sum(0), sum(1), sum(2)])
    }

    /// Of each kind, in the order of their names.
    pub fn by_kind(&self) -> impl Iterator<Item = (&str, SpanScores)> {
        self.kinds.iter().map(|(kind, &counts)| (kind.as_str(), scores(counts)))
    }
}

fn scores([both, there, said]: [u64; 3]) -> SpanScores {
    SpanScores { precision: ratio(both, said), recall: ratio(both, there), f1: f1(both, there, said), there }
}

#[cfg(test)]
mod tests {
    use super::super::{assert_close, golden};
    use super::*;

    #[test]
    fn spans_count_as_in_conlleval_and_seqeval() {
        for case in golden("spans") {
            let tags = |name: &str| -> Vec<Vec<String>> { serde_json::from_value(case[name].clone()).unwrap() };
            let mut counts = SpanCounts::default();
            for (truth, predicted) in tags("truth").iter().zip(tags("predicted")) {
                let truth: Vec<&str> = truth.iter().map(String::as_str).collect();
                let predicted: Vec<&str> = predicted.iter().map(String::as_str).collect();
                counts.add(&truth, &predicted);
            }
            let (scores, name) = (counts.scores(), case["name"].as_str().unwrap());
            assert_close(scores.precision, &case["precision"], name);
            assert_close(scores.recall, &case["recall"], name);
            assert_close(scores.f1, &case["f1"], name);
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let mut counts = SpanCounts::default();
        counts.add(&["B-NP", "O", "B-VP", "I-VP"], &["B-NP", "O", "B-VP", "O"]);
        counts.add(&[], &[]);
        let kinds: Vec<(&str, f64, u64)> = counts.by_kind().map(|(kind, s)| (kind, s.f1, s.there)).collect();
        assert_eq!(kinds, [("NP", 1.0, 1), ("VP", 0.0, 1)]);
    }
}
