//! `leyden predict`: what a fine-tuned network says of texts, a line each.

use super::Failure;
use super::inference::InferenceArguments;
use super::labelled::{FileArguments, failure, file_batch, predictor};
use super::lines::{Line, Tally, standard_input};
use super::output::{grouped, print, remark};
use super::progress::progress;
use crate::task::features::Candidate;
use crate::task::{Input, Part, Prediction, Predictor, Record, ranked};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Lines that are read together.
const BATCH: usize = 64;
/// Bytes of a line that are looked at.
const MOST_BYTES: usize = 1 << 24;
/// Answers that `--json` lists.
const N_BEST: usize = 5;

/// Arguments of `leyden predict`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden predict models/sst2 \"A film that lingers.\"
  leyden predict models/rte --json < pairs.txt            # a tab between the two texts of a pair
  leyden predict models/ner < sentences.txt               # a word and its tag a line
  leyden predict models/squad < questions.txt             # a question, a tab, and the text that answers it
  leyden predict models/sst2 --input test.csv --text review --id number --out said.tsv")]
pub(crate) struct PredictArguments {
    /// A run of leyden fine-tune, or a folder in which transformers saved an ELECTRA that was fine-tuned to classify texts, to tag words,
    /// or to answer questions
    #[arg(value_name = "MODEL")]
    dir: PathBuf,
    /// Texts; without any, or for -, lines of standard input
    ///
    /// Two texts of a pair, and a question and the text that answers it, have a tab between them. Words to be tagged have spaces
    /// between them. Texts are cut at the model's length; long sentences and contexts are read in windows. A line that cannot be
    /// answered is named on standard error; the others are answered, and the exit code is 2.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A file instead of lines: csv, tsv, jsonl or parquet; columns of words; or SQuAD's JSON. Each answer has its id in front
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// Where the answers go; standard output without it
    #[arg(long, value_name = "FILE", requires = "input")]
    out: Option<PathBuf>,
    #[command(flatten)]
    form: FileArguments,
    /// Print a JSON object a line: text, and label and probabilities; value; tokens and tags; or answer, score and n_best
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    on: InferenceArguments,
}

/// Runs the command.
pub(crate) fn run(arguments: PredictArguments) -> Result<(), Failure> {
    let (predictor, folder) = predictor(&arguments.dir, &arguments.on)?;
    let tally = Tally { of: "line", ..Tally::default() };
    let mut answers = Answers { predictor, folder, json: arguments.json, tally };
    if let Some(input) = &arguments.input {
        return answers.of_file(input, arguments.out.as_deref(), &arguments.form);
    }
    if arguments.texts.is_empty() || arguments.texts == ["-"] {
        let whole = standard_input("text", (MOST_BYTES, BATCH), |lines| answers.print(lines))?;
        return if whole { answers.end() } else { Ok(()) };
    }
    let texts: Vec<Line> = (1..).zip(arguments.texts).map(|(number, text)| Line { number, text: Ok(text) }).collect();
    for texts in texts.chunks(BATCH) {
        if !answers.print(texts)? {
            return Ok(());
        }
    }
    answers.end()
}

struct Answers {
    predictor: Predictor,
    folder: PathBuf,
    json: bool,
    tally: Tally,
}

impl Answers {
    /// A file's records, each behind its id. A file of answers is written beside and renamed.
    fn of_file(&mut self, input: &Path, out: Option<&Path>, form: &FileArguments) -> Result<(), Failure> {
        let (data, _) = form.read(input, (&self.folder, self.predictor.head()), Part::Test)?;
        data.report.remarks().iter().for_each(|text| remark(text));
        // Not among answers.
        let shown = out.is_some() || !std::io::stdout().is_terminal();
        let bar = if shown { progress(Some(data.records.len() as u64), "records") } else { ProgressBar::hidden() };
        let mut said = String::new();
        for records in data.records.chunks(file_batch(self.predictor.head())) {
            let predictions = self.predictor.predict(records).map_err(failure)?;
            let labels = self.predictor.labels();
            for (record, prediction) in records.iter().zip(&predictions) {
                said += &if self.json {
                    let mut line = as_json(&record.input.as_typed(), record, prediction, labels);
                    line["id"] = record.id.clone().into();
                    format!("{line}\n")
                } else if matches!(prediction, Prediction::Tags(_)) {
                    // A word and its tag a line, as in the file.
                    as_text(record, prediction, labels)
                } else {
                    format!("{}\t{}", record.id, as_text(record, prediction, labels))
                };
            }
            bar.inc(records.len() as u64);
            if out.is_none() && !print(&std::mem::take(&mut said))? {
                return Ok(());
            }
        }
        bar.finish_and_clear();
        self.say_what_was_cut();
        let Some(out) = out else { return Ok(()) };
        crate::files::write(out, said.as_bytes()).map_err(|e| Failure::Work(format!("{}: {e}", out.display())))?;
        let count = grouped(data.records.len() as u64);
        eprintln!("wrote {}: {count} answers", out.display());
        Ok(())
    }

