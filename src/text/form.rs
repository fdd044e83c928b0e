//! What a file holds, told by its beginning.

use super::ReadError;
use super::json::Values;
use super::unpack::Packing;
use encoding_rs::Encoding;
use std::path::Path;

/// How much of a file's beginning is looked at.
pub(super) const HEAD: usize = 1 << 16;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines of text.
    Text,
    /// Lines of text in which `<doc ...>` and `</doc>` stand around documents, as WikiExtractor writes them.
    Wiki,
    /// A record a line.
    JsonLines,
    /// An array of records, or records one behind the other over any number of lines.
    JsonValues,
    /// A record a row, the first row being the columns' names.
    Table {
        /// What is between cells.
        separator: u8,
    },
    /// Columns.
    Parquet,
}

impl Form {
    /// In words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Text => "plain text",
            Self::Wiki => "WikiExtractor's documents",
            Self::JsonLines => "lines of JSON",
            Self::JsonValues => "JSON",
            Self::Table { .. } => "a table",
            Self::Parquet => "parquet",
        }
    }

    /// What a file of this name (in lower case, without what says how it is packed) should hold.
    pub(super) fn of_name(stem: &str) -> Option<Self> {
        match stem.rsplit_once('.')?.1 {
            "txt" => Some(Self::Text),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "json" => Some(Self::JsonValues),
            "csv" => Some(Self::Table { separator: b',' }),
            "tsv" => Some(Self::Table { separator: b'\t' }),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Beginnings that no text has: what it is, and what to do.
const FOREIGN: [(&[u8], &str, &str); 13] = [
    (b"%PDF", "a PDF", "turn it into text first, as with pdftotext"),
    (b"PK\x03\x04", "a zip archive (or a .docx, .odt or .epub)", "unpack it, or save it as plain text"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!", "a rar archive", "unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save it as plain text first"),
    (b"{\\rtf", "an RTF document", "save it as plain text first"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "unpack it first: lz4 -d FILE"),
    (b"\x89PNG", "a picture", "give text"),
    (b"\xff\xd8\xff", "a picture", "give text"),
    (b"GIF8", "a picture", "give text"),
    (b"SQLite format 3", "a database", "export the text first"),
    (b"\x7fELF", "a program", "give text"),
    (b"ARROW1", "an Arrow file", "save it as parquet first"),
];

/// A file compressed by what its beginning says.
pub(super) fn packing(head: &[u8]) -> Option<Packing> {
    Packing::ALL.into_iter().find(|packing| packing.begins(head))
}

/// Refuses what a beginning shows to be no text.
pub(super) fn check(name: &str, head: &[u8]) -> Result<(), ReadError> {
    let foreign = |what: &'static str, help: &'static str| Err(ReadError::Foreign { name: name.into(), what, help });
    if let Some((_, what, help)) = FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return foreign(what, help);
    }
    if head.get(257..262) == Some(b"ustar") {
        return foreign("a tar archive", "unpack it first: tar -xf FILE");
    }
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return foreign("UTF-32", "convert it: iconv -f UTF-32 -t UTF-8 FILE");
    }
    Ok(())
}

/// The encoding that a byte-order mark says, and the mark's length.
pub(super) fn byte_order_mark(head: &[u8]) -> Option<(&'static Encoding, usize)> {
    Encoding::for_bom(head)
}

/// What decoded text holds. `ending` is what the file's name says; a file that is named otherwise is text unless its beginning
/// says more.
pub(super) fn form(name: &str, head: &[u8], ending: Option<Form>) -> Result<Form, ReadError> {
    let foreign = |what: &'static str, help: &'static str| Err(ReadError::Foreign { name: name.into(), what, help });
    if head.contains(&0) {
        return foreign(
            "binary, or UTF-16 without a byte-order mark",
            "give text, or name the encoding: --encoding utf-16le",
        );
    }
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
    let text = &head[start..];
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match ending {
        Some(Form::JsonLines | Form::JsonValues) => return Ok(json_form(text, ending == Some(Form::JsonLines))),
        Some(Form::Table { separator: b',' }) => return Ok(Form::Table { separator: separator(text) }),
        Some(form @ (Form::Table { .. } | Form::Parquet)) => return Ok(form),
        _ => {}
    }
    if begins(b"<!doctype html") || begins(b"<html") {
        return foreign("HTML", "turn it into text first");
    }
    if begins(b"<mediawiki") {
        return foreign("a dump of a wiki", "take the text out first: python3 -m wikiextractor.WikiExtractor FILE");
    }
    if begins(b"<?xml") {
        return foreign("XML", "turn it into text first");
    }
    if begins(b"<doc id=") {
        return Ok(Form::Wiki);
    }
    Ok(if is_json(text) { json_form(text, false) } else { Form::Text })
}

/// Whether a beginning is that of JSON and not of text with a bracket in front: its first value is whole and an object, or is
/// longer than the beginning.
fn is_json(text: &[u8]) -> bool {
    let inner = match text.first() {
        Some(b'{') => text,
        Some(b'[') => text[1..].trim_ascii_start(),
        _ => return false,
    };
    if !inner.starts_with(b"{") {
        // An array of strings.
        let strings = inner.starts_with(b"\"") && text.starts_with(b"[");
        return strings
            && first_value(text).is_some_and(|(value, rest)| {
                serde_json::from_slice::<String>(&value).is_ok() && matches!(rest.first(), Some(b',' | b']'))
            });
    }
    match first_value(text) {
        Some((value, rest)) => {
            let goes_on = match text.first() {
                Some(b'[') => matches!(rest.first(), Some(b',' | b']')),
                _ => matches!(rest.first(), None | Some(b'{')),
            };
            goes_on && serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&value).is_ok()
        }
        None => text.len() >= HEAD / 2 && inner[1..].trim_ascii_start().starts_with(b"\""),
    }
}

