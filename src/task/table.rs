//! One's own tables: csv, tsv, lines or arrays of JSON, parquet; the columns by their names.
//!
//! * Labels are compared as they are written, without white space around them: 1 and 1.0 are two. Their order is that of their values
//!   where all are numbers, else of their letters.
//! * Several labels are a list of JSON, or stand in a cell with a separator between them; an empty cell then is none of them,
//!   while a field that is not there is no label.
//! * A cell without text is no label. A number that is none is an error: what it should have been is not guessed.

use super::rows::{Cell, Quotes, Row, Rows};
use super::{Input, Label, LabelNames, Part, Record, Report, TaskData, TaskError};
use crate::numbers::shortened;
use crate::text::TextEncoding;
use std::path::Path;

const HELP: &str = "name columns with --text, --pair, --label";

/// Which columns of a table hold what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// What is read.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// What is to be said; needed but for [`Part::Test`].
    pub label: Option<String>,
    /// An id; without one, a row's number is its id.
    pub id: Option<String>,
}

/// What labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelKind {
    /// One of some classes.
    Class,
    /// Any number of labels, in a cell with this between them.
    Classes {
        /// Such as `,`.
        separator: char,
    },
    /// A number.
    Value,
}

/// Reads a table. `known` are the labels of training where there was one; without, they are those that the table has.
///
/// # Errors
/// [`TaskError`]: a file that cannot be read, a column that is not there, a label that is not among the known, a number that is
/// none, no rows; in training, one label only.
pub fn read(
    path: &Path,
    encoding: TextEncoding,
    columns: &Columns,
    kind: LabelKind,
    known: Option<&LabelNames>,
    part: Part,
) -> Result<TaskData, TaskError> {
    of_rows(&Rows::open(path, encoding, Quotes::Around)?, columns, kind, known, part)
}

/// The same of rows that were opened.
pub(super) fn of_rows(
    rows: &Rows,
    columns: &Columns,
    kind: LabelKind,
    known: Option<&LabelNames>,
    part: Part,
) -> Result<TaskData, TaskError> {
    let mut asked = vec![columns.text.as_str()];
    asked.extend(columns.pair.as_deref());
    let text_columns = asked.len();
    asked.extend(columns.id.as_deref());
    // What is predicted may come with labels or without.
    let label = columns.label.as_deref().filter(|name| part != Part::Test || rows.has(name));
    asked.extend(label);
    if let Some(missing) = asked.iter().find(|name| !rows.has(name)) {
        return Err(rows.without(&[missing], HELP));
    }
    if label.is_none() && part != Part::Test {
        return Err(rows.without(&["label"], HELP));
    }
    let mut report = Report::of(&rows.file);
    let mut found: Vec<(Record, Option<Said>)> = Vec::new();
    rows.each(&asked, part, &mut report, |row, report| {
        let Row { line, number, cells } = row;
        let mut cells = cells.into_iter();
        let texts = cells.by_ref().take(text_columns).map(Cell::text).collect();
        let id = columns.id.as_ref().and_then(|_| cells.next()?.text()).filter(|id| !id.trim().is_empty());
        let said = label.map(|_| said(cells.next(), kind, &rows.file, line)).transpose()?.flatten();
        if let Some(input) = texts_of(texts, line, part, report)
            && is_wanted(said.is_some(), line, part, report)
        {
            let id = id.unwrap_or_else(|| number.to_string());
            found.push((Record { id, line, input, label: None }, said));
        }
        Ok(())
    })?;
    let labels = match known {
        Some(known) => known.clone(),
        None => LabelNames::sorted(found.iter().flat_map(|(_, said)| said.iter().flat_map(Said::names))),
    };
    let mut records = Vec::with_capacity(found.len());
    for (mut record, said) in found {
        let place = |name: &String| labels.find(name, &rows.file, record.line, "those in training");
        record.label = match said {
            None => None,
            Some(Said::Value(value)) => Some(Label::Value(value)),
            Some(Said::One(name)) => Some(Label::Class(place(&name)?)),
            Some(Said::Many(names)) => {
                let mut places = names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
                places.sort_unstable();
                places.dedup();
                Some(Label::Classes(places))
            }
        };
        records.push(record);
    }
    TaskData { records, labels, report }.checked(part)
}

