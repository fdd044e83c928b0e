//! The numbers of a run: what they are called, counted in and held against ([`Measures`]), and what they were ([`Values`]).
//!
//! An objective declares its measures once, and a run's folder keeps them as measures.json. Whoever draws, writes or
//! compares numbers loops over them and knows no objective.

mod mean;
mod ranking;
mod spread;
mod values;

pub use mean::Mean;
pub use ranking::{Ranked, Ranking};
pub use spread::{half_interval, mean_and_deviation};
pub use values::Values;

use crate::numbers::shortened;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a line of metrics says beside the measures.
const RESERVED: [&str; 7] = ["step", "seconds", "tokens", "flops", "held_out", "skipped", "text"];

/// A number of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Measure {
    /// Its key in metrics.jsonl, and its column in a table.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub name: Arc<str>,
    /// What people call it, as in `Generator loss`.
    pub title: String,
    /// That in a word, where there is little room.
    pub short: String,
    /// What it is counted in; empty for a plain number.
    pub unit: String,
    /// What TensorBoard has it as: its group and name.
    pub tag: String,
    /// Digits behind the point; 3 if 0.
    pub digits: u8,
    /// Which way is better.
    pub better: Better,
    /// Whether it is always drawn.
    pub plot: Plot,
    /// Whose colour it has.
    pub hue: Hue,
    /// How it is laid along its axis.
    pub axis: Axis,
    /// Whether it chooses the best checkpoint. The first that does is taken.
    pub selects: bool,
    /// What it is held against, from what is reached without any knowledge to what is reached with the most that is no skill.
    pub baselines: Vec<Baseline>,
    /// How one sees that training goes wrong, for whoever trains.
    #[serde(skip)]
    pub advice: Option<Advice>,
}

/// A value that a network reaches without having learnt what it should.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its name, unique among the measure's.
    pub name: String,
    /// What it is called where there is little room, as in `word frequency`.
    pub short: String,
    /// What reaches it, as in `knowing how frequent words are`.
    pub title: String,
    /// The value; `None` where it moves with the run, and stands in metrics.jsonl as [`Baseline::key`].
    pub at: Option<f64>,
    /// The measure, a share, that it moves with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

impl Baseline {
    /// One that stays where it is.
    pub fn at(name: &str, short: &str, title: &str, at: f64) -> Self {
        Self { name: name.into(), short: short.into(), title: title.into(), at: Some(at), follows: None }
    }

    /// The key of the values of a baseline that moves.
    pub fn key(&self, measure: &str) -> String {
        format!("baseline.{measure}.{}", self.name)
    }
}

/// What is said of a measure while a run is trained: each text is a part of a sentence, and the settings are in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// What is wrong where it stays at its last baseline, up to the value.
    pub stuck: String,
    /// The baselines' sentences up to their values, as in `guessing blindly gives`, in their order.
    pub given: Vec<&'static str>,
    /// What to try then.
    pub attempt: String,
    /// What to try then where gradients are larger than the norm that they are clipped to.
    pub where_clipped: String,
    /// What blind guessing gives, and so many times that are no healthy run's.
    pub guessing: f64,
    /// How many.
    pub far: f64,
}

/// Which way a measure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// As a loss.
    Lower,
    /// As an accuracy.
    Higher,
    /// It only tells of a run.
    #[default]
    Neither,
}

impl Better {
    /// Whether `new` is better than `old`. A value that is no number is worse than any.
    pub fn beats(self, new: f64, old: f64) -> bool {
        match self {
            Self::Lower => new < old || old.is_nan() && !new.is_nan(),
            Self::Higher => new > old || old.is_nan() && !new.is_nan(),
            Self::Neither => false,
        }
    }
}

/// Where a measure is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plot {
    /// Always, in a panel of its own.
    Main,
    /// Where one asks for it.
    #[default]
    More,
}

/// A measure's colour: its network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hue {
    /// The first network's.
    First,
    /// The second one's.
    Second,
    /// Of no network.
    #[default]
    Neutral,
}

/// How a measure is laid along its axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// As it is.
    #[default]
    Linear,
    /// By its logarithm, where one asks for that.
    Log,
    /// As it is, and down to 0.
    Zero,
}

fn as_text<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

impl Measure {
    /// A number that tells of a run, with a title and a unit.
    pub fn new(name: &str, title: &str, unit: &str) -> Self {
        Self { name: name.into(), title: title.into(), unit: unit.into(), ..Self::default() }
    }

