//! What a person chooses before training: text, preset, device, and when it ends.

use crate::config::{Config, ConfigError, Precision, preset};
use crate::corpus::Sample;
use crate::graph::Recompute;
use crate::session::{Device, SessionOptions};
use crate::train::Resources;
use crate::window::Job;
use bytesize::ByteSize;
use std::path::{Path, PathBuf};

/// What to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A sample inside the program.
    Sample(Sample),
    /// Files and folders of text, of which a dataset is made first.
    Files(Vec<PathBuf>),
    /// A dataset that was made before.
    Dataset(PathBuf),
}

impl Default for Source {
    /// The one that shows most within a minute.
    fn default() -> Self {
        Self::Sample(Sample::Stories)
    }
}

impl Source {
    /// What dropped or chosen paths are: a folder with a manifest is a dataset, anything else text.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        match &paths[..] {
            [] => Self::default(),
            [one] if one.join("manifest.json").is_file() => Self::Dataset(one.clone()),
            _ => Self::Files(paths),
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match self {
            Self::Sample(sample) => format!("a sample: {}", sample.about()),
            Self::Files(files) => match &files[..] {
                [one] => name(one),
                [first, rest @ ..] => format!("{} and {} more", name(first), rest.len()),
                [] => String::new(),
            },
            Self::Dataset(folder) => format!("dataset {}", name(folder)),
        }
    }
}

/// When training ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// After the preset's number of steps.
    #[default]
    Preset,
    /// After a number of steps.
    Steps,
    /// After some minutes: the class ends then.
    Minutes,
}

/// Why training cannot start as the form says. One line each.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StartError {
    /// A field that is no number, or not one that makes sense.
    #[error("{field} is {found:?}: expected {expected}")]
    Field {
        /// Its label.
        field: &'static str,
        /// What was typed.
        found: String,
        /// What may be.
        expected: &'static str,
    },
    /// A link that asks for something else.
    #[error("the link has {key:?}, expected {expected}")]
    Link {
        /// What it has.
        key: String,
        /// What may be.
        expected: &'static str,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Config(String),
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

/// The start screen's fields, as they are typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// The text.
    pub source: Source,
    /// The objective's name.
    pub objective: String,
    /// The preset's name.
    pub preset: String,
    /// `auto`, `cpu`, or part of an adapter's name.
    pub device: String,
    /// When it ends.
    pub end: End,
    /// Steps, where they decide.
    pub steps: String,
    /// Minutes, where they decide.
    pub minutes: String,
    /// The seed.
    pub seed: String,
    /// The peak learning rate; the preset's if empty.
    pub learning_rate: String,
    /// Memory that training may take, as in 2GB; what the device has if empty.
    pub memory: String,
    /// What activations are stored in.
    pub precision: Precision,
    /// What the backward part computes again; whatever is fastest of what fits if `None`.
    pub recompute: Option<Recompute>,
    /// The run's folder; the first free one of its settings' name if empty.
    pub folder: String,
    /// The vocabulary that is learnt keeps case.
    pub cased: bool,
    /// It drops accents and other marks.
    pub strip_accents: bool,
    /// Settings that win over all that, `section.key=value` each: a link has them.
    pub settings: Vec<String>,
}

impl Default for Form {
    /// One click trains the sample.
    fn default() -> Self {
        Self {
            source: Source::default(),
            objective: "electra".into(),
            preset: "tiny".into(),
            device: "auto".into(),
            end: End::default(),
            steps: String::new(),
            minutes: "40".into(),
            seed: "1".into(),
            learning_rate: String::new(),
            memory: String::new(),
            precision: Precision::default(),
            recompute: None,
            folder: String::new(),
            cased: false,
            strip_accents: false,
            settings: Vec::new(),
        }
    }
}

impl Form {
    /// The settings that the fields make.
    ///
    /// # Errors
    /// [`StartError`] names the first field that cannot be used.
    pub fn config(&self) -> Result<Config, StartError> {
        let mut config = preset(&self.preset)?.with_objective(&self.objective)?;
        config.seed = field("Seed", &self.seed, "a whole number")?;
        config.data.cased = self.cased;
        config.data.strip_accents = Some(self.strip_accents);
        config.training.precision = self.precision;
        if !self.learning_rate.trim().is_empty() {
            config.optimizer.learning_rate =
                field("Learning rate", &decimal(&self.learning_rate), "a number such as 5e-4")?;
        }
        match self.end {
            End::Preset => {}
            // Thousands may be written as people write them.
            End::Steps => {
                let plain = self.steps.replace([',', '_', ' ', '.', '\''], "");
                config.training.steps = field("Steps", &plain, "a whole number above 0")?;
            }
            End::Minutes => {
                let minutes: f64 = field("Minutes", &decimal(&self.minutes), "a number above 0")?;
                config.training.hours = Some(minutes / 60.0);
            }
        }
        match &self.source {
            Source::Sample(sample) => config.data.sample = *sample,
            Source::Dataset(folder) => {
                crate::session::choose(&mut config, &[], Some(folder))
                    .map_err(|e| StartError::Config(e.to_string()))?;
            }
            Source::Files(_) => {}
        }
        for setting in &self.settings {
            config = config.set(setting)?;
        }
        config.check()?;
        Ok(config)
    }

