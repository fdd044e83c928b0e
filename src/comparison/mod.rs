//! What a comparison at equal cost has found, and what that comes to: a table, a curve for each of what was compared, and, of one setting
//! at several values, a panel over these.
//!
//! `leyden compare` makes the folder; the terminal, the pictures and the window read it.

mod curve;
mod found;
mod table;

pub use found::{Found, IDENTITY, Kept, RANDOM, RESULTS, Results};
pub use table::{Row, Score, Table};

use crate::measure::{Measure, Measures};
use crate::picture::ValuePanel;
use crate::run::METRICS;
use std::path::{Path, PathBuf};
use table::scores;

/// Why a comparison cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonError {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of something else.
    #[error("{}: {reason}; expected it as leyden compare wrote it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing that could be shown.
    #[error("{} has no result yet; leyden compare goes on with it", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
}

/// A task and what it is measured by.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The task's name.
    pub name: String,
    /// What selects its best checkpoint.
    pub measure: Measure,
}

impl Judged {
    /// As in `chunk: F1 of spans`.
    pub fn title(&self) -> String {
        format!("{}: {}", self.name, self.measure.title)
    }
}

/// A comparison's results.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Its folder.
    pub folder: PathBuf,
    /// What was compared, in order, of what there are results.
    pub arms: Vec<String>,
    /// The tasks that were judged by.
    pub judged: Vec<Judged>,
    /// What each was allowed to cost, in floating-point operations, the least first.
    pub budgets: Vec<f64>,
    found: Vec<Found>,
}

/// What a task in a comparison's `folder` is measured by, once it was.
pub fn measure_file(folder: &Path, task: &str) -> PathBuf {
    folder.join(format!("measure-{task}.json"))
}

impl Comparison {
    /// Whether a folder is one's.
    pub fn is_in(folder: &Path) -> bool {
        let has = |name: &str| crate::fs::is_file(&folder.join(name));
        !has(METRICS) && (has(IDENTITY) || has(RESULTS))
    }

    /// As a folder has it.
    ///
    /// # Errors
    /// [`ComparisonError`].
    pub fn read(folder: &Path) -> Result<Self, ComparisonError> {
        let (kept, results) = (Kept::read(folder), Results::read(folder)?);
        let mut arms: Vec<&str> = kept.arms.iter().map(String::as_str).collect();
        for found in results.all().iter().filter(|found| found.arm != RANDOM) {
            if !arms.contains(&found.arm.as_str()) {
                arms.push(&found.arm);
            }
        }
        Self::of(folder, &arms, &results)
    }

    /// Of these, in this order, as far as there are results.
    ///
    /// # Errors
    /// [`ComparisonError`].
    pub fn of(folder: &Path, arms: &[&str], results: &Results) -> Result<Self, ComparisonError> {
        let all = results.all();
        let mut tasks: Vec<&str> = Vec::new();
        for found in all {
            if !tasks.contains(&found.task.as_str()) {
                tasks.push(&found.task);
            }
        }
        let judged = tasks.into_iter().filter_map(|task| judged(folder, task).transpose());
        let judged = judged.collect::<Result<Vec<_>, _>>()?;
        let there = |arm: &&&str| all.iter().any(|found| found.arm == **arm);
        let arms: Vec<String> = arms.iter().filter(there).map(|arm| (*arm).to_string()).collect();
        if let (true, false, Some(task)) = (judged.is_empty(), arms.is_empty(), all.first()) {
            let path = measure_file(folder, &task.task);
            return Err(ComparisonError::Foreign { path, reason: "it is not there".into() });
        }
        if judged.is_empty() || arms.is_empty() {
            return Err(ComparisonError::Empty { folder: folder.into() });
        }
        let found: Vec<Found> =
            all.iter().filter(|found| found.arm == RANDOM || arms.contains(&found.arm)).cloned().collect();
        let mut budgets: Vec<f64> = found.iter().filter(|f| f.arm != RANDOM).map(|found| found.budget).collect();
        budgets.sort_by(f64::total_cmp);
        budgets.dedup();
        Ok(Self { folder: folder.into(), arms, judged, budgets, found })
    }

    /// The one setting of which all are values, where there is one: of `generator=1/8` and `generator=1/4` the generator.
    pub fn setting(&self) -> Option<&str> {
        let (first, _) = self.arms.first()?.split_once('=')?;
        let is_value = |arm: &String| arm.split_once('=').is_some_and(|(setting, _)| setting == first);
        // `electra:over=selected` is an objective with a setting.
        (!first.contains(':') && self.arms.iter().all(is_value)).then_some(first)
    }

