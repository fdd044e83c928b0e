//! What `predict` and `evaluate` share: a fine-tuned model on a device, and flags that say what a file of texts or questions holds.

use super::Failure;
use super::inference::InferenceArguments;
use super::output::remark;
use crate::measure::Measures;
use crate::model::Head;
use crate::numbers::fixed;
use crate::plan::EngineError;
use crate::run::{CHECKPOINTS, Run};
use crate::task::score::answers::Version;
use crate::task::table::Columns;
use crate::task::{Part, PredictError, Predictor, Task, TaskData, TaskKind};
use crate::transformers::Pretrained;
use clap::Args;
use std::path::{Path, PathBuf};

/// Records of a file that a model with this head is shown together: enough that rows of every length fill batches; of questions,
/// whose windows are long, fewer, so that it is seen how far it is.
pub(crate) fn file_batch(head: Option<&Head>) -> usize {
    if matches!(head, Some(Head::QuestionAnswering(_))) { 64 } else { 1_024 }
}

/// The columns of a table of one's own.
#[derive(Debug, Clone, Args)]
pub(crate) struct ColumnArguments {
    /// The column of the text, in a table of one's own [default: that of the run which learnt from such files, or text]
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// The column of the second text of a pair
    #[arg(long, value_name = "COLUMN")]
    pub pair: Option<String>,
    /// The column of the label [default: the run's, or label]
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
}

/// What a file holds.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArguments {
    /// What the file is, as for leyden fine-tune. Without it: what the run learnt from; of a folder that is no run's, a table of one's
    /// own, words and their tags, or SQuAD's JSON, as the model is
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    #[command(flatten)]
    columns: ColumnArguments,
    /// The column of an id; a row's number without one
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
}

/// The fine-tuned model in `folder`, on a device in a precision, and the folder of its own that it was found in; says what a person
/// should know of it.
pub(crate) fn predictor(folder: &Path, on: &InferenceArguments) -> Result<(Predictor, PathBuf), Failure> {
    let found = Pretrained::load_fine_tuned(folder).map_err(Failure::input)?;
    found.tokenizer.notes().iter().chain(&found.notes).for_each(|note| remark(note));
    if found.folder != folder {
        remark(&format!("{}{}", found.folder.display(), chosen(folder, &found.folder)));
    }
    let (engine, target, precision) = on.open(found.model.table.len())?;
    let home = found.folder.clone();
    let predictor = Predictor::new(found, engine, target).map_err(failure)?;
    Ok((predictor.in_precision(precision), home))
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
    /// Reads a file as the flags say, else as the files that the run in `folder` learnt from, else as a model with this `head` may read;
    /// and how answers are compared.
    pub(crate) fn read(
        &self,
        path: &Path,
        (folder, head): (&Path, Option<&Head>),
        part: Part,
    ) -> Result<(TaskData, Version), Failure> {
        let learnt = folder.ancestors().find_map(|above| Run::config(above).ok().flatten()?.task);
        let of_head =
            || head.and_then(Task::of_head).ok_or_else(|| Failure::Input("the model has no head to ask".into()));
        let task = match (&self.task, &learnt) {
            (Some(name), _) => Task::named(name).map_err(Failure::input)?,
            (None, Some(settings)) => Task::of(settings).map_err(Failure::input)?,
            (None, None) => of_head()?,
        };
        // Whether there may be no answer is for the file to say.
        let asked =
            |kind| if matches!(kind, TaskKind::Answering(_)) { TaskKind::Answering(Version::One) } else { kind };
        let (file, model) = (task.objective().task_kind().map(asked), head.and_then(TaskKind::of).map(asked));
        if file != model {
            let other = of_head()?;
            let (name, about) = (task.name(), other.about());
            return Err(Failure::Input(format!(
                "--task {name}: the model was fine-tuned for something else ({about})"
            )));
        }
        let mut columns = learnt.map(|settings| settings.columns()).unwrap_or_else(|| Columns {
            text: "text".into(),
            label: Some("label".into()),
            ..Columns::default()
        });
        columns.text = self.columns.text.clone().unwrap_or(columns.text);
        columns.pair = self.columns.pair.clone().or(columns.pair);
        columns.label = self.columns.label.clone().or(columns.label);
        columns.id.clone_from(&self.id);
        Ok((task.read(path, &columns, None, part).map_err(Failure::input)?, task.version()))
    }
}
