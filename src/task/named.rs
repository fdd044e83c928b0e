//! The tasks by the names that they are asked for.

use super::conll::{self, ConllColumns, TagScheme};
use super::evaluation::{Facts, Scores};
use super::glue::{self, GlueTask};
use super::objective::{Answering, Classification, Tagging};
use super::score::answers::Version;
use super::table::{self, Columns, LabelKind};
use super::{LabelNames, Part, TaskData, TaskError, TaskKind, squad};
use crate::config::TaskConfig;
use crate::model::{ClassifierKind, Head, Problem};
use crate::numbers::shortened;
use crate::objective::ObjectiveConfig;
use crate::text::TextEncoding;
use std::path::Path;

/// A labelled task: what its files are, and what is learnt from them.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// One of GLUE's.
    Glue(&'static GlueTask),
    /// Questions to texts.
    Squad(Version),
    /// Words and their tags in columns.
    Tags {
        /// As it is asked for.
        name: &'static str,
        /// What tags mean.
        scheme: TagScheme,
    },
    /// A table of one's own.
    Table {
        /// As it is asked for.
        name: &'static str,
        /// What its labels are.
        kind: LabelKind,
    },
}

/// Tables of one's own, and columns of words.
const OWN: [Task; 7] = [
    Task::Squad(Version::One),
    Task::Squad(Version::Two),
    Task::Tags { name: "chunk", scheme: TagScheme::Bio },
    Task::Tags { name: "ner", scheme: TagScheme::Bio },
    Task::Tags { name: "tag", scheme: TagScheme::Plain },
    Task::Table { name: "classify", kind: LabelKind::Class },
    Task::Table { name: "regress", kind: LabelKind::Value },
];

impl Task {
    /// All there are, GLUE's first.
    pub fn all() -> impl Iterator<Item = Self> {
        let labels = Self::Table { name: "multi-label", kind: LabelKind::Classes { separator: ',' } };
        glue::TASKS.iter().map(Self::Glue).chain(OWN).chain([labels])
    }

    /// The task of a name.
    ///
    /// # Errors
    /// [`TaskError::NoTask`]; [`TaskError::Refused`] for wnli.
    pub fn named(name: &str) -> Result<Self, TaskError> {
        if let Some(found) = Self::all().find(|task| task.name() == name) {
            return Ok(found);
        }
        match glue::task(name) {
            Err(TaskError::NoTask { .. }) => Err(TaskError::NoTask {
                name: shortened(name, 40),
                known: Self::all().map(|task| task.name()).collect::<Vec<_>>().join(", "),
            }),
            found => found.map(Self::Glue),
        }
    }

    /// The task that settings name.
    ///
    /// # Errors
    /// As [`Task::named`].
    pub fn of(settings: &TaskConfig) -> Result<Self, TaskError> {
        Ok(match Self::named(&settings.name)? {
            Self::Table { name, kind: LabelKind::Classes { .. } } => {
                Self::Table { name, kind: LabelKind::Classes { separator: settings.separator } }
            }
            task => task,
        })
    }

    /// What the files of a network with this head are, where nothing else is said.
    pub fn of_head(head: &Head) -> Option<Self> {
        let table = |kind| Self::Table { name: "classify", kind };
        match (TaskKind::of(head)?, head) {
            (TaskKind::Classification(Problem::SingleLabel), _) => Some(table(LabelKind::Class)),
            (TaskKind::Classification(Problem::MultiLabel), _) => Some(table(LabelKind::Classes { separator: ',' })),
            (TaskKind::Classification(Problem::Regression), _) => Some(table(LabelKind::Value)),
            (TaskKind::Answering(version), _) => Some(Self::Squad(version)),
            (TaskKind::Tagging, Head::TokenClassification(head)) => {
                let spans = head.labels.iter().any(|label| label.starts_with("B-"));
                let scheme = if spans { TagScheme::Bio } else { TagScheme::Plain };
                Some(Self::Tags { name: "tag", scheme })
            }
            (TaskKind::Tagging, _) => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Glue(task) => task.name,
            Self::Squad(Version::One) => "squad1",
            Self::Squad(Version::Two) => "squad2",
            Self::Tags { name, .. } | Self::Table { name, .. } => name,
        }
    }