    fn say_what_was_cut(&self) {
        self.predictor.cut().remark(self.predictor.longest()).iter().for_each(|text| remark(text));
    }

    /// The command's end: whether all lines were answered.
    fn end(&self) -> Result<(), Failure> {
        self.say_what_was_cut();
        self.tally.end()
    }

    /// `false` once nobody reads the answers.
    fn print(&mut self, lines: &[Line]) -> Result<bool, Failure> {
        self.tally.all += lines.len();
        let head = self.predictor.head();
        let inputs: Vec<Result<Input, String>> =
            lines.iter().map(|line| line.text.clone().and_then(|text| Input::typed(head, &text))).collect();
        let good = lines.iter().zip(&inputs).filter_map(|(line, input)| Some((line, input.as_ref().ok()?.clone())));
        let records: Vec<Record> = good
            .map(|(line, input)| Record { id: line.number.to_string(), line: line.number as u64, input, label: None })
            .collect();
        let mut found = records.iter().zip(self.predictor.predict(&records).map_err(failure)?);
        let mut out = String::new();
        for (line, input) in lines.iter().zip(&inputs) {
            match input {
                Err(reason) => out += &self.tally.refuse(line.number, reason, self.json)?,
                Ok(_) => {
                    let Some((record, prediction)) = found.next() else { continue };
                    let labels = self.predictor.labels();
                    out += &if self.json {
                        format!("{}\n", as_json(line.text.as_deref().unwrap_or_default(), record, &prediction, labels))
                    } else {
                        as_text(record, &prediction, labels)
                    };
                }
            }
        }
        print(&out)
    }
}

/// What is said of a record, in a few words.
pub(super) fn in_words(record: &Record, prediction: &Prediction, labels: &[String]) -> String {
    match prediction {
        Prediction::Tags(tags) => tags.iter().map(|&tag| &*labels[tag]).collect::<Vec<_>>().join(" "),
        other => as_text(record, other, labels).trim_end().replace('\t', "  "),
    }
}

/// A line (of tags a line a word, and an empty one behind them), with tabs between what is said.
fn as_text(record: &Record, prediction: &Prediction, labels: &[String]) -> String {
    match prediction {
        Prediction::Class(probabilities) => {
            ranked(probabilities, labels).first().map_or("\n".into(), |(label, p)| format!("{label}\t{p:.4}\n"))
        }
        Prediction::Labels(probabilities) => {
            let ranked = ranked(probabilities, labels);
            let said: Vec<String> =
                ranked.iter().filter(|(_, p)| *p > 0.5).map(|(label, p)| format!("{label}\t{p:.4}")).collect();
            // None of them is likely.
            if said.is_empty() { "-\n".into() } else { format!("{}\n", said.join("\t")) }
        }
        Prediction::Values(values) => {
            format!("{}\n", values.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join("\t"))
        }
        Prediction::Tags(tags) => {
            let Input::Words(words) = &record.input else { return "\n".into() };
            let line = |(word, &tag): (&String, &usize)| format!("{word}\t{}\n", labels[tag]);
            words.iter().zip(tags).map(line).collect::<String>() + "\n"
        }
        Prediction::Answer(found) => {
            found.said().map_or("-\n".into(), |best| format!("{}\t{:.4}\n", best.text, best.probability))
        }
        Prediction::None => "\n".into(),
    }
}

fn as_json(text: &str, record: &Record, prediction: &Prediction, labels: &[String]) -> Value {
    let by_label = |probabilities: &[f32]| -> Map<String, Value> {
        labels.iter().cloned().zip(probabilities.iter().map(|&p| p.into())).collect()
    };
    let answer = |c: &Candidate| json!({ "text": c.text, "score": c.score, "probability": c.probability });
    match prediction {
        Prediction::Class(p) => {
            let label = ranked(p, labels).first().map(|(label, _)| *label);
            json!({ "text": text, "label": label, "probabilities": by_label(p) })
        }
        Prediction::Labels(p) => {
            let said: Vec<&str> =
                ranked(p, labels).into_iter().filter(|(_, p)| *p > 0.5).map(|(label, _)| label).collect();
            json!({ "text": text, "labels": said, "probabilities": by_label(p) })
        }
        Prediction::Values(values) => match &values[..] {
            [one] => json!({ "text": text, "value": one }),
            _ => json!({ "text": text, "values": by_label(values) }),
        },
        Prediction::Tags(tags) => {
            let tags: Vec<&String> = tags.iter().map(|&tag| &labels[tag]).collect();
            let words = if let Input::Words(words) = &record.input { &words[..] } else { &[] };
            json!({ "text": text, "tokens": words, "tags": tags })
        }
        Prediction::Answer(found) => {
            let best = found.said();
            let n_best: Vec<Value> = found.best.iter().take(N_BEST).map(answer).collect();
            json!({
                "id": record.id,
                "answer": best.map_or("", |best| &best.text),
                "score": best.map(|best| best.probability),
                "n_best": n_best,
            })
        }
        Prediction::None => json!({ "text": text }),
    }
}
