//! Reads the metrics of a run's folder.

use super::line::Line;
use super::{EXPECTED, Skipped, TextFacts};
use crate::config::Config;
use crate::files::modified_seconds;
use crate::fs::{self, File};
use crate::measure::{Measures, Values};
use crate::numbers::counted;
use crate::objective::ObjectiveConfig;
use crate::objective::electra::{Electra, measures};
use crate::run;
use crate::train::{Recipe, flops_a_step};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Why a run's history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Nothing is there.
    #[error("{} does not exist; expected a run's folder", folder.display())]
    Missing {
        /// What was asked for.
        folder: PathBuf,
    },
    /// No metrics in it.
    #[error("{} holds no metrics.jsonl; expected a run's folder, as `leyden train --run` makes it", folder.display())]
    NoMetrics {
        /// What was asked for.
        folder: PathBuf,
    },
    /// Metrics without a line.
    #[error("{} has no line of metrics yet; expected at least one interval of training", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Metrics of something else.
    #[error("{}: none of its lines is one of a leyden run's metrics: {first}; expected {EXPECTED}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The first line that is none.
        first: Skipped,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A text.json that is of something else.
    #[error("{}: {reason}; expected documents, tokens and unigram_entropy; remove it to draw without", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A measures.json that is damaged or of something else.
    #[error("{}: {reason}; put the run's own back, or remove it to read the run as one of before there was such a file", path.display())]
    Measures {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A config.toml that is no TOML.
    #[error("{}: {reason}; put the run's own back, or remove it to draw without", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
}

/// What a run's progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X {
    /// Optimizer steps.
    Steps,
    /// Tokens trained on, padding not counted.
    Tokens,
    /// Hours of training, the time between two sittings left out.
    Hours,
    /// Floating-point operations of the matrix products and attention.
    Flops,
}

impl X {
    /// What is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Tokens => "tokens",
            Self::Hours => "hours",
            Self::Flops => "floating-point operations",
        }
    }

    /// The axis' unit where it ends at `end`: its name, and how many of [`X`]'s own make one.
    pub fn unit(self, end: f64) -> (&'static str, f64) {
        match self {
            Self::Steps => ("steps", 1.0),
            Self::Tokens if end >= 2e9 => ("billion tokens", 1e9),
            Self::Tokens if end >= 2e6 => ("million tokens", 1e6),
            Self::Tokens => ("thousand tokens", 1e3),
            Self::Hours if end >= 2.0 => ("hours of training", 1.0),
            Self::Hours if end >= 2.0 / 60.0 => ("minutes of training", 1.0 / 60.0),
            Self::Hours => ("seconds of training", 1.0 / 3_600.0),
            Self::Flops if end >= 2e18 => ("EFLOP", 1e18),
            Self::Flops if end >= 2e15 => ("PFLOP", 1e15),
            Self::Flops if end >= 2e12 => ("TFLOP", 1e12),
            Self::Flops => ("GFLOP", 1e9),
        }
    }
}

/// A line of metrics. What a run did not measure is NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Steps done.
    pub step: u64,
    /// Tokens trained on since the run began.
    pub tokens: u64,
    /// Seconds trained since the run began, over all sittings.
    pub seconds: f64,
    /// Floating-point operations since the run began; NaN where neither the line nor config.toml says.
    pub flops: f64,
    /// Rate of the last step.
    pub learning_rate: f64,
    /// The gradients' norm of the last step.
    pub gradient_norm: f64,
    /// The loss scale of the last step; NaN but in mixed precision.
    pub loss_scale: f64,
    /// Since the line before.
    pub tokens_per_second: f64,
    /// What the objective measures, and its baselines that move.
    pub values: Values,
}

impl Default for Moment {
    fn default() -> Self {
        Self {
            step: 0,
            tokens: 0,
            seconds: 0.0,
            flops: f64::NAN,
            learning_rate: f64::NAN,
            gradient_norm: f64::NAN,
            loss_scale: f64::NAN,
            tokens_per_second: f64::NAN,
            values: Values::default(),
        }
    }
}

impl Moment {
    /// How far the run was.
    pub fn x(&self, x: X) -> f64 {
        match x {
            X::Steps => self.step as f64,
            X::Tokens => self.tokens as f64,
            X::Hours => self.seconds / 3600.0,
            X::Flops => self.flops,
        }
    }