/// A label before it has a place.
enum Said {
    One(String),
    Many(Vec<String>),
    Value(f64),
}

impl Said {
    fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
            Self::Value(_) => &[],
        };
        names.iter().map(String::as_str)
    }
}

fn said(cell: Option<Cell>, kind: LabelKind, file: &str, line: u64) -> Result<Option<Said>, TaskError> {
    let wrong = |reason: String| TaskError::Row { file: file.into(), place: format!("line {line}"), reason };
    let parts = |items: Vec<String>| {
        let items = items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty());
        Some(Said::Many(items.collect()))
    };
    Ok(match (cell, kind) {
        (None | Some(Cell::Missing), _) => None,
        (Some(Cell::List(items)), LabelKind::Classes { .. }) => parts(items),
        (Some(Cell::List(_)), _) => return Err(wrong("the label is a list, expected one".into())),
        (Some(Cell::Text(text)), LabelKind::Classes { separator }) => {
            parts(text.split(separator).map(str::to_owned).collect())
        }
        (Some(Cell::Text(text)), _) if text.trim().is_empty() => None,
        (Some(Cell::Text(text)), LabelKind::Class) => Some(Said::One(text.trim().to_owned())),
        (Some(Cell::Text(text)), LabelKind::Value) => match number(&text) {
            Some(value) => Some(Said::Value(value)),
            None => return Err(wrong(format!("the label is {:?}, expected a number", shortened(text.trim(), 40)))),
        },
    })
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

/// One text or two, if the row is wanted with what they hold.
pub(super) fn texts_of(texts: Vec<Option<String>>, line: u64, part: Part, report: &mut Report) -> Option<Input> {
    let mut texts = texts.into_iter().map(Option::unwrap_or_default);
    let (text, pair) = (texts.next().unwrap_or_default(), texts.next());
    if text.trim().is_empty() || pair.as_ref().is_some_and(|pair| pair.trim().is_empty()) {
        let place = format!("line {line}");
        if part == Part::Train {
            report.leave_out("an empty text", place);
            return None;
        }
        report.keep("an empty text", place);
    }
    Some(Input::Text { text, pair })
}

