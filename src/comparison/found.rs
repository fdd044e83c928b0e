//! What a comparison has found so far, a line each in results.jsonl: small enough to be kept where its runs are not.

use super::ComparisonError;
use crate::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One network pre-trained and fine-tuned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What was compared, or [`RANDOM`].
    pub arm: String,
    /// Of its pre-training and of its fine-tuning.
    pub seed: u64,
    /// What it was fine-tuned on.
    pub task: String,
    /// What it was allowed to cost, in floating-point operations; 0 of [`RANDOM`].
    #[serde(default)]
    pub budget: f64,
    /// Steps of pre-training behind it; those at the end of its budget are [`Found::end`].
    pub step: u64,
    /// What they cost.
    pub flops: f64,
    /// Tokens that they read.
    pub tokens: u64,
    /// Seconds that they took, all of the run's.
    pub seconds: f64,
    /// Whether the budget is at its end.
    pub end: bool,
    /// The task's selecting measure on its held-out records, of the best checkpoint by it.
    pub score: f64,
}

/// What the networks are without any pre-training.
pub const RANDOM: &str = "random weights";

/// The file in a comparison's folder that has them.
pub const RESULTS: &str = "results.jsonl";
/// What tells a comparison from others.
pub const IDENTITY: &str = "compare.json";

/// All that was found, in the order in which it was.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    found: Vec<Found>,
    /// Whether the file ends inside a line.
    cut: bool,
}

impl Results {
    /// What is in `folder`; a last line that was cut off is passed over.
    ///
    /// # Errors
    /// [`ComparisonError`].
    pub fn read(folder: &Path) -> Result<Self, ComparisonError> {
        let path = folder.join(RESULTS);
        let text = match crate::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ComparisonError::File { path, source }),
        };
        // A comparison of before there could be several had one, and its lines do not say which.
        let only = Kept::read(folder).budgets.first().copied().unwrap_or_default();
        let line = |(i, line): (usize, &str)| {
            let mut found: Found = serde_json::from_str(line)
                .map_err(|e| ComparisonError::Foreign { path: path.clone(), reason: format!("line {}: {e}", i + 1) })?;
            if found.budget == 0.0 && found.arm != RANDOM {
                found.budget = only;
            }
            Ok(found)
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let found = whole.lines().enumerate().map(line).collect::<Result<_, _>>()?;
        Ok(Self { path, found, cut: whole.len() < text.len() })
    }

    pub fn all(&self) -> &[Found] {
        &self.found
    }

    /// Whether that is known already; `step` of `None` is the budget's end.
    pub fn has(&self, arm: &str, budget: f64, seed: u64, task: &str, step: Option<u64>) -> bool {
        let is = |f: &&Found| f.arm == arm && f.budget == budget && f.seed == seed && f.task == task;
        self.found.iter().filter(is).any(|f| step.map_or(f.end, |step| f.step == step))
    }

    /// Keeps one more.
    ///
    /// # Errors
    /// [`ComparisonError::File`].
    pub fn add(&mut self, found: Found) -> Result<(), ComparisonError> {
        let failed = |source| ComparisonError::File { path: self.path.clone(), source };
        let line = serde_json::to_string(&found).map_err(|e| failed(e.into()))? + "\n";
        if self.cut {
            let text = crate::fs::read_to_string(&self.path).map_err(failed)?;
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            files::write(&self.path, whole.as_bytes()).map_err(failed)?;
            self.cut = false;
        }
        let file = crate::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(failed)?;
        self.found.push(found);
        Ok(())
    }
}

/// What compare.json has of what is compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    /// The budgets in the order in which they were asked for.
    pub budgets: Vec<f64>,
    /// At how many points along a budget is fine-tuned.
    pub points: Option<u64>,
    /// What is compared, in order; a comparison of before this was kept has none.
    pub arms: Vec<String>,
}

impl Kept {
    /// Of the comparison in a folder; nothing where there is none.
    pub fn read(folder: &Path) -> Self {
        let read = || serde_json::from_slice::<Value>(&crate::fs::read(folder.join(IDENTITY)).ok()?).ok();
        let Some(kept) = read() else { return Self::default() };
        let list = |key: &str| kept[key].as_array().cloned().unwrap_or_default();
        Self {
            // One number where it was made before there could be several.
            budgets: kept["flops"].as_f64().into_iter().chain(list("flops").iter().filter_map(Value::as_f64)).collect(),
            points: kept["points"].as_u64(),
            arms: list("arms").iter().filter_map(|arm| arm.as_str().map(String::from)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn what_was_found_comes_back_and_a_cut_line_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results::read(folder.path()).unwrap();
        results.add(found("electra", 1, 5, 0.5)).unwrap();
        results.add(found("electra", 2, 10, 0.5)).unwrap();
        let path = folder.path().join(RESULTS);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"arm\":")).unwrap();
        let mut again = Results::read(folder.path()).unwrap();
        assert_eq!(again.all(), results.all());
        let has = |arm, budget, seed, step| again.has(arm, budget, seed, "chunk", step);
        assert!(has("electra", 2e12, 1, Some(5)) && !has("electra", 2e12, 1, None));
        assert!(has("electra", 2e12, 2, None) && !has("electra", 1e12, 2, None) && !has("mlm", 2e12, 2, None));
        // Who only looks leaves the file as it is: it may be written to.
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("{\"arm\":"));
        again.add(found("mlm", 1, 10, 0.25)).unwrap();
        assert_eq!(Results::read(folder.path()).unwrap().all(), again.all());
        std::fs::write(&path, "{}\n").unwrap();
        let error = Results::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("as leyden compare wrote it"), "{error}");
    }

    #[test]
    fn lines_without_a_budget_have_that_of_their_comparison() {
        let folder = tempfile::tempdir().unwrap();
        let line = |arm: &str| {
            format!(
                r#"{{"arm":"{arm}","seed":1,"task":"chunk","step":9,"flops":3e9,"tokens":1,"seconds":1.0,"end":true,"score":0.5}}"#
            )
        };
        std::fs::write(folder.path().join(RESULTS), format!("{}\n{}\n", line("mlm"), line(RANDOM))).unwrap();
        for kept in [r#"{"flops": 4e9}"#, r#"{"flops": [4e9, 1e9]}"#] {
            std::fs::write(folder.path().join(IDENTITY), kept).unwrap();
            let budgets: Vec<f64> = Results::read(folder.path()).unwrap().all().iter().map(|f| f.budget).collect();
            assert_eq!(budgets, [4e9, 0.0], "{kept}");
        }
    }
}
