//! Flags that decide how files are read as text, shared by `prepare` and `train`.

use crate::text::{DocumentRule, Reading, TextEncoding};
use clap::Args;

/// What these flags stand under in a command's help.
const READING: &str = "How files are read";

/// How documents are found in files.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadingArguments {
    /// The field of JSON, or the column of a table or parquet file, that holds the text; a.b is b in a [default: text]
    #[arg(help_heading = READING, long, value_name = "NAME")]
    pub field: Option<String>,
    /// What a document is in plain text. auto: blank lines end one, but short blocks of wrapped lines are taken for
    /// paragraphs and joined, which is said [default: auto]
    #[arg(help_heading = READING, long, value_name = "auto|blank-lines|paragraphs|lines|files")]
    pub documents: Option<DocumentRule>,
    /// The encoding of text without a byte-order mark, as in windows-1252, gbk or utf-16le [default: utf-8]
    #[arg(help_heading = READING, long, value_name = "NAME")]
    pub encoding: Option<TextEncoding>,
    /// Refuse a record that cannot be read instead of leaving it out and saying so
    #[arg(help_heading = READING, long)]
    pub strict: bool,
    /// Leave out documents that were there before; takes about 40 bytes of memory a document
    #[arg(help_heading = READING, long)]
    pub dedup: bool,
}

impl ReadingArguments {
    /// Takes the flags that were given over into `reading`.
    pub(crate) fn apply(&self, reading: &mut Reading) {
        if let Some(field) = &self.field {
            reading.field.clone_from(field);
        }
        reading.documents = self.documents.unwrap_or(reading.documents);
        reading.encoding = self.encoding.unwrap_or(reading.encoding);
        reading.strict |= self.strict;
        reading.dedup |= self.dedup;
    }

    /// The first flag that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.field.is_some(), "--field"),
            (self.documents.is_some(), "--documents"),
            (self.encoding.is_some(), "--encoding"),
            (self.strict, "--strict"),
            (self.dedup, "--dedup"),
        ];
        given.into_iter().find(|flag| flag.0).map(|flag| flag.1)
    }
}
