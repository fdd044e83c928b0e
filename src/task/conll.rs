//! Words and their tags in columns, a word a line, a blank line between sentences: CoNLL's files.
//!
//! Columns stand between tabs where a line has one, else between blanks, and every line has as many as the first. `-DOCSTART-` ends a
//! sentence, and so does a comment of CoNLL-U (`# text = ...`). Tags in BIO may come as IOB1, where `B-` stands only between two spans
//! of a kind: the file is said to be so, and its spans are the same with a `B-` in front of each. An `I-` without a `B-` in a file
//! that is BIO otherwise is mended in the same way and counted.

use super::{Input, Label, LabelNames, Part, Record, Report, TaskData, TaskError};
use crate::numbers::{counted, shortened};
use crate::text::{Form, TextEncoding, read_whole};
use std::path::Path;

/// What tags mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagScheme {
    /// Spans: `B-X` begins one, `I-X` goes on with it, `O` is between. Measured by the F1 of spans.
    Bio,
    /// A class for each word, as in parts of speech. Measured by accuracy.
    Plain,
}

/// Which columns hold what, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConllColumns {
    /// The word.
    pub word: usize,
    /// The tag; the last one where it is not said.
    pub tag: Option<usize>,
}

/// A sentence's words and tags, and the line it starts on.
struct Sentence<'t> {
    line: u64,
    words: Vec<&'t str>,
    /// Empty where there are none.
    tags: Vec<&'t str>,
}

/// Reads a file of columns. `known` are the tags of training where there was one. For [`Part::Test`] a file of one column is words
/// without tags.
///
/// # Errors
/// [`TaskError`]: a file that cannot be read, a line with more or fewer columns than the first, a tag that is no BIO or was never
/// seen in training, no sentence.
pub fn read(
    path: &Path,
    encoding: TextEncoding,
    columns: ConllColumns,
    scheme: TagScheme,
    known: Option<&LabelNames>,
    part: Part,
) -> Result<TaskData, TaskError> {
    let file = path.display().to_string();
    let (text, form) = read_whole(path, encoding)?;
    if matches!(form, Form::Parquet | Form::JsonLines | Form::JsonValues) {
        let expected = "columns of words and tags, a word a line, as CoNLL has them";
        return Err(TaskError::Form { file, found: form.describe().into(), expected });
    }
    let mut report = Report::of(&file);
    let sentences = sentences(&text, &file, columns, part, &mut report)?;
    report.rows = sentences.len() as u64;
    let mended = match scheme {
        TagScheme::Bio => bio(&sentences, &file, &mut report)?,
        TagScheme::Plain => {
            sentences.iter().map(|sentence| sentence.tags.iter().map(|&tag| tag.to_owned()).collect()).collect()
        }
    };
    let labels = match (known, scheme) {
        (Some(known), _) => known.clone(),
        (None, TagScheme::Plain) => LabelNames::sorted(mended.iter().flatten().map(String::as_str)),
        (None, TagScheme::Bio) => {
            LabelNames::bio(mended.iter().flatten().filter_map(|tag| Some(tag.split_once('-')?.1)))
        }
    };
    let mut records = Vec::with_capacity(sentences.len());
    for (number, (sentence, tags)) in sentences.into_iter().zip(mended).enumerate() {
        let places = (sentence.line..).zip(&tags).map(|(line, tag)| labels.find(tag, &file, line, "those in training"));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        records.push(Record {
            id: number.to_string(),
            line: sentence.line,
            input: Input::Words(sentence.words.iter().map(|&word| word.to_owned()).collect()),
            label: (!tags.is_empty()).then_some(Label::Tags(places)),
        });
    }
    TaskData { records, labels, report }.checked(part)
}