    /// A measure of the objective or of every run, by name; `None` if the line does not have it.
    pub fn get(&self, name: &str) -> Option<f64> {
        let [rate, norm, speed, scale] = Measures::OF_RUN;
        let made = |x: f64| Some(x).filter(|x| !x.is_nan());
        match name {
            _ if name == rate => made(self.learning_rate),
            _ if name == norm => made(self.gradient_norm),
            _ if name == speed => made(self.tokens_per_second),
            _ if name == scale => made(self.loss_scale),
            _ => self.values.get(name),
        }
    }
}

/// Everything that a run's folder says about how training went.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The folder as it was named.
    pub folder: PathBuf,
    /// The training text, an interval a moment.
    pub intervals: Vec<Moment>,
    /// The held-out text.
    pub held_out: Vec<Moment>,
    /// The settings, where config.toml has all of them; that of another version may not.
    pub config: Option<Config>,
    /// What was measured.
    pub measures: Measures,
    /// Lines before the last one that were no metrics.
    pub skipped: usize,
    /// The first of them.
    pub first_skipped: Option<Skipped>,
    /// When the metrics were last written, in seconds since 1970.
    pub written: f64,
}

impl Recorded {
    /// Reads the run in `folder`, line by line: a run of a million steps takes no more memory than what is kept of it.
    /// A last line that was torn off, as by a run that is being written, is passed over.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read(folder: &Path) -> Result<Self, HistoryError> {
        if !crate::fs::is_there(folder) {
            return Err(HistoryError::Missing { folder: folder.into() });
        }
        if !crate::fs::is_there(&folder.join(run::METRICS)) {
            return Err(HistoryError::NoMetrics { folder: folder.into() });
        }
        let mut found = Self::read_metrics(folder, measures_of(folder)?)?;
        found.config = run::Run::config(folder).ok().flatten();
        found.complete();
        Ok(found)
    }

    /// Adds what lines of before do not say of themselves: such a line has no flops.
    fn complete(&mut self) {
        let old = |m: &&mut Moment| m.flops.is_nan();
        let mut old = self.intervals.iter_mut().chain(&mut self.held_out).filter(old).peekable();
        if old.peek().is_none() {
            return;
        }
        let config = self.config.as_ref();
        let flops =
            config.and_then(|config| flops_a_step(&Recipe::new(config)).ok()).map_or(f64::NAN, |flops| flops as f64);
        // The paper's, where nothing says which it was.
        let objective = config.map_or_else(|| Electra::default().into(), |config| config.objective.clone());
        for moment in old {
            moment.flops = moment.step as f64 * flops;
            if let ObjectiveConfig::Electra(electra) = &objective {
                measures::complete(&mut moment.values, electra);
            }
        }
    }

    /// As [`Recorded::read`], of metrics.jsonl alone, whatever the other files are like: the lines as they are.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read_metrics(folder: &Path, measures: Measures) -> Result<Self, HistoryError> {
        let path = folder.join(run::METRICS);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound || crate::fs::is_file(folder) => {
                return Err(HistoryError::NoMetrics { folder: folder.into() });
            }
            Err(source) => return Err(HistoryError::Read { path, source }),
        };
        let mut found = Self {
            folder: folder.into(),
            intervals: Vec::new(),
            held_out: Vec::new(),
            config: None,
            measures,
            skipped: 0,
            first_skipped: None,
            written: modified_seconds(&path),
        };
        found
            .lines(BufReader::with_capacity(1 << 20, file))
            .map_err(|source| HistoryError::Read { path: path.clone(), source })?;
        if found.intervals.is_empty() && found.held_out.is_empty() {
            return Err(match found.first_skipped {
                Some(first) => HistoryError::Foreign { path, first },
                None => HistoryError::Empty { path },
            });
        }
        Ok(found)
    }

    /// What a person should know of the lines that were left out; `None` if none were.
    pub fn note(&self) -> Option<String> {
        let first = self.first_skipped.as_ref()?;
        let path = self.folder.join(run::METRICS);
        let lines = counted(self.skipped as u64, "line");
        Some(format!("{}: {lines} left out: {first}; expected {EXPECTED}", path.display()))
    }

    /// When the run would have begun if it had been trained in one sitting, in seconds since 1970: the metrics hold
    /// seconds from the start only.
    pub fn began(&self) -> f64 {
        let last = self.intervals.iter().chain(&self.held_out).map(|m| m.seconds).fold(0.0, f64::max);
        (self.written - last).max(0.0)
    }

    fn lines(&mut self, mut reader: impl BufRead) -> std::io::Result<()> {
        let mut line = Vec::new();
        let mut clock = Clock::default();
        let (mut tokens, mut number) = (0u64, 0);
        while {
            line.clear();
            reader.read_until(b'\n', &mut line)?
        } > 0
        {
            number += 1;
            let read = Line::read(&line).and_then(|read| Ok((read.values(&self.measures)?, read)));
            let (values, read) = match read {
                Ok(read) => read,
                // A line without an end is the last, and its writer may be at work.
                Err(_) if !line.ends_with(b"\n") || line.trim_ascii().is_empty() => continue,
                Err(reason) => {
                    self.skipped += 1;
                    self.first_skipped.get_or_insert(Skipped { line: number, reason });
                    continue;
                }
            };
            tokens = tokens.saturating_add(read.tokens.unwrap_or(0));
            let or_nan = |x: Option<f64>| x.unwrap_or(f64::NAN);
            let moment = Moment {
                step: read.step,
                tokens,
                seconds: clock.at(read.seconds),
                flops: or_nan(read.flops),
                learning_rate: or_nan(read.learning_rate),
                gradient_norm: or_nan(read.gradient_norm),
                loss_scale: or_nan(read.loss_scale),
                tokens_per_second: or_nan(read.tokens_per_second),
                values,
            };
            if read.is_held_out() { self.held_out.push(moment) } else { self.intervals.push(moment) }
        }
        Ok(())
    }
}

