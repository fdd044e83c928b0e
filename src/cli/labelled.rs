//! What `predict` and `evaluate` share: a fine-tuned model on a device, and flags that say what a file of texts or questions holds.

use super::Failure;
use super::output::remark;
use crate::measure::Measures;
use crate::model::{Head, Problem};
use crate::numbers::fixed;
use crate::plan::EngineError;
use crate::run::{CHECKPOINTS, Run};
use crate::session::{Device, open};
use crate::task::conll::{self, ConllColumns, TagScheme};
use crate::task::score::answers::Version;
use crate::task::table::{self, Columns, LabelKind};
use crate::task::{Part, PredictError, Predictor, TaskData, glue, squad};
use crate::text::TextEncoding;
use crate::transformers::Pretrained;
use clap::Args;
use std::path::Path;

/// What a file holds.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArguments {
    /// What the file is: cola, sst2, mrpc, stsb, qqp, mnli, qnli or rte with GLUE's columns; squad1 or squad2. Without it: a table of
    /// one's own, words and their tags, or SQuAD 1.1, as the model is
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// The column of the text, in a table of one's own
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    text: String,
    /// The column of the second text of a pair
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    /// The column of an id; a row's number without one
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
}

/// The fine-tuned model in `folder`, on a device; says what a person should know of it.
pub(crate) fn predictor(folder: &Path, device: &Device) -> Result<Predictor, Failure> {
    let found = Pretrained::load_fine_tuned(folder).map_err(Failure::input)?;
    found.tokenizer.notes().iter().chain(&found.notes).for_each(|note| remark(note));
    if found.folder != folder {
        remark(&format!("{}{}", found.folder.display(), chosen(folder, &found.folder)));
    }
    let (engine, target) = open(device, found.model.table.len()).map_err(|e| failure(e.into()))?;
    Predictor::new(found, engine, target).map_err(failure)
}

/// Why the network in `taken` is the one of the run in `folder`, where that is known.
fn chosen(folder: &Path, taken: &Path) -> String {
    let run = taken.ancestors().find(|above| above.join(CHECKPOINTS).is_dir()).unwrap_or(folder);
    let measures = std::fs::read(run.join(Measures::FILE)).ok().and_then(|json| Measures::from_json(&json).ok());
    match (Run::best_of(run), measures.as_ref().and_then(Measures::selecting)) {
        (Some((best, step, value)), Some(measure)) if taken.starts_with(&best) => {
            format!(": step {step}, best by {} ({})", measure.short, fixed(value, measure.digits.into()))
        }
        _ => String::new(),
    }
}

/// What the person named is wrong (2), or the device failed (1).
pub(crate) fn failure(error: PredictError) -> Failure {
    match error {
        PredictError::Engine(EngineError::NoAdapter { .. }) | PredictError::Task(_) => Failure::input(error),
        _ => Failure::work(error),
    }
}

impl FileArguments {
    /// Reads a file as the task, or else a model with this head, says, and how its answers are compared.
    pub(crate) fn read(&self, path: &Path, head: Option<&Head>, part: Part) -> Result<(TaskData, Version), Failure> {
        let kind = match head {
            Some(Head::SequenceClassification(head)) => match head.problem {
                Problem::SingleLabel => LabelKind::Class,
                Problem::MultiLabel => LabelKind::Classes { separator: ',' },
                Problem::Regression => LabelKind::Value,
            },
            Some(Head::TokenClassification(head)) => {
                let spans = head.labels.iter().any(|label| label.starts_with("B-"));
                let scheme = if spans { TagScheme::Bio } else { TagScheme::Plain };
                let data = conll::read(path, TextEncoding::default(), ConllColumns::default(), scheme, None, part);
                return Ok((data.map_err(Failure::input)?, Version::One));
            }
            _ => {
                let silent = matches!(head, Some(Head::QuestionAnswering(head)) if head.null_threshold.is_some());
                let version = match self.task.as_deref() {
                    Some("squad2") => Version::Two,
                    Some("squad1") => Version::One,
                    _ if silent => Version::Two,
                    _ => Version::One,
                };
                return Ok((squad::read(path, version, part).map_err(Failure::input)?, version));
            }
        };
        if let Some(name) = &self.task {
            let task = glue::task(name).map_err(Failure::input)?;
            return Ok((task.read(path, part).map_err(Failure::input)?, Version::One));
        }
        let columns = Columns {
            text: self.text.clone(),
            pair: self.pair.clone(),
            label: Some(self.label.clone()),
            id: self.id.clone(),
        };
        let data = table::read(path, TextEncoding::default(), &columns, kind, None, part).map_err(Failure::input)?;
        Ok((data, Version::One))
    }
}
