//! Lines of a file, whatever it holds: of bounded length, and text in any case.

use std::io::{self, BufRead as _, BufReader, Read};

/// Read from the system at a time.
const BUFFER: usize = 1 << 18;
/// How far back from the limit a cut looks for white space.
const WINDOW: usize = 1_024;

/// Reads lines of at most `limit` bytes; a longer one comes in pieces, cut at white space if there is any near.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
    bytes: Vec<u8>,
    /// Bytes at the start of `bytes` that were given out already.
    given: usize,
    /// Number of the line that was given last, from 1.
    pub number: u64,
    /// Whether the last piece was the end of its line.
    pub ended: bool,
}

/// A line, or a piece of a long one.
pub(super) struct Line<'a> {
    /// The text with its line end; what was no text is replaced.
    pub text: std::borrow::Cow<'a, str>,
    /// Whether something was replaced.
    pub invalid: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            limit,
            bytes: Vec::new(),
            given: 0,
            number: 0,
            ended: true,
        }
    }

    /// The next line or piece; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.bytes.drain(..self.given);
        self.given = 0;
        let first = self.number == 0;
        let room = self.limit.saturating_sub(self.bytes.len()) as u64;
        // What is left of a piece may end in the middle of a line only: the line end is still to come.
        let read = (&mut self.reader).take(room).read_until(b'\n', &mut self.bytes)?;
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.number += u64::from(self.ended);
        self.ended = self.bytes.ends_with(b"\n") || (read as u64) < room;
        let cut = if self.ended { self.bytes.len() } else { cut(&self.bytes) };
        self.given = cut;
        let mark = if first && self.bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = String::from_utf8_lossy(&self.bytes[mark.min(cut)..cut]);
        let invalid = matches!(text, std::borrow::Cow::Owned(_));
        Ok(Some(Line { text, invalid }))
    }
}

/// Where to cut bytes that go on: behind the last white space near the end, else before the last character, which may not be
/// whole.
fn cut(bytes: &[u8]) -> usize {
    let window = bytes.len().saturating_sub(WINDOW);
    if let Some(space) = bytes[window..].iter().rposition(u8::is_ascii_whitespace) {
        return window + space + 1;
    }
    let start = bytes.iter().rposition(|byte| byte & 0xc0 != 0x80);
    start.filter(|&start| start > 0 && bytes.len() - start <= 4).unwrap_or(bytes.len())
}

/// Text in pieces of at most `limit` bytes, cut behind the last line end, else behind the last white space near the end,
/// else between two characters.
pub(super) fn pieces(mut text: &str, limit: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = if text.len() <= limit {
            text.len()
        } else {
            let piece = &text[..text.floor_char_boundary(limit)];
            let space = piece[piece.floor_char_boundary(piece.len().saturating_sub(WINDOW))..].rfind(' ');
            let space = space.map(|at| piece.floor_char_boundary(piece.len().saturating_sub(WINDOW)) + at);
            piece.rfind('\n').or(space).map_or(piece.len(), |at| at + 1)
        };
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], limit: usize) -> Vec<(u64, String, bool)> {
        let mut lines = Lines::new(bytes, limit);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let (text, invalid) = (line.text.into_owned(), line.invalid);
            found.push((lines.number, text, invalid));
        }
        found
    }

    #[test]
    fn lines_are_numbered_and_repaired() {
        let found = all(b"\xef\xbb\xbfone\ntw\xe9o\n\nfour", 100);
        let expected = [(1, "one\n", false), (2, "tw\u{fffd}o\n", true), (3, "\n", false), (4, "four", false)];
        assert_eq!(found, expected.map(|(number, text, invalid)| (number, text.to_owned(), invalid)));
        assert!(all(b"", 100).is_empty());
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let found = all(b"aaa bbb ccc\nd", 9);
        assert_eq!(found, [(1, "aaa bbb ".into(), false), (1, "ccc\n".into(), false), (2, "d".into(), false)]);
        let found = all("中中中\n中".as_bytes(), 4);
        assert_eq!(found.iter().map(|line| line.0).collect::<Vec<_>>(), [1, 1, 1, 2]);
        assert!(found.iter().all(|line| !line.2));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "(\\PC|\n| ){0,60}", limit in 4usize..20) {
            let found = all(text.as_bytes(), limit);
            let joined: String = found.iter().map(|line| line.1.as_str()).collect();
            prop_assert_eq!(joined.trim_start_matches('\u{feff}'), text.trim_start_matches('\u{feff}'));
            prop_assert_eq!(pieces(&text, limit).collect::<String>(), text.clone());
            prop_assert!(pieces(&text, limit).all(|piece| piece.len() <= limit));
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, limit in 4usize..20) {
            let found = all(&bytes, limit);
            let lines = bytes.split_inclusive(|&b| b == b'\n').count() as u64;
            prop_assert_eq!(found.last().map_or(0, |line| line.0), lines);
        }
    }
}
