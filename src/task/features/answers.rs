//! Logits of windows back to answers.

use super::Window;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

/// Which answers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerOptions {
    /// How many answers are kept, and how many starts and ends of a window are tried.
    pub n_best: usize,
    /// The longest answer, in tokens.
    pub longest: usize,
    /// Whether saying nothing is a choice (version 2), which then has its part of the probability.
    pub null: bool,
}

impl Default for AnswerOptions {
    /// Those of the reference: 20 and 30, every question having an answer.
    fn default() -> Self {
        Self { n_best: 20, longest: 30, null: false }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// As it stands in the context.
    pub text: String,
    /// Where it stands there, in bytes.
    pub bytes: Range<usize>,
    /// The logits of its start and of its end, together.
    pub score: f32,
    /// Its probability among all that are kept, and among nothing if that is a choice.
    pub probability: f64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The best answers, the best first, no text twice; none where no window shows a token.
    pub best: Vec<Candidate>,
    /// The score of saying nothing: the lowest of all windows', since one window without the answer says little; infinite of none.
    pub null: f32,
    /// How much must speak for saying nothing; `None` where something is always said.
    pub threshold: Option<f64>,
}

impl Found {
    /// How much speaks for saying nothing, which is held against a threshold: the null score less that of the best answer.
    pub fn null_difference(&self) -> f64 {
        self.best.first().map_or(f64::INFINITY, |best| f64::from(self.null) - f64::from(best.score))
    }

    /// What is said: the best answer, or nothing where that has its threshold behind it.
    pub fn said(&self) -> Option<&Candidate> {
        let silent = self.threshold.is_some_and(|threshold| self.null_difference() > threshold);
        self.best.first().filter(|_| !silent)
    }

    /// The answer, empty where more than the threshold speaks for saying nothing.
    pub fn answer(&self, threshold: Option<f64>) -> &str {
        let silent = threshold.is_some_and(|threshold| self.null_difference() > threshold);
        self.best.first().filter(|_| !silent).map_or("", |best| &best.text)
    }
}

impl Candidate {
    /// Where it stands in its context, in characters, as SQuAD's files count.
    pub fn characters(&self, context: &str) -> Range<usize> {
        let start = context[..self.bytes.start].chars().count();
        start..start + self.text.chars().count()
    }
}

/// The best answers to a question, from its windows and their logits of start and end, each `[L]` or longer.
///
/// As in BERT: of each window the best starts and ends are put together where the start is a token around which no other window shows
/// more, and the answer is not too long. Tried are places of the context only, while BERT tries the question's too and drops them
/// later, so that here no answer is lost to them.
pub fn n_best(windows: &[Window], logits: &[(&[f32], &[f32])], context: &str, options: &AnswerOptions) -> Found {
    struct Scored<'w> {
        window: &'w Window,
        first: usize,
        last: usize,
        score: f32,
    }
    let mut null = f32::INFINITY;
    let mut scored: Vec<Scored<'_>> = Vec::new();
    for (window, (start, end)) in windows.iter().zip(logits) {
        if let (Some(start), Some(end)) = (start.first(), end.first()) {
            null = null.min(start + end);
        }
        let shift = window.tokens.start;
        let within = window.tokens.len().min(start.len().saturating_sub(window.first));
        let within = shift..shift + within.min(end.len().saturating_sub(window.first));
        let place = |token: usize| window.first + token - shift;
        let starts = window.best.start.max(within.start)..window.best.end.min(within.end);
        let starts = highest(starts, options.n_best, |token| start[place(token)]);
        let ends = highest(within, options.n_best, |token| end[place(token)]);
        for &first in &starts {
            for &last in ends.iter().filter(|&&last| last >= first && last - first < options.longest) {
                scored.push(Scored { window, first, last, score: start[place(first)] + end[place(last)] });
            }
        }
    }
    scored.sort_by(|a, b| descending(a.score, b.score));
    let mut seen: HashSet<&str> = HashSet::new();
    let mut best: Vec<Candidate> = Vec::new();
    for Scored { window, first, last, score } in scored {
        if best.len() == options.n_best {
            break;
        }
        let bytes = window.spans[first].0 as usize..window.spans[last].1 as usize;
        let Some(text) = context.get(bytes.clone()) else { continue };
        if seen.insert(text) {
            best.push(Candidate { text: text.into(), bytes, score, probability: 0.0 });
        }
    }
    let highest = best.iter().map(|found| found.score).chain(options.null.then_some(null)).fold(f32::MIN, f32::max);
    let weight = |score: f32| f64::from(score - highest).exp();
    let total =
        best.iter().map(|found| weight(found.score)).sum::<f64>() + if options.null { weight(null) } else { 0.0 };
    best.iter_mut().for_each(|found| found.probability = weight(found.score) / total);
    Found { best, null, threshold: None }
}

/// From the highest down; what is no number comes last.
fn descending(a: f32, b: f32) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(b.total_cmp(&a))
}

/// The tokens with the highest logits, the highest first.
fn highest(tokens: Range<usize>, most: usize, logit: impl Fn(usize) -> f32) -> Vec<usize> {
    let mut order: Vec<usize> = tokens.collect();
    let by_logit = |a: &usize, b: &usize| descending(logit(*a), logit(*b)).then(a.cmp(b));
    if order.len() > most {
        order.select_nth_unstable_by(most, by_logit);
        order.truncate(most);
    }
    order.sort_unstable_by(by_logit);
    order
}

