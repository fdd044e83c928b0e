//! A run as the window follows it: what its folder has recorded, and what is reported while it trains.

use super::measure::Weights;
use super::{Sample, Trace};
use crate::electra::Config;
use crate::history::{Floors, HistoryError, Moment, Recorded, TextFacts};
use crate::session::Report;
use crate::train::{Interval, Measures, flops_a_step};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run's curves and what they are held against.
#[derive(Debug, Clone, PartialEq)]
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
    /// What to hold the generator's loss against.
    pub floors: Floors,
    /// Floating-point operations a step; NaN if not known.
    pub flops_a_step: f64,
    /// Counts changes, so that what was drawn of it can be kept.
    pub version: u64,
    /// When the metrics were read from the folder, as it says.
    read: Option<SystemTime>,
}

impl Track {
    /// A run that is beginning or going on here: of what its folder has `recorded`, the first `step` steps stand. A run that
    /// begins has nothing recorded, whatever else may lie in its folder.
    pub fn live(folder: &Path, recorded: Option<Self>, config: &Config, facts: Option<&TextFacts>, step: u64) -> Self {
        let mut track = recorded.unwrap_or_else(|| Self {
            folder: folder.into(),
            config: None,
            intervals: Vec::new(),
            held_out: Vec::new(),
            steps: Trace::default(),
            floors: Floors::default(),
            flops_a_step: f64::NAN,
            version: 0,
            read: None,
        });
        track.flops_a_step = flops_a_step(config).map_or(f64::NAN, |flops| flops as f64);
        track.floors = Floors::of(Some(config.model.vocabulary as u64), facts);
        track.config = Some(config.clone());
        track.rewind(step);
        track
    }

    /// A run as its folder has it.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read(folder: &Path) -> Result<Self, HistoryError> {
        let read = modified(folder);
        let Recorded { folder, intervals, held_out, config, flops_a_step, floors, .. } = Recorded::read(folder)?;
        let steps = Trace::default();
        Ok(Self { folder, config, intervals, held_out, steps, floors, flops_a_step, version: 0, read })
    }

    /// Whether its metrics were written to since they were read.
    pub fn is_stale(&self) -> bool {
        modified(&self.folder) != self.read
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

    /// The losses' weights.
    pub fn weights(&self) -> Weights {
        self.config.as_ref().map_or_else(Weights::default, |config| Weights::of(&config.objective))
    }

    /// The newest step that there is anything of.
    pub fn step(&self) -> u64 {
        let last = |moments: &[Moment]| moments.last().map_or(0, |m| m.step);
        let sample = self.steps.samples().last().map_or(0, |s| s.step);
        last(&self.intervals).max(last(&self.held_out)).max(sample)
    }

    /// Takes in what a session reports; `seconds` are those of training by now.
    pub fn take_in(&mut self, report: &Report, seconds: f64) {
        self.version += 1;
        match report {
            Report::Step { step, generator_loss, discriminator_loss } => self.steps.push(Sample {
                step: step + 1,
                seconds,
                generator_loss: *generator_loss,
                discriminator_loss: *discriminator_loss,
            }),
            Report::Interval { interval, tokens_per_second } => {
                let before = self.intervals.last().map_or(0, |m| m.tokens);
                let Interval { step, tokens, learning_rate, gradient_norm, loss_scale, measures, .. } = *interval;
                self.intervals.push(Moment {
                    tokens: before + tokens,
                    learning_rate,
                    gradient_norm: gradient_norm.into(),
                    loss_scale: loss_scale.map_or(f64::NAN, f64::from),
                    tokens_per_second: *tokens_per_second,
                    ..self.moment(step, seconds, &measures)
                });
            }
            Report::HeldOut { step, measures, .. } => {
                let tokens = self.intervals.last().map_or(0, |m| m.tokens);
                let moment = Moment { tokens, ..self.moment(*step, seconds, measures) };
                self.held_out.push(moment);
            }
            Report::RolledBack { step, .. } | Report::Reopened { step, .. } => self.rewind(*step),
            Report::Saved { .. } | Report::Warning(_) | Report::Ended(_) => {}
        }
    }

    fn moment(&self, step: u64, seconds: f64, m: &Measures) -> Moment {
        Moment {
            step,
            seconds,
            flops: step as f64 * self.flops_a_step,
            generator_loss: m.generator_loss,
            discriminator_loss: m.discriminator_loss,
            replaced_rate: m.replaced_rate,
            generator_accuracy: m.generator_accuracy,
            discriminator_accuracy: m.discriminator_accuracy,
            auc: m.auc.unwrap_or(f64::NAN),
            ..Moment::default()
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
            flops_a_step: self.flops_a_step,
            floors: self.floors,
            skipped: 0,
            written: 0.0,
        }
    }

    /// Every measure at every interval as comma-separated values, the held-out text marked as such.
    pub fn to_csv(&self) -> String {
        let mut out = String::from(
            "text,step,tokens,seconds,flops,generator_loss,discriminator_loss,replaced_rate,generator_accuracy,\
             discriminator_accuracy,auc,learning_rate,gradient_norm,tokens_per_second\n",
        );
        let mut all: Vec<(&str, &Moment)> = self.intervals.iter().map(|m| ("training", m)).collect();
        all.extend(self.held_out.iter().map(|m| ("held out", m)));
        all.sort_by_key(|(_, m)| m.step);
        for (text, m) in all {
            // A number that is not there is an empty field.
            let numbers = [
                m.seconds,
                m.flops,
                m.generator_loss,
                m.discriminator_loss,
                m.replaced_rate,
                m.generator_accuracy,
                m.discriminator_accuracy,
                m.auc,
                m.learning_rate,
                m.gradient_norm,
                m.tokens_per_second,
            ];
            let cell = |x: &f64| if x.is_nan() { String::new() } else { x.to_string() };
            let cells: Vec<String> = numbers.iter().map(cell).collect();
            out += &format!("{text},{},{},{}\n", m.step, m.tokens, cells.join(","));
        }
        out
    }
}

