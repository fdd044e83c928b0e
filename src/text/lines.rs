//! Lines of a file, whatever it holds: of bounded length, and text or an error.

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
    /// Where `bytes` starts in the text.
    offset: u64,
    /// Number of the line that was given last, from 1.
    pub number: u64,
    /// Whether the last piece was the end of its line.
    pub ended: bool,
}

/// Why there is no next line.
#[derive(Debug)]
pub(super) enum LineError {
    /// Reading failed.
    Read(io::Error),
    /// A byte of this line is no UTF-8.
    NotUtf8 {
        /// From 1.
        line: u64,
        /// From the start of the text.
        offset: u64,
    },
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            limit,
            bytes: Vec::new(),
            given: 0,
            offset: 0,
            number: 0,
            ended: true,
        }
    }

    /// The next line with its end, or a piece of a long one; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, LineError> {
        if !self.advance().map_err(LineError::Read)? {
            return Ok(None);
        }
        match std::str::from_utf8(&self.bytes[..self.given]) {
            Ok(text) => Ok(Some(text)),
            Err(e) => Err(LineError::NotUtf8 { line: self.number, offset: self.offset + e.valid_up_to() as u64 }),
        }
    }

    /// Passes over what is left of a line that came in pieces.
    pub(super) fn skip_rest(&mut self) -> io::Result<()> {
        while !self.ended && self.advance()? {}
        Ok(())
    }

    /// Reads the next piece into `bytes`, up to `given`; `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.given);
        self.offset += self.given as u64;
        self.given = 0;
        let room = self.limit.saturating_sub(self.bytes.len()) as u64;
        // What is left of a piece may end in the middle of a line only: the line end is still to come.
        let read = (&mut self.reader).take(room).read_until(b'\n', &mut self.bytes)?;
        if self.bytes.is_empty() {
            return Ok(false);
        }
        self.number += u64::from(self.ended);
        self.ended = self.bytes.ends_with(b"\n") || (read as u64) < room;
        self.given = if self.ended { self.bytes.len() } else { cut(&self.bytes) };
        Ok(true)
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

    fn all(bytes: &[u8], limit: usize) -> Result<Vec<(u64, String)>, (u64, u64)> {
        let mut lines = Lines::new(bytes, limit);
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Ok(Some(text)) => {
                    let text = text.to_owned();
                    found.push((lines.number, text));
                }
                Ok(None) => return Ok(found),
                Err(LineError::NotUtf8 { line, offset }) => return Err((line, offset)),
                Err(LineError::Read(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn lines_are_numbered_and_bad_bytes_have_a_place() {
        let found = all(b"one\ntwo\n\nfour", 100).unwrap();
        let expected = [(1, "one\n"), (2, "two\n"), (3, "\n"), (4, "four")];
        assert_eq!(found, expected.map(|(number, text)| (number, text.to_owned())));
        assert!(all(b"", 100).unwrap().is_empty());
        assert_eq!(all(b"one\ntw\xe9o\n", 100), Err((2, 6)));
        assert_eq!(all(b"aaaa bbbb cccc \xe9 dddd", 9), Err((1, 15)));
    }

    #[test]
    fn long_lines_come_in_pieces_or_are_passed_over() {
        let found = all(b"aaa bbb ccc\nd", 9).unwrap();
        assert_eq!(found, [(1, "aaa bbb ".into()), (1, "ccc\n".into()), (2, "d".into())]);
        let found = all("中中中\n中".as_bytes(), 4).unwrap();
        assert_eq!(found.iter().map(|line| line.0).collect::<Vec<_>>(), [1, 1, 1, 2]);
        let mut lines = Lines::new(&b"aaa bbb ccc ddd eee\nd"[..], 9);
        assert_eq!(lines.next().unwrap(), Some("aaa bbb "));
        lines.skip_rest().unwrap();
        assert_eq!(lines.next().unwrap(), Some("d"));
        assert_eq!(lines.number, 2);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "(\\PC|\n| ){0,60}", limit in 4usize..20) {
            let found = all(text.as_bytes(), limit).unwrap();
            let joined: String = found.iter().map(|line| line.1.as_str()).collect();
            prop_assert_eq!(&joined, &text);
            prop_assert_eq!(pieces(&text, limit).collect::<String>(), text.clone());
            prop_assert!(pieces(&text, limit).all(|piece| piece.len() <= limit));
        }

        #[test]
        fn any_bytes_are_text_or_have_a_bad_place(bytes: Vec<u8>, limit in 4usize..20) {
            match all(&bytes, limit) {
                Ok(found) => {
                    let lines = bytes.split_inclusive(|&b| b == b'\n').count() as u64;
                    prop_assert_eq!(found.last().map_or(0, |line| line.0), lines);
                }
                Err((_, offset)) => {
                    let expected = std::str::from_utf8(&bytes).unwrap_err().valid_up_to() as u64;
                    prop_assert_eq!(offset, expected);
                }
            }
        }
    }
}
