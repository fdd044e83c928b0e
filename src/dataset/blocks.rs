//! Lines of plain text to documents, with memory bounded by the longest document.
//!
//! The rule is [`corpus::documents`](crate::corpus::documents)'s: blank lines end a document, but short blocks between
//! them are paragraphs, which are joined. Whether they are is decided by the beginning of a file.

use super::{DatasetError, MAXIMUM_DOCUMENT};
use crate::corpus::{DOCUMENT_BYTES, has_paragraphs};

/// What takes documents.
pub(super) type Sink<'a> = dyn FnMut(&str) -> Result<(), DatasetError> + 'a;

/// Gathers the lines of a file.
#[derive(Default)]
pub(super) struct Blocks {
    /// The beginning of the file, until it is known what its blank lines mean.
    beginning: String,
    joins: Option<bool>,
    document: String,
    /// Where the last line of the document that is not blank ends.
    end: usize,
    /// Whether the last line was not blank.
    open: bool,
}

/// How much of a file decides what its blank lines mean.
const BEGINNING: usize = 1 << 20;

impl Blocks {
    /// Takes the next line, or a piece of it.
    pub(super) fn line(&mut self, line: &str, sink: &mut Sink<'_>) -> Result<(), DatasetError> {
        let Some(joins) = self.joins else {
            self.beginning += line;
            return if self.beginning.len() >= BEGINNING { self.decide(sink) } else { Ok(()) };
        };
        if line.trim().is_empty() {
            if self.open && (!joins || self.end >= DOCUMENT_BYTES) {
                self.emit(sink)?;
            } else if self.end > 0 {
                self.document += line;
            }
            self.open = false;
        } else {
            self.document += line;
            (self.end, self.open) = (self.document.len(), true);
        }
        if self.document.len() >= MAXIMUM_DOCUMENT { self.emit(sink) } else { Ok(()) }
    }

    /// The file is over.
    pub(super) fn finish(mut self, sink: &mut Sink<'_>) -> Result<(), DatasetError> {
        if self.joins.is_none() {
            self.decide(sink)?;
        }
        self.emit(sink)
    }

    fn decide(&mut self, sink: &mut Sink<'_>) -> Result<(), DatasetError> {
        let beginning = std::mem::take(&mut self.beginning);
        self.joins = Some(has_paragraphs(&beginning));
        beginning.split_inclusive('\n').try_for_each(|line| self.line(line, sink))
    }

    fn emit(&mut self, sink: &mut Sink<'_>) -> Result<(), DatasetError> {
        if self.end > 0 {
            sink(&self.document[..self.end])?;
        }
        self.document.clear();
        (self.end, self.open) = (0, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{SAMPLE, documents};
    use proptest::prelude::*;

    fn streamed(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut sink = |document: &str| {
            found.push(document.to_owned());
            Ok(())
        };
        let mut blocks = Blocks::default();
        text.split_inclusive('\n').for_each(|line| blocks.line(line, &mut sink).unwrap());
        blocks.finish(&mut sink).unwrap();
        found
    }

    #[test]
    fn the_sample_gives_the_same_documents() {
        assert_eq!(streamed(SAMPLE), documents(SAMPLE));
        let book = SAMPLE.replace('\n', "\n\n");
        assert_eq!(streamed(&book), documents(&book));
    }

    #[test]
    fn a_file_without_blank_lines_is_cut() {
        let text = "a line of text\n".repeat(200_000);
        let found = streamed(&text);
        assert_eq!(found.concat(), text);
        assert_eq!(found.len(), text.len().div_ceil(MAXIMUM_DOCUMENT));
        assert!(found.iter().all(|document| document.len() < MAXIMUM_DOCUMENT + 100));
    }

    proptest! {
        #[test]
        fn documents_are_those_of_the_whole_text(lines in prop::collection::vec((0usize..900, 0usize..4), 0..60)) {
            let text: String =
                lines.iter().map(|(length, blanks)| "x".repeat(*length) + &"\n".repeat(*blanks)).collect();
            prop_assert_eq!(streamed(&text), documents(&text));
        }
    }
}
