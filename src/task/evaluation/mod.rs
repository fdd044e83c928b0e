//! How well a network's predictions fit what a person labelled.

mod facts;
mod scores;

pub use facts::Facts;
pub use scores::{ACCURACY, Score, Scores};

use super::prediction::best;
use super::score::answers::{Judged, Version, best_threshold, compare};
use super::score::{Confusion, MultiLabel, SpanCounts, pearson, spearman};
use super::{Input, Label, LabelNames, Prediction, Record};
use crate::numbers::shortened;

/// What was found on a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Records that have a label and a prediction.
    pub count: usize,
    /// The scores in the order in which they are shown. NaN is what cannot be said.
    pub scores: Vec<(Score, f64)>,
    /// Of classes, how often each was called what.
    pub confusion: Option<Confusion>,
    /// What was said wrongly, the surest first.
    pub mistakes: Vec<Mistake>,
}

impl Evaluation {
    /// A score; none where it is not one of these records'.
    pub fn score(&self, score: Score) -> Option<f64> {
        self.scores.iter().find(|(known, _)| *known == score).map(|(_, value)| *value)
    }
}

/// Whether tags with these names are of spans. Those without, such as parts of speech, have none to be found.
fn has_spans(labels: &[String]) -> bool {
    labels.iter().any(|label| label.starts_with("B-"))
}

/// A record of which something else was said than a person did.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// Its place among the records.
    pub record: usize,
    /// What a person said.
    pub expected: String,
    /// What the network said.
    pub said: String,
    /// How sure it was: a probability, or of a number how far off it is.
    pub sure: f64,
}

/// The place among a model's labels of each of a file's, by their names; by their order where either has numbers or `LABEL_0` for names
/// and there are as many.
///
/// # Errors
/// A line for the person where they are not the same labels.
pub fn matched(file: &LabelNames, model: &[String]) -> Result<Vec<usize>, String> {
    let of = |name: &String| model.iter().position(|label| label.eq_ignore_ascii_case(name));
    if let Some(places) = file.names().iter().map(of).collect() {
        return Ok(places);
    }
    let plain = |name: &String| name.strip_prefix("LABEL_").unwrap_or(name).parse::<u32>().is_ok();
    if file.len() == model.len() && (model.iter().all(plain) || file.names().iter().all(plain)) {
        return Ok((0..model.len()).collect());
    }
    let list = |names: &[String]| shortened(&names.join(", "), 80);
    Err(format!(
        "the model's labels are {}, the file's are {}; expected labels that the model knows",
        list(model),
        list(file.names())
    ))
}

/// Holds `predictions` against `records`, in whose labels `places` are those of the model's `labels` ([`matched`]). Answers are compared
/// as SQuAD's script of `version` does; of version 2 nothing is said where more speaks for that than the threshold that is best
/// for these records, which is among the scores.
pub fn evaluate(
    records: &[Record],
    predictions: &[Prediction],
    labels: &[String],
    places: &[usize],
    version: Version,
) -> Evaluation {
    let mut found = Gathered::new((labels, places), version);
    for (at, (record, prediction)) in records.iter().zip(predictions).enumerate() {
        if let Some(label) = &record.label {
            found.add(at, label, prediction);
        }
    }
    found.finish()
}

struct Gathered<'a> {
    /// The model's labels, and the places of the file's among them.
    names: &'a [String],
    places: &'a [usize],
    version: Version,
    count: usize,
    confusion: Confusion,
    classes: bool,
    labels: Option<MultiLabel>,
    values: (Vec<f64>, Vec<f64>),
    spans: SpanCounts,
    words: Confusion,
    answers: Vec<(Judged, f64)>,
    mistakes: Vec<Mistake>,
}

