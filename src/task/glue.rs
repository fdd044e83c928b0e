//! GLUE's tasks, and their files as they come: GLUE's own (between tabs, quotation marks being text), those of the sources they were
//! made from, and tables of the same columns in any form.

use super::rows::{Cell, Quotes, Row, Rows};
use super::table::{is_wanted, number, texts_of};
use super::{Label, LabelNames, Part, Record, Report, TaskData, TaskError};
use crate::numbers::shortened;
use crate::text::TextEncoding;
use std::path::Path;

/// What a task is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share that is right.
    Accuracy,
    /// F1 of class 1.
    F1,
    /// Matthews' correlation.
    Matthews,
    /// Pearson's correlation.
    Pearson,
    /// Spearman's correlation.
    Spearman,
}

/// A task of GLUE.
#[derive(Clone, Copy, Debug)]
pub struct GlueTask {
    /// As it is asked for.
    pub name: &'static str,
    /// What is asked, in a line.
    pub about: &'static str,
    /// What the column of the text, or of the first one, may be called.
    pub text: &'static [&'static str],
    /// The same of the second text; empty where there is one only.
    pub pair: &'static [&'static str],
    /// The same of the label.
    pub label: &'static [&'static str],
    /// The columns of files that have no header; empty where all have one.
    pub headerless: &'static [&'static str],
    /// The classes in their order, which is that of the numbers in files that have numbers; empty where the label is a value.
    pub labels: &'static [&'static str],
    /// Where the label is a value, the lowest and the highest.
    pub range: (f64, f64),
    /// What it is measured by; the first chooses the best checkpoint.
    pub metrics: &'static [Metric],
    /// Whether training sees each pair in both orders, as in the reference.
    pub swapped: bool,
}

const NONE: GlueTask = GlueTask {
    name: "",
    about: "",
    text: &["sentence1"],
    pair: &["sentence2"],
    label: &["label"],
    headerless: &[],
    labels: &[],
    range: (0.0, 0.0),
    metrics: &[Metric::Accuracy],
    swapped: false,
};

/// Every task that is offered.
pub const TASKS: [GlueTask; 8] = [
    GlueTask {
        name: "cola",
        about: "is the sentence acceptable English?",
        text: &["sentence"],
        pair: &[],
        headerless: &["source", "label", "star", "sentence"],
        labels: &["unacceptable", "acceptable"],
        metrics: &[Metric::Matthews],
        ..NONE
    },
    GlueTask {
        name: "sst2",
        about: "is the review positive?",
        text: &["sentence"],
        pair: &[],
        labels: &["negative", "positive"],
        ..NONE
    },
    GlueTask {
        name: "mrpc",
        about: "do the sentences say the same?",
        text: &["#1 String", "sentence1"],
        pair: &["#2 String", "sentence2"],
        label: &["Quality", "label"],
        labels: &["not_equivalent", "equivalent"],
        metrics: &[Metric::Accuracy, Metric::F1],
        swapped: true,
        ..NONE
    },
    GlueTask {
        name: "stsb",
        about: "how much do the sentences say the same, from 0 to 5?",
        label: &["score", "label"],
        // Some rows name their sources behind these.
        headerless: &["genre", "file", "year", "id", "score", "sentence1", "sentence2"],
        range: (0.0, 5.0),
        metrics: &[Metric::Spearman, Metric::Pearson],
        swapped: true,
        ..NONE
    },
    GlueTask {
        name: "qqp",
        about: "do the questions ask the same?",
        text: &["question1"],
        pair: &["question2"],
        label: &["is_duplicate", "label"],
        labels: &["not_duplicate", "duplicate"],
        metrics: &[Metric::Accuracy, Metric::F1],
        ..NONE
    },
    GlueTask {
        name: "mnli",
        about: "does the second sentence follow from the first? (a dev file each for matched and mismatched sources)",
        text: &["sentence1", "premise"],
        pair: &["sentence2", "hypothesis"],
        label: &["gold_label", "label"],
        labels: &["entailment", "neutral", "contradiction"],
        ..NONE
    },
    GlueTask {
        name: "qnli",
        about: "does the sentence hold the answer to the question?",
        text: &["question"],
        pair: &["sentence"],
        labels: &["entailment", "not_entailment"],
        ..NONE
    },
    GlueTask {
        name: "rte",
        about: "does the second sentence follow from the first?",
        labels: &["entailment", "not_entailment"],
        ..NONE
    },
];

/// The task of a name.
///
/// # Errors
/// [`TaskError::NoTask`]; [`TaskError::Refused`] for wnli.
pub fn task(name: &str) -> Result<&'static GlueTask, TaskError> {
    if name == "wnli" {
        return Err(TaskError::Refused {
            name: "wnli",
            reason: "its dev sentences are those of training with the other label, so whoever learns scores below always \
                     giving the commoner answer, which is why papers leave it out",
        });
    }
    TASKS
        .iter()
        .find(|task| task.name == name)
        .ok_or_else(|| TaskError::NoTask { name: shortened(name, 40), known: TASKS.map(|task| task.name).join(", ") })
}

