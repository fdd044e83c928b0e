//! Lines of plain text to documents, with memory bounded by the longest document.
//!
//! The rule is [`corpus::documents`](crate::corpus::documents)'s: blank lines end a document, but short blocks of wrapped
//! lines between them are paragraphs, which are joined. Whether they are is decided by the beginning of a file, unless it was
//! said.

use super::{DocumentRule, ReadError, Sink};
use crate::corpus::{DOCUMENT_BYTES, has_paragraphs};

/// Gathers the lines of a file.
pub(super) struct Blocks {
    rule: DocumentRule,
    /// The longest document, in bytes; one that is longer is cut.
    limit: usize,
    /// The beginning of the file, until it is known what its blank lines mean.
    beginning: String,
    document: String,
    /// Where the last line of the document that is not blank ends.
    end: usize,
    /// Whether the last line was not blank.
    open: bool,
    /// Whether blocks are joined because of how the file looks.
    guessed: bool,
    /// Blocks between blank lines, and documents, so far.
    counts: (u64, u64),
}

/// How much of a file decides what its blank lines mean.
const BEGINNING: usize = 1 << 20;

impl Blocks {
    pub(super) fn new(rule: DocumentRule, limit: usize) -> Self {
        Self {
            rule,
            limit,
            beginning: String::new(),
            document: String::new(),
            end: 0,
            open: false,
            guessed: false,
            counts: (0, 0),
        }
    }

    /// Takes the next line, or a piece of it.
    pub(super) fn line(&mut self, line: &str, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let blank = line.trim().is_empty();
        let full = match self.rule {
            DocumentRule::Auto | DocumentRule::ShortBlocks => {
                self.beginning += line;
                return if self.beginning.len() >= BEGINNING { self.decide(sink) } else { Ok(()) };
            }
            DocumentRule::Lines => true,
            DocumentRule::Files => false,
            DocumentRule::BlankLines => blank && self.open,
            DocumentRule::Paragraphs => blank && self.open && self.end >= DOCUMENT_BYTES,
        };
        if !blank {
            self.document += line;
            self.end = self.document.len();
            self.counts.0 += u64::from(!self.open);
        }
        if full {
            self.emit(sink)?;
        } else if blank && self.end > 0 {
            self.document += line;
        }
        self.open = !blank;
        if self.document.len() >= self.limit { self.emit(sink) } else { Ok(()) }
    }

    /// A document ends here, whatever the lines say.
    pub(super) fn boundary(&mut self, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        if matches!(self.rule, DocumentRule::Auto | DocumentRule::ShortBlocks) {
            self.decide(sink)?;
        }
        self.emit(sink)
    }

    /// The file is over. Short blocks that were taken for paragraphs, and the documents they were joined into.
    pub(super) fn finish(mut self, sink: &mut Sink<'_>) -> Result<(u64, u64), ReadError> {
        self.boundary(sink)?;
        Ok(if self.guessed { self.counts } else { (0, 0) })
    }

    fn decide(&mut self, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let beginning = std::mem::take(&mut self.beginning);
        self.guessed = has_paragraphs(&beginning, self.rule == DocumentRule::Auto);
        self.rule = if self.guessed { DocumentRule::Paragraphs } else { DocumentRule::BlankLines };
        beginning.split_inclusive('\n').try_for_each(|line| self.line(line, sink))
    }

    fn emit(&mut self, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        if self.end > 0 {
            self.counts.1 += 1;
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
    use crate::text::MAXIMUM_DOCUMENT;
    use proptest::prelude::*;

    fn ruled(text: &str, rule: DocumentRule) -> (Vec<String>, (u64, u64)) {
        let mut found = Vec::new();
        let mut sink = |document: &str| {
            found.push(document.to_owned());
            Ok(())
        };
        let mut blocks = Blocks::new(rule, MAXIMUM_DOCUMENT);
        text.split_inclusive('\n').for_each(|line| blocks.line(line, &mut sink).unwrap());
        let joined = blocks.finish(&mut sink).unwrap();
        (found, joined)
    }

    fn streamed(text: &str) -> Vec<String> {
        ruled(text, DocumentRule::Auto).0
    }

    #[test]
    fn documents_are_what_the_rule_says() {
        let text = "one\ntwo\n\n \nthree\n";
        let of = |rule| ruled(text, rule).0;
        assert_eq!(of(DocumentRule::BlankLines), ["one\ntwo\n", "three\n"]);
        assert_eq!(of(DocumentRule::Lines), ["one\n", "two\n", "three\n"]);
        assert_eq!(of(DocumentRule::Files), [text]);
        assert_eq!(of(DocumentRule::Paragraphs), [text]);
        assert_eq!(ruled(text, DocumentRule::Paragraphs).1, (0, 0));
        // Short posts of a line each are documents; a wrapped book's paragraphs are not.
        let posts = "A short post of a few words.\n\n".repeat(200);
        assert_eq!(
            ruled(&posts, DocumentRule::Auto),
            (vec!["A short post of a few words.\n".to_string(); 200], (0, 0))
        );
        assert!(ruled(&posts, DocumentRule::ShortBlocks).0.len() < 3);
        let book = "A line of a wrapped\nparagraph.\n\n".repeat(900);
        let (documents, joined) = ruled(&book, DocumentRule::Auto);
        assert_eq!(joined, (900, documents.len() as u64));
        assert!(documents.len() < 5, "{}", documents.len());
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