    /// What the trainer's thread is started with.
    ///
    /// # Errors
    /// [`StartError`], as [`Form::config`].
    pub fn job(&self) -> Result<Job, StartError> {
        let config = Box::new(self.config()?);
        let files = match &self.source {
            Source::Files(files) => files.clone(),
            Source::Sample(_) | Source::Dataset(_) => Vec::new(),
        };
        let folder = Some(self.folder.trim()).filter(|name| !name.is_empty()).map(PathBuf::from);
        Ok(Job::Start { folder, config, length: None, files, how: self.how()? })
    }

    /// The device and its memory, which going on with a run takes from here as well.
    ///
    /// # Errors
    /// [`StartError::Field`] for memory that is no size.
    pub fn how(&self) -> Result<SessionOptions, StartError> {
        let memory = match self.memory.trim() {
            "" => None,
            text => match text.parse::<ByteSize>() {
                Ok(size) if size.as_u64() > 0 => Some(size.as_u64()),
                _ => return Err(bad("Memory", text, "a size such as 2GB or 1500MiB")),
            },
        };
        let Ok(device): Result<Device, _> = self.device.trim().parse();
        let resources = Resources { memory, recompute: self.recompute };
        Ok(SessionOptions { device, resources, ..SessionOptions::default() })
    }
}

fn bad(field: &'static str, found: &str, expected: &'static str) -> StartError {
    StartError::Field { field, found: found.into(), expected }
}

/// Many write a comma where others have a point.
fn decimal(text: &str) -> String {
    text.replace(',', ".")
}

fn field<T: std::str::FromStr>(name: &'static str, text: &str, expected: &'static str) -> Result<T, StartError> {
    text.trim().parse().map_err(|_| bad(name, text, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_click_trains_the_sample() {
        let form = Form::default();
        assert_eq!(form.config().unwrap(), preset("tiny").unwrap().set("data.sample=stories").unwrap());
        let Job::Start { folder, files, how, .. } = form.job().unwrap() else { panic!("another job") };
        assert!(
            folder.is_none() && files.is_empty() && how.device == Device::Auto && how.resources == Resources::default()
        );
    }

    #[test]
    fn fields_become_settings() {
        let form = Form {
            end: End::Minutes,
            seed: "7".into(),
            learning_rate: "1e-3".into(),
            memory: "2GB".into(),
            device: "cpu".into(),
            precision: Precision::Mixed,
            recompute: Some(Recompute::Full),
            ..Form::default()
        };
        let config = form.config().unwrap();
        assert_eq!(config.training.precision, Precision::Mixed);
        assert_eq!(form.how().unwrap().resources.recompute, Some(Recompute::Full));
        assert_eq!((config.training.hours, config.seed, config.optimizer.learning_rate), (Some(40.0 / 60.0), 7, 1e-3));
        assert_eq!(form.how().unwrap().resources.memory, Some(2_000_000_000));
        let steps = Form { end: End::Steps, steps: "12,000".into(), ..Form::default() };
        assert_eq!(steps.config().unwrap().training.steps, 12_000);
        let comma = Form { learning_rate: "0,001".into(), end: End::Minutes, minutes: "1,5".into(), ..Form::default() };
        let config = comma.config().unwrap();
        assert_eq!((config.optimizer.learning_rate, config.training.hours), (0.001, Some(0.025)));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = [
            (Form { seed: "x".into(), ..Form::default() }, "Seed"),
            (Form { end: End::Steps, steps: "0".into(), ..Form::default() }, "training.steps"),
            (Form { end: End::Steps, ..Form::default() }, "Steps"),
            (Form { end: End::Minutes, minutes: "-1".into(), ..Form::default() }, "training.hours"),
            (Form { learning_rate: "fast".into(), ..Form::default() }, "Learning rate"),
            (Form { memory: "2 apples".into(), ..Form::default() }, "Memory"),
            (Form { preset: "huge".into(), ..Form::default() }, "huge"),
        ];
        for (form, words) in wrong {
            let error = form.job().unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_folder_with_a_manifest_is_a_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(Source::of(vec![path.clone()]), Source::Files(vec![path.clone()]));
        std::fs::write(path.join("manifest.json"), "{}").unwrap();
        assert_eq!(Source::of(vec![path.clone()]), Source::Dataset(path.clone()));
        assert_eq!(Source::of(Vec::new()), Source::default());
        assert_eq!(Source::Files(vec!["a/b.txt".into(), "c".into()]).describe(), "b.txt and 1 more");
        let config = Form { source: Source::Dataset(path.clone()), ..Form::default() }.config().unwrap();
        assert_eq!(config.data.dataset, Some(path));
    }
}