impl GlueTask {
    /// Its classes; none where its label is a value.
    pub fn label_names(&self) -> LabelNames {
        LabelNames::new(self.labels.iter().copied())
    }

    /// Reads one of its files. Labels that are held back (no column, an empty cell, -1) are none.
    ///
    /// # Errors
    /// [`TaskError`]: a file that cannot be read, a column that is not there, a label that is not the task's, no rows.
    pub fn read(&self, path: &Path, part: Part) -> Result<TaskData, TaskError> {
        let rows = Rows::open(path, TextEncoding::default(), Quotes::Text)?;
        let mut report = Report::of(&rows.file);
        let labels = self.label_names();
        let mut records = Vec::new();
        let text_columns = 1 + usize::from(!self.pair.is_empty());
        let mut add = |row: Row, with_id: bool, with_label: bool, report: &mut Report| -> Result<(), TaskError> {
            let Row { line, number, cells } = row;
            let mut cells = cells.into_iter();
            let texts = cells.by_ref().take(text_columns).map(Cell::text).collect();
            let id = if with_id { cells.next().and_then(Cell::text) } else { None };
            let cell = if with_label { cells.next().and_then(Cell::text) } else { None };
            let label = self.label_of(cell.as_deref().unwrap_or_default().trim(), &labels, &rows.file, line)?;
            if let Some(input) = texts_of(texts, line, part, report)
                && is_wanted(label.is_some(), line, part, report)
            {
                records.push(Record { id: id.unwrap_or_else(|| number.to_string()), line, input, label });
            }
            Ok(())
        };
        let headed = rows.first_of(self.text).is_some();
        if !headed && !self.headerless.is_empty() && rows.is_headerless(self.headerless.len()) {
            let place = |names: &[&str]| self.headerless.iter().position(|column| names.contains(column));
            let places: Vec<usize> = [self.text, self.pair, self.label].into_iter().filter_map(place).collect();
            let cells = self.headerless.len();
            rows.each_headerless(&places, cells, part, &mut report, |row, report| add(row, false, true, report))?;
        } else {
            let help = "is it a file of this task?";
            let find = |names: &[&'static str]| rows.first_of(names).ok_or_else(|| rows.without(names, help));
            let mut columns = vec![find(self.text)?];
            if !self.pair.is_empty() {
                columns.push(find(self.pair)?);
            }
            let id = rows.first_of(&["index", "idx", "id", "pairID"]);
            columns.extend(id);
            let label = if part == Part::Test { rows.first_of(self.label) } else { Some(find(self.label)?) };
            columns.extend(label);
            rows.each(&columns, part, &mut report, |row, report| add(row, id.is_some(), label.is_some(), report))?;
        }
        TaskData { records, labels, report }.checked(part)
    }

    fn label_of(&self, cell: &str, labels: &LabelNames, file: &str, line: u64) -> Result<Option<Label>, TaskError> {
        let value = number(cell);
        // -1 and - stand for labels that are held back or that nobody agreed on.
        if cell.is_empty() || cell == "-" || value == Some(-1.0) {
            return Ok(None);
        }
        if self.labels.is_empty() {
            let (low, high) = self.range;
            return match value.filter(|value| (low..=high).contains(value)) {
                Some(value) => Ok(Some(Label::Value(value))),
                None => Err(TaskError::Row {
                    file: file.into(),
                    place: format!("line {line}"),
                    reason: format!("the label is {:?}, expected a number from {low} to {high}", shortened(cell, 40)),
                }),
            };
        }
        let by_number = cell.parse().ok().filter(|&place: &usize| place < labels.len());
        let whose = format!("{}'s (or their numbers from 0)", self.name);
        match by_number {
            Some(place) => Ok(Some(Label::Class(place))),
            None => Ok(Some(Label::Class(labels.find(cell, file, line, &whose)?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Input;
    use std::fs;

    fn read(task_name: &str, file: &str, text: &str, part: Part) -> Result<TaskData, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        fs::write(&path, text).unwrap();
        let read = task(task_name).unwrap().read(&path, part);
        read.map_err(|e| e.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn plain(data: &TaskData) -> Vec<(String, String, Option<Label>)> {
        let texts = |record: &Record| match &record.input {
            Input::Text { text, pair: None } => text.clone(),
            Input::Text { text, pair: Some(pair) } => format!("{text}|{pair}"),
            _ => String::new(),
        };
        data.records.iter().map(|r| (r.id.clone(), texts(r), r.label.clone())).collect()
    }

    #[test]
    fn every_task_reads_its_own_files() {
        let class = |id: &str, text: &str, class| (id.to_string(), text.to_string(), Some(Label::Class(class)));
        for (name, file, text, expected) in [
            (
                "cola",
                "train.tsv",
                "gj04\t1\t\tHe \"left\".\nbc01\t0\t*\t\"Left he.\"\n",
                [class("0", "He \"left\".", 1), class("1", "\"Left he.\"", 0)],
            ),
            (
                "sst2",
                "train.tsv",
                "sentence\tlabel\nfine film \t1\r\nbad \t0\r\n",
                [class("0", "fine film ", 1), class("1", "bad ", 0)],
            ),
            (
                "mrpc",
                "msr.txt",
                "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\ta \"b\tc\n0\t9\t9\td\te\n",
                [class("0", "a \"b|c", 1), class("1", "d|e", 0)],
            ),
            (
                "qqp",
                "dev.tsv",
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n4\t1\t2\ta?\tb?\t0\n9\t3\t4\tc?\td?\t1\n",
                [class("4", "a?|b?", 0), class("9", "c?|d?", 1)],
            ),
            (
                "mnli",
                "dev_matched.tsv",
                "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\ta\tb\tneutral\tneutral\n5\tc\td\tentailment\tcontradiction\n",
                [class("0", "a|b", 1), class("5", "c|d", 2)],
            ),
            (
                "mnli",
                "hf.jsonl",
                "{\"premise\":\"a\",\"hypothesis\":\"b\",\"label\":0,\"idx\":3}\n{\"premise\":\"c\",\"hypothesis\":\"d\",\"label\":2,\"idx\":4}\n",
                [class("3", "a|b", 0), class("4", "c|d", 2)],
            ),
            (
                "qnli",
                "dev.tsv",
                "index\tquestion\tsentence\tlabel\n1\tq\ts\tentailment\n2\tr\tt\tnot_entailment\n",
                [class("1", "q|s", 0), class("2", "r|t", 1)],
            ),
            (
                "rte",
                "dev.csv",
                "sentence1,sentence2,label\n\"a, b\",c,1\nd,e,0\n",
                [class("0", "a, b|c", 1), class("1", "d|e", 0)],
            ),
        ] {
            for part in [Part::Train, Part::Dev, Part::Test] {
                let data = read(name, file, text, part).unwrap();
                assert_eq!(plain(&data), expected, "{name} {file}");
                assert_eq!(data.labels.names(), task(name).unwrap().labels);
            }
        }
        let text = "main\tMSR\t2012\t01\t5.000\ta\tb\nmain\tMSR\t2012\t02\t0.5\tc\t\"d\"\thttp\thttp\n";
        let data = read("stsb", "sts-dev.csv.tsv", text, Part::Train).unwrap();
        let values: Vec<_> = plain(&data).into_iter().map(|(_, text, label)| (text, label.unwrap())).collect();
        assert_eq!(values, [("a|b".into(), Label::Value(5.0)), ("c|\"d\"".into(), Label::Value(0.5))]);
    }

    #[test]
    fn test_files_have_no_labels() {
        let data = read("sst2", "test.tsv", "index\tsentence\n0\tfine\n1\tbad\n", Part::Test).unwrap();
        assert!(data.records.iter().all(|record| record.label.is_none()) && data.records[1].id == "1");
        let data = read("cola", "test.tsv", "index\tsentence\n0\tHe left.\n", Part::Test).unwrap();
        assert_eq!(plain(&data), [("0".into(), "He left.".into(), None)]);
        let data =
            read("rte", "test.jsonl", "{\"sentence1\":\"a\",\"sentence2\":\"b\",\"label\":-1}\n", Part::Test).unwrap();
        assert_eq!(data.records[0].label, None);
        let said = read("sst2", "test.tsv", "index\tsentence\n0\tfine\n", Part::Dev).unwrap_err();
        assert_eq!(said, "test.tsv: no column \"label\"; there are index, sentence; is it a file of this task?");
        let said = read("mnli", "x.tsv", "sentence1\tsentence2\tlabel\na\tb\t-\n", Part::Train).unwrap_err();
        assert_eq!(said, "x.tsv: not one of 1 row can be used; line 2: no label");
    }

    #[test]
    fn other_labels_and_tasks_are_refused() {
        let said = read("sst2", "a.tsv", "sentence\tlabel\nfine\t1\nbad\tpos\n", Part::Train).unwrap_err();
        assert_eq!(
            said,
            "a.tsv: line 3: the label \"pos\" is not one of sst2's (or their numbers from 0): negative, positive"
        );
        let said = read("stsb", "a.tsv", "sentence1\tsentence2\tscore\na\tb\t7\n", Part::Dev).unwrap_err();
        assert_eq!(said, "a.tsv: line 2: the label is \"7\", expected a number from 0 to 5");
        let said = read("mrpc", "a.tsv", "sentence\tlabel\na\t1\n", Part::Train).unwrap_err();
        assert!(
            said.starts_with("a.tsv: no column \"#1 String\" or \"sentence1\"; there are sentence, label"),
            "{said}"
        );
        assert!(task("wnli").unwrap_err().to_string().starts_with("wnli is not offered: its dev sentences"));
        assert_eq!(
            task("sst3").unwrap_err().to_string(),
            "no task \"sst3\"; there are cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte"
        );
        // A row of a wrong width is left out and counted.
        let data = read("rte", "a.tsv", "sentence1\tsentence2\tlabel\na\tb\t0\nc\td\ne\tf\t1\n", Part::Train).unwrap();
        assert_eq!((data.records.len(), data.report.left_out()), (2, 1));
    }
}