impl<'a> Gathered<'a> {
    fn new((names, places): (&'a [String], &'a [usize]), version: Version) -> Self {
        let labels = names.len();
        Self {
            names,
            places,
            version,
            count: 0,
            confusion: Confusion::new(labels),
            classes: false,
            labels: None,
            values: (Vec::new(), Vec::new()),
            spans: SpanCounts::default(),
            words: Confusion::new(labels),
            answers: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    fn add(&mut self, at: usize, label: &Label, prediction: &Prediction) {
        let (names, places, version) = (self.names, self.places, self.version);
        self.count += 1;
        let mut wrong = |expected: String, said: String, sure: f64| {
            self.mistakes.push(Mistake { record: at, expected, said, sure });
        };
        match (label, prediction) {
            (Label::Class(class), Prediction::Class(probabilities)) => {
                let (truth, said) = (places[*class], best(probabilities));
                self.classes = true;
                self.confusion.add(truth, said);
                if truth != said {
                    wrong(names[truth].clone(), names[said].clone(), probabilities[said].into());
                }
            }
            (Label::Classes(classes), Prediction::Labels(probabilities)) => {
                let mut truth = vec![false; names.len()];
                classes.iter().for_each(|&class| truth[places[class]] = true);
                let said: Vec<bool> = probabilities.iter().map(|&p| p > 0.5).collect();
                self.labels.get_or_insert_with(|| MultiLabel::new(names.len())).add(&truth, &said);
                if truth != said {
                    let list = |of: &[bool]| {
                        let list: Vec<&str> = names.iter().zip(of).filter(|(_, is)| **is).map(|(n, _)| &**n).collect();
                        if list.is_empty() { "none".to_string() } else { list.join(", ") }
                    };
                    let off = |(&p, &is): (&f32, &bool)| f64::from(if is { 1.0 - p } else { p });
                    wrong(list(&truth), list(&said), probabilities.iter().zip(&truth).map(off).fold(0.0, f64::max));
                }
            }
            (Label::Value(value), Prediction::Values(values)) => {
                let said = f64::from(values.first().copied().unwrap_or(f32::NAN));
                self.values.0.push(*value);
                self.values.1.push(said);
                wrong(format!("{value}"), format!("{said:.3}"), (said - value).abs());
            }
            (Label::Tags(tags), Prediction::Tags(said)) => {
                let text = |tags: &mut dyn Iterator<Item = usize>| tags.map(|tag| &*names[tag]).collect::<Vec<&str>>();
                let (truth, said_of) = (text(&mut tags.iter().map(|&t| places[t])), text(&mut said.iter().copied()));
                self.spans.add(&truth, &said_of);
                let pairs = tags.iter().map(|&tag| places[tag]).zip(said.iter().copied());
                let mut off = 0;
                for (truth, said) in pairs {
                    self.words.add(truth, said);
                    off += usize::from(truth != said);
                }
                if off > 0 {
                    wrong(truth.join(" "), said_of.join(" "), off as f64);
                }
            }
            (Label::Answers(answers), Prediction::Answer(found)) => {
                let right: Vec<&str> = answers.iter().map(|answer| &*answer.text).collect();
                let said = found.answer(None);
                let score = compare(said, &right, version);
                let null = found.null_difference();
                let judged = Judged { score: score.exact, answerable: !right.is_empty(), said: !said.is_empty(), null };
                self.answers.push((judged, score.f1));
                if score.f1 < 1.0 {
                    let sure = found.best.first().map_or(0.0, |best| best.probability);
                    wrong(right.first().map_or("no answer".into(), |text| (*text).into()), said.into(), sure);
                }
            }
            // A record of another kind than the network's.
            _ => self.count -= 1,
        }
    }

    fn finish(mut self) -> Evaluation {
        let (labels, version) = (self.names, self.version);
        let mut scores = Vec::new();
        if self.classes {
            scores.push((Score::Accuracy, self.confusion.accuracy()));
            if labels.len() == 2 {
                scores.push((Score::F1, self.confusion.f1(1)));
            }
            scores.extend([(Score::MacroF1, self.confusion.macro_f1()), (Score::Matthews, self.confusion.matthews())]);
        }
        if let Some(labels) = &self.labels {
            scores.extend([
                (Score::MicroF1, labels.micro_f1()),
                (Score::MacroF1, labels.macro_f1()),
                (Score::Exact, labels.exact()),
            ]);
        }
        if !self.values.0.is_empty() {
            let (truth, said) = &self.values;
            let squares: f64 = truth.iter().zip(said).map(|(a, b)| (a - b) * (a - b)).sum();
            scores.extend([(Score::Spearman, spearman(truth, said)), (Score::Pearson, pearson(truth, said))]);
            scores.push((Score::SquaredError, squares / truth.len() as f64));
        }
        if self.words.total() > 0 {
            let spans = self.spans.scores();
            if has_spans(labels) {
                scores.extend([
                    (Score::SpanF1, spans.f1),
                    (Score::Precision, spans.precision),
                    (Score::Recall, spans.recall),
                ]);
            }
            scores.push((Score::Accuracy, self.words.accuracy()));
        }
        if !self.answers.is_empty() {
            let mean = |of: &dyn Fn(&(Judged, f64)) -> f64| {
                self.answers.iter().map(of).sum::<f64>() / self.answers.len() as f64
            };
            if version == Version::Two {
                let judged: Vec<Judged> = self.answers.iter().map(|(judged, _)| *judged).collect();
                let (threshold, exact) = best_threshold(&judged);
                let f1 = |(judged, f1): &(Judged, f64)| match (judged.null > threshold, judged.answerable) {
                    (true, answerable) => f64::from(!answerable),
                    (false, _) => *f1,
                };
                scores.extend([(Score::Exact, exact), (Score::F1, mean(&f1)), (Score::NullThreshold, threshold)]);
            } else {
                scores.extend([(Score::F1, mean(&|(_, f1)| *f1)), (Score::Exact, mean(&|(judged, _)| judged.score))]);
            }
        }
        self.mistakes.sort_by(|a, b| b.sure.total_cmp(&a.sure));
        let Self { count, confusion, classes, mistakes, .. } = self;
        Evaluation { count, scores, confusion: classes.then_some(confusion), mistakes }
    }
}

/// A record's text in a few words.
pub fn in_short(record: &Record, most: usize) -> String {
    let text = match &record.input {
        Input::Text { text, pair: None } => text.clone(),
        Input::Text { text, pair: Some(pair) } => format!("{text} | {pair}"),
        Input::Words(words) => words.join(" "),
        Input::Question { question, .. } => question.clone(),
    };
    shortened(&text, most)
}