fn modified(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder.join(crate::run::METRICS)).and_then(|m| m.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;

    fn interval(step: u64) -> Report {
        let measures =
            Measures { generator_loss: 6.0, discriminator_loss: 0.4, replaced_rate: 0.1, ..Measures::default() };
        let interval = Interval {
            step,
            tokens: 100,
            learning_rate: 1e-3,
            gradient_norm: 2.0,
            loss_scale: None,
            skipped: 0,
            measures,
        };
        Report::Interval { interval, tokens_per_second: 10.0 }
    }

    fn live() -> Track {
        Track::live(Path::new("no such run"), None, &preset("tiny").unwrap(), None, 0)
    }

    #[test]
    fn follows_what_is_reported() {
        let mut track = live();
        assert_eq!((track.name().as_str(), track.step()), ("no such run", 0));
        track.take_in(&Report::Step { step: 0, generator_loss: 7.0, discriminator_loss: 0.7 }, 0.5);
        track.take_in(&interval(1), 1.0);
        track.take_in(&interval(2), 2.0);
        track.take_in(&Report::HeldOut { step: 2, measures: Measures::default(), best: true }, 2.5);
        assert_eq!((track.intervals.len(), track.held_out.len(), track.steps.len()), (2, 1, 1));
        assert_eq!((track.intervals[1].tokens, track.held_out[0].tokens, track.step()), (200, 200, 2));
        assert!(track.held_out[0].auc.is_nan() && track.intervals[1].flops > 0.0);
        track.take_in(&Report::RolledBack { reason: String::new(), step: 1, seed: 3 }, 3.0);
        assert_eq!((track.intervals.len(), track.held_out.len(), track.step()), (1, 0, 1));
    }

    #[test]
    fn csv_has_a_line_a_moment_and_no_nan() {
        let mut track = live();
        track.take_in(&Report::HeldOut { step: 0, measures: Measures::default(), best: true }, 0.0);
        track.take_in(&interval(1), 1.0);
        let csv = track.to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("held out,0,0,0,") && lines[2].starts_with("training,1,100,1,"), "{csv}");
        assert!(!csv.contains("NaN"));
        let columns = lines[0].split(',').count();
        assert!(lines.iter().all(|line| line.split(',').count() == columns), "{csv}");
    }

    #[test]
    fn another_process_may_write_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"step\":1,\"generator_loss\":5}\n").unwrap();
        let mut track = Track::read(folder.path()).unwrap();
        assert!(!track.is_stale());
        std::fs::write(&path, "{\"step\":1,\"generator_loss\":5}\n{\"step\":2,\"generator_loss\":4}\n{\"st").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(track.is_stale());
        track.renew(Track::read(folder.path()).unwrap());
        assert_eq!((track.intervals.len(), track.version), (2, 1));
    }
}
