//! Lines as they arrive.

use std::io::{BufRead as _, BufReader, Read};

/// Reads lines in batches without waiting for a batch to be full.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    read: usize,
}

/// How the input ended: well, or for this reason.
pub(super) type End = Result<(), String>;

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, reader), read: 0 }
    }

    /// Waits for one line and takes what other whole lines have come with it, at most `most` in all; then how the input
    /// ended, if it did. Lines before a bad one are still given.
    pub(super) fn next(&mut self, most: usize) -> (Vec<String>, Option<End>) {
        let mut lines = Vec::new();
        while lines.is_empty() || (lines.len() < most && self.reader.buffer().contains(&b'\n')) {
            match self.line() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return (lines, Some(Ok(()))),
                Err(reason) => return (lines, Some(Err(reason))),
            }
        }
        (lines, None)
    }

    fn line(&mut self) -> Result<Option<String>, String> {
        let mut bytes = Vec::new();
        self.read += 1;
        let read = self.reader.read_until(b'\n', &mut bytes);
        if read.map_err(|e| format!("cannot read standard input: {e}"))? == 0 {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            format!(
                "standard input is not UTF-8: byte {byte} of line {} is not text; convert it to UTF-8 first",
                self.read
            )
        })
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

    #[test]
    fn takes_what_is_there_and_no_more() {
        let mut lines = Lines::new(Pieces(vec![b"a\r\n\nb\nc", b"d\n", b"e"]));
        assert_eq!(lines.next(2), (vec!["a".into(), String::new()], None));
        assert_eq!(lines.next(2), (vec!["b".into()], None));
        assert_eq!(lines.next(2), (vec!["cd".into()], None));
        assert_eq!(lines.next(2), (vec!["e".into()], None));
        assert_eq!(lines.next(2), (vec![], Some(Ok(()))));
    }

    #[test]
    fn names_the_line_that_is_not_text() {
        let mut lines = Lines::new(&b"good\nb\xff\n"[..]);
        let (good, end) = lines.next(16);
        assert_eq!(good, ["good"]);
        let message = end.expect("an end").expect_err("a bad line");
        assert!(message.contains("byte 1 of line 2"), "{message}");
    }
}