/// Whether a row is wanted with or without its label.
pub(super) fn is_wanted(labelled: bool, line: u64, part: Part, report: &mut Report) -> bool {
    if !labelled && part != Part::Test {
        report.leave_out("no label", format!("line {line}"));
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn columns() -> Columns {
        Columns { text: "review".into(), label: Some("stars".into()), ..Columns::default() }
    }

    fn read_text(
        name: &str,
        text: &str,
        kind: LabelKind,
        known: Option<&LabelNames>,
        part: Part,
    ) -> Result<TaskData, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let read = read(&path, TextEncoding::default(), &columns(), kind, known, part);
        read.map_err(|e| e.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn texts(data: &TaskData) -> Vec<(&str, &str, u64, Option<Label>)> {
        let of = |record: &'_ Record| match &record.input {
            Input::Text { text, .. } => text.clone().leak() as &str,
            _ => "",
        };
        data.records.iter().map(|r| (r.id.as_str(), of(r), r.line, r.label.clone())).collect()
    }

    #[test]
    fn every_form_of_a_table_says_the_same() {
        let forms = [
            ("a.csv", "id,review,stars\n7,\"good, \"\"very\"\" good\",2\n8,bad,10\n"),
            ("a.tsv", "id\tstars\treview\n7\t2\t\"good, \"\"very\"\" good\"\n8\t10\tbad\n"),
            ("b.csv", "stars;id;review\n2;7;\"good, \"\"very\"\" good\"\n10;8;bad\n"),
            (
                "a.jsonl",
                "{\"review\": \"good, \\\"very\\\" good\", \"stars\": 2}\n{\"stars\": \"10\", \"review\": \"bad\"}\n",
            ),
            (
                "a.json",
                "[{\"review\": \"good, \\\"very\\\" good\", \"stars\": 2},\n{\"stars\": \"10\", \"review\": \"bad\"}]",
            ),
        ];
        for (name, text) in forms {
            let data = read_text(name, text, LabelKind::Class, None, Part::Train).unwrap();
            let found: Vec<_> = texts(&data).into_iter().map(|(id, text, _, label)| (id, text, label)).collect();
            let expected = [("0", "good, \"very\" good", Some(Label::Class(0))), ("1", "bad", Some(Label::Class(1)))];
            assert_eq!(found, expected, "{name}");
            assert_eq!(data.labels.names(), ["2", "10"], "{name}");
            assert_eq!(data.report.oddities.len(), 2, "labels with one example: {:?}", data.report);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_an_error_with_its_place() {
        let said = |name: &str, text: &str, kind, known, part| read_text(name, text, kind, known, part).unwrap_err();
        let known = LabelNames::new(["1", "2"]);
        let (class, value) = (LabelKind::Class, LabelKind::Value);
        for (text, kind, known, part, expected) in [
            (
                "review,star\na,1\n",
                class,
                None,
                Part::Train,
                "a.csv: no column \"stars\"; there are review, star; name columns with --text, --pair, --label",
            ),
            (
                "review,stars\na,1\nb,3\n",
                class,
                Some(&known),
                Part::Dev,
                "a.csv: line 3: the label \"3\" is not one of those in training: 1, 2",
            ),
            (
                "review,stars\na,1\nb,x\n",
                value,
                None,
                Part::Train,
                "a.csv: line 3: the label is \"x\", expected a number",
            ),
            (
                "review,stars\na,1\nb,inf\n",
                value,
                None,
                Part::Train,
                "a.csv: line 3: the label is \"inf\", expected a number",
            ),
            (
                "review,stars\na,1\nb,1\n",
                class,
                None,
                Part::Train,
                "a.csv: every row has the label \"1\"; there is nothing to learn from one label alone",
            ),
            (
                "review,stars\na,1.5\nb,1.5\n",
                value,
                None,
                Part::Train,
                "a.csv: every row has the label \"1.5\"; there is nothing to learn from one label alone",
            ),
            ("review,stars\n", class, None, Part::Train, "a.csv: holds no rows"),
            (
                "review,stars\n,1\n ,2\n",
                class,
                None,
                Part::Train,
                "a.csv: not one of 2 rows can be used; line 2: an empty text",
            ),
            ("review,stars\na,1\nb\n", class, None, Part::Test, "a.csv: line 3: 1 cells, expected 2"),
        ] {
            assert_eq!(said("a.csv", text, kind, known, part), expected);
        }
        assert!(said("a.txt", "prose", class, None, Part::Train).contains("lines of text without columns"));
        assert!(said("a.txt", "", class, None, Part::Train).contains("holds no rows"));
        assert!(said("a.jsonl", "{\"review\": \"a\"}\n", class, None, Part::Dev).contains("there are review;"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, b"review,stars\ncaf\xe9,1\n").unwrap();
        let error = read(&path, TextEncoding::default(), &columns(), class, None, Part::Train).unwrap_err().to_string();
        assert!(error.contains("is not UTF-8: byte 16, on line 2"), "{error}");
        let data = read(&path, "latin1".parse().unwrap(), &columns(), class, Some(&known), Part::Dev).unwrap();
        assert_eq!(texts(&data)[0].1, "café");
    }

    #[test]
    fn what_is_wrong_with_a_row_is_counted() {
        let text = "review,stars\na,1\n,2\nb,\nc,2,3\n\"d\ne\",2\nf,2\n";
        let data = read_text("a.csv", text, LabelKind::Class, None, Part::Train).unwrap();
        assert_eq!(texts(&data).iter().map(|t| (t.1, t.2)).collect::<Vec<_>>(), [("a", 2), ("d\ne", 6), ("f", 8)]);
        let remarks: Vec<String> =
            data.report.remarks().iter().map(|line| line.split_once(".csv: ").unwrap().1.to_owned()).collect();
        assert_eq!(
            remarks,
            [
                "1 time left out: an empty text (line 3)",
                "1 time left out: no label (line 4)",
                "1 time left out: 3 cells, expected 2 (line 5)",
                "1 time: a label with a single example (\"1\") (line 2)",
            ]
        );
        let json =
            "{\"review\": \"a\", \"stars\": 1}\n{\"review\": \"b\"}\n{\"review\n{\"review\": null, \"stars\": 1}\n";
        let known = LabelNames::new(["1", "2"]);
        let data = read_text("a.jsonl", json, LabelKind::Class, Some(&known), Part::Dev).unwrap();
        assert_eq!((data.records.len(), data.report.left_out(), data.report.rows), (2, 2, 4));
        // Where all are to be answered, labels need not be there.
        let data = read_text("a.csv", "review\na\n\" \"\n", LabelKind::Class, Some(&known), Part::Test).unwrap();
        assert_eq!(texts(&data), [("0", "a", 2, None), ("1", " ", 3, None)]);
    }

    #[test]
    fn parquet_is_read_by_columns() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet");
        let columns = Columns { text: "text".into(), label: Some("id".into()), ..Columns::default() };
        let expected = fs::read_to_string(folder.join("rows.txt")).unwrap();
        for name in ["none", "snappy", "snappy_v2", "zstd", "zstd_v2", "gzip", "lz4"] {
            let path = folder.join(format!("{name}.parquet"));
            let read =
                |columns: &Columns, part| read(&path, TextEncoding::default(), columns, LabelKind::Value, None, part);
            let data = read(&columns, Part::Train).unwrap();
            let found: Vec<_> = texts(&data).into_iter().map(|(_, text, ..)| text).collect();
            assert_eq!(found, expected.lines().collect::<Vec<_>>(), "{name}");
            // The eighth row is missing, and labels go on behind it.
            assert_eq!((data.report.rows, data.report.left_out()), (60, 1));
            assert_eq!((data.records[7].line, &data.records[7].label), (9, &Some(Label::Value(8.0))));
            let other = Columns { text: "body".into(), ..columns.clone() };
            let said = read(&other, Part::Test).unwrap_err().to_string();
            assert!(
                said.ends_with("no column \"body\"; there are id, text; name columns with --text, --pair, --label"),
                "{said}"
            );
        }
    }

    #[test]
    fn there_may_be_several_labels() {
        let kind = LabelKind::Classes { separator: ';' };
        let data = read_text("a.csv", "review,stars\na,x; y\nb,\nc,y;y\n", kind, None, Part::Train).unwrap();
        let labels: Vec<_> = data.records.iter().map(|record| record.label.clone().unwrap()).collect();
        let of = |places: &[usize]| Label::Classes(places.into());
        assert_eq!(labels, [of(&[0, 1]), of(&[]), of(&[1])]);
        assert_eq!(data.label_counts(), [1, 2]);
        let json =
            "{\"review\": \"a\", \"stars\": [\"y\", \"x\"]}\n{\"review\": \"b\", \"stars\": []}\n{\"review\": \"c\"}\n";
        let data = read_text("a.jsonl", json, kind, None, Part::Train).unwrap();
        let labels: Vec<_> = data.records.iter().map(|record| record.label.clone().unwrap()).collect();
        assert_eq!(labels, [of(&[0, 1]), of(&[])]);
    }
}
