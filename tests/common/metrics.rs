//! A run's metrics as they were written.

use serde_json::Value;
use std::fs;
use std::path::Path;

/// The lines of metrics without what the clock decides.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        line.remove("seconds");
        line.remove("tokens_per_second");
    }
    lines
}