    /// A loss, which is better where it is lower.
    pub fn loss(name: &str, title: &str, unit: &str) -> Self {
        Self { better: Better::Lower, axis: Axis::Log, ..Self::new(name, title, unit) }
    }

    /// A share of 1, which is better where it is higher.
    pub fn share(name: &str, title: &str) -> Self {
        Self { better: Better::Higher, ..Self::new(name, title, "share") }
    }
}

/// The measures of a run: its objective's in the order in which they are shown, and those that every run has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Measure>", into = "Vec<Measure>")]
pub struct Measures {
    objective: Vec<Arc<Measure>>,
    /// Of the values that a line of metrics may have.
    names: Vec<Arc<str>>,
    run: [Arc<Measure>; 4],
}

impl From<Vec<Measure>> for Measures {
    fn from(objective: Vec<Measure>) -> Self {
        Self::new(objective)
    }
}

impl From<Measures> for Vec<Measure> {
    fn from(measures: Measures) -> Self {
        measures.objective.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

impl Measures {
    /// The file's name in a run's folder.
    pub const FILE: &'static str = "measures.json";
    /// The names of those that every run has.
    pub const OF_RUN: [&'static str; 4] = ["learning_rate", "gradient_norm", "tokens_per_second", "loss_scale"];

    /// With these of an objective.
    pub fn new(measures: impl IntoIterator<Item = Measure>) -> Self {
        let named = |mut measure: Measure| {
            let Measure { short, title, tag, name, digits, .. } = &mut measure;
            *digits = if *digits == 0 { 3 } else { *digits };
            if short.is_empty() {
                short.clone_from(title);
            }
            if tag.is_empty() {
                *tag = name.to_string();
            }
            Arc::new(measure)
        };
        let [rate, norm, speed, scale] = Self::OF_RUN;
        let tag = |tag: &str, measure| Measure { tag: tag.into(), ..measure };
        let run = [
            Measure { axis: Axis::Zero, ..tag("optimizer/learning_rate", Measure::new(rate, "Learning rate", "")) },
            Measure { axis: Axis::Log, ..tag("optimizer/gradient_norm", Measure::new(norm, "Gradient norm", "")) },
            Measure { axis: Axis::Zero, ..tag("speed/tokens_per_second", Measure::new(speed, "Speed", "tokens/s")) },
            tag("optimizer/loss_scale", Measure::new(scale, "Loss scale", "")),
        ];
        let objective: Vec<Arc<Measure>> = measures.into_iter().map(named).collect();
        let moving = |m: &Arc<Measure>| -> Vec<Arc<str>> {
            m.baselines.iter().filter(|b| b.at.is_none()).map(|b| b.key(&m.name).into()).collect()
        };
        let names = objective.iter().map(|m| m.name.clone()).chain(objective.iter().flat_map(moving)).collect();
        Self { objective, names, run: run.map(named) }
    }

    /// The objective's.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Measure>> {
        self.objective.iter()
    }

    /// Those that every run has.
    pub fn of_run(&self) -> impl Iterator<Item = &Arc<Measure>> {
        self.run.iter()
    }

    /// The objective's and those of every run.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Measure>> {
        self.objective.iter().chain(&self.run)
    }

    /// Those that have a panel of their own.
    pub fn main(&self) -> impl Iterator<Item = &Arc<Measure>> {
        self.iter().filter(|m| m.plot == Plot::Main)
    }

    /// Those that tell in a few lines how a run is: what has a panel or a baseline.
    pub fn headline(&self) -> impl Iterator<Item = &Arc<Measure>> {
        self.iter().filter(|m| m.plot == Plot::Main || !m.baselines.is_empty())
    }

    /// The objective's measure of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Measure>> {
        self.iter().find(|m| &*m.name == name)
    }

    /// What a measure of that name is held against; nothing if there is none.
    pub fn baselines(&self, name: &str) -> impl Iterator<Item = &Baseline> {
        self.get(name).into_iter().flat_map(|m| &m.baselines)
    }

    /// What chooses the best checkpoint.
    pub fn selecting(&self) -> Option<&Arc<Measure>> {
        self.iter().find(|m| m.selects)
    }

