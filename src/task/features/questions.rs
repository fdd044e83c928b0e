//! Questions to rows: windows over the context, each behind the question.

use super::{Cut, FeatureOptions, Row, check};
use crate::corpus::{Encoder, REMEMBERED_WORDS, SpecialTokens, Tokenizer, words_of};
use crate::task::{Answer, Input, Label, Record, TaskError};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Contexts that are encoded at a time, for memory's sake.
const CONTEXTS: usize = 2_048;

/// A part of a context behind its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// `[CLS]` question `[SEP]` part `[SEP]`.
    pub row: Row,
    /// Where in the row the part begins.
    pub first: usize,
    /// Which tokens of the context it is.
    pub tokens: Range<usize>,
    /// Those of them around which no other window shows more; every token is so in one window.
    pub best: Range<usize>,
    /// Where each token of the whole context stands in it, in bytes.
    pub spans: Arc<[(u32, u32)]>,
    /// The first and the last place of the answer in the row; both 0, that of `[CLS]`, where it is not in this window or there is none.
    /// `None` where it is not known, or covers no token.
    pub answer: Option<(usize, usize)>,
}

/// What became of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuestionReport {
    /// Questions that were cut.
    pub cut: Cut,
    /// Questions whose context takes several windows.
    pub windowed: u64,
    /// Answers that begin or end inside of a token, so that only more than them can be said.
    pub inexact: u64,
    /// Answers that cover no token. There is nothing to learn from them.
    pub unplaced: u64,
    /// Answers that are in no window as a whole.
    pub divided: u64,
}

/// The windows of each record that is a question, in their order. Learnt is the first answer of those that are right.
///
/// # Errors
/// [`TaskError::Length`] for rows that leave no room behind a question, [`TaskError::Tokenizer`].
pub fn questions(
    records: &[Record],
    tokenizer: &Tokenizer,
    options: &FeatureOptions,
) -> Result<(Vec<Window>, QuestionReport), TaskError> {
    check(options.length, options.query + 4)?;
    let mut report = QuestionReport::default();
    let mut encoder = Encoder::new(tokenizer, REMEMBERED_WORDS);
    let mut query = Vec::new();
    let mut windows = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        // Questions to one text follow each other, and share its encoding.
        let mut places: HashMap<*const u8, usize> = HashMap::new();
        let mut contexts: Vec<&str> = Vec::new();
        let mut asked: Vec<&str> = Vec::new();
        let mut taken = 0;
        for record in rest {
            if let Input::Question { question, context } = &record.input {
                if contexts.len() == CONTEXTS && !places.contains_key(&context.as_ptr()) {
                    break;
                }
                places.entry(context.as_ptr()).or_insert_with(|| {
                    contexts.push(context);
                    contexts.len() - 1
                });
                asked.push(question);
            }
            taken += 1;
        }
        let encoded = encode_with_offsets(tokenizer, &contexts)?;
        let spans: Vec<Arc<[(u32, u32)]>> =
            encoded.iter().zip(&contexts).map(|((_, offsets), context)| spans(offsets, context)).collect();
        let mut queries = asked.into_iter();
        let start = records.len() - rest.len();
        for (at, record) in (start..).zip(&rest[..taken]) {
            let Input::Question { context, .. } = &record.input else { continue };
            let (Some(&place), Some(question)) = (places.get(&context.as_ptr()), queries.next()) else { continue };
            query.clear();
            encoder.encode_into(question, &mut query)?;
            let cut = &query[..query.len().min(options.query)];
            report.cut.count(query.len(), cut.len());
            let (ids, spans) = (&encoded[place].0[..], &spans[place]);
            let context = Context { ids, spans, special: tokenizer.special(), options };
            let answer = match &record.label {
                Some(Label::Answers(answers)) => context.place(answers, &mut report),
                _ => None,
            };
            windows.extend(context.windows(at, cut, answer, &mut report));
        }
        rest = &rest[taken..];
    }
    Ok((windows, report))
}

/// Ids, and the bytes that each stands for.
type Encoded = (Vec<u32>, Vec<(usize, usize)>);