#[cfg(test)]
mod tests {
    use super::super::questions::tests::record;
    use super::super::tests::tokenizer;
    use super::super::{FeatureOptions, questions};
    use super::*;
    use proptest::prelude::*;

    /// Logits that say what a window is taught to say.
    fn taught(window: &Window) -> (Vec<f32>, Vec<f32>) {
        let one = |place: usize| (0..window.row.ids.len()).map(|at| if at == place { 5.0 } else { -1.0 }).collect();
        let (first, last) = window.answer.unwrap_or_default();
        (one(first), one(last))
    }

    fn decode(windows: &[Window], context: &str, options: &AnswerOptions) -> Found {
        let logits: Vec<_> = windows.iter().map(taught).collect();
        let logits: Vec<(&[f32], &[f32])> = logits.iter().map(|(start, end)| (&start[..], &end[..])).collect();
        n_best(windows, &logits, context, options)
    }

    #[test]
    fn answers_come_back_as_they_stand() {
        let tokenizer = tokenizer();
        let context = "In Zu\u{308}rich, Zoë's CAFÉ closed  – 中文 twice.";
        for text in ["Zu\u{308}rich", "Zoë's CAFÉ", "closed  –", "中文", "twice", "In Zu\u{308}rich, Zoë"] {
            let at = context.find(text).unwrap();
            let record = record("What?", context, Some(at..at + text.len()));
            let (windows, report) = questions(&[record], &tokenizer, &FeatureOptions::default()).unwrap();
            let found = decode(&windows, context, &AnswerOptions::default());
            assert_eq!((found.best[0].text.as_str(), report.inexact), (text, 0));
            assert_eq!(found.answer(None), text);
            let characters = found.best[0].characters(context);
            assert_eq!(context.chars().skip(characters.start).take(characters.len()).collect::<String>(), text);
            assert!(found.null_difference() < 0.0);
        }
    }

    #[test]
    fn nothing_is_an_answer_where_it_may_be() {
        let tokenizer = tokenizer();
        let context = "the people of the people";
        let (windows, _) = questions(&[record("?", context, None)], &tokenizer, &FeatureOptions::default()).unwrap();
        let options = AnswerOptions { null: true, ..AnswerOptions::default() };
        let found = decode(&windows, context, &options);
        assert_eq!((found.null, found.null_difference()), (10.0, 12.0));
        assert_eq!((found.answer(Some(0.0)), found.answer(Some(12.0))), ("", "the"));
        let sum: f64 = found.best.iter().map(|best| best.probability).sum();
        assert!(sum < 0.01);
        let texts: HashSet<&str> = found.best.iter().map(|best| best.text.as_str()).collect();
        assert_eq!(texts.len(), found.best.len());
        let one = decode(&windows, context, &AnswerOptions { n_best: 1, longest: 1, null: false });
        assert_eq!((one.best.len(), one.best[0].probability), (1, 1.0));
        // Without windows or numbers there is no answer, and no panic.
        assert_eq!(n_best(&[], &[], context, &options).answer(Some(0.0)), "");
        let nan = vec![f32::NAN; 3];
        n_best(&windows, &[(&nan, &nan)], context, &options);
        n_best(&windows, &[(&[f32::NAN; 99], &[f32::NAN; 99])], context, &options);
    }

    proptest! {
        #[test]
        fn spans_of_tokens_come_back(
            words in prop::collection::vec("[a-zA-Z]{1,9}|[0-9]{1,4}|é|ü[a-z]|[.,;!-]|中|\u{1F600}|a\u{301}", 1..60),
            gaps in prop::collection::vec(" |  |\n|", 60),
            from in 0.0f64..1.0, length in 0usize..12, room in 4usize..40, stride in 1usize..20,
        ) {
            let tokenizer = tokenizer();
            let context: String = words.iter().zip(&gaps).flat_map(|(word, gap)| [word.as_str(), gap.as_str()]).collect();
            let options = FeatureOptions { length: 3 + 4 + room + length, stride: stride.min(room), query: 4 };
            let (windows, _) = questions(&[record("the", &context, None)], &tokenizer, &options).unwrap();
            let spans = windows[0].spans.clone();
            prop_assert!(spans.is_sorted() && spans.iter().all(|span| context.get(span.0 as usize..span.1 as usize).is_some()));
            let first = ((spans.len() as f64 * from) as usize).min(spans.len() - 1);
            let last = (first + length).min(spans.len() - 1);
            let bytes = spans[first].0 as usize..spans[last].1 as usize;
            let asked = record("the", &context, Some(bytes.clone()));
            let (windows, report) = questions(&[asked], &tokenizer, &options).unwrap();
            prop_assert_eq!((report.inexact, report.unplaced), (0, 0));
            let holding = windows.iter().any(|w| w.answer != Some((0, 0)));
            prop_assert_eq!(report.divided, u64::from(!holding));
            // The window that shows most around the start may end before the answer does.
            let shown = windows.iter().any(|w| w.best.contains(&first) && w.tokens.contains(&last));
            let found = decode(&windows, &context, &AnswerOptions::default());
            if shown {
                prop_assert_eq!(&found.best[0].text, &context[bytes]);
            }
        }
    }
}
