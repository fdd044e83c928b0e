//! What a fine-tuning run leaves: its best checkpoint, what that says of a few held-out texts, and what to try next.

use crate::cli::Failure;
use crate::cli::inference::InferenceArguments;
use crate::cli::labelled;
use crate::cli::predict;
use crate::cli::style::Style;
use crate::numbers::{fixed, shortened};
use crate::run::Run;
use crate::session::{PreparedTask, Session};
use crate::task::evaluation::in_short;
use std::fmt::Write as _;
use std::path::Path;

/// Held-out texts that are shown.
const SHOWN: usize = 4;
/// Columns that a text may take.
const WIDTH: usize = 84;

/// The end of a run. The session's device is given back first.
pub(super) fn after(style: Style, session: Session, task: &PreparedTask) -> Result<String, Failure> {
    let folder = session.run().folder().to_path_buf();
    let selecting = session.measures().selecting().cloned();
    drop(session);
    let mut out = String::new();
    let best = Run::best_of(&folder);
    if let (Some((_, step, value)), Some(measure)) = (&best, &selecting) {
        let value = fixed(*value, measure.digits.into());
        let _ = writeln!(
            out,
            "{}  step {step} has the best {} on held-out texts, {value}",
            style.bold("best"),
            measure.short
        );
    }
    out += &examples(style, &folder, task)?;
    out += &files(style, &folder, best.map(|(folder, ..)| folder).as_deref(), task);
    Ok(out)
}

/// What the best checkpoint says of some held-out texts.
fn examples(style: Style, folder: &Path, task: &PreparedTask) -> Result<String, Failure> {
    let (mut predictor, _) = labelled::predictor(folder, &InferenceArguments::on_cpu())?;
    let stride = (task.shown.len() / SHOWN).max(1);
    let records: Vec<_> = task.shown.iter().step_by(stride).take(SHOWN).cloned().collect();
    let predictions = predictor.predict(&records).map_err(labelled::failure)?;
    let mut out = format!("\n{}: what it says of texts that it has not learnt from\n", style.bold("held-out texts"));
    for (record, prediction) in records.iter().zip(&predictions) {
        let said = predict::in_words(record, prediction, predictor.labels());
        let truth = record.label.as_ref().map(|label| task.labels.describe(label));
        let _ = writeln!(out, "\n  {}", shortened(&in_short(record, WIDTH), WIDTH));
        let right = truth.as_deref().is_some_and(|truth| said.starts_with(truth));
        let said = if right { style.green(&said) } else { style.yellow(&said) };
        let _ = match truth {
            Some(truth) => writeln!(out, "    {} {said}   {} {truth}", style.dim("said"), style.dim("labelled")),
            None => writeln!(out, "    {} {said}", style.dim("said")),
        };
    }
    Ok(out)
}

fn files(style: Style, folder: &Path, best: Option<&Path>, task: &PreparedTask) -> String {
    let place = folder.display();
    let weights = best.map_or_else(|| folder.join(crate::run::CHECKPOINTS), |best| best.join("model"));
    let text = task.shown.first().map(|record| record.input.as_typed()).unwrap_or_default();
    let text = text.replace(['"', '$', '`', '\\', '!'], "");
    let text =
        if text.contains('\t') || text.len() > 200 { String::from("< texts.txt") } else { format!("\"{text}\"") };
    format!(
        "\n{}  {place}/metrics.jsonl, config.toml\n       {}: transformers loads it\n\n{}   ask it:\n         leyden predict \
         {place} {text}\n       see what it gets wrong:\n         leyden evaluate {place} --dev FILE",
        style.bold("files"),
        weights.display(),
        style.bold("next"),
    )
}
