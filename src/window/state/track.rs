//! A run as the window follows it: what its folder has recorded, and what is reported while it trains.

use super::{Sample, Trace};
use crate::config::Config;
use crate::files::modified;
use crate::history::{HistoryError, Moment, Recorded};
use crate::measure::{Measure, Measures};
use crate::numbers::fixed;
use crate::run::METRICS;
use crate::session::Report;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use web_time::SystemTime;

/// A run's curves and what they are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The run's folder.
    pub folder: PathBuf,
    /// Its settings, where they are known.
    pub config: Option<Config>,
    /// The training text, an interval a moment.
    pub intervals: Vec<Moment>,
    /// The held-out text.
    pub held_out: Vec<Moment>,
    /// Every step of this sitting.
    pub steps: Trace,
    /// What was measured.
    pub measures: Measures,
    /// Counts changes, so that what was drawn of it can be kept.
    pub version: u64,
    /// What a person should know of its metrics, in words.
    pub note: Option<String>,
    /// When the metrics were read from the folder, as it says.
    #[serde(skip)]
    read: Option<SystemTime>,
}

impl Track {
    /// A run that is beginning or going on here: of what its folder has `recorded`, the first `step` steps stand. A run that
    /// begins has nothing recorded, whatever else may lie in its folder.
    pub fn live(folder: &Path, recorded: Option<Self>, config: &Config, measures: &Measures, step: u64) -> Self {
        let mut track = recorded.unwrap_or_else(|| Self {
            folder: folder.into(),
            config: None,
            intervals: Vec::new(),
            held_out: Vec::new(),
            steps: Trace::default(),
            measures: measures.clone(),
            version: 0,
            note: None,
            read: None,
        });
        track.measures = measures.clone();
        track.config = Some(config.clone());
        track.rewind(step);
        track
    }

