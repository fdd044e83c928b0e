//! Scores by name, and the measures that they are of a run.

use super::Facts;
use crate::measure::{Baseline, Better, Hue, Measure, Measures, Plot, Values};
use crate::model::Problem;
use crate::numbers::fixed;
use crate::objective::LOSS;
use crate::task::conll::TagScheme;
use crate::task::glue::{GlueTask, Metric};
use crate::task::score::answers::Version;
use serde::{Deserialize, Serialize};

/// The key of [`Score::Accuracy`].
pub const ACCURACY: &str = Score::Accuracy.key();

/// A score: shares of 1 and correlations, but for the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Of classes, or words, those called rightly.
    Accuracy,
    /// Of class 1 where there are two; of answers, as SQuAD's script counts it.
    F1,
    /// The mean of the classes' F1.
    MacroF1,
    /// The F1 of all labels together.
    MicroF1,
    /// Matthews' correlation.
    Matthews,
    /// Answers that are right; examples of which all labels are.
    Exact,
    /// Spearman's correlation.
    Spearman,
    /// Pearson's correlation.
    Pearson,
    /// The F1 of spans, as conlleval counts them.
    SpanF1,
    /// Of the spans that are said, those that are there.
    Precision,
    /// Of the spans that are there, those that are said.
    Recall,
    /// The mean squared error, in the label's units squared.
    SquaredError,
    /// How much must speak for saying nothing, so that as many questions as can be are answered rightly; in units of logits.
    NullThreshold,
}

impl Score {
    /// Its key in metrics.jsonl and config.toml.
    pub const fn key(self) -> &'static str {
        self.names().0
    }

    /// What `leyden evaluate` calls it.
    pub const fn name(self) -> &'static str {
        self.names().1
    }

    /// What a plot calls it.
    pub const fn title(self) -> &'static str {
        self.names().2
    }

    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Accuracy => ("accuracy", "accuracy", "Accuracy"),
            Self::F1 => ("f1", "F1", "F1"),
            Self::MacroF1 => ("macro_f1", "macro F1", "Macro F1"),
            Self::MicroF1 => ("micro_f1", "micro F1", "Micro F1"),
            Self::Matthews => ("matthews", "Matthews", "Matthews correlation"),
            Self::Exact => ("exact", "exact", "Exact match"),
            Self::Spearman => ("spearman", "Spearman", "Spearman correlation"),
            Self::Pearson => ("pearson", "Pearson", "Pearson correlation"),
            Self::SpanF1 => ("span_f1", "span F1", "Span F1"),
            Self::Precision => ("precision", "precision", "Span precision"),
            Self::Recall => ("recall", "recall", "Span recall"),
            Self::SquaredError => ("squared_error", "squared error", "Squared error"),
            Self::NullThreshold => ("null_threshold", "null threshold", "Null threshold"),
        }
    }

    /// Which way it is better.
    pub fn better(self) -> Better {
        match self {
            Self::SquaredError => Better::Lower,
            Self::NullThreshold => Better::Neither,
            _ => Better::Higher,
        }
    }

    fn measure(self, facts: &Facts) -> Measure {
        let unit = match self {
            Self::Matthews | Self::Spearman | Self::Pearson => "correlation",
            Self::SquaredError => "in the label's units, squared",
            Self::NullThreshold => "logits",
            _ => "share",
        };
        let commonest = |at| Baseline::at("commonest", "commonest", "always saying the commonest", at);
        let baseline = match self {
            Self::Accuracy => facts.majority.map(commonest),
            Self::Matthews | Self::Spearman | Self::Pearson => {
                Some(Baseline::at("chance", "chance", "knowing nothing", 0.0))
            }
            Self::SquaredError => facts.variance.map(|at| Baseline::at("mean", "mean", "always saying the mean", at)),
            _ => None,
        };
        Measure {
            short: self.name().into(),
            tag: format!("score/{}", self.key()),
            better: self.better(),
            baselines: baseline.into_iter().collect(),
            ..Measure::new(self.key(), self.title(), unit)
        }
    }
}