/// Encodes texts with the places of their tokens. Where words between white space may be encoded one by one, each is once only, which
/// is many times faster.
fn encode_with_offsets(tokenizer: &Tokenizer, texts: &[&str]) -> Result<Vec<Encoded>, TaskError> {
    let library = |texts: &[&str]| -> Result<Vec<Encoded>, TaskError> {
        let encodings = tokenizer.encode_batch(texts)?;
        Ok(encodings.into_iter().map(|text| (text.get_ids().to_vec(), text.get_offsets().to_vec())).collect())
    };
    if !tokenizer.is_separable() {
        return library(texts);
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut words: Vec<&str> = Vec::new();
    for word in texts.iter().flat_map(|text| words_of(text)) {
        places.entry(word).or_insert_with(|| {
            words.push(word);
            words.len() - 1
        });
    }
    let known = library(&words)?;
    let whole = |text: &&str| {
        let (mut ids, mut offsets) = Encoded::default();
        for word in words_of(text) {
            let Some(&place) = places.get(word) else { continue };
            let (of_word, inside) = &known[place];
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            ids.extend_from_slice(of_word);
            offsets.extend(inside.iter().map(|&(from, to)| (start + from, start + to)));
        }
        (ids, offsets)
    };
    Ok(texts.iter().map(whole).collect())
}

/// Where tokens stand. What the tokenizer passes over right behind one, such as a mark that it takes off a letter, belongs to it.
fn spans(offsets: &[(usize, usize)], context: &str) -> Arc<[(u32, u32)]> {
    let next = offsets.iter().skip(1).map(|&(start, _)| start).chain([context.len()]);
    let reaching = offsets.iter().zip(next).map(|(&(start, end), next)| {
        let gap = context.get(end..next).unwrap_or_default();
        let passed = gap.find(char::is_whitespace).unwrap_or(gap.len());
        (start as u32, (end + passed) as u32)
    });
    reaching.collect()
}

/// Where an answer is.
#[derive(Clone, Debug)]
enum Place {
    Nowhere,
    /// Its tokens, the last one included.
    At(usize, usize),
}

/// A context, encoded.
struct Context<'e> {
    ids: &'e [u32],
    spans: &'e Arc<[(u32, u32)]>,
    special: SpecialTokens,
    options: &'e FeatureOptions,
}

impl Context<'_> {
    /// The tokens of the first answer that stands anywhere; `None` where that cannot be said.
    fn place(&self, answers: &[Answer], report: &mut QuestionReport) -> Option<Place> {
        if answers.is_empty() {
            return Some(Place::Nowhere);
        }
        let bytes = answers.iter().find_map(|answer| answer.bytes.clone())?;
        let (from, to) = (bytes.start as u32, bytes.end as u32);
        let first = self.spans.partition_point(|&(_, end)| end <= from);
        let behind = self.spans.partition_point(|&(start, _)| start < to);
        if first >= behind {
            report.unplaced += 1;
            return None;
        }
        report.inexact += u64::from(self.spans[first].0 < from || self.spans[behind - 1].1 > to);
        Some(Place::At(first, behind - 1))
    }

    fn windows(&self, record: usize, query: &[u32], answer: Option<Place>, report: &mut QuestionReport) -> Vec<Window> {
        let Self { special, options, .. } = self;
        let parts = parts(self.ids.len(), options.length - 3 - query.len(), options.stride);
        let mut windows = Vec::with_capacity(parts.len());
        report.windowed += u64::from(parts.len() > 1);
        let mut inside = false;
        let first = query.len() + 2;
        for (tokens, best) in parts.iter().cloned().zip(best(&parts)) {
            let mut ids = Vec::with_capacity(first + tokens.len() + 1);
            ids.push(special.cls);
            ids.extend_from_slice(query);
            ids.push(special.sep);
            ids.extend_from_slice(&self.ids[tokens.clone()]);
            ids.push(special.sep);
            let mut types = vec![0; first];
            types.resize(ids.len(), 1);
            let answer = answer.as_ref().map(|answer| match *answer {
                Place::At(start, end) if start >= tokens.start && end < tokens.end => {
                    inside = true;
                    (first + start - tokens.start, first + end - tokens.start)
                }
                _ => (0, 0),
            });
            windows.push(Window {
                row: Row { record, ids, types },
                first,
                tokens,
                best,
                spans: self.spans.clone(),
                answer,
            });
        }
        report.divided += u64::from(matches!(answer, Some(Place::At(..))) && !inside);
        windows
    }
}

/// Parts of at most `room` tokens that begin `stride` apart, the last one reaching the end.
fn parts(tokens: usize, room: usize, stride: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    loop {
        let end = tokens.min(start + room);
        parts.push(start..end);
        if end == tokens {
            return parts;
        }
        start += stride.clamp(1, room);
    }
}

