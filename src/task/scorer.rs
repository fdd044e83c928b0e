//! Scores of labelled records while a network is trained on others.

use super::evaluation::{Evaluation, evaluate};
use super::features::Features;
use super::labelled::weights;
use super::score::answers::Version;
use super::{Record, TaskKind};
use crate::batch::{Batch, EXAMPLES, LENGTHS};
use crate::measure::{Mean, Values};
use crate::model::Problem;
use crate::objective::{Results, Scorer, Tally};
use std::sync::Arc;

/// The outputs of a page of which records are measured.
#[derive(Debug, Clone, Copy)]
pub struct ScoredOutputs {
    /// What the head gives: [B, C], or [B L, C] of words and [B L, 2] of answers.
    pub logits: &'static str,
    /// The mean loss; the name that it also has among the values.
    pub loss: &'static str,
    /// What numbers are multiplied by to be in the label's own units.
    pub scale: f32,
}

/// Measures records of a [`Labelled`](super::Labelled) as `leyden evaluate` does. A record of which not every row was shown counts as
/// if it were not there.
#[derive(Debug, Clone)]
pub struct DevScorer(Arc<Dev>);

#[derive(Debug)]
struct Dev {
    records: Vec<Record>,
    features: Features,
    kind: TaskKind,
    labels: Vec<String>,
    places: Vec<usize>,
    outputs: ScoredOutputs,
}

impl DevScorer {
    /// Of `records`, which `features` are those of, and of which a source has every row. The model's classes are called `labels`; those
    /// of the records are at `places` among them ([`matched`](super::evaluation::matched)).
    pub fn new(
        (records, features): (Vec<Record>, Features),
        (labels, places): (Vec<String>, Vec<usize>),
        outputs: ScoredOutputs,
    ) -> Self {
        let kind = features.kind();
        Self(Arc::new(Dev { records, features, kind, labels, places, outputs }))
    }
}

impl Scorer for DevScorer {
    fn tally(&self) -> Box<dyn Tally> {
        Box::new(DevTally::new(self.0.clone()))
    }
}

#[derive(Debug)]
struct DevTally {
    dev: Arc<Dev>,
    /// What the head gave for each row; nothing where it was not shown.
    logits: Vec<Vec<f32>>,
    loss: Mean,
}

impl DevTally {
    fn new(dev: Arc<Dev>) -> Self {
        Self { logits: vec![Vec::new(); dev.features.len()], loss: Mean::default(), dev }
    }

    fn evaluate(&self) -> Evaluation {
        let Dev { records, features, kind, labels, places, .. } = &*self.dev;
        let version = if let TaskKind::Answering(version) = kind { *version } else { Version::One };
        let predictions = features.decode(records, labels.len(), &self.logits);
        evaluate(records, &predictions, labels, places, version)
    }
}