/// Adds up sittings: a line's seconds count from where its sitting began.
#[derive(Debug, Default)]
struct Clock {
    before: f64,
    last: f64,
}

impl Clock {
    fn at(&mut self, seconds: Option<f64>) -> f64 {
        let seconds = seconds.unwrap_or(self.last);
        if seconds < self.last {
            self.before += self.last;
        }
        self.last = seconds;
        self.before + seconds
    }
}

/// The vocabulary's size by config.toml. Nothing else is asked of that file, so that a run of another version of leyden,
/// or of another program, can be drawn too.
fn vocabulary(folder: &Path) -> Result<Option<u64>, HistoryError> {
    let path = folder.join("config.toml");
    let Some(bytes) = read(&path)? else { return Ok(None) };
    let config: toml::Table = String::from_utf8_lossy(&bytes).parse().map_err(|e: toml::de::Error| {
        let reason = e.message().split_whitespace().collect::<Vec<_>>().join(" ");
        HistoryError::Config { path, reason }
    })?;
    let words = config.get("model").and_then(|model| model.get("vocabulary")).and_then(toml::Value::as_integer);
    Ok(words.and_then(|words| u64::try_from(words).ok()).filter(|&words| words > 0))
}

/// The measures of the run in `folder`: a run without measures.json is one of before, when there was one objective.
fn measures_of(folder: &Path) -> Result<Measures, HistoryError> {
    let path = folder.join(Measures::FILE);
    match read(&path)? {
        Some(bytes) => Measures::from_json(&bytes).map_err(|reason| HistoryError::Measures { path, reason }),
        None => Ok(measures::before(vocabulary(folder)?, text(folder)?.map(|text| text.unigram_entropy))),
    }
}

fn text(folder: &Path) -> Result<Option<TextFacts>, HistoryError> {
    let path = folder.join(TextFacts::FILE);
    let Some(bytes) = read(&path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| HistoryError::Text { path, reason: e.to_string() })
}