    /// Of several runs' measures each name once, in their order.
    pub fn merged<'a>(all: impl Iterator<Item = &'a Arc<Measure>>) -> Vec<Arc<Measure>> {
        let mut known = BTreeSet::new();
        all.filter(|m| known.insert(m.name.clone())).cloned().collect()
    }

    /// The names that values of a run may have: the objective's measures and the baselines that move.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The file's content.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.iter().map(|m| &**m).collect::<Vec<_>>())
    }

    /// Reads the file's content, or says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let found: Vec<Measure> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if let Some(nameless) = found.iter().position(|m| m.name.is_empty() || m.title.is_empty()) {
            return Err(format!("its measure {} has no name or no title", nameless + 1));
        }
        // A name is a key of a line, a column of a table, and mostly a tag.
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if let Some(m) = found.iter().find(|m| RESERVED.contains(&&*m.name) || !m.name.chars().all(plain)) {
            return Err(format!("a measure cannot be called {:?}", shortened(&m.name, 60)));
        }
        let measures = Self::new(found);
        if measures.main().next().is_none() {
            return Err("none of its measures has \"plot\": \"main\"".into());
        }
        let mut known = BTreeSet::new();
        if let Some(twice) = measures.all().find(|m| !known.insert(m.name.clone())) {
            return Err(format!("it has the measure {} twice", twice.name));
        }
        Ok(measures)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Those of an objective that nobody has: a share, a loss, and a number that one has to ask for.
    pub(crate) fn invented() -> Measures {
        let chance = Baseline::at("chance", "chance", "tossing a coin", 0.5);
        let (hits, cost) = (Measure::new("hits", "Hits", "share"), Measure::new("cost", "Cost", "bits a word"));
        Measures::new([
            Measure { plot: Plot::Main, better: Better::Higher, baselines: vec![chance], selects: true, ..hits },
            Measure { plot: Plot::Main, better: Better::Lower, axis: Axis::Log, ..cost },
            Measure::new("spread", "Spread", ""),
        ])
    }

    #[test]
    fn come_back_from_their_file_without_the_advice() {
        let measures = invented();
        let moving = Baseline { name: "most".into(), at: None, ..measures.get("hits").unwrap().baselines[0].clone() };
        let hits = Measure { baselines: vec![moving], ..(**measures.get("hits").unwrap()).clone() };
        let more = Measures::new([hits, Measure::new("misses", "Misses", "")]);
        for measures in [measures, more.clone()] {
            assert_eq!(Measures::from_json(&measures.to_json().unwrap()).unwrap(), measures);
        }
        let names: Vec<&str> = more.names().iter().map(|name| &**name).collect();
        assert_eq!(names, ["hits", "misses", "baseline.hits.most"]);
        assert_eq!(more.all().count(), 2 + Measures::OF_RUN.len());
        for (damaged, reason) in [
            ("[", "EOF"),
            ("[]", "none of its measures"),
            ("{}", "invalid type"),
            (r#"[{"name":"a","title":"A","unit":"","better":"lower","plot":"side"}]"#, "unknown variant `side`"),
            (r#"[{"plot":"main"}]"#, "measure 1 has no name"),
            (r#"[{"name":"a","title":"A","plot":"main"},{"name":"b"}]"#, "measure 2 has no name or no title"),
            (r#"[{"name":"flops","title":"A","plot":"main"}]"#, "called \"flops\""),
            (r#"[{"name":"a,b","title":"A","plot":"main"}]"#, "called \"a,b\""),
        ] {
            let found = Measures::from_json(damaged.as_bytes()).unwrap_err();
            assert!(found.contains(reason), "{damaged}: {found}");
        }
        let one = r#"{"name":"speed","title":"A","unit":"","better":"lower","plot":"main"}"#;
        assert_eq!(
            Measures::from_json(format!("[{one},{one}]").as_bytes()).unwrap_err(),
            "it has the measure speed twice"
        );
        assert_eq!(Measures::from_json(format!("[{one}]").as_bytes()).unwrap().get("speed").unwrap().short, "A");
    }

    #[test]
    fn better_goes_both_ways_and_no_number_is_worst() {
        assert!(Better::Lower.beats(1.0, 2.0) && Better::Higher.beats(2.0, 1.0) && !Better::Higher.beats(1.0, 2.0));
        assert!(Better::Lower.beats(1.0, f64::NAN) && !Better::Higher.beats(f64::NAN, 1.0));
    }
}
