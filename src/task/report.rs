//! What of a file was left out, and what is odd about it.

use crate::numbers::counted;

/// Reasons that are told apart; a file may be wrong in as many ways as it has lines.
const REASONS: usize = 20;

/// What reading a file came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The file's name.
    pub file: String,
    /// Rows (or questions, or sentences) that it holds, those left out included.
    pub rows: u64,
    /// What was odd, by reason, in the order in which it was met.
    pub oddities: Vec<Oddity>,
    /// What is to be said of the file as a whole.
    pub notes: Vec<String>,
}

/// Something odd that may have been met many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// What it is, as in `an empty text`.
    pub reason: String,
    /// Whether what has it was left out.
    pub left_out: bool,
    /// How many times.
    pub count: u64,
    /// Where it was met first, as in `line 7`.
    pub first: String,
}

impl Report {
    pub(super) fn of(file: &str) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// Counts something that is left out.
    pub(super) fn leave_out(&mut self, reason: &str, place: String) {
        self.add(reason, place, true);
    }

    /// Counts something that is odd and kept.
    pub(super) fn keep(&mut self, reason: &str, place: String) {
        self.add(reason, place, false);
    }

    /// Says something of the file as a whole.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn add(&mut self, reason: &str, place: String, left_out: bool) {
        let same = |oddity: &Oddity, reason: &str| oddity.left_out == left_out && oddity.reason == reason;
        let reason = match self.oddities.iter().any(|oddity| same(oddity, reason)) {
            false if self.oddities.len() >= REASONS => "something else",
            _ => reason,
        };
        match self.oddities.iter_mut().find(|oddity| same(oddity, reason)) {
            Some(oddity) => oddity.count += 1,
            None => self.oddities.push(Oddity { reason: reason.into(), left_out, count: 1, first: place }),
        }
    }

    /// How many rows (and answers) were left out.
    pub fn left_out(&self) -> u64 {
        self.oddities.iter().filter(|oddity| oddity.left_out).map(|oddity| oddity.count).sum()
    }

    /// Why there is not one record.
    pub(super) fn why_none(&self) -> String {
        match self.oddities.iter().filter(|oddity| oddity.left_out).max_by_key(|oddity| oddity.count) {
            Some(most) => {
                format!("not one of {} can be used; {}: {}", counted(self.rows, "row"), most.first, most.reason)
            }
            None => "holds no rows".into(),
        }
    }

    /// What a person should know, a line each.
    pub fn remarks(&self) -> Vec<String> {
        let oddities = self.oddities.iter().map(|Oddity { reason, left_out, count, first }| {
            let what = if *left_out { " left out" } else { "" };
            let first = if *count == 1 { first.clone() } else { format!("first {first}") };
            format!("{}: {}{what}: {reason} ({first})", self.file, counted(*count, "time"))
        });
        let notes = self.notes.iter().map(|note| format!("{}: {note}", self.file));
        oddities.chain(notes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_with_the_first_place() {
        let mut report = Report::of("a.tsv");
        report.rows = 3;
        report.leave_out("an empty text", "line 2".into());
        report.leave_out("an empty text", "line 3".into());
        report.keep("an empty pair", "line 4".into());
        report.note("tags are IOB1".into());
        assert_eq!(
            report.remarks(),
            [
                "a.tsv: 2 times left out: an empty text (first line 2)",
                "a.tsv: 1 time: an empty pair (line 4)",
                "a.tsv: tags are IOB1"
            ]
        );
        assert_eq!(
            (report.left_out(), report.why_none().as_str()),
            (2, "not one of 3 rows can be used; line 2: an empty text")
        );
        for i in 0..100 {
            report.keep(&format!("reason {i}"), "line 1".into());
        }
        assert_eq!(report.oddities.len(), REASONS + 1);
    }
}