/// A file's content, `None` if it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, HistoryError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HistoryError::Read { path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::invented;

    fn history(lines: &str) -> Result<Recorded, HistoryError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("metrics.jsonl"), lines).unwrap();
        fs::write(folder.path().join("measures.json"), invented().to_json().unwrap()).unwrap();
        Recorded::read(folder.path())
    }

    #[test]
    fn reads_both_kinds_of_lines_and_leaves_a_torn_one() {
        let found = history(concat!(
            r#"{"step":0,"seconds":0,"held_out":{"hits":9.0,"cost":0.7,"new":0.1}}"#,
            "\n",
            r#"{"seconds":2,"tokens_per_second":5,"step":10,"tokens":10,"hits":8.5,"cost":0.5}"#,
            "\n",
            r#"{"seconds":4,"step":20,"tokens":12,"hits":null,"cost":0.4,"new":1}"#,
            "\n",
            r#"{"seconds":6,"step":30,"tok"#,
        ))
        .unwrap();
        assert_eq!((found.held_out.len(), found.intervals.len(), found.skipped), (1, 2, 0));
        assert_eq!(found.held_out[0].values, Values::from([("hits", 9.0), ("cost", 0.7)]));
        let last = &found.intervals[1];
        assert_eq!((last.step, last.tokens, last.seconds), (20, 22, 4.0));
        assert_eq!((last.get("cost"), last.get("new")), (Some(0.4), None));
        assert!(last.get("hits").unwrap().is_nan() && last.flops.is_nan());
        assert_eq!((last.x(X::Steps), last.x(X::Tokens), last.x(X::Hours)), (20.0, 22.0, 4.0 / 3600.0));
    }

    #[test]
    fn sittings_are_one_stretch_of_time() {
        let line = |step: u32, seconds: u32| format!("{{\"step\":{step},\"seconds\":{seconds},\"hits\":5}}\n");
        let found = history(&[line(1, 10), line(2, 30), line(3, 5), line(4, 7), line(5, 1)].concat()).unwrap();
        let seconds: Vec<f64> = found.intervals.iter().map(|m| m.seconds).collect();
        assert_eq!(seconds, [10.0, 30.0, 35.0, 37.0, 38.0]);
    }

    #[test]
    fn says_what_is_not_there() {
        let says = |result: Result<Recorded, HistoryError>, words: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        says(Recorded::read(Path::new("no such run")), "does not exist");
        let folder = tempfile::tempdir().unwrap();
        says(Recorded::read(folder.path()), "holds no metrics.jsonl");
        says(history(""), "no line of metrics");
        says(history("{\"step\":3"), "no line of metrics");
        says(history("{\"step\":3,\"loss\":2.5}\n"), "line 1 has no hits or cost; expected JSON");
        for (line, reason) in [
            ("{}", "has other values: missing field `step`"),
            ("{\"step\":3.5,\"hits\":5}", "has other values: invalid type: floating point `3.5`"),
            ("{\"step\":-1,\"hits\":5}", "has other values: invalid value: integer `-1`"),
            ("{\"step\":4,\"hits\":\"5\"}", "has other values: hits is \"5\""),
            ("{\"step\":4,\"hits\":NaN}", "is no JSON: expected value"),
            ("{\"step\":4,\"generator_l", "is no JSON: control character"),
            ("step,loss", "is no JSON: expected value"),
            ("[1,2]", "has other values: "),
        ] {
            let good = "{\"step\":3,\"hits\":null}\n";
            let found = history(&format!("\n{good}{line}\n\n{line}\n{good}")).unwrap();
            let first = found.first_skipped.unwrap();
            assert_eq!((found.intervals.len(), found.skipped, first.line), (2, 2, 3), "{line}");
            assert!(first.reason.starts_with(reason), "{line}: {}", first.reason);
        }
        let long = format!("{{\"step\":4,\"hits\":\"{}\"}}\n", "x".repeat(100_000));
        assert!(history(&long).unwrap_err().to_string().len() < 500);
        // Without measures.json, the other files say what it is held against.
        fs::write(folder.path().join("metrics.jsonl"), "{}").unwrap();
        fs::write(folder.path().join("text.json"), "{}").unwrap();
        says(Recorded::read(folder.path()), "text.json");
        fs::write(folder.path().join("config.toml"), "[model").unwrap();
        says(Recorded::read(folder.path()), "config.toml");
        fs::write(folder.path().join("measures.json"), "[{\"name\":3}]").unwrap();
        says(Recorded::read(folder.path()), "measures.json: invalid type: integer `3`");
    }
}