impl Tally for DevTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        let Dev { kind, outputs, .. } = &*self.dev;
        let logits = out.reals(outputs.logits);
        let width = logits.len() / batch.shape().examples.max(1);
        let scale = if *kind == TaskKind::Classification(Problem::Regression) { outputs.scale } else { 1.0 };
        let rows = batch.column(EXAMPLES.name).iter().zip(batch.column(LENGTHS.name));
        for (row, (&example, &length)) in rows.enumerate().filter(|(_, (_, length))| **length > 0) {
            // What stands at padding is nobody's.
            let used = match kind {
                TaskKind::Classification(_) => width,
                TaskKind::Tagging | TaskKind::Answering(_) => width / batch.shape().length * length as usize,
            };
            self.logits[example as usize] = logits[row * width..][..used].iter().map(|x| x * scale).collect();
        }
        self.loss.add(out.mean(outputs.loss), f64::from(batch.total(weights(*kind).name)));
    }

    fn finish(&mut self) -> Values {
        let found = std::mem::replace(self, Self::new(self.dev.clone()));
        let loss = (found.dev.outputs.loss, found.loss.value());
        let scores = found.evaluate().scores.into_iter().map(|(score, value)| (score.key(), value));
        std::iter::once(loss).chain(scores).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::features::FeatureOptions;
    use super::super::features::tests::tokenizer;
    use super::super::labelled::TargetOptions;
    use super::super::{Answer, Input, Label, Labelled, Part};
    use super::*;
    use crate::batch::Source as _;
    use crate::random::Random;

    const OUTPUTS: ScoredOutputs = ScoredOutputs { logits: "logits", loss: "loss", scale: 2.0 };

    fn records(inputs: impl IntoIterator<Item = (Input, Label)>) -> Vec<Record> {
        let record = |(input, label)| Record { id: "0".into(), line: 1, input, label: Some(label) };
        inputs.into_iter().map(record).collect()
    }

    fn texts(count: usize, label: impl Fn(usize) -> Label) -> Vec<Record> {
        records((0..count).map(|i| (Input::Text { text: "the ".repeat(i % 7), pair: None }, label(i))))
    }

    fn tagged() -> Vec<Record> {
        let words = |n: usize| Input::Words((0..n).map(|i| ["peace", "zyxwv-utsr"][i % 2].to_string()).collect());
        records([3, 0, 1, 20].map(|n| (words(n), Label::Tags((0..n).map(|i| i % 3).collect()))))
    }

    fn questions() -> Vec<Record> {
        let context = "the war was long and the people of the United States made peace in the end";
        let question = |answer: Option<&str>| {
            let place = |text: &str| context.find(text).map(|at| at..at + text.len());
            let answers = answer.map(|text| Answer { text: text.into(), bytes: place(text) });
            let input = Input::Question { question: "who".into(), context: context.into() };
            (input, Label::Answers(answers.into_iter().collect()))
        };
        records([Some("people"), None, Some("the United States"), Some("not there"), None].map(question))
    }

    /// Any numbers, the same whenever they are asked for.
    fn logits(row: usize, count: usize) -> Vec<f32> {
        let mut random = Random::new(5, 1, row as u64);
        (0..count).map(|_| (6.0 * random.unit() - 3.0) as f32).collect()
    }

    fn same(found: &Values, expected: &Values) {
        let plain = |values: &Values| values.iter().map(|(name, x)| format!("{name} {x:.12}")).collect::<Vec<_>>();
        assert_eq!(plain(found), plain(expected));
    }

    /// Measures what such a network says, in batches of any size and order, and holds it against what `evaluate` finds at once.
    fn check(records: Vec<Record>, kind: TaskKind, labels: &[&str]) -> Values {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_string()).collect();
        let places: Vec<usize> = (0..labels.len()).rev().collect();
        let tokenizer = tokenizer();
        let options = FeatureOptions { length: 14, stride: 4, query: 4 };
        let features = Features::of(&records, &tokenizer, &options, kind).unwrap();
        let targets =
            TargetOptions { part: Part::Dev, labels: labels.len(), places: &places, scale: 2.0, balanced: false };
        let source = Labelled::new(&records, &features, tokenizer.special(), &targets);
        let whole = matches!(kind, TaskKind::Classification(_));
        let outputs = if matches!(kind, TaskKind::Answering(_)) { 2 } else { labels.len() };
        let given = |row: usize| logits(row, if whole { outputs } else { outputs * features.row(row).ids.len() });

        let scale = if kind == TaskKind::Classification(Problem::Regression) { 2.0 } else { 1.0 };
        let all: Vec<Vec<f32>> =
            (0..features.len()).map(|row| given(row).into_iter().map(|x| scale * x).collect()).collect();
        let version = if let TaskKind::Answering(version) = kind { version } else { Version::One };
        let predictions = features.decode(&records, labels.len(), &all);
        let evaluation = evaluate(&records, &predictions, &labels, &places, version);
        assert_eq!(evaluation.count, records.len());
        // The loss of a row is its number, by what it weighs.
        let mut loss = Mean::default();
        let scores: Values = evaluation.scores.iter().map(|(score, value)| (score.key(), *value)).collect();

        let batch_of = |rows: &[usize], size: usize, length: usize| {
            let mut batch = source.empty(size, length);
            for (at, &row) in rows.iter().enumerate() {
                source.fill(&mut batch, at, row, &mut Random::new(0, 0, 0));
            }
            batch
        };
        for row in 0..features.len() {
            loss.add(row as f64, f64::from(batch_of(&[row], 1, source.length()).total(weights(kind).name)));
        }
        let scorer = DevScorer::new((records.clone(), features.clone()), (labels.clone(), places.clone()), OUTPUTS);
        let mut tally = scorer.tally();
        let mut expected = Values::from([("loss", loss.value())]);
        scores.iter().for_each(|(name, value)| expected.set(name.clone(), value));
        for (size, backwards) in [(1, false), (2, true), (3, false), (64, true)] {
            let mut order: Vec<usize> = (0..features.len()).collect();
            if backwards {
                order.reverse();
            }
            for rows in order.chunks(size) {
                // Some are wider than they need to be.
                let batch = batch_of(rows, size, source.length() + size % 2);
                let width = if whole { outputs } else { outputs * batch.shape().length };
                let mut words = vec![f32::NAN.to_bits(); size * width];
                let mut mean = Mean::default();
                for (at, &row) in rows.iter().enumerate() {
                    let given = given(row);
                    words[at * width..][..given.len()].copy_from_slice(bytemuck::cast_slice(&given));
                    let weight = f64::from(batch_of(&[row], 1, source.length()).total(weights(kind).name));
                    mean.add(row as f64, weight);
                }
                let loss = (mean.value() as f32).to_bits();
                tally.add(&batch, &Results { step: 0, outputs: vec![("logits", words), ("loss", vec![loss])] });
            }
            let found = tally.finish();
            assert!((found.or_nan("loss") - expected.or_nan("loss")).abs() < 1e-4);
            let mut found_scores = found.clone();
            found_scores.set("loss", expected.or_nan("loss"));
            same(&found_scores, &expected);
        }
        // It is empty again, and what was not shown as a whole is not there.
        assert_eq!(tally.finish().iter().count(), 1);
        expected
    }

    #[test]
    fn texts_are_measured_as_evaluate_does() {
        let classes = |problem| TaskKind::Classification(problem);
        let found = check(texts(23, |i| Label::Class(i % 3 % 2)), classes(Problem::SingleLabel), &["no", "yes"]);
        assert!(["accuracy", "f1", "macro_f1", "matthews"].iter().all(|name| found.get(name).is_some()), "{found:?}");
        let found = check(texts(11, |i| Label::Class(i % 3)), classes(Problem::SingleLabel), &["a", "b", "c"]);
        assert_eq!(found.get("f1"), None);
        let of = |i: usize| Label::Classes((0..3).filter(|k| (i >> k) & 1 == 1).collect());
        check(texts(9, of), classes(Problem::MultiLabel), &["a", "b", "c"]);
        let found = check(texts(9, |i| Label::Value(i as f64)), classes(Problem::Regression), &["stars"]);
        assert!(found.get("squared_error").is_some() && found.get("spearman").is_some());
    }

    #[test]
    fn words_and_answers_are_measured_as_evaluate_does() {
        let found = check(tagged(), TaskKind::Tagging, &["O", "B-X", "I-X"]);
        assert!(found.get("span_f1").is_some(), "{found:?}");
        let found = check(tagged(), TaskKind::Tagging, &["NN", "VB", "DT"]);
        assert_eq!(found.iter().count(), 2);
        let found = check(questions(), TaskKind::Answering(Version::Two), &[]);
        assert!(found.get("null_threshold").is_some_and(f64::is_finite) && found.get("f1").is_some(), "{found:?}");
        let answered = questions().into_iter().filter(|record| record.label != Some(Label::Answers(Vec::new())));
        let found = check(answered.collect(), TaskKind::Answering(Version::One), &[]);
        assert_eq!(found.get("null_threshold"), None);
    }

    #[test]
    fn a_question_of_which_a_window_is_missing_does_not_count() {
        let (records, tokenizer) = (questions(), tokenizer());
        let kind = TaskKind::Answering(Version::Two);
        let options = FeatureOptions { length: 14, stride: 4, query: 4 };
        let features = Features::of(&records, &tokenizer, &options, kind).unwrap();
        let mut all: Vec<Vec<f32>> =
            (0..features.len()).map(|row| logits(row, 2 * features.row(row).ids.len())).collect();
        let second = (0..features.len()).find(|&row| features.row(row).record == 1).unwrap();
        all[second + 1].clear();
        let predictions = features.decode(&records, 0, &all);
        let silent: Vec<usize> = (0..5).filter(|&at| predictions[at] == super::super::Prediction::None).collect();
        assert_eq!(silent, [1]);
        assert_eq!(evaluate(&records, &predictions, &[], &[], Version::Two).count, 4);
    }
}
