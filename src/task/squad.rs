//! Questions to texts: SQuAD's JSON.
//!
//! The file counts characters; here answers stand at bytes of their context. What does not stand where the file says is counted, and
//! no other place is looked for; where that is most of a file's answers, its offsets count something else, and it is refused.

use super::score::answers::Version;
use super::{Answer, Input, Label, LabelNames, Part, Record, Report, TaskData, TaskError};
use crate::numbers::shortened;
use crate::text::{Form, TextEncoding, read_whole};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

#[derive(Deserialize)]
struct Squad<'t> {
    #[serde(borrow)]
    data: Vec<Article<'t>>,
}

#[derive(Deserialize)]
struct Article<'t> {
    #[serde(borrow)]
    paragraphs: Vec<Paragraph<'t>>,
}

#[derive(Deserialize)]
struct Paragraph<'t> {
    #[serde(borrow)]
    context: Cow<'t, str>,
    #[serde(borrow)]
    qas: Vec<Question<'t>>,
}

#[derive(Deserialize)]
struct Question<'t> {
    #[serde(borrow)]
    id: Cow<'t, str>,
    #[serde(borrow)]
    question: Cow<'t, str>,
    #[serde(borrow)]
    answers: Option<Vec<FileAnswer<'t>>>,
    #[serde(default)]
    is_impossible: bool,
}

#[derive(Deserialize)]
struct FileAnswer<'t> {
    #[serde(borrow)]
    text: Cow<'t, str>,
    answer_start: i64,
}

/// Where characters of a text stand in it.
struct Offsets {
    /// The byte at which each character starts, and the end; `None` where both count alike.
    starts: Option<Vec<u32>>,
    length: usize,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let starts = (!text.is_ascii())
            .then(|| text.char_indices().map(|(at, _)| at as u32).chain([text.len() as u32]).collect());
        Self { starts, length: text.len() }
    }

    /// The byte of a character; `None` behind the end.
    fn byte(&self, character: i64) -> Option<usize> {
        let character = usize::try_from(character).ok()?;
        match &self.starts {
            Some(starts) => starts.get(character).map(|&at| at as usize),
            None => (character <= self.length).then_some(character),
        }
    }
}

/// Answers that were looked up.
#[derive(Default)]
struct Looked {
    answers: u64,
    wrong: u64,
    first: Option<(String, String, String)>,
}

/// Reads a file. Of version 1.1 a question without an answer is left out; of 2.0 it is one that cannot be answered. For [`Part::Test`]
/// the answers may be missing.
///
/// # Errors
/// [`TaskError`]: a file that cannot be read or is not SQuAD's, answers most of which are not at their offset, no question.
pub fn read(path: &Path, version: Version, part: Part) -> Result<TaskData, TaskError> {
    let file = path.display().to_string();
    let (text, form) = read_whole(path, TextEncoding::default())?;
    const EXPECTED: &str = "SQuAD's JSON: {\"data\": [{\"paragraphs\": [{\"context\", \"qas\": [...]}]}]}";
    if !matches!(form, Form::JsonLines | Form::JsonValues) {
        return Err(TaskError::Form { file, found: form.describe().into(), expected: EXPECTED });
    }
    let squad: Squad<'_> = serde_json::from_str(&text).map_err(|e| TaskError::Row {
        file: file.clone(),
        place: format!("line {}, column {}", e.line(), e.column()),
        reason: format!(
            "{}; expected {EXPECTED}",
            shortened(e.to_string().split(" at line ").next().unwrap_or_default(), 120)
        ),
    })?;
    let mut report = Report::of(&file);
    let mut looked = Looked::default();
    let mut records = Vec::new();
    let mut ids = HashSet::new();
    for paragraph in squad.data.into_iter().flat_map(|article| article.paragraphs) {
        let offsets = Offsets::of(&paragraph.context);
        let context: Arc<str> = paragraph.context.as_ref().into();
        for question in paragraph.qas {
            report.rows += 1;
            let place = format!("question {:?}", shortened(&question.id, 40));
            if !ids.insert(question.id.clone()) {
                report.keep("an id that was there before", place.clone());
            }
            if question.question.trim().is_empty() || context.trim().is_empty() {
                if part == Part::Train {
                    report.leave_out("an empty question or context", place);
                    continue;
                }
                report.keep("an empty question or context", place.clone());
            }
            let labelled = question.answers.is_some() || question.is_impossible;
            let wanted = answers(&question, &context, &offsets, &mut looked);
            let none = wanted.is_empty();
            let placed: Vec<Answer> = match part {
                Part::Train => wanted.into_iter().filter(|answer| answer.bytes.is_some()).collect(),
                Part::Dev | Part::Test => wanted,
            };
            let reason = match version {
                _ if part == Part::Test => None,
                _ if !labelled => Some("no answers"),
                Version::One if none => Some("a question without an answer, which version 1.1 has not"),
                _ if !none && placed.is_empty() => Some("no answer at its offset"),
                _ => None,
            };
            if let Some(reason) = reason {
                report.leave_out(reason, place);
                continue;
            }
            if question.is_impossible && question.answers.as_ref().is_some_and(|answers| !answers.is_empty()) {
                report.keep("an impossible question with answers, which are not read", place.clone());
            }
            records.push(Record {
                id: question.id.into_owned(),
                line: report.rows,
                input: Input::Question { question: question.question.into_owned(), context: context.clone() },
                label: labelled.then_some(Label::Answers(placed)),
            });
        }
    }
    if let Some((place, expected, found)) = looked.first {
        if looked.wrong * 2 > looked.answers {
            let (wrong, answers) = (looked.wrong, looked.answers);
            return Err(TaskError::Offsets { file, wrong, answers, place, expected, found });
        }
        for _ in 0..looked.wrong {
            report.keep("an answer that is not at its offset", place.clone());
        }
    }
    TaskData { records, labels: LabelNames::default(), report }.checked(part)
}

