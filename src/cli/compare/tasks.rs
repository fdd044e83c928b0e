//! What is judged by: tasks, and their files as they come.

use crate::cli::Failure;
use crate::cli::output::remark;
use crate::comparison::measure_file;
use crate::files::{self, sha256};
use crate::history::Recorded;
use crate::measure::Measures;
use crate::task;
use std::path::{Path, PathBuf};

/// Names that files to learn from have, the likeliest first.
const TRAIN: [&str; 12] = [
    "train.tsv",
    "train.txt",
    "train.csv",
    "train.jsonl",
    "train.parquet",
    "train.conll",
    "train.json",
    "train-v1.1.json",
    "train-v2.0.json",
    "in_domain_train.tsv",
    "msr_paraphrase_train.txt",
    "eng.train",
];
/// And those to measure by.
const DEV: [&str; 16] = [
    "dev.tsv",
    "dev_matched.tsv",
    "dev.txt",
    "dev.csv",
    "dev.jsonl",
    "dev.parquet",
    "dev.conll",
    "dev.json",
    "dev-v1.1.json",
    "dev-v2.0.json",
    "in_domain_dev.tsv",
    "msr_paraphrase_test.txt",
    "eng.testa",
    "test.txt",
    "validation.jsonl",
    "test.conll",
];

/// A task and its files; the sample in the program has none.
#[derive(Debug, Clone)]
pub(super) struct Task {
    name: String,
    files: Option<(PathBuf, Option<PathBuf>)>,
}

/// `--task chunk=DIR,sst2=DIR`; the sample where there is none.
pub(super) fn of(given: &[String]) -> Result<Vec<Task>, Failure> {
    if given.is_empty() {
        return Ok(vec![Task { name: task::sample::NAME.into(), files: None }]);
    }
    let mut tasks: Vec<Task> = Vec::new();
    for text in given {
        let Some((name, place)) = text.split_once('=') else {
            return Err(Failure::Input(format!("--task {text}: expected NAME=DIR, as in chunk=conll2000")));
        };
        let task = task::Task::named(name).map_err(|error| Failure::Input(format!("--task {text}: {error}")))?;
        if tasks.iter().any(|known| known.name == task.name()) {
            return Err(Failure::Input(format!("--task {text}: {name} is there already")));
        }
        let files = found(Path::new(place)).map_err(|reason| Failure::Input(format!("--task {text}: {reason}")))?;
        if files.1.is_none() {
            let train = files.0.display();
            remark(&format!(
                "--task {text}: no file to measure by beside {train}: a tenth of it is held out, drawn by the seed"
            ));
        }
        tasks.push(Task { name: task.name().into(), files: Some(files) });
    }
    Ok(tasks)
}

/// The file to learn from, and the one to measure by, where there is one.
fn found(place: &Path) -> Result<(PathBuf, Option<PathBuf>), String> {
    if place.is_file() {
        return Ok((place.into(), None));
    }
    if !place.is_dir() {
        return Err(format!("{} is neither a folder nor a file", place.display()));
    }
    let there = |names: &[&str]| names.iter().map(|name| place.join(name)).find(|path| path.is_file());
    let train = there(&TRAIN);
    let train =
        train.ok_or_else(|| format!("{} has no file to learn from, as {}", place.display(), TRAIN.join(", ")))?;
    Ok((train, there(&DEV)))
}

impl Task {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The flags of `leyden fine-tune` that name it.
    pub(super) fn flags(&self) -> Vec<String> {
        let Some((train, dev)) = &self.files else { return Vec::new() };
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut flags = vec!["--task".into(), self.name.clone(), "--train".into(), path(train)];
        flags.extend(dev.iter().flat_map(|dev| ["--dev".into(), path(dev)]));
        flags
    }

    /// What tells its files from others, wherever they lie.
    pub(super) fn fingerprint(&self) -> Result<String, Failure> {
        let Some((train, dev)) = &self.files else { return Ok(String::new()) };
        let sum = |path: &PathBuf| {
            let bytes = std::fs::read(path).map_err(|e| Failure::Input(format!("{}: {e}", path.display())))?;
            Ok(sha256(&bytes))
        };
        let sums = std::iter::once(train).chain(dev).map(sum).collect::<Result<Vec<String>, Failure>>()?;
        Ok(sha256(sums.concat().as_bytes()))
    }

    /// Keeps what it is measured by, as a fine-tuning run in `folder` says.
    pub(super) fn keep_measure(&self, out: &Path, folder: &Path) -> Result<(), Failure> {
        let measures = Recorded::read(folder).map_err(Failure::work)?.measures;
        let Some(measure) = measures.selecting() else { return Ok(()) };
        let path = measure_file(out, &self.name);
        let bytes = Measures::new([(**measure).clone()]).to_json().map_err(Failure::work)?;
        files::write(&path, &bytes).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))
    }
}