/// Of each part, the tokens around which it shows more than the others: by how many tokens there are on the side that has fewer, and
/// a hundredth of the part's length, as in BERT. They follow each other, since of two parts the later gains as tokens go on.
fn best(parts: &[Range<usize>]) -> Vec<Range<usize>> {
    let score = |part: &Range<usize>, token: usize| -> i64 {
        let (left, right) = (token - part.start, part.end - 1 - token);
        100 * left.min(right) as i64 + part.len() as i64
    };
    let mut best: Vec<Range<usize>> = parts.iter().map(|part| part.start..part.start).collect();
    let end = parts.last().map_or(0, |part| part.end);
    let mut winner = 0;
    for token in 0..end {
        // The first of those that show as much.
        let shows = |at: &usize| parts[*at].contains(&token);
        let later = (winner..parts.len()).skip_while(|at| !shows(at)).take_while(shows);
        let next = later.max_by(|&a, &b| score(&parts[a], token).cmp(&score(&parts[b], token)).then(b.cmp(&a)));
        let next = next.unwrap_or(winner);
        if next != winner || best[winner].is_empty() {
            winner = next;
            best[winner] = token..token;
        }
        best[winner].end = token + 1;
    }
    best
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::tokenizer;
    use super::*;
    use proptest::prelude::*;

    pub(in super::super) fn record(question: &str, context: &str, answer: Option<Range<usize>>) -> Record {
        let answers = answer.map(|bytes| Answer { text: context[bytes.clone()].into(), bytes: Some(bytes) });
        Record {
            id: "q".into(),
            line: 1,
            input: Input::Question { question: question.into(), context: context.into() },
            label: Some(Label::Answers(answers.into_iter().collect())),
        }
    }

    #[test]
    fn windows_hold_the_answer_where_it_is() {
        let tokenizer = tokenizer();
        let context = "The war was long. The people of the United States made peace in the year of our Lord.";
        let at = context.find("United").unwrap();
        let options = FeatureOptions { length: 20, stride: 4, query: 5 };
        let record = record("Who made peace with whom, and when was it, and why?", context, Some(at..at + 13));
        let (windows, report) = questions(std::slice::from_ref(&record), &tokenizer, &options).unwrap();
        assert!(windows.len() > 2 && report.windowed == 1 && report.cut.texts == 1, "{report:?}, {}", windows.len());
        let whole = tokenizer.encode(context).unwrap();
        let answer = tokenizer.encode("United States").unwrap();
        let mut holding = 0;
        for window in &windows {
            let ids = &window.row.ids;
            assert!(ids.len() <= 20 && ids.len() == window.row.types.len());
            assert_eq!(ids[window.first..ids.len() - 1], whole[window.tokens.clone()]);
            assert_eq!(window.row.types.iter().filter(|&&kind| kind == 0).count(), window.first);
            match window.answer.unwrap() {
                (0, 0) => {}
                (first, last) => {
                    holding += 1;
                    assert_eq!(ids[first..=last], answer);
                }
            }
        }
        assert!(holding > 0 && holding < windows.len());
        // A question that has no answer, and one that nobody answered.
        let mut none = record.clone();
        none.label = Some(Label::Answers(Vec::new()));
        assert!(questions(&[none.clone()], &tokenizer, &options).unwrap().0.iter().all(|w| w.answer == Some((0, 0))));
        none.label = None;
        assert!(questions(&[none], &tokenizer, &options).unwrap().0.iter().all(|w| w.answer.is_none()));
        let short = FeatureOptions { length: 8, ..options };
        assert!(questions(&[record], &tokenizer, &short).unwrap_err().to_string().contains("at least 9"));
    }

    #[test]
    fn answers_inside_of_tokens_are_counted() {
        let tokenizer = tokenizer();
        let context = "the people \u{200b} of peace";
        let inexact = record("?", context, Some(1..9));
        let unplaced = record("?", context, Some(11..14));
        let (windows, report) = questions(&[inexact, unplaced], &tokenizer, &FeatureOptions::default()).unwrap();
        assert_eq!((report.inexact, report.unplaced, windows.len()), (1, 1, 2));
        assert!(windows[0].answer.is_some() && windows[1].answer.is_none());
        // An empty context has a window, so that there is something to say nothing to.
        let (windows, _) = questions(&[record("?", "", None)], &tokenizer, &FeatureOptions::default()).unwrap();
        assert_eq!((windows.len(), windows[0].row.ids.len()), (1, windows[0].first + 1));
    }

    proptest! {
        #[test]
        fn words_are_encoded_as_in_the_whole(text in "(\\PC|[a-z]{1,6}|[ \n\u{a0}]|\u{301}){0,40}") {
            let tokenizer = tokenizer();
            prop_assert!(tokenizer.is_separable());
            let whole = &tokenizer.encode_batch(&[&text]).unwrap()[0];
            let found = encode_with_offsets(&tokenizer, &[&text]).unwrap().remove(0);
            prop_assert_eq!(found, (whole.get_ids().to_vec(), whole.get_offsets().to_vec()));
        }

        #[test]
        fn every_token_is_best_in_one_window_as_in_bert(tokens in 0usize..120, room in 1usize..40, stride in 1usize..50) {
            let parts = parts(tokens, room, stride);
            let best = best(&parts);
            for token in 0..tokens {
                let score = |part: &Range<usize>| {
                    let (left, right) = (token - part.start, part.end - 1 - token);
                    left.min(right) as f64 + 0.01 * part.len() as f64
                };
                let mut expected: Option<(f64, usize)> = None;
                for (at, part) in parts.iter().enumerate().filter(|(_, part)| part.contains(&token)) {
                    if expected.is_none_or(|(most, _)| score(part) > most + 1e-9) {
                        expected = Some((score(part), at));
                    }
                }
                let found: Vec<usize> = (0..parts.len()).filter(|&at| best[at].contains(&token)).collect();
                prop_assert_eq!(found, vec![expected.unwrap().1], "token {} of {:?}: {:?}", token, parts, best);
            }
            prop_assert!(parts.iter().all(|part| part.len() <= room));
        }
    }
}
