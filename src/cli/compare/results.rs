//! What a comparison has found so far, a line each in results.jsonl: small enough to be kept where its runs are not.

use crate::cli::Failure;
use crate::files;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One network pre-trained and fine-tuned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    /// What was compared, or [`RANDOM`].
    pub arm: String,
    /// Of its pre-training and of its fine-tuning.
    pub seed: u64,
    /// What it was fine-tuned on.
    pub task: String,
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
pub(super) const RANDOM: &str = "random weights";

const FILE: &str = "results.jsonl";

/// All that was found, in the order in which it was.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    found: Vec<Found>,
}

impl Results {
    /// What is in `folder`; a last line that was cut off is found again.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Failure::Input(format!("{}: {e}", path.display()))),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let line = |(i, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| Failure::Input(format!("{} line {}: {e}", path.display(), i + 1)))
        };
        let found = whole.lines().enumerate().map(line).collect::<Result<_, Failure>>()?;
        if whole.len() < text.len() {
            files::write(&path, whole.as_bytes()).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))?;
        }
        Ok(Self { path, found })
    }

    pub(super) fn all(&self) -> &[Found] {
        &self.found
    }

    /// Whether that is known already; `step` of `None` is the budget's end.
    pub(super) fn has(&self, arm: &str, seed: u64, task: &str, step: Option<u64>) -> bool {
        let is = |f: &&Found| f.arm == arm && f.seed == seed && f.task == task;
        self.found.iter().filter(is).any(|f| step.map_or(f.end, |step| f.step == step))
    }

    /// Keeps one more.
    pub(super) fn add(&mut self, found: Found) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure::Work(format!("{}: {e}", self.path.display()));
        let line = serde_json::to_string(&found).map_err(Failure::work)? + "\n";
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(failed)?;
        self.found.push(found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_comes_back_and_a_cut_line_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let found = |seed| Found {
            arm: "electra".into(),
            seed,
            task: "chunk".into(),
            step: 30,
            flops: 1.5e12,
            tokens: 900,
            seconds: 2.25,
            end: seed == 2,
            score: 0.5,
        };
        let mut results = Results::read(folder.path()).unwrap();
        results.add(found(1)).unwrap();
        results.add(found(2)).unwrap();
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"arm\":")).unwrap();
        let again = Results::read(folder.path()).unwrap();
        assert_eq!(again.all(), results.all());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert!(again.has("electra", 1, "chunk", Some(30)) && !again.has("electra", 1, "chunk", None));
        assert!(again.has("electra", 2, "chunk", None) && !again.has("mlm", 2, "chunk", None));
        std::fs::write(&path, "{}\n").unwrap();
        assert!(matches!(Results::read(folder.path()), Err(Failure::Input(text)) if text.contains("line 1")));
    }
}
