//! What reading came to, and what a person should know of it.

use super::find::PassedOver;
use crate::numbers::{grouped, shortened};
use serde_json::{Value, json};

/// Records that are left out are named so many times.
const NAMED: usize = 3;

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Its path as it was given or found; `-` for standard input.
    pub name: String,
    /// Documents in it.
    pub documents: u64,
    /// Their bytes as text.
    pub bytes: u64,
    /// Records that could not be read and were left out.
    pub skipped: u64,
}

/// What reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The files, in order.
    pub files: Vec<FileReport>,
    /// The first records that were left out: where, and why.
    pub skipped: Vec<(String, String)>,
    /// Documents that were left out because they had been there before.
    pub repeated: u64,
    /// What was not read at all.
    pub passed_over: PassedOver,
    /// Short blocks between blank lines that were taken for paragraphs, and the documents they were joined into.
    pub joined: (u64, u64),
    /// Files whose content is another than their ending says, and what they were read as.
    pub forms: Vec<(String, &'static str)>,
}

impl Report {
    /// Counts a record that is left out.
    pub(super) fn skip(&mut self, place: String, reason: String) {
        if self.skipped.len() < NAMED {
            self.skipped.push((place, reason));
        }
    }

    /// Documents of all files.
    pub fn documents(&self) -> u64 {
        self.files.iter().map(|file| file.documents).sum()
    }

    /// Records of all files that were left out.
    pub fn skipped(&self) -> u64 {
        self.files.iter().map(|file| file.skipped).sum()
    }

    /// What a person should know, a line each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some((name, form)) = self.forms.first() {
            let more = match self.forms.len() {
                1 => String::new(),
                n => format!(", and so are {} more", n - 1),
            };
            remarks.push(format!("{name} holds {form} and is read as such{more}"));
        }
        if self.skipped() > 0 {
            let places: Vec<String> =
                self.skipped.iter().map(|(place, reason)| format!("{place} ({})", shortened(reason, 80))).collect();
            let more = if self.skipped() > places.len() as u64 { ", ..." } else { "" };
            let (records, were) = if self.skipped() == 1 { ("record", "was") } else { ("records", "were") };
            let count = grouped(self.skipped());
            remarks
                .push(format!("{count} {records} could not be read and {were} left out: {}{more}", places.join(", ")));
        }
        let (blocks, documents) = self.joined;
        if blocks > 0 {
            remarks.push(format!(
                "{} short blocks between blank lines were taken for paragraphs and joined into {} documents; \
                 --documents blank-lines makes each a document",
                grouped(blocks),
                grouped(documents),
            ));
        }
        if self.repeated > 0 {
            let times = if self.repeated == 1 { "document was" } else { "documents were" };
            remarks.push(format!("{} {times} there before and left out", grouped(self.repeated)));
        }
        remarks.extend(self.passed_over.describe());
        remarks
    }

    /// The counts of what was not read, for a program.
    pub fn to_json(&self) -> Value {
        json!({
            "skipped": self.skipped(),
            "skipped_first": self.skipped.iter().map(|(place, reason)| format!("{place}: {reason}")).collect::<Vec<_>>(),
            "repeated": self.repeated,
            "paragraphs": { "blocks": self.joined.0, "documents": self.joined.1 },
            "passed_over": self.passed_over.kinds,
            "named_twice": self.passed_over.twice,
        })
    }
}
