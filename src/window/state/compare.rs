//! What is different between runs' settings.

use crate::config::Config;

/// A setting that is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name, as `--set` takes it.
    pub key: String,
    /// Its value in every run, in their order; a dash where a run has none.
    pub values: Vec<String>,
}

/// The settings that differ, in the order in which config.toml has them. Runs whose settings are not known have dashes.
pub fn differences(configs: &[Option<&Config>]) -> Vec<Difference> {
    let flat: Vec<Vec<(String, String)>> =
        configs.iter().map(|config| config.map(flatten).unwrap_or_default()).collect();
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in flat.iter().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |run: &Vec<(String, String)>, key: &String| {
        run.iter().find(|(k, _)| k == key).map_or_else(|| "–".to_string(), |(_, v)| v.clone())
    };
    let all = keys
        .into_iter()
        .map(|key| Difference { key: key.clone(), values: flat.iter().map(|run| value(run, key)).collect() });
    all.filter(|d| d.values.iter().any(|v| *v != d.values[0])).collect()
}

fn flatten(config: &Config) -> Vec<(String, String)> {
    toml::Table::try_from(config).map_or_else(|_| Vec::new(), |table| keys("", &table))
}

/// Every key of a table and of those in it, behind `before`, and its value.
fn keys(before: &str, table: &toml::Table) -> Vec<(String, String)> {
    let one = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(inner) => keys(&format!("{before}{key}."), inner),
        other => vec![(format!("{before}{key}"), text(other))],
    };
    table.iter().flat_map(one).collect()
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(x) => format!("{}", *x as f32),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn only_what_differs_is_told() {
        let tiny = preset("tiny").unwrap();
        let other = tiny.set("optimizer.learning_rate=0.5").unwrap().set("model.layers=3").unwrap();
        assert_eq!(differences(&[Some(&tiny), Some(&tiny)]), []);
        let found = differences(&[Some(&tiny), Some(&other)]);
        let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
        assert_eq!(keys.len(), 2);
        assert!(keys.contains(&"model.layers") && keys.contains(&"optimizer.learning_rate"), "{keys:?}");
        assert!(
            found.iter().any(|d| d.values == ["2", "3"]) && found.iter().any(|d| d.values[1] == "0.5"),
            "{found:?}"
        );
        let wider = tiny.set("objective.generator.hidden=16").unwrap();
        let found = differences(&[Some(&tiny), Some(&wider)]);
        assert_eq!(
            (found[0].key.as_str(), &found[0].values[..]),
            ("objective.generator.hidden", &["8".into(), "16".into()][..])
        );
        assert_eq!(found.len(), 1);
        let unknown = differences(&[Some(&tiny), None]);
        assert!(unknown.iter().all(|d| d.values[1] == "–") && unknown.len() > 20);
    }
}
