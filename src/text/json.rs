//! Records of JSON: one after the other, and the text in one.

use crate::numbers::shortened;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{self, BufRead as _, BufReader, Read};

/// The longest record, in bytes.
pub(super) const MAXIMUM_RECORD: usize = 64 << 20;

/// Why a record gives no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It has no such field.
    Missing,
    /// Anything else, in words.
    Broken(String),
}

/// The text of a record: of its field, or of the record itself where that is a string. Blank for `null`.
pub(super) fn text_of<'a>(record: &'a str, field: &str) -> Result<Cow<'a, str>, Bad> {
    let mut json = serde_json::Deserializer::from_str(record);
    let found = Field { name: field }.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    match found {
        Ok(Some(text)) => Ok(text),
        Ok(None) if field.contains('.') => nested(record, field),
        Ok(None) => Err(Bad::Missing),
        // Where the record is, is said already, and in it JSON is told by its column alone.
        Err(e) if e.is_data() => Err(Bad::Broken(at_column(&e))),
        Err(e) => Err(Bad::Broken(format!("broken JSON: {}", at_column(&e)))),
    }
}

fn at_column(error: &serde_json::Error) -> String {
    shortened(&error.to_string().replace("at line 1 column", "at column"), 160)
}

/// The text in an object of an object: `a.b`.
fn nested<'a>(record: &str, field: &str) -> Result<Cow<'a, str>, Bad> {
    let record: Value = serde_json::from_str(record).map_err(|e| Bad::Broken(at_column(&e)))?;
    match inside(&record, field) {
        None => Err(Bad::Missing),
        Some(Value::String(text)) => Ok(Cow::Owned(text.clone())),
        Some(Value::Null) => Ok(Cow::Borrowed("")),
        Some(other) => Err(Bad::Broken(format!("{field} is {}, expected a string", shortened(&other.to_string(), 40)))),
    }
}

/// A name with a dot may be a key as it is, or lead inside.
pub(crate) fn inside<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(field) {
        return Some(found);
    }
    field.match_indices('.').find_map(|(dot, _)| inside(value.get(&field[..dot])?, &field[dot + 1..]))
}

/// The fields of a record, for a person to choose from.
pub(super) fn fields(record: &str) -> String {
    let Ok(Value::Object(record)) = serde_json::from_str(record) else { return "none".into() };
    listed(&field_names(&record))
}

/// The names of a record's fields, those of an object inside behind a dot.
pub(crate) fn field_names(record: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in record {
        match value {
            Value::Object(inner) if !inner.is_empty() => names.extend(inner.keys().map(|key| format!("{name}.{key}"))),
            _ => names.push(name.clone()),
        }
    }
    names
}

/// Names in a line of bounded length.
pub(crate) fn listed(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(8).map(|name| shortened(name, 30)).collect();
    if names.len() > shown.len() {
        shown.push(format!("{} more", names.len() - shown.len()));
    }
    if shown.is_empty() { "none".into() } else { shown.join(", ") }
}