fn sentences<'t>(
    text: &'t str,
    file: &str,
    columns: ConllColumns,
    part: Part,
    report: &mut Report,
) -> Result<Vec<Sentence<'t>>, TaskError> {
    let mut sentences = Vec::new();
    let mut current: Option<Sentence<'t>> = None;
    let mut expected = None;
    let mut starts = 0;
    let mut cells: Vec<&str> = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let wrong = |reason: String| TaskError::Row { file: file.into(), place: format!("line {line}"), reason };
        if row.trim().is_empty() {
            sentences.extend(current.take());
            continue;
        }
        if row.starts_with("-DOCSTART-") {
            starts += 1;
            sentences.extend(current.take());
            continue;
        }
        if current.is_none() && row.starts_with("# ") && (row.contains(" = ") || row.starts_with("# id ")) {
            report.keep("a comment, passed over", format!("line {line}"));
            continue;
        }
        cells.clear();
        match row.contains('\t') {
            true => cells.extend(row.split('\t').map(str::trim)),
            false => cells.extend(row.split_whitespace()),
        }
        let count = *expected.get_or_insert(cells.len());
        if cells.len() != count {
            let first = shortened(row.trim(), 30);
            return Err(wrong(format!("{} columns, expected {count} as in the first line: {first:?}", cells.len())));
        }
        let untagged = part == Part::Test && count == 1;
        let tag = columns.tag.unwrap_or(count - 1);
        if columns.word >= count || tag >= count || (tag == columns.word && !untagged) {
            let need = columns.word.max(tag).max(1) + 1;
            return Err(wrong(format!("{}, expected at least {need}", counted(count as u64, "column"))));
        }
        if cells[columns.word].is_empty() || (!untagged && cells[tag].is_empty()) {
            return Err(wrong("an empty word or tag".into()));
        }
        let sentence = current.get_or_insert_with(|| Sentence { line, words: Vec::new(), tags: Vec::new() });
        sentence.words.push(cells[columns.word]);
        if !untagged {
            sentence.tags.push(cells[tag]);
        }
    }
    sentences.extend(current);
    if starts > 0 {
        report.note(format!("{} passed over", counted(starts, "-DOCSTART- line")));
    }
    Ok(sentences)
}

