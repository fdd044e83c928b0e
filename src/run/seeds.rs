//! A folder of runs that differ in nothing but their seeds.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The file in it that says which runs there are, and which is best.
pub const SEEDS: &str = "seeds.json";

/// The folder of the best of several runs, where `folder` has several and says which it is.
pub(crate) fn best_seed(folder: &Path) -> Option<PathBuf> {
    named(folder, &summary(folder)?["best"])
}

/// Every run that `folder` has, one a seed, the best first; `folder` itself where it is no such folder.
#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "for arguments of the program"))]
pub(crate) fn every_seed(folder: &Path) -> Vec<PathBuf> {
    let Some(summary) = summary(folder) else { return vec![folder.into()] };
    let best = named(folder, &summary["best"]);
    let all = summary["runs"].as_array().into_iter().flatten().filter_map(|run| named(folder, &run["folder"]));
    let others: Vec<PathBuf> = all.filter(|run| Some(run) != best.as_ref()).collect();
    let all: Vec<PathBuf> = best.into_iter().chain(others).collect();
    if all.is_empty() { vec![folder.into()] } else { all }
}

fn summary(folder: &Path) -> Option<Value> {
    serde_json::from_slice(&crate::fs::read(folder.join(SEEDS)).ok()?).ok()
}

/// A folder in `folder`, and nowhere else.
fn named(folder: &Path, name: &Value) -> Option<PathBuf> {
    let name = name.as_str().filter(|name| !name.contains(['/', '\\']))?;
    Some(folder.join(name)).filter(|folder| crate::fs::is_dir(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_seeds_stands_for_its_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!((every_seed(path), best_seed(path)), (vec![path.into()], None));
        for name in ["seed-1", "seed-2", "seed-3"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let runs = r#"[{"folder": "seed-1"}, {"folder": "seed-2"}, {"folder": "seed-4"}, {"folder": "../x"}]"#;
        std::fs::write(path.join(SEEDS), format!(r#"{{"best": "seed-2", "runs": {runs}}}"#)).unwrap();
        assert_eq!(every_seed(path), ["seed-2", "seed-1"].map(|name| path.join(name)));
        assert_eq!(best_seed(path), Some(path.join("seed-2")));
        for text in ["{", "{}", r#"{"best": "gone"}"#] {
            std::fs::write(path.join(SEEDS), text).unwrap();
            assert_eq!(every_seed(path), [path]);
        }
    }
}
