//! Text to documents, documents to sentences.

/// Blocks between blank lines that are on average shorter than this many bytes are paragraphs, not documents.
const PARAGRAPH_BYTES: usize = 1_000;
/// Paragraphs are joined until a document has this many bytes.
pub(crate) const DOCUMENT_BYTES: usize = 8_000;

/// The documents of a text, as slices of it, in order, none of them blank.
///
/// Blank lines (empty or white space only) end a document, as in the reference. Books are often laid out with a blank
/// line after every paragraph, though, and a document a paragraph would fill batches with padding: when the blocks between
/// blank lines average less than 1,000 bytes and most of the text is wrapped over several lines, they are taken for
/// paragraphs, and neighbours are joined into documents of at least 8,000 bytes (the last may be shorter).
pub fn documents(text: &str) -> Vec<&str> {
    let blocks = blocks(text);
    if !are_paragraphs(text, &blocks, true) {
        return blocks.into_iter().map(|block| &text[block]).collect();
    }
    let mut documents = Vec::new();
    let mut open: Option<std::ops::Range<usize>> = None;
    for block in blocks {
        let document = open.map_or(block.start, |document| document.start)..block.end;
        if document.len() >= DOCUMENT_BYTES {
            documents.push(&text[document]);
            open = None;
        } else {
            open = Some(document);
        }
    }
    documents.extend(open.map(|document| &text[document]));
    documents
}

/// Whether blocks are short, and most of the text `wrapped` if that is asked.
fn are_paragraphs(text: &str, blocks: &[std::ops::Range<usize>], wrapped: bool) -> bool {
    let bytes: usize = blocks.iter().map(|block| block.len()).sum();
    let in_lines = |block: &&std::ops::Range<usize>| text[(*block).clone()].lines().nth(1).is_some();
    let in_lines: usize = blocks.iter().filter(in_lines).map(|block| block.len()).sum();
    !blocks.is_empty() && bytes / blocks.len() < PARAGRAPH_BYTES && (!wrapped || 2 * in_lines > bytes)
}

/// Whether what lies between the blank lines of a text, or of its beginning, are paragraphs that [`documents`] joins; without
/// `wrapped` it is enough that they are short.
pub(crate) fn has_paragraphs(text: &str, wrapped: bool) -> bool {
    are_paragraphs(text, &blocks(text), wrapped)
}

/// Byte ranges of the runs of lines that are not blank.
fn blocks(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut blocks = Vec::new();
    let mut open: Option<std::ops::Range<usize>> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if line.trim().is_empty() {
            blocks.extend(open.take());
        } else {
            open = Some(open.map_or(start, |block| block.start)..end);
        }
        start = end;
    }
    blocks.extend(open);
    blocks
}

/// The sentences of a document: its lines, each broken again after every sentence end.
///
/// A file with a sentence a line keeps its lines. A paragraph or a chapter on one line becomes sentences, so that what an
/// example cuts off at its end is part of a sentence and never a chapter. Hard-wrapped lines become pieces in their order.
/// A sentence ends at `.`, `!`, `?`, `…` or their Arabic and Devanagari counterparts (with closing quotation marks and
/// brackets) before white space, and at the full-width ones anywhere. That breaks after "Mr." too, which does no harm here:
/// a break is a place where an example *may* end or turn from segment A to B.
pub fn sentences(document: &str) -> impl Iterator<Item = &str> {
    document.lines().flat_map(|line| Sentences { rest: line }).map(str::trim).filter(|sentence| !sentence.is_empty())
}

struct Sentences<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Sentences<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut ended, mut ended_anywhere) = (false, false);
        for (index, c) in self.rest.char_indices() {
            if is_closing(c) && (ended || ended_anywhere) {
                continue;
            }
            if is_wide_end(c) {
                ended_anywhere = true;
            } else if ended_anywhere || (ended && c.is_whitespace()) {
                let (sentence, rest) = self.rest.split_at(index);
                self.rest = rest;
                return Some(sentence);
            } else {
                ended = is_end(c);
            }
        }
        Some(std::mem::take(&mut self.rest))
    }
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '؟' | '۔' | '।' | '॥')
}

fn is_wide_end(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '．')
}

fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '」' | '』' | '）')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).collect()
    }

    #[test]
    fn sentences_end_where_they_should() {
        assert_eq!(split("One. Two! \"Three?\" Four"), ["One.", "Two!", "\"Three?\"", "Four"]);
        assert_eq!(split("3.14 is pi... And so on."), ["3.14 is pi...", "And so on."]);
        assert_eq!(split("你好。「再见！」好"), ["你好。", "「再见！」", "好"]);
        assert_eq!(split("a line\r\nanother\r\n"), ["a line", "another"]);
        assert_eq!(split("  .  "), ["."]);
        assert_eq!(split(""), Vec::<&str>::new());
    }

    #[test]
    fn blank_lines_end_long_documents() {
        let long = "word ".repeat(300);
        let text = format!("{long}\n{long}\n \t\n\n{long}\r\n\r\n{long}");
        let found = documents(&text);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].lines().count(), 2);
    }

    #[test]
    fn paragraphs_are_joined_into_documents() {
        let text = "A short paragraph\nof a few words.\n\n".repeat(500);
        let found = documents(&text);
        assert_eq!(found.len(), text.len().div_ceil(8_015));
        let words = |text: &str| text.split_whitespace().count();
        assert_eq!(found.iter().map(|document| words(document)).sum::<usize>(), words(&text));
    }

    #[test]
    fn short_texts_of_a_line_are_documents() {
        assert_eq!(documents(&"A post of a few words.\n\n".repeat(200)).len(), 200);
    }

    #[test]
    fn nothing_but_blank_lines_is_no_document() {
        assert!(documents("\n \n\t\n").is_empty());
        assert!(documents("").is_empty());
    }
}