/// The tags with a `B-` in front of every span.
fn bio(sentences: &[Sentence<'_>], file: &str, report: &mut Report) -> Result<Vec<Vec<String>>, TaskError> {
    // Of spans with another before them that they do not belong to: how many have a B-, and how many an I-. IOB1 has none of the
    // first.
    let (mut begun, mut unbegun) = (0_u64, Vec::new());
    let mut all = Vec::with_capacity(sentences.len());
    for sentence in sentences {
        let mut tags = Vec::with_capacity(sentence.tags.len());
        let mut before: Option<&str> = None;
        for (line, &tag) in (sentence.line..).zip(&sentence.tags) {
            let split = tag.split_once('-').filter(|(head, kind)| matches!(*head, "B" | "I") && !kind.is_empty());
            let Some((head, kind)) = split else {
                if tag != "O" {
                    let reason = format!("the tag {:?} is not O, B-... or I-...", shortened(tag, 30));
                    return Err(TaskError::Row { file: file.into(), place: format!("line {line}"), reason });
                }
                before = None;
                tags.push(tag.to_owned());
                continue;
            };
            let goes_on = before == Some(kind);
            if !goes_on && head == "B" {
                begun += 1;
            } else if !goes_on {
                unbegun.push(line);
            }
            tags.push(if goes_on { tag.to_owned() } else { format!("B-{kind}") });
            before = Some(kind);
        }
        all.push(tags);
    }
    match &unbegun[..] {
        [] => {}
        [first, ..] if begun == 0 => {
            let spans = counted(unbegun.len() as u64, "span");
            report.note(format!("tags are IOB1; {spans} that begin with I- (first line {first}) are given a B-"));
        }
        lines => lines.iter().for_each(|line| report.keep("an I- without a B-, made a B-", format!("line {line}"))),
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_text(text: &str, scheme: TagScheme, known: Option<&LabelNames>, part: Part) -> Result<TaskData, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, text).unwrap();
        let read = read(&path, TextEncoding::default(), ConllColumns::default(), scheme, known, part);
        read.map_err(|e| e.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn tags(data: &TaskData) -> Vec<(u64, String)> {
        let name = |places: &[usize]| places.iter().map(|&p| data.labels.name(p)).collect::<Vec<_>>().join(" ");
        let of = |record: &Record| match &record.label {
            Some(Label::Tags(places)) => name(places),
            _ => "-".into(),
        };
        data.records.iter().map(|record| (record.line, of(record))).collect()
    }

    #[test]
    fn sentences_end_at_blank_lines_and_at_documents() {
        let text = "-DOCSTART- -X- O\n\nThe DT B-NP\ncat NN I-NP\nsat VBD B-VP\n\n \n# # O\n# id = 3\n";
        let data = read_text(&text[..text.len() - 9], TagScheme::Bio, None, Part::Train).unwrap();
        assert_eq!(tags(&data), [(3, "B-NP I-NP B-VP".into()), (8, "O".into())]);
        assert_eq!(data.labels.names(), ["O", "B-NP", "I-NP", "B-VP", "I-VP"]);
        assert_eq!(data.records[0].input, Input::Words(["The", "cat", "sat"].map(String::from).into()));
        assert_eq!(data.report.notes, ["1 -DOCSTART- line passed over"]);
        // A tab separates columns that hold blanks.
        let data = read_text("New York\tB-LOC\nis\tO\r\n\r\nx\tO", TagScheme::Bio, None, Part::Train).unwrap();
        assert_eq!(data.records[0].input, Input::Words(["New York", "is"].map(String::from).into()));
        let data = read_text("# sent_id = 1\na DT\nb NN\n", TagScheme::Plain, None, Part::Train).unwrap();
        assert_eq!((tags(&data), data.labels.names().len()), (vec![(2, "DT NN".into())], 2));
    }

    #[test]
    fn spans_are_given_a_b() {
        let iob1 = "a I-PER\nb I-PER\nc B-PER\nd O\ne I-LOC\n";
        let data = read_text(iob1, TagScheme::Bio, None, Part::Train).unwrap();
        assert_eq!(tags(&data)[0].1, "B-PER I-PER B-PER O B-LOC");
        assert!(data.report.notes[0].starts_with("tags are IOB1; 2 spans"), "{:?}", data.report);
        let wrong = "a B-PER\nb I-LOC\nc O\nd I-PER\n";
        let data = read_text(wrong, TagScheme::Bio, None, Part::Train).unwrap();
        assert_eq!(tags(&data)[0].1, "B-PER B-LOC O B-PER");
        let oddity = &data.report.oddities[0];
        assert_eq!((oddity.count, oddity.first.as_str()), (2, "line 2"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let known = LabelNames::bio(["NP"]);
        for (text, known, part, expected) in [
            ("a B-NP\nb\n", None, Part::Train, "a.txt: line 2: 1 columns, expected 2 as in the first line: \"b\""),
            ("a\nb\n", None, Part::Train, "a.txt: line 1: 1 column, expected at least 2"),
            ("a B-NP\nb E-NP\n", None, Part::Train, "a.txt: line 2: the tag \"E-NP\" is not O, B-... or I-..."),
            ("a B-NP\nb B-\n", None, Part::Train, "a.txt: line 2: the tag \"B-\" is not O, B-... or I-..."),
            (
                "a O\n\nb B-VP\n",
                Some(&known),
                Part::Dev,
                "a.txt: line 3: the label \"B-VP\" is not one of those in training: O, B-NP, I-NP",
            ),
            ("a\tB-NP\n\tO\n", None, Part::Train, "a.txt: line 2: an empty word or tag"),
            ("\n-DOCSTART- O\n", None, Part::Train, "a.txt: holds no rows"),
        ] {
            assert_eq!(read_text(text, TagScheme::Bio, known, part).unwrap_err(), expected);
        }
        let data = read_text("a\nb\n\nc\n", TagScheme::Bio, Some(&known), Part::Test).unwrap();
        assert_eq!(tags(&data), [(1, "-".into()), (4, "-".into())]);
    }
}