    /// What is asked, in a line.
    pub fn about(&self) -> &'static str {
        match self {
            Self::Glue(task) => task.about,
            Self::Squad(Version::One) => "where in the text is the answer to the question?",
            Self::Squad(Version::Two) => "where in the text is the answer to the question, if there is one?",
            Self::Tags { scheme: TagScheme::Bio, .. } => "which words are a name or a phrase, and of which kind?",
            Self::Tags { scheme: TagScheme::Plain, .. } => "of which kind is each word?",
            Self::Table { kind: LabelKind::Class, .. } => "which class is a text of?",
            Self::Table { kind: LabelKind::Classes { .. }, .. } => "which labels does a text have?",
            Self::Table { kind: LabelKind::Value, .. } => "which number does a text have?",
        }
    }

    /// How its answers are compared, where there are answers.
    pub fn version(&self) -> Version {
        match self {
            Self::Squad(version) => *version,
            _ => Version::One,
        }
    }

    /// The longest row in tokens: 128, of words 256, of questions 512.
    pub fn length(&self) -> usize {
        match self {
            Self::Squad(_) => 512,
            Self::Tags { .. } => 256,
            Self::Glue(_) | Self::Table { .. } => 128,
        }
    }

    /// Times through the data: 3, of rte and stsb 10, of questions 2.
    pub fn epochs(&self) -> f64 {
        match self {
            Self::Glue(task) if ["rte", "stsb"].contains(&task.name) => 10.0,
            Self::Squad(_) => 2.0,
            _ => 3.0,
        }
    }

    /// Whether it asks about two texts at once. `config` says it of a table of one's own.
    pub fn reads_pairs(&self, config: &TaskConfig) -> bool {
        match self {
            Self::Glue(task) => !task.pair.is_empty(),
            Self::Table { .. } => config.pair.is_some(),
            Self::Squad(_) => true,
            Self::Tags { .. } => false,
        }
    }

    /// Whether pairs are learnt in both orders.
    pub fn swapped(&self) -> bool {
        matches!(self, Self::Glue(task) if task.swapped)
    }

    /// What is learnt, before there are labels.
    pub fn objective(&self) -> ObjectiveConfig {
        let classification = |problem, scores| Classification {
            problem,
            labels: Vec::new(),
            head: ClassifierKind::default(),
            scale: 1.0,
            scores,
            facts: Facts::default(),
        };
        match self {
            Self::Glue(task) if task.labels.is_empty() => {
                classification(Problem::Regression, Scores::of_glue(task)).into()
            }
            Self::Glue(task) => classification(Problem::SingleLabel, Scores::of_glue(task)).into(),
            Self::Table { kind: LabelKind::Class, .. } => {
                classification(Problem::SingleLabel, Scores::of(Problem::SingleLabel)).into()
            }
            Self::Table { kind: LabelKind::Classes { .. }, .. } => {
                classification(Problem::MultiLabel, Scores::of(Problem::MultiLabel)).into()
            }
            Self::Table { kind: LabelKind::Value, .. } => {
                classification(Problem::Regression, Scores::of(Problem::Regression)).into()
            }
            Self::Tags { scheme, .. } => {
                Tagging { labels: Vec::new(), scores: Scores::of_tags(*scheme), facts: Facts::default() }.into()
            }
            Self::Squad(version) => {
                let unanswerable = *version == Version::Two;
                Answering { unanswerable, scores: Scores::of_answers(*version) }.into()
            }
        }
    }

    /// Reads a file of it; `columns` are those of a table of one's own. `known` are the labels of training where there was one.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn read(
        &self,
        path: &Path,
        columns: &Columns,
        known: Option<&LabelNames>,
        part: Part,
    ) -> Result<TaskData, TaskError> {
        match self {
            Self::Glue(task) => task.read(path, part),
            Self::Squad(version) => squad::read(path, *version, part),
            Self::Tags { scheme, .. } => {
                conll::read(path, TextEncoding::default(), ConllColumns::default(), *scheme, known, part)
            }
            Self::Table { kind, .. } => table::read(path, TextEncoding::default(), columns, *kind, known, part),
        }
    }
}