    /// A run as its folder has it.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read(folder: &Path) -> Result<Self, HistoryError> {
        let read = modified(&folder.join(METRICS));
        let recorded = Recorded::read(folder)?;
        let note = recorded.note();
        let Recorded { folder, intervals, held_out, config, measures, .. } = recorded;
        let steps = Trace::default();
        Ok(Self { folder, config, intervals, held_out, steps, measures, version: 0, note, read })
    }

    /// Whether its metrics were written to since they were read.
    pub fn is_stale(&self) -> bool {
        modified(&self.folder.join(METRICS)) != self.read
    }

    /// Takes the place of its metrics with what was read again. The steps that were seen here are in no file, and stay.
    pub fn renew(&mut self, read: Self) {
        let (version, steps) = (self.version + 1, std::mem::take(&mut self.steps));
        *self = Self { version, steps, ..read };
    }

    /// What people call it: the folder's own name.
    pub fn name(&self) -> String {
        self.folder.file_name().unwrap_or(self.folder.as_os_str()).to_string_lossy().into_owned()
    }

    /// What was measured last on the held-out text, a few words each; nothing if it was not.
    pub fn held_out_values(&self) -> Vec<String> {
        let Some(last) = self.held_out.last() else { return Vec::new() };
        let words = |m: &Arc<Measure>| {
            let value = last.get(&m.name).filter(|x| x.is_finite());
            format!("{} {}", m.short, value.map_or("–".into(), |x| fixed(x, m.digits.into())))
        };
        self.measures.headline().map(words).collect()
    }

    /// The newest step that there is anything of.
    pub fn step(&self) -> u64 {
        let last = |moments: &[Moment]| moments.last().map_or(0, |m| m.step);
        let sample = self.steps.samples().last().map_or(0, |s| s.step);
        last(&self.intervals).max(last(&self.held_out)).max(sample)
    }

    /// Takes in what a session reports; `seconds` are those of training by now.
    pub fn record(&mut self, report: &Report, seconds: f64) {
        self.version += 1;
        match report {
            Report::Step { step, values } => {
                self.steps.push(Sample { step: step + 1, seconds, values: values.clone() });
            }
            Report::Interval { interval, tokens_per_second } => {
                let before = self.intervals.last().map_or(0, |m| m.tokens);
                self.intervals.push(Moment {
                    step: interval.step,
                    tokens: before + interval.tokens,
                    seconds,
                    flops: interval.flops,
                    learning_rate: interval.learning_rate,
                    gradient_norm: interval.gradient_norm.into(),
                    loss_scale: interval.loss_scale.map_or(f64::NAN, f64::from),
                    tokens_per_second: *tokens_per_second,
                    values: interval.values.clone(),
                });
            }
            Report::HeldOut { step, values, .. } => {
                let (tokens, flops) = self.intervals.last().map_or((0, 0.0), |m| (m.tokens, m.flops));
                let (step, values) = (*step, values.clone());
                self.held_out.push(Moment { step, tokens, seconds, flops, values, ..Moment::default() });
            }
            Report::RolledBack { step, .. } | Report::Reopened { step, .. } => self.rewind(*step),
            Report::Phase { .. } | Report::Saved { .. } | Report::Warning(_) | Report::Ended(_) => {}
        }
    }

    /// Forgets what is later than `step`.
    fn rewind(&mut self, step: u64) {
        self.version += 1;
        self.intervals.retain(|m| m.step <= step);
        self.held_out.retain(|m| m.step <= step);
        self.steps.rewind(step);
    }

    /// As a picture of it takes it.
    pub fn recorded(&self) -> Recorded {
        Recorded {
            folder: self.folder.clone(),
            intervals: self.intervals.clone(),
            held_out: self.held_out.clone(),
            config: self.config.clone(),
            measures: self.measures.clone(),
            skipped: 0,
            first_skipped: None,
            written: 0.0,
        }
    }

    /// Every measure at every interval as comma-separated values, the held-out text marked as such.
    pub fn to_csv(&self) -> String {
        let names: Vec<&str> = self.measures.all().map(|m| &*m.name).collect();
        let mut out = format!("text,step,tokens,seconds,flops,{}\n", names.join(","));
        let mut all: Vec<(&str, &Moment)> = self.intervals.iter().map(|m| ("training", m)).collect();
        all.extend(self.held_out.iter().map(|m| ("held out", m)));
        all.sort_by_key(|(_, m)| m.step);
        for (text, m) in all {
            // A number that is not there is an empty field.
            let values = names.iter().map(|name| m.get(name).unwrap_or(f64::NAN));
            let cell = |x: f64| if x.is_nan() { String::new() } else { (x + 0.0).to_string() };
            let cells: Vec<String> = [m.seconds, m.flops].into_iter().chain(values).map(cell).collect();
            out += &format!("{text},{},{},{}\n", m.step, m.tokens, cells.join(","));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::measure::{Values, tests::invented};
    use crate::train::Interval;

    fn interval(step: u64) -> Report {
        let (values, learning_rate) = ([("hits", 0.5)].into(), 1e-3);
        let flops = 1e9 * step as f64;
        let (gradient_norm, loss_scale, skipped) = (2.0, None, 0);
        let interval = Interval { step, tokens: 100, flops, learning_rate, gradient_norm, loss_scale, skipped, values };
        Report::Interval { interval, tokens_per_second: 10.0 }
    }

    fn live() -> Track {
        Track::live(Path::new("no such run"), None, &preset("tiny").unwrap(), &invented(), 0)
    }

    #[test]
    fn follows_what_is_reported() {
        let mut track = live();
        assert_eq!((track.name().as_str(), track.step()), ("no such run", 0));
        track.record(&Report::Step { step: 0, values: [("hits", 0.1)].into() }, 0.5);
        track.record(&interval(1), 1.0);
        track.record(&interval(2), 2.0);
        track.record(&Report::HeldOut { step: 2, values: Values::default(), best: true }, 2.5);
        assert_eq!((track.intervals.len(), track.held_out.len(), track.steps.len()), (2, 1, 1));
        assert_eq!((track.intervals[1].tokens, track.held_out[0].tokens, track.step()), (200, 200, 2));
        assert!(
            track.held_out[0].get("hits").is_none()
                && track.held_out[0].flops == 2e9
                && track.intervals[1].flops == 2e9
        );
        track.record(&Report::RolledBack { reason: String::new(), step: 1, seed: 3 }, 3.0);
        assert_eq!((track.intervals.len(), track.held_out.len(), track.step()), (1, 0, 1));
    }

    #[test]
    fn csv_has_a_line_a_moment_and_no_nan() {
        let mut track = live();
        track.record(&Report::HeldOut { step: 0, values: Values::default(), best: true }, 0.0);
        track.record(&interval(1), 1.0);
        let csv = track.to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("held out,0,0,0,") && lines[2].starts_with("training,1,100,1,"), "{csv}");
        assert!(!csv.contains("NaN"));
        assert!(lines[0].starts_with("text,step,tokens,seconds,flops,hits,cost,spread,learning_rate,"), "{csv}");
        let columns = lines[0].split(',').count();
        assert!(lines.iter().all(|line| line.split(',').count() == columns), "{csv}");
    }

    #[test]
    fn another_process_may_write_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(folder.path().join("measures.json"), invented().to_json().unwrap()).unwrap();
        std::fs::write(&path, "{\"step\":1,\"hits\":5}\n").unwrap();
        let mut track = Track::read(folder.path()).unwrap();
        assert!(!track.is_stale());
        std::fs::write(&path, "{\"step\":1,\"hits\":5}\n{\"step\":2,\"hits\":4}\n{\"st").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(track.is_stale());
        track.renew(Track::read(folder.path()).unwrap());
        assert_eq!((track.intervals.len(), track.version), (2, 1));
    }
}
