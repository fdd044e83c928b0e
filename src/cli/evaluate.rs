//! `leyden evaluate`: how well a fine-tuned model's answers fit what a person labelled.

use super::Failure;
use super::inference::InferenceArguments;
use super::labelled::{FileArguments, failure, file_batch, predictor};
use super::output::{grouped, print, remark};
use super::progress::progress;
use super::style::Style;
use super::table::Table;
use crate::task::evaluation::{Evaluation, evaluate, in_short, matched};
use crate::task::score::Confusion;
use crate::task::{Part, TaskData};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Mistakes that are shown.
const MISTAKES: usize = 5;
/// Classes whose table fits on a screen.
const MOST_CLASSES: usize = 12;

/// Arguments of `leyden evaluate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden evaluate runs/sst2 --dev other.tsv                # as the files that it learnt from
  leyden evaluate models/sst2 --task sst2 --dev dev.tsv
  leyden evaluate models/reviews --dev reviews.csv --text review --label stars
  leyden evaluate models/ner --dev test.conll
  leyden evaluate models/squad --task squad2 --dev dev-v2.0.json --json")]
pub(crate) struct EvaluateArguments {
    /// A run of leyden fine-tune, or a folder in which transformers saved an ELECTRA that was fine-tuned to classify texts, to tag words,
    /// or to answer questions
    #[arg(value_name = "MODEL")]
    dir: PathBuf,
    /// The labelled file: csv, tsv, jsonl or parquet; columns of words and tags; or SQuAD's JSON
    #[arg(long, value_name = "FILE")]
    dev: PathBuf,
    #[command(flatten)]
    form: FileArguments,
    /// Print a JSON object: count, scores, confusion and mistakes
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    on: InferenceArguments,
}

/// Runs the command.
pub(crate) fn run(arguments: EvaluateArguments) -> Result<(), Failure> {
    let (mut predictor, folder) = predictor(&arguments.dir, &arguments.on)?;
    let (data, version) = arguments.form.read(&arguments.dev, (&folder, predictor.head()), Part::Dev)?;
    data.report.remarks().iter().for_each(|text| remark(text));
    let labels = predictor.labels().to_vec();
    let places = match data.labels.is_empty() {
        true => Vec::new(),
        false => matched(&data.labels, &labels)
            .map_err(|reason| Failure::Input(format!("{}: {reason}", arguments.dev.display())))?,
    };
    if data.labels.names().iter().zip(&places).any(|(name, &place)| !labels[place].eq_ignore_ascii_case(name)) {
        remark(&format!(
            "the file's labels {} are taken for the model's {}",
            listed(data.labels.names()),
            listed(&labels)
        ));
    }
    let mut predictions = Vec::with_capacity(data.records.len());
    let bar = progress(Some(data.records.len() as u64), "records");
    for records in data.records.chunks(file_batch(predictor.head())) {
        predictions.extend(predictor.predict(records).map_err(failure)?);
        bar.inc(records.len() as u64);
    }
    bar.finish_and_clear();
    predictor.cut().remark(predictor.longest()).iter().for_each(|text| remark(text));
    let evaluation = evaluate(&data.records, &predictions, &labels, &places, version);
    if evaluation.count == 0 {
        let reason = "none of its records has a label that this model could be held against";
        return Err(Failure::Input(format!("{}: {reason}; expected another --task", arguments.dev.display())));
    }
    let text = match arguments.json {
        true => format!("{}\n", as_json(&evaluation, &data, &labels)),
        false => as_text(&evaluation, &data, &labels, &arguments.dev),
    };
    print(&text).map(drop)
}

fn listed(names: &[String]) -> String {
    names.join(", ")
}

fn as_json(evaluation: &Evaluation, data: &TaskData, labels: &[String]) -> Value {
    let scores: serde_json::Map<String, Value> =
        evaluation.scores.iter().map(|(score, value)| (score.name().to_string(), (*value).into())).collect();
    let confusion = evaluation.confusion.as_ref().map(|confusion| {
        let row = |truth: usize| (0..labels.len()).map(|said| confusion.count(truth, said)).collect::<Vec<u64>>();
        json!({ "labels": labels, "counts": (0..labels.len()).map(row).collect::<Vec<_>>() })
    });
    let mistakes: Vec<Value> = evaluation
        .mistakes
        .iter()
        .take(MISTAKES)
        .map(|m| {
            let record = &data.records[m.record];
            json!({ "id": record.id, "line": record.line, "expected": m.expected, "said": m.said, "sure": m.sure })
        })
        .collect();
    json!({ "count": evaluation.count, "scores": scores, "confusion": confusion, "mistakes": mistakes })
}

fn as_text(evaluation: &Evaluation, data: &TaskData, labels: &[String], path: &Path) -> String {
    let style = Style::stdout();
    let mut text =
        format!("{}: {} records\n\n", style.bold(&path.display().to_string()), grouped(evaluation.count as u64));
    let mut table = Table::new(&[false, true]);
    for (score, value) in &evaluation.scores {
        table.row([score.name().to_string(), format!("{value:.4}")]);
    }
    table.lines().iter().for_each(|line| text += &format!("{line}\n"));
    if let Some(confusion) = evaluation.confusion.as_ref().filter(|c| c.classes() <= MOST_CLASSES) {
        text += &format!("\n{}\n", style.bold("labelled (a row), and what was said of it"));
        confusion_table(confusion, labels).lines().iter().for_each(|line| text += &format!("{line}\n"));
    }
    if !evaluation.mistakes.is_empty() {
        text += &format!("\n{}\n", style.bold("the worst mistakes"));
    }
    for mistake in evaluation.mistakes.iter().take(MISTAKES) {
        let record = &data.records[mistake.record];
        let short = |text: &str| crate::numbers::shortened(text, 60);
        text += &format!(
            "line {}: {}\n  labelled {}, said {} ({:.3})\n",
            record.line,
            in_short(record, 100),
            short(&mistake.expected),
            short(&mistake.said),
            mistake.sure
        );
    }
    text
}

fn confusion_table(confusion: &Confusion, labels: &[String]) -> Table {
    let mut table = Table::new(&[&[false][..], &vec![true; labels.len()]].concat());
    table.row(std::iter::once(String::new()).chain(labels.iter().cloned()));
    for (truth, label) in labels.iter().enumerate() {
        let counts = (0..labels.len()).map(|said| grouped(confusion.count(truth, said)));
        table.row(std::iter::once(label.clone()).chain(counts));
    }
    table
}