/// Finds one field of an object and passes over the others.
struct Field<'n> {
    name: &'n str,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Borrowed<'de>>()? {
            if key.0 == self.name {
                found = Some(map.next_value::<Option<Borrowed<'de>>>()?.map_or(Cow::Borrowed(""), |text| text.0));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A string that is borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// The values of a JSON text one after the other: the elements of its arrays, or values end to end, over any number of lines.
/// They are told apart by brackets and quotation marks alone, so one that is broken inside does not take the others with it.
pub(crate) struct Values<R> {
    reader: BufReader<R>,
    bytes: Vec<u8>,
    limit: usize,
    line: u64,
    offset: u64,
    array: bool,
}

/// One of them.
pub(crate) struct Found<'a> {
    /// As it stands in the file; its beginning only where it is longer than the limit.
    pub bytes: &'a [u8],
    /// The line it starts on, from 1.
    pub line: u64,
    /// The byte it starts at.
    pub offset: u64,
    /// Whether its end was found.
    pub ended: bool,
    /// Whether it is longer than the limit.
    pub long: bool,
}

impl<R: Read> Values<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        let reader = BufReader::with_capacity(1 << 18, reader);
        Self { reader, bytes: Vec::new(), limit, line: 1, offset: 0, array: false }
    }

    /// The next byte without taking it.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn take(&mut self, byte: u8) {
        self.reader.consume(1);
        self.line += u64::from(byte == b'\n');
        self.offset += 1;
    }

    /// The next value; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        self.bytes.clear();
        loop {
            match self.peek()? {
                None => return Ok(None),
                Some(byte) if byte.is_ascii_whitespace() || byte == b',' => self.take(byte),
                Some(b'[') if !self.array => {
                    self.array = true;
                    self.take(b'[');
                }
                Some(b']') if self.array => {
                    self.array = false;
                    self.take(b']');
                }
                Some(_) => break,
            }
        }
        let (line, offset) = (self.line, self.offset);
        let (mut depth, mut string, mut escaped, mut length, mut ended) = (0_u32, false, false, 0_usize, false);
        while let Some(byte) = self.peek()? {
            // A number or a word ends where something else begins.
            let bare = depth == 0 && !string;
            if bare && length > 0 && (byte.is_ascii_whitespace() || matches!(byte, b',' | b']')) {
                ended = true;
                break;
            }
            self.take(byte);
            length += 1;
            if length <= self.limit {
                self.bytes.push(byte);
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if string => escaped = true,
                b'"' => string = !string,
                b'{' | b'[' if !string => depth += 1,
                b'}' | b']' if !string => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && !string && matches!(byte, b'}' | b']' | b'"') {
                ended = true;
                break;
            }
        }
        Ok(Some(Found { bytes: &self.bytes, line, offset, ended, long: length > self.limit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_among_others() {
        let line = r#"{"id": 3, "more": {"text": "no"}, "text": "yes \"and\" no", "z": [1, 2]}"#;
        assert_eq!(text_of(line, "text").unwrap(), "yes \"and\" no");
        assert_eq!(text_of(line, "more.text").unwrap(), "no");
        assert_eq!(text_of(r#"{"a.b": "key", "a": {"b": "path"}}"#, "a.b").unwrap(), "key");
        assert_eq!(text_of(r#"{"a": {"b.c": {"d": "deep"}}}"#, "a.b.c.d").unwrap(), "deep");
        assert_eq!(text_of(r#"{"text": null}"#, "text").unwrap(), "");
        assert_eq!(text_of(r#"{"a": {"b": null}}"#, "a.b").unwrap(), "");
        assert_eq!(text_of("\"a string\"", "text").unwrap(), "a string");
        for field in ["text", "a.b", "body.text"] {
            assert_eq!(text_of(r#"{"body": "x"}"#, field), Err(Bad::Missing));
        }
        for (line, field, reason) in [
            (r#"{"text": 3}"#, "text", "invalid type"),
            (r#"{"a": {"b": [1]}}"#, "a.b", "a.b is [1]"),
            (r#"["text"]"#, "text", "an object or a string"),
            (r#"{"text": "x""#, "text", "broken JSON"),
            (r#"{"text": "x"} {"#, "text", "broken JSON"),
            (r#"{"score": NaN, "text": "x"}"#, "text", "broken JSON"),
            (r#"{"text": "\ud83d"}"#, "text", "broken JSON"),
        ] {
            let Err(Bad::Broken(found)) = text_of(line, field) else { panic!("{line}") };
            assert!(found.contains(reason) && !found.contains("line 1 "), "{line}: {found}");
        }
        let long = format!("{{\"{}\": 1}}", "k".repeat(9_000));
        assert!(fields(&long).len() < 100);
        assert_eq!(fields(r#"{"id": 1, "meta": {"text": "a", "n": 2}}"#), "id, meta.n, meta.text");
    }

    fn values(text: &str, limit: usize) -> Vec<(u64, String, bool, bool)> {
        let mut values = Values::new(text.as_bytes(), limit);
        let mut all = Vec::new();
        while let Some(found) = values.next().unwrap() {
            all.push((found.line, String::from_utf8_lossy(found.bytes).into_owned(), found.ended, found.long));
        }
        all
    }

    #[test]
    fn values_are_told_apart() {
        let text = "[\n {\"a\": \"}]\\\"\"},\n{\"b\":\n [1, {}]}, \"s\\\\\", 12,null]\n{\"c\":1}{\"d\":2} [3]";
        let found: Vec<(u64, String)> = values(text, 100).into_iter().map(|(line, text, ..)| (line, text)).collect();
        let expected = [
            (2, "{\"a\": \"}]\\\"\"}"),
            (3, "{\"b\":\n [1, {}]}"),
            (4, "\"s\\\\\""),
            (4, "12"),
            (4, "null"),
            (5, "{\"c\":1}"),
            (5, "{\"d\":2}"),
            (5, "3"),
        ];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_string())));
        assert_eq!(
            values("{\"long\": 1} {\"a", 4),
            [(1, "{\"lo".into(), true, true), (1, "{\"a".into(), false, false)]
        );
        // What closes nothing is a value that is broken.
        assert_eq!(values("} x", 9), [(1, "}".into(), true, false), (1, "x".into(), false, false)]);
        assert!(values(" \n[ ] ", 9).is_empty());
    }
}