/// The first value of a beginning, if it ends there, and what follows it.
fn first_value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut values = Values::new(text, text.len());
    let value = values.next().ok()??;
    let end = value.offset as usize + value.bytes.len();
    value.ended.then(|| (value.bytes.to_vec(), text.get(end..).unwrap_or_default().trim_ascii_start()))
}

/// Whether records stand on lines of their own. A line that is longer than the beginning is one where the ending says so.
fn json_form(text: &[u8], lines: bool) -> Form {
    if text.starts_with(b"[") {
        return Form::JsonValues;
    }
    let end = text.iter().position(|&byte| byte == b'\n');
    let whole = end.is_some_and(|end| serde_json::from_slice::<serde::de::IgnoredAny>(&text[..end]).is_ok());
    // The beginning of an object over several lines.
    let opens = end.is_some_and(|end| matches!(text[..end].trim_ascii(), b"{"));
    if whole || (lines && !opens) { Form::JsonLines } else { Form::JsonValues }
}

/// What is between the cells of a table's first row.
fn separator(text: &[u8]) -> u8 {
    let row = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| row.iter().filter(|&&byte| byte == separator).count();
    if count(b',') > 0 {
        return b',';
    }
    *[b'\t', b';'].iter().max_by_key(|&&separator| count(separator)).filter(|&&s| count(s) > 0).unwrap_or(&b',')
}

/// What a name says: what the file should hold, and how it is packed. Brotli's files are refused, since nothing in them says
/// what they are.
pub(super) fn of_path(name: &str, path: &Path) -> Result<(Option<Form>, Option<Packing>), ReadError> {
    let lower = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if lower.ends_with(".br") {
        let help = "unpack it first: brotli -d FILE";
        return Err(ReadError::Foreign { name: name.into(), what: "compressed by brotli, which is not read", help });
    }
    let (stem, packing) = Packing::of(&lower);
    Ok((Form::of_name(stem), packing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, ending: Option<Form>) -> Result<Form, String> {
        form("x", text.as_bytes(), ending).map_err(|e| e.to_string())
    }

    #[test]
    fn content_tells_what_a_name_does_not() {
        let text = Some(Form::Text);
        assert_eq!(told("Once upon a time.\n", text), Ok(Form::Text));
        assert_eq!(told("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", text), Ok(Form::JsonLines));
        assert_eq!(told("  [\n {\"text\": \"a\"}\n]", None), Ok(Form::JsonValues));
        assert_eq!(told("[\"a\", \"b\"]", None), Ok(Form::JsonValues));
        assert_eq!(told("{\n \"text\": \"a\"\n}\n", Some(Form::JsonLines)), Ok(Form::JsonValues));
        assert_eq!(told("{\"text\": \"a\"}", None), Ok(Form::JsonValues));
        for prose in [
            "[Chapter 1]\nIt began.",
            "{sic} he said",
            "[\"Who's there?\" he said]",
            "[{a}] b",
            "{\"a\" b}",
            "{\"a\": 1} is JSON.",
        ] {
            assert_eq!(told(prose, text), Ok(Form::Text), "{prose}");
        }
        let long = format!("{{\"text\": \"{}", "a".repeat(HEAD));
        assert_eq!(told(&long, text), Ok(Form::JsonValues));
        assert_eq!(told(&long, Some(Form::JsonLines)), Ok(Form::JsonLines));
        assert_eq!(told("<doc id=\"1\" title=\"x\">\n", None), Ok(Form::Wiki));
        for (html, word) in
            [("\n<!DOCTYPE html><p>", "HTML"), ("<HTML>", "HTML"), ("<?xml ?>", "XML"), ("a\0b", "UTF-16")]
        {
            assert!(told(html, text).unwrap_err().contains(word), "{html}");
        }
        let comma = Some(Form::Table { separator: b',' });
        for (row, separator) in [("a,b;c\n", b','), ("a;b\n1,2;3", b';'), ("a\tb\n", b'\t'), ("text\n", b',')] {
            assert_eq!(told(row, comma), Ok(Form::Table { separator }), "{row}");
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let said = |head: &[u8]| check("x.txt", head).unwrap_err().to_string();
        assert!(said(b"%PDF-1.4").contains("pdftotext"));
        assert!(said(b"PK\x03\x04..").contains("docx"));
        assert!(said(b"\xff\xfe\0\0a\0\0\0").contains("UTF-32"));
        let mut tar = vec![b'a'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(said(&tar).contains("tar -xf"));
        check("x.txt", b"PKs are words").unwrap();
        assert!(of_path("a.txt.br", Path::new("a.txt.br")).unwrap_err().to_string().contains("brotli -d"));
    }
}
