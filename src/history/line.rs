//! A line of metrics.jsonl, and what is none.

use crate::measure::{Measures, Values};
use crate::numbers::shortened;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// What a line of metrics is.
pub const EXPECTED: &str = "JSON with a step and the run's measures, as `leyden train` writes it";

/// A line that is no line of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} {}", self.line, self.reason)
    }
}

/// A line as it stands in the file.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) step: u64,
    pub(super) seconds: Option<f64>,
    pub(super) tokens: Option<u64>,
    pub(super) flops: Option<f64>,
    pub(super) learning_rate: Option<f64>,
    pub(super) gradient_norm: Option<f64>,
    pub(super) loss_scale: Option<f64>,
    pub(super) tokens_per_second: Option<f64>,
    held_out: Option<HashMap<String, Value>>,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

impl Line {
    /// Reads a line, or says what is wrong with it.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| {
            let reason = error.to_string();
            // The line is one, and its number is another.
            let reason = reason.split(" at line ").next().unwrap_or_default();
            match error.classify() {
                serde_json::error::Category::Data => format!("has other values: {}", shortened(reason, 120)),
                _ => format!("is no JSON: {}", shortened(reason, 120)),
            }
        })
    }

    /// Whether it is of the held-out text.
    pub(super) fn is_held_out(&self) -> bool {
        self.held_out.is_some()
    }

    /// What it says of these measures; JSON has no NaN and writes null. A line of another program shows by having no main
    /// measure.
    pub(super) fn values(&self, measures: &Measures) -> Result<Values, String> {
        let all = self.held_out.as_ref().unwrap_or(&self.others);
        if self.held_out.is_none() && !measures.main().any(|m| all.contains_key(&*m.name)) {
            let names: Vec<&str> = measures.main().map(|m| &*m.name).collect();
            return Err(format!("has no {}", names.join(" or ")));
        }
        let mut values = Values::default();
        for name in measures.names() {
            match all.get(&**name) {
                None => {}
                Some(Value::Null) => values.set(name.clone(), f64::NAN),
                Some(found) => match found.as_f64() {
                    Some(number) => values.set(name.clone(), number),
                    None => return Err(format!("has other values: {name} is {}", shortened(&found.to_string(), 60))),
                },
            }
        }
        Ok(values)
    }
}

/// The step of a line of metrics with these measures, or what is wrong with it.
pub(crate) fn step_of(line: &[u8], measures: &Measures) -> Result<u64, String> {
    let line = Line::read(line)?;
    line.values(measures).map(|_| line.step)
}