impl From<Metric> for Score {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Accuracy => Self::Accuracy,
            Metric::F1 => Self::F1,
            Metric::Matthews => Self::Matthews,
            Metric::Pearson => Self::Pearson,
            Metric::Spearman => Self::Spearman,
        }
    }
}

/// The scores of a task in the order in which they are shown, each once. The first chooses the best checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Score>")]
pub struct Scores(Vec<Score>);

impl TryFrom<Vec<Score>> for Scores {
    type Error = String;

    fn try_from(scores: Vec<Score>) -> Result<Self, String> {
        if scores.is_empty() {
            return Err("no score, expected the one that chooses the best checkpoint, and others behind it".into());
        }
        match (1..scores.len()).find(|&at| scores[..at].contains(&scores[at])) {
            Some(twice) => Err(format!("the score {} twice, expected each once", scores[twice].key())),
            None => Ok(Self(scores)),
        }
    }
}

impl Scores {
    /// Those of texts in a table of one's own.
    pub fn of(problem: Problem) -> Self {
        Self(match problem {
            Problem::SingleLabel => vec![Score::Accuracy, Score::MacroF1, Score::Matthews],
            Problem::MultiLabel => vec![Score::MicroF1, Score::MacroF1, Score::Exact],
            Problem::Regression => vec![Score::SquaredError, Score::Pearson, Score::Spearman],
        })
    }

    /// Those of a task of GLUE: its metrics, and what else is known of such labels.
    pub fn of_glue(task: &GlueTask) -> Self {
        let problem = if task.labels.is_empty() { Problem::Regression } else { Problem::SingleLabel };
        let mut scores: Vec<Score> = task.metrics.iter().map(|&metric| metric.into()).collect();
        let f1 = (task.labels.len() == 2).then_some(Score::F1);
        for score in Self::of(problem).0.into_iter().chain(f1) {
            if !scores.contains(&score) {
                scores.push(score);
            }
        }
        Self(scores)
    }

    /// Those of tagged words.
    pub fn of_tags(scheme: TagScheme) -> Self {
        Self(match scheme {
            TagScheme::Bio => vec![Score::SpanF1, Score::Precision, Score::Recall, Score::Accuracy],
            TagScheme::Plain => vec![Score::Accuracy],
        })
    }

    /// Those of answers. Where there may be none, they are at the threshold that is best for the questions measured.
    pub fn of_answers(version: Version) -> Self {
        Self(match version {
            Version::One => vec![Score::F1, Score::Exact],
            Version::Two => vec![Score::F1, Score::Exact, Score::NullThreshold],
        })
    }