    /// What each value of the [setting](Self::setting) came to, a panel a task; none without one. Of several budgets with the largest
    /// of those that most of them have finished.
    pub fn by_value(&self) -> Vec<ValuePanel> {
        let ended = |budget: f64| self.arms.iter().filter(|arm| self.has_ended(arm, budget)).count();
        let most = self.budgets.iter().copied().max_by_key(|budget| ended(*budget));
        let Some(budget) = most.filter(|_| self.setting().is_some()) else { return Vec::new() };
        let of = |arm: &str, task: &str| -> Vec<f64> {
            scores(&self.found, arm, task, budget).into_iter().map(|(_, score)| score).collect()
        };
        let arms: Vec<&String> = self.arms.iter().filter(|arm| self.has_ended(arm, budget)).collect();
        let cost = if self.budgets.len() > 1 { format!(", {budget:.1e} FLOP") } else { String::new() };
        let panel = |task: &Judged| {
            let value = |arm: &&String| {
                let value = arm.split_once('=').map_or(arm.as_str(), |(_, value)| value);
                (value.to_string(), of(arm, &task.name))
            };
            let level = table::mean(&of(RANDOM, &task.name)).map(|mean| (RANDOM.to_string(), mean));
            ValuePanel { title: task.title() + &cost, values: arms.iter().map(value).collect(), level }
        };
        if arms.is_empty() { Vec::new() } else { self.judged.iter().map(panel).collect() }
    }

    /// Whether it has a score of every task at that budget's end.
    fn has_ended(&self, arm: &str, budget: f64) -> bool {
        self.judged.iter().all(|task| !scores(&self.found, arm, &task.name, budget).is_empty())
    }
}

fn judged(folder: &Path, task: &str) -> Result<Option<Judged>, ComparisonError> {
    let path = measure_file(folder, task);
    let bytes = match crate::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ComparisonError::File { path, source }),
    };
    let measures =
        Measures::from_json(&bytes).map_err(|reason| ComparisonError::Foreign { path, reason: reason.to_string() })?;
    Ok(measures.selecting().map(|measure| Judged { name: task.into(), measure: (**measure).clone() }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measure::Plot;

    /// A result of a comparison of chunks; at step 5 its budget is not at its end.
    pub(crate) fn found(arm: &str, seed: u64, step: u64, score: f64) -> Found {
        let (end, flops) = (step != 5, 1e11 * step as f64);
        let budget = if arm == RANDOM { 0.0 } else { 2e12 };
        let task = "chunk".into();
        Found { arm: arm.into(), seed, task, budget, step, flops, tokens: 100 * step, seconds: 7.2, end, score }
    }

    /// A comparison with these results in a folder.
    pub(crate) fn write(folder: &Path, found: &[Found]) {
        let mut results = Results::read(folder).unwrap();
        found.iter().for_each(|found| results.add(found.clone()).unwrap());
        let measure =
            Measures::new([Measure { selects: true, plot: Plot::Main, ..Measure::share("span_f1", "F1 of spans") }]);
        crate::fs::write(measure_file(folder, "chunk"), measure.to_json().unwrap()).unwrap();
    }

    /// With these results.
    pub(crate) fn comparison(found: &[Found]) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), found);
        Comparison::read(folder.path()).unwrap()
    }

    #[test]
    fn a_folder_says_what_was_compared_and_of_what_they_are_values() {
        let all = comparison(&[
            found(RANDOM, 1, 0, 0.5),
            found("generator=1/8", 1, 10, 0.7),
            found("generator=1/4", 1, 10, 0.6),
            found("generator=1", 1, 5, 0.6),
        ]);
        assert_eq!(all.arms, ["generator=1/8", "generator=1/4", "generator=1"]);
        assert_eq!((all.setting(), all.budgets.as_slice()), (Some("generator"), &[2e12][..]));
        let [panel] = &all.by_value()[..] else { panic!("one task") };
        // What is not at its end has no place yet.
        assert_eq!(panel.values, [("1/8".to_string(), vec![0.7]), ("1/4".into(), vec![0.6])]);
        assert_eq!(panel.level, Some((RANDOM.into(), 0.5)));
        // Until most have ended there, a larger budget is not theirs.
        let larger = Found { budget: 4e12, ..found("generator=1", 1, 20, 0.9) };
        let all = comparison(&[found("generator=1/8", 1, 10, 0.7), found("generator=1/4", 1, 10, 0.6), larger]);
        let [panel] = &all.by_value()[..] else { panic!("one task") };
        assert_eq!((panel.values.len(), panel.title.as_str()), (2, "chunk: F1 of spans, 2.0e12 FLOP"));
        for others in [["electra", "mlm"], ["electra:over=selected", "mlm"], ["over=all", "tying=all"]] {
            let all = comparison(&others.map(|arm| found(arm, 1, 10, 0.7)));
            assert_eq!((all.setting(), all.by_value()), (None, Vec::new()));
        }
        let folder = tempfile::tempdir().unwrap();
        let (is_in, read) = (|| Comparison::is_in(folder.path()), || Comparison::read(folder.path()));
        assert!(!is_in());
        crate::fs::write(folder.path().join(IDENTITY), r#"{"arms": ["mlm", "electra"]}"#).unwrap();
        assert!(is_in() && matches!(read(), Err(ComparisonError::Empty { .. })));
        write(folder.path(), &["electra", "mlm", "teams"].map(|arm| found(arm, 1, 10, 0.7)));
        assert_eq!(read().unwrap().arms, ["mlm", "electra", "teams"]);
        crate::fs::remove_file(measure_file(folder.path(), "chunk")).unwrap();
        assert!(read().unwrap_err().to_string().contains("measure-chunk.json: it is not there"));
        crate::fs::write(folder.path().join(METRICS), "").unwrap();
        assert!(!is_in());
    }
}
