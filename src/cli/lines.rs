//! Lines as they arrive.

use super::Failure;
use super::output::grouped;
use super::style::Style;
use serde_json::json;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read};

/// A line, or a sentence that was given in another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// Its text without its end, or what is wrong with it.
    pub(crate) text: Result<String, String>,
}

/// Reads lines in batches without waiting for a batch to be full.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    /// Bytes of a line that are kept; the rest of a longer one is passed over.
    most: usize,
    read: usize,
}

/// How the input ended: well, or for this reason.
pub(crate) type End = Result<(), String>;

/// Bytes of a character at most.
const CHARACTER: usize = 4;

impl<R: Read> Lines<R> {
    /// Of a line a little more than `most` bytes are kept, so that it is longer than that to whoever looks at no more.
    pub(crate) fn new(reader: R, most: usize) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, reader), most: most + CHARACTER, read: 0 }
    }

    /// Waits for one line and takes what other whole lines have come with it, at most `most` in all; then how the input
    /// ended, if it did.
    pub(crate) fn next(&mut self, most: usize) -> (Vec<Line>, Option<End>) {
        let mut lines = Vec::new();
        while lines.is_empty() || (lines.len() < most && self.reader.buffer().contains(&b'\n')) {
            match self.line() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return (lines, Some(Ok(()))),
                Err(error) => return (lines, Some(Err(format!("cannot read standard input: {error}")))),
            }
        }
        (lines, None)
    }

    fn line(&mut self) -> std::io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let (mut any, mut long) = (false, false);
        loop {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            let end = buffer.iter().position(|&b| b == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let taken = piece.len() + usize::from(end.is_some());
            let room = self.most - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            (any, long) = (any || taken > 0, long || piece.len() > room);
            self.reader.consume(taken);
            if end.is_some() || taken == 0 {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.read += 1;
        if !long && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).or_else(|error| {
            let wrong = error.utf8_error();
            let byte = wrong.valid_up_to();
            // Where a long line is cut, half a character may be left.
            if long && wrong.error_len().is_none() {
                return Ok(String::from_utf8_lossy(&error.as_bytes()[..byte]).into_owned());
            }
            Err(format!("byte {} is not UTF-8; convert it to UTF-8 first", byte + 1))
        });
        Ok(Some(Line { number: self.read, text }))
    }
}

/// Gives standard input to `answer` as lines arrive, at most `batch` together, until it says that nobody reads its answers: `false`.
/// A line is a `what`, of which more than `most` bytes are not looked at.
pub(crate) fn standard_input(
    what: &str,
    (most, batch): (usize, usize),
    mut answer: impl FnMut(&[Line]) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let hint = format!("One {what} a line; end with Ctrl-D (Ctrl-Z and Enter on Windows).");
        eprintln!("{}", Style::stderr().dim(&hint));
    }
    let mut lines = Lines::new(stdin.lock(), most);
    loop {
        let (texts, end) = lines.next(batch);
        if !texts.is_empty() && !answer(&texts)? {
            return Ok(false);
        }
        match end {
            None => {}
            Some(Ok(())) => return Ok(true),
            Some(Err(message)) => return Err(Failure::Input(message)),
        }
    }
}

/// What could not be answered.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Line or sentence.
    pub(crate) of: &'static str,
    pub(crate) all: usize,
    pub(crate) bad: usize,
    /// A single sentence's fault is the command's.
    pub(crate) alone: bool,
}

impl Tally {
    /// Says that a sentence cannot be answered; the others are. What is to be printed in its place.
    pub(crate) fn refuse(&mut self, number: usize, reason: &str, json: bool) -> Result<String, Failure> {
        if self.alone {
            return Err(Failure::Input(reason.into()));
        }
        self.bad += 1;
        let of = self.of;
        eprintln!("{} {of} {number}: {reason}", Style::stderr().yellow("not answered:"));
        Ok(if json { format!("{}\n", json!({ of: number, "error": reason })) } else { String::new() })
    }

    /// The command's end: whether all were answered.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        match self.bad {
            0 => Ok(()),
            bad => {
                let all = grouped(self.all as u64);
                Err(Failure::Input(format!("{} of {all} {}s could not be answered", grouped(bad as u64), self.of)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one piece a read, as a pipe does.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    /// The lines' texts.
    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| line.text.unwrap()).collect()
    }

    #[test]
    fn takes_what_is_there_and_no_more() {
        let mut lines = Lines::new(Pieces(vec![b"a\r\n\nb\nc", b"d\n", b"e"]), 100);
        for expected in [vec!["a", ""], vec!["b"], vec!["cd"], vec!["e"]] {
            let (found, end) = lines.next(2);
            assert_eq!((texts(found), end), (expected.into_iter().map(String::from).collect(), None));
        }
        assert_eq!(lines.next(2), (vec![], Some(Ok(()))));
    }

    #[test]
    fn a_line_that_is_not_text_costs_that_line() {
        let mut lines = Lines::new(&b"good\nb\xff\nbetter\n"[..], 100);
        let (found, end) = lines.next(16);
        assert_eq!((found.len(), end), (3, None));
        assert_eq!((&found[0].text, &found[2].text), (&Ok("good".into()), &Ok("better".into())));
        let message = found[1].text.as_ref().unwrap_err();
        assert!(message.contains("byte 2 is not UTF-8") && found[1].number == 2, "{message}");
    }

    #[test]
    fn the_end_of_a_long_line_is_passed_over() {
        let long = "é".repeat(50_000) + "\nshort\n";
        let mut lines = Lines::new(long.as_bytes(), 1_001);
        let mut found = lines.next(1).0;
        found.extend(lines.next(1).0);
        assert_eq!(texts(found), ["é".repeat(502), "short".into()]);
    }
}