    /// What chooses the best checkpoint.
    pub fn selecting(&self) -> Score {
        self.0[0]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Score> {
        self.0.iter().copied()
    }

    /// The measures of a run: the loss, counted in `loss_unit`, and the scores.
    pub fn measures(&self, loss_unit: &str, facts: &Facts) -> Measures {
        let loss = Measure {
            short: "loss".into(),
            tag: "loss/task".into(),
            plot: Plot::Main,
            hue: Hue::First,
            ..Measure::loss(LOSS, "Loss", loss_unit)
        };
        let scores = self.iter().map(|score| {
            let selects = score == self.selecting();
            let (plot, hue) = if selects { (Plot::Main, Hue::Second) } else { Default::default() };
            Measure { selects, plot, hue, ..score.measure(facts) }
        });
        Measures::new(std::iter::once(loss).chain(scores))
    }

    /// What held-out examples measured before training and after it says, in a few words; what to try where nothing was learnt.
    pub fn in_words(&self, before: &Values, after: &Values) -> String {
        let score = self.selecting();
        let of = |values: &Values| {
            values.get(score.key()).filter(|x| x.is_finite()).map_or_else(|| "unknown".into(), |x| fixed(x, 3))
        };
        // What the commonest label is worth depends on the examples; these are 0 for whoever always says the same, whatever they are.
        let chance = [Score::Matthews, Score::Pearson].into_iter().find_map(|s| Some((s, after.get(s.key())?)));
        let advice = match chance {
            Some((score, value)) if value.is_nan() || value <= 0.0 => format!(
                "\n{} {}: no better than chance; try more --epochs, more examples, another --learning-rate or --seed, or a \
                 model that was pre-trained for longer",
                score.title(),
                fixed(value, 3)
            ),
            _ => String::new(),
        };
        format!("{} {} ({} before training){advice}", score.name(), of(after), of(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::glue;

    #[test]
    fn scores_are_kept_by_their_keys() {
        let cola = Scores::of_glue(glue::task("cola").unwrap());
        let keys = r#"["matthews","accuracy","macro_f1","f1"]"#;
        assert_eq!(serde_json::to_string(&cola).unwrap(), keys);
        assert_eq!(serde_json::from_str::<Scores>(keys).unwrap(), cola);
        for (bad, reason) in [
            (r#"["matthew"]"#, "unknown variant `matthew`"),
            ("[]", "no score, expected"),
            (r#"["f1","f1"]"#, "the score f1 twice"),
        ] {
            let error = serde_json::from_str::<Scores>(bad).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let all = [Problem::SingleLabel, Problem::MultiLabel, Problem::Regression].map(Scores::of).into_iter();
        let all = all.chain([TagScheme::Bio, TagScheme::Plain].map(Scores::of_tags));
        for scores in all.chain([Version::One, Version::Two].map(Scores::of_answers)) {
            for score in scores.iter() {
                assert_eq!(serde_json::to_value(score).unwrap(), score.key());
            }
        }
    }

    #[test]
    fn the_first_score_chooses_and_is_held_against_what_is_known() {
        let selecting = |task: &str| Scores::of_glue(glue::task(task).unwrap()).selecting().key();
        assert_eq!(
            ["cola", "sst2", "mrpc", "stsb", "rte"].map(selecting),
            ["matthews", "accuracy", "accuracy", "spearman", "accuracy"]
        );
        let facts = Facts { majority: Some(0.7), mean: 2.5, variance: Some(1.5) };
        let measures = Scores::of(Problem::SingleLabel).measures("nats a text", &facts);
        assert_eq!(&*measures.selecting().unwrap().name, ACCURACY);
        let main: Vec<&str> = measures.main().map(|measure| &*measure.name).collect();
        assert_eq!(main, [LOSS, ACCURACY]);
        let at = |measures: &Measures, name: &str| measures.baselines(name).next().and_then(|baseline| baseline.at);
        assert_eq!((at(&measures, "accuracy"), at(&measures, "matthews")), (Some(0.7), Some(0.0)));
        let numbers = Scores::of(Problem::Regression).measures("", &facts);
        assert_eq!(
            (at(&numbers, "squared_error"), numbers.get("squared_error").unwrap().better),
            (Some(1.5), Better::Lower)
        );
        assert_eq!(at(&Scores::of_tags(TagScheme::Plain).measures("", &Facts::default()), "accuracy"), None);
        // They are kept in a file, and are read back as they were.
        assert_eq!(Measures::from_json(&measures.to_json().unwrap()).unwrap(), measures);
        let scores = Scores::of(Problem::SingleLabel);
        let (before, after) = (Values::default(), Values::from([("accuracy", 0.8349)]));
        assert_eq!(scores.in_words(&before, &after), "accuracy 0.835 (unknown before training)");
        let same = Values::from([("accuracy", 0.9), ("matthews", 0.0)]);
        let said = scores.in_words(&after, &same);
        assert!(
            said.starts_with("accuracy 0.900 (0.835 before training)\nMatthews correlation 0.000: no better"),
            "{said}"
        );
        let better = Values::from([("accuracy", 0.9), ("matthews", 0.1)]);
        assert_eq!(scores.in_words(&after, &better), "accuracy 0.900 (0.835 before training)");
    }
}