fn answers(question: &Question<'_>, context: &str, offsets: &Offsets, looked: &mut Looked) -> Vec<Answer> {
    if question.is_impossible {
        return Vec::new();
    }
    let place = |answer: &FileAnswer<'_>| {
        looked.answers += 1;
        let start = offsets.byte(answer.answer_start);
        let found = start.and_then(|start| context.get(start..start + answer.text.len()));
        // Nothing stands everywhere, and is no answer.
        let right = found == Some(answer.text.as_ref()) && !answer.text.trim().is_empty();
        if !right {
            looked.wrong += 1;
            looked.first.get_or_insert_with(|| {
                let there = start.map_or("", |start| &context[start..]);
                let length = answer.text.chars().count().min(40);
                let cut: String = there.chars().take(length).collect();
                (format!("question {:?}", shortened(&question.id, 40)), shortened(&answer.text, 40), cut)
            });
        }
        let bytes = start.filter(|_| right).map(|start| start..start + answer.text.len());
        Answer { text: answer.text.clone().into_owned(), bytes }
    };
    question.answers.iter().flatten().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_text(text: &str, version: Version, part: Part) -> Result<TaskData, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, text).unwrap();
        read(&path, version, part).map_err(|e| e.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    /// A file of one paragraph with these questions.
    fn file(questions: &str) -> String {
        format!(
            "{{\"version\": \"x\", \"data\": [{{\"title\": \"t\", \"paragraphs\": [{{\"context\": \"Zoë saw \\\"the\\\" café – twice.\", \
             \"qas\": [{questions}]}}]}}]}}"
        )
    }

    fn question(id: &str, rest: &str) -> String {
        format!("{{\"id\": \"{id}\", \"question\": \"Who?\"{rest}}}")
    }

    #[test]
    fn answers_stand_at_bytes_of_the_context() {
        let answers = ", \"answers\": [{\"text\": \"Zoë\", \"answer_start\": 0}, {\"text\": \"café\", \"answer_start\": 14}, \
                       {\"text\": \"– twice.\", \"answer_start\": 19}]";
        let data = read_text(&file(&question("q1", answers)), Version::One, Part::Train).unwrap();
        let Some(Label::Answers(answers)) = &data.records[0].label else { panic!("{data:?}") };
        let Input::Question { context, .. } = &data.records[0].input else { panic!("{data:?}") };
        assert_eq!(answers.len(), 3);
        for answer in answers {
            assert_eq!(&context[answer.bytes.clone().unwrap()], answer.text);
        }
        assert!(data.report.oddities.is_empty());
    }

    #[test]
    fn questions_without_answers_are_as_their_version_has_them() {
        let good = question("g", ", \"answers\": [{\"text\": \"saw\", \"answer_start\": 4}]");
        let impossible = question("i", ", \"answers\": [], \"is_impossible\": true, \"plausible_answers\": []");
        let both = file(&format!("{good}, {impossible}"));
        for part in [Part::Train, Part::Dev] {
            let two = read_text(&both, Version::Two, part).unwrap();
            assert_eq!(two.records[1].label, Some(Label::Answers(Vec::new())));
            let one = read_text(&both, Version::One, part).unwrap();
            assert_eq!((one.records.len(), one.report.left_out()), (1, 1));
        }
        let bare = file(&question("b", ""));
        assert_eq!(read_text(&bare, Version::Two, Part::Test).unwrap().records[0].label, None);
        let said = read_text(&bare, Version::Two, Part::Dev).unwrap_err();
        assert_eq!(said, "a.json: not one of 1 row can be used; question \"b\": no answers");
    }

    #[test]
    fn answers_elsewhere_are_counted_or_refused() {
        let at = |id: &str, start: i64| {
            question(id, &format!(", \"answers\": [{{\"text\": \"saw\", \"answer_start\": {start}}}]"))
        };
        let some = file(&[at("a", 4), at("b", 4), at("c", 5), at("d", -1), at("e", 4)].join(","));
        let train = read_text(&some, Version::One, Part::Train).unwrap();
        assert_eq!((train.records.len(), train.report.left_out()), (3, 2));
        let dev = read_text(&some, Version::One, Part::Dev).unwrap();
        assert_eq!((dev.records.len(), dev.report.left_out()), (5, 0));
        assert_eq!((dev.report.oddities[0].count, dev.report.oddities[0].first.as_str()), (2, "question \"c\""));
        let said = read_text(&file(&[at("a", 5), at("b", 400)].join(",")), Version::One, Part::Dev).unwrap_err();
        assert_eq!(
            said,
            "a.json: 2 of 2 answers are not at their offset; question \"a\": expected \"saw\", found \"aw \"; offsets count \
             characters from 0"
        );
    }

    #[test]
    fn what_is_not_squad_is_said() {
        let said =
            read_text("{\"data\": [{\"paragraphs\":\n[{\"context\": 3}]}]}", Version::One, Part::Train).unwrap_err();
        assert!(
            said.starts_with("a.json: line 2, column 14: invalid type") && said.contains("expected SQuAD's"),
            "{said}"
        );
        let said = read_text("{\"data\": [{\"paragraphs\":", Version::One, Part::Train).unwrap_err();
        assert!(said.contains("EOF"), "{said}");
        assert_eq!(read_text("{\"data\": []}", Version::One, Part::Dev).unwrap_err(), "a.json: holds no rows");
        let twice = file(&[question("a", ""), question("a", "")].join(","));
        assert_eq!(read_text(&twice, Version::Two, Part::Test).unwrap().report.oddities[0].count, 1);
    }
}
