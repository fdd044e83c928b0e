//! A comparison at equal cost, as the window follows it.

use crate::comparison::{Comparison, ComparisonError, RESULTS, Table};
use crate::files::modified;
use crate::history::{Point, Recorded, X};
use crate::picture::ValuePanel;
use std::collections::BTreeSet;
use std::path::Path;
use web_time::SystemTime;

/// What its folder has, and which of its curves are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The results.
    pub comparison: Comparison,
    /// What they come to.
    pub table: Table,
    /// Of values of one setting: what each came to, a panel a task.
    pub by_value: Vec<ValuePanel>,
    /// The names of those that are not drawn.
    pub hidden: BTreeSet<String>,
    curves: Vec<(String, Recorded)>,
    read: Option<SystemTime>,
}

/// The curve of one of what is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve<'a> {
    /// Its place among all.
    pub place: usize,
    /// What it is.
    pub name: &'a str,
    /// The mean scores along what they cost.
    pub points: Vec<Point>,
    /// Cost, and the scores a deviation below and above the mean, where there are several seeds.
    pub band: Vec<(f64, f64, f64)>,
}

impl Compared {
    /// As a folder has it.
    ///
    /// # Errors
    /// [`ComparisonError`].
    pub fn read(folder: &Path) -> Result<Self, ComparisonError> {
        let read = modified(&folder.join(RESULTS));
        let comparison = Comparison::read(folder)?;
        let (table, curves, by_value) = (comparison.table(), comparison.curves(), comparison.by_value());
        Ok(Self { comparison, table, by_value, hidden: BTreeSet::new(), curves, read })
    }

    /// Reads it again where there are new results since. What cannot be read is passed over until it changes.
    pub fn follow(&mut self) {
        let now = modified(&self.comparison.folder.join(RESULTS));
        if now == self.read {
            return;
        }
        match Self::read(&self.comparison.folder) {
            Ok(read) => *self = Self { hidden: std::mem::take(&mut self.hidden), ..read },
            Err(_) => self.read = now,
        }
    }

    /// The x axis' unit, how many operations one is, and where the axis ends.
    pub fn axis(&self) -> (&'static str, f64, f64) {
        let moments = self.curves.iter().flat_map(|(_, recorded)| &recorded.held_out);
        let end = moments.map(|moment| moment.flops).fold(0.0, f64::max);
        let (name, unit) = X::Flops.unit(end);
        (name, unit, end / unit)
    }

    /// The curves of a task that are not hidden, along `unit` operations.
    pub fn shown<'a>(&'a self, task: &str, unit: f64) -> Vec<Curve<'a>> {
        let [low, high] = [".low", ".high"].map(|side| format!("{task}{side}"));
        let curve = |(place, (name, recorded)): (_, &'a (String, Recorded))| {
            let moments = || recorded.held_out.iter();
            let points = moments().filter_map(|m| Some((m.flops / unit, m.get(task)?)));
            let band = moments().filter_map(|m| Some((m.flops / unit, m.get(&low)?, m.get(&high)?)));
            Curve { place, name, points: points.collect(), band: band.collect() }
        };
        self.curves.iter().enumerate().filter(|(_, (name, _))| !self.hidden.contains(name)).map(curve).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::tests::{found, write};
    use crate::comparison::{RANDOM, Results};

    #[test]
    fn curves_are_hidden_and_new_results_come_in() {
        let folder = tempfile::tempdir().unwrap();
        let one = [found(RANDOM, 1, 0, 0.5), found("electra", 1, 10, 0.75), found("mlm", 1, 10, 0.625)];
        write(folder.path(), &one);
        let mut compared = Compared::read(folder.path()).unwrap();
        assert_eq!(compared.axis(), ("GFLOP", 1e9, 1_000.0));
        let curves = compared.shown("chunk", 1e9);
        assert_eq!(
            (curves.len(), curves[1].name, &curves[1].points[..]),
            (2, "mlm", &[(0.0, 0.5), (1_000.0, 0.625)][..])
        );
        assert!(curves.iter().all(|curve| curve.band.is_empty()) && compared.shown("sst2", 1e9)[0].points.is_empty());
        compared.hidden.insert("electra".into());
        assert_eq!(compared.shown("chunk", 1e9)[0].place, 1);

        let path = folder.path().join(RESULTS);
        let mut later = SystemTime::now();
        let mut touch = || {
            later += std::time::Duration::from_secs(5);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        };
        Results::read(folder.path()).unwrap().add(found("mlm", 2, 10, 0.875)).unwrap();
        touch();
        compared.follow();
        let curves = compared.shown("chunk", 1e9);
        assert_eq!((curves.len(), curves[0].band.len(), curves[0].points[1]), (1, 1, (1_000.0, 0.75)));
        // What cannot be read leaves what is shown.
        std::fs::write(&path, "{}\n").unwrap();
        touch();
        compared.follow();
        assert_eq!(compared.shown("chunk", 1e9)[0].points[1], (1_000.0, 0.75));
    }
}
