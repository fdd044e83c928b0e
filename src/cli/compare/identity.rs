//! What a comparison's results are of: compare.json, by which others' are not taken for its own.

use super::CompareArguments;
use super::tasks::Task;
use crate::cli::Failure;
use crate::cli::output::remark;
use crate::comparison::{IDENTITY, Kept};
use crate::config::{Config, Precision, learning_rate};
use crate::files;
use crate::objective::ObjectiveConfig;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::Path;

/// What all of it has in common. Neither where files lie nor what is compared: another machine, or more to compare, goes on with it. The
/// budgets and the names of what is compared are kept with it; more of them are more to compare.
pub(super) struct Identity<'a> {
    values: Value,
    /// What tells the examples from others: as it is in `values`, then as earlier versions wrote it.
    texts: &'a [String],
    budgets: &'a [f64],
    arms: &'a [&'a str],
}

impl<'a> Identity<'a> {
    /// Of `points` along each budget; `texts` tell the examples from others, by this version and by earlier ones. Reads the tasks' files.
    pub(super) fn new(
        (arguments, base, texts): (&CompareArguments, &Config, &'a [String]),
        points: u64,
        tasks: &[Task],
        (arms, budgets): (&'a [&'a str], &'a [f64]),
    ) -> Result<Self, Failure> {
        let mut common = base.clone();
        common.data.text.clear();
        (common.data.dataset, common.seed, common.training.steps) = (None, 0, 0);
        common.training.precision = Precision::Auto;
        let CompareArguments { vary, examples, epochs, .. } = arguments;
        if vary.is_none() {
            common = common.with_objective(ObjectiveConfig::USUAL).map_err(Failure::work)?;
        }
        let names: Vec<&str> = tasks.iter().map(Task::name).collect();
        let files = tasks.iter().map(Task::fingerprint).collect::<Result<Vec<_>, Failure>>()?;
        let values = json!({
            "points": points, "tasks": names, "examples": examples, "epochs": epochs, "text": texts[0], "files": files,
            "rate": learning_rate(base.model.hidden), "settings": common.to_toml(),
        });
        Ok(Self { values, texts, budgets, arms })
    }

    /// Whether what is in a folder, if anything is, is of this.
    ///
    /// # Errors
    /// [`Failure::Input`] where another comparison is there.
    pub(super) fn check(&self, out: &Path) -> Result<(), Failure> {
        let (path, identity) = (out.join(IDENTITY), &self.values);
        let found = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Failure::Input(format!("{}: {e}", path.display()))),
        };
        let found: Value = serde_json::from_slice(&found)
            .map_err(|e| Failure::Input(format!("{}: {e}; remove it to begin anew", path.display())))?;
        let order = ["points", "tasks", "examples", "epochs", "text", "files", "rate", "settings"];
        // What was compared before there was a rate of its own for narrow networks.
        let found = |key: &str| if key == "rate" && found[key].is_null() { json!(3e-4) } else { found[key].clone() };
        let same = |key: &str| match key {
            "text" => self.texts.iter().any(|text| found(key) == **text),
            key => found(key) == identity[key],
        };
        let Some(other) = order.into_iter().find(|key| !same(key)) else { return Ok(()) };
        let what = match other {
            "text" => "another text".into(),
            "files" => "other files of its tasks".into(),
            "rate" => format!("fine-tuning at a learning rate of {}, not {}", found(other), identity[other]),
            "settings" => "other settings".into(),
            key => format!("{key} {}, not {}", found(key), identity[key]),
        };
        Err(Failure::Input(format!(
            "{} holds a comparison with {what}; choose another --out, or go on with what it was begun with",
            out.display()
        )))
    }

    /// Keeps it in compare.json, with all that is and was compared. Budgets that are new are told of.
    pub(super) fn keep(&self, out: &Path) -> Result<(), Failure> {
        let Kept { mut budgets, mut arms, .. } = Kept::read(out);
        let new: Vec<f64> = self.budgets.iter().copied().filter(|budget| !budgets.contains(budget)).collect();
        if let (Some(budget), false) = (new.first(), budgets.is_empty()) {
            remark(&format!(
                "{}: {budget:.2e} FLOP are added to what its runs cost; its curves join the ends of runs from now on",
                out.display()
            ));
        }
        // The first stays the first: it is that of results of before there could be several.
        budgets.extend(new);
        arms.retain(|arm| !self.arms.contains(&arm.as_str()));
        let mut identity = self.values.clone();
        identity["flops"] = json!(budgets);
        identity["arms"] = self.arms.iter().copied().chain(arms.iter().map(String::as_str)).collect();
        let (path, text) = (out.join(IDENTITY), serde_json::to_string_pretty(&identity).map_err(Failure::work)? + "\n");
        let failed = |e| Failure::Work(format!("{}: {e}", path.display()));
        if std::fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        std::fs::create_dir_all(out).and_then(|()| files::write(&path, text.as_bytes())).map_err(failed)
    }
}
