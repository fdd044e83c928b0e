//! What a comparison's results are of: compare.json, by which others' are not taken for its own.

use super::CompareArguments;
use super::tasks::Task;
use crate::cli::Failure;
use crate::comparison::{IDENTITY, budgets};
use crate::config::{Config, Precision, learning_rate};
use crate::files;
use crate::objective::ObjectiveConfig;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::Path;

/// What all of it has in common. Neither where files lie nor what is compared: another machine, or more
/// to compare, goes on with it. The budgets are kept with it; more of them are more to compare.
pub(super) struct Identity<'a> {
    pub arguments: &'a CompareArguments,
    pub base: &'a Config,
    /// What tells the examples from others.
    pub text: &'a str,
    pub budgets: &'a [f64],
    pub tasks: &'a [Task],
}

impl Identity<'_> {
    fn values(&self) -> Result<Value, Failure> {
        let mut common = self.base.clone();
        common.data.text.clear();
        (common.data.dataset, common.seed, common.training.steps) = (None, 0, 0);
        common.training.precision = Precision::Auto;
        if self.arguments.vary.is_none() {
            common = common.with_objective(ObjectiveConfig::USUAL).map_err(Failure::work)?;
        }
        let names: Vec<&str> = self.tasks.iter().map(Task::name).collect();
        let files = self.tasks.iter().map(Task::fingerprint).collect::<Result<Vec<_>, Failure>>()?;
        let CompareArguments { examples, epochs, .. } = self.arguments;
        Ok(json!({
            "flops": self.budgets, "points": self.arguments.points(), "tasks": names, "examples": examples, "epochs": epochs, "text": self.text,
            "files": files, "rate": learning_rate(self.base.model.hidden), "settings": common.to_toml(),
        }))
    }

    /// Keeps it in compare.json, where it is not there yet.
    ///
    /// # Errors
    /// [`Failure::Input`] where another comparison is there.
    pub(super) fn keep(&self, out: &Path) -> Result<(), Failure> {
        let (path, mut identity) = (out.join(IDENTITY), self.values()?);
        let write = |identity: &Value| {
            let text = serde_json::to_string_pretty(identity).map_err(Failure::work)? + "\n";
            files::write(&path, text.as_bytes()).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))
        };
        let found = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(out).map_err(|e| Failure::Input(format!("{}: {e}", out.display())))?;
                return write(&identity);
            }
            Err(e) => return Err(Failure::Input(format!("{}: {e}", path.display()))),
        };
        let found: Value = serde_json::from_slice(&found)
            .map_err(|e| Failure::Input(format!("{}: {e}; remove it to begin anew", path.display())))?;
        let order = ["points", "tasks", "examples", "epochs", "text", "files", "rate", "settings"];
        // What was compared before there was a rate of its own for narrow networks.
        let found = |key: &str| if key == "rate" && found[key].is_null() { json!(3e-4) } else { found[key].clone() };
        let Some(other) = order.into_iter().find(|key| found(key) != identity[key]) else {
            let mut all = budgets(out);
            let before = all.len();
            all.extend(self.budgets);
            all.sort_by(f64::total_cmp);
            all.dedup();
            identity["flops"] = json!(all);
            return if all.len() > before { write(&identity) } else { Ok(()) };
        };
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
}
