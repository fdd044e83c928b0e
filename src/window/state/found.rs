//! The runs in a folder of runs, as the start page lists them.

use crate::fs;
use crate::numbers::fixed;
use crate::run::{METRICS, Run, SEEDS};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use web_time::SystemTime;

/// A run that may be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundRun {
    /// Its folder.
    pub folder: PathBuf,
    /// What it learns, in words: an objective, and a task or a preset.
    pub about: String,
    /// Steps that are saved.
    pub step: u64,
    /// What its best checkpoint is on held-out text, in words; empty where that is not known.
    pub best: String,
}

impl FoundRun {
    /// Those in `folder`, and in the folders there that hold a run a seed; those written to last come first. What cannot be read is
    /// left out.
    pub fn all_in(folder: &Path) -> Vec<Self> {
        let mut found: Vec<(Option<SystemTime>, Self)> = inside(folder)
            .flat_map(|path| match Self::read(&path) {
                Some(run) => vec![run],
                None if fs::is_file(&path.join(SEEDS)) => inside(&path).filter_map(|path| Self::read(&path)).collect(),
                None => Vec::new(),
            })
            .collect();
        found.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.folder.cmp(&other.folder)));
        found.into_iter().map(|(_, run)| run).collect()
    }

    /// The run in `folder`, and when it was written to last.
    fn read(folder: &Path) -> Option<(Option<SystemTime>, Self)> {
        let config = Run::config(folder).ok().flatten()?;
        // What is known of the text does not matter to which measure it is.
        let measure = config.measures(0.0).selecting().cloned();
        let best = Run::best_of(folder).zip(measure);
        let best = best.map(|((.., value), m)| format!("{} {}", m.short, fixed(value, m.digits.into())));
        let run = Self {
            folder: folder.into(),
            about: config.in_words(),
            step: Run::newest_step(folder).unwrap_or_default(),
            best: best.unwrap_or_default(),
        };
        Some((crate::files::modified(&folder.join(METRICS)), run))
    }
}

fn inside(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, fine_tuning, preset};
    use crate::corpus::{Tokenizer, VocabularyOptions};
    use crate::history::TextFacts;
    use crate::task::Task;
    use std::time::Duration;

    #[test]
    fn runs_are_listed_with_what_they_learn() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FoundRun::all_in(&folder.path().join("none")), []);
        let options = VocabularyOptions { size: 60, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train(["we want peace"], &options).unwrap();
        let make = |name: &str, config: &Config, age: u64| {
            let run = folder.path().join(name);
            let facts = TextFacts { documents: 1, tokens: 3, unigram_entropy: 1.0 };
            drop(Run::create(&run, config, &tokenizer, &facts).unwrap());
            std::fs::create_dir_all(run.join("checkpoints/step-000040")).unwrap();
            let when = SystemTime::now() - Duration::from_secs(age);
            std::fs::File::options().write(true).open(run.join("metrics.jsonl")).unwrap().set_modified(when).unwrap();
        };
        let mut squad1 = fine_tuning(&Task::named("squad1").unwrap());
        squad1.task.as_mut().unwrap().train = Some("train.json".into());
        make("tiny", &preset("tiny").unwrap(), 50);
        make("squad", &squad1, 5);
        make("seeds/seed-1", &squad1, 20);
        make("torn", &squad1, 1);
        std::fs::write(folder.path().join("torn/config.toml"), "[model").unwrap();
        let names = || -> Vec<(String, String, u64)> {
            let found = FoundRun::all_in(folder.path()).into_iter();
            found.map(|run| (run.folder.file_name().unwrap().to_string_lossy().into(), run.about, run.step)).collect()
        };
        let squad = ("squad".to_string(), "question answering squad1".to_string(), 40);
        assert_eq!(names(), [squad.clone(), ("tiny".into(), "ELECTRA tiny".into(), 40)]);
        std::fs::write(folder.path().join("seeds/seeds.json"), "{}").unwrap();
        assert_eq!(names()[1], ("seed-1".to_string(), squad.1, squad.2));
    }
}
