//! Scores at the end of a budget: their spread over seeds, and what lies between two of what is compared, seed by seed.

use super::found::{Found, RANDOM};
use super::{Comparison, Judged};
use crate::measure::{Measure, half_interval, mean_and_deviation};
use crate::numbers::{fixed, grouped};
use serde_json::{Value, json};

/// A score over seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// By seed.
    pub by_seed: Vec<(u64, f64)>,
    /// NaN without any.
    pub mean: f64,
    /// NaN of fewer than two.
    pub deviation: f64,
    /// What it is over that of the first, in mean and half the width of the 95 % interval, over the seeds of both.
    pub difference: (f64, f64),
}

/// One of what is compared at one budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Whether the others are held against it.
    pub is_first: bool,
    /// A score a task.
    pub scores: Vec<Score>,
    /// Operations, steps and tokens of a run, and the mean of their seconds; none of random weights.
    pub cost: Option<(f64, u64, u64, f64)>,
    /// What it was allowed to cost; 0 of random weights.
    pub budget: f64,
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    judged: Vec<Judged>,
    /// What the others are held against.
    pub first: String,
    /// The budgets after each other, the least first; at the end the network from random weights.
    pub rows: Vec<Row>,
}

/// Scores at the end of a budget, by seed.
pub(super) fn scores(found: &[Found], arm: &str, task: &str, budget: f64) -> Vec<(u64, f64)> {
    let is = |f: &&Found| f.end && f.arm == arm && f.task == task && (f.budget == budget || arm == RANDOM);
    let mut scores: Vec<(u64, f64)> = found.iter().filter(is).map(|f| (f.seed, f.score)).collect();
    scores.sort_by_key(|(seed, _)| *seed);
    scores
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| mean_and_deviation(values).0)
}

impl Comparison {
    /// What it comes to.
    pub fn table(&self) -> Table {
        let row = |arm: &str, budget: f64, at: f64| {
            let score = |task: &Judged| {
                let of = |arm: &str| scores(&self.found, arm, &task.name, at);
                Score::new(of(arm), &of(&self.arms[0]))
            };
            let is = |f: &&Found| f.end && f.arm == arm && f.budget == budget;
            let ends: Vec<&Found> = self.found.iter().filter(is).collect();
            let seconds = ends.iter().map(|f| f.seconds).sum::<f64>() / ends.len().max(1) as f64;
            Row {
                name: arm.into(),
                is_first: arm == self.arms[0],
                scores: self.judged.iter().map(score).collect(),
                cost: ends.first().filter(|_| arm != RANDOM).map(|end| (end.flops, end.step, end.tokens, seconds)),
                budget,
            }
        };
        let mut rows = Vec::new();
        for &budget in &self.budgets {
            let there = |arm: &&String| self.found.iter().any(|f| f.arm == **arm && f.budget == budget);
            rows.extend(self.arms.iter().filter(there).map(|arm| row(arm, budget, budget)));
        }
        if self.found.iter().any(|f| f.arm == RANDOM) {
            rows.push(row(RANDOM, 0.0, self.budgets.last().copied().unwrap_or_default()));
        }
        Table { judged: self.judged.clone(), first: self.arms[0].clone(), rows }
    }
}

impl Row {
    /// Seeds of what has the most.
    pub fn seeds(&self) -> usize {
        self.scores.iter().map(|score| score.by_seed.len()).max().unwrap_or(0)
    }
}

impl Score {
    fn new(by_seed: Vec<(u64, f64)>, first: &[(u64, f64)]) -> Self {
        let values: Vec<f64> = by_seed.iter().map(|(_, score)| *score).collect();
        let (mean, deviation) = mean_and_deviation(&values);
        let of = |seed: u64| first.iter().find(|(known, _)| *known == seed).map(|(_, score)| *score);
        let apart: Vec<f64> = by_seed.iter().filter_map(|&(seed, score)| Some(score - of(seed)?)).collect();
        Self { by_seed, mean, deviation, difference: (mean_and_deviation(&apart).0, half_interval(&apart)) }
    }

    /// As in `0.750 ± 0.071`; a dash without any.
    pub fn text(&self, measure: &Measure) -> String {
        let digits = digits(measure);
        let spread =
            if self.deviation.is_finite() { format!(" ± {}", fixed(self.deviation, digits)) } else { String::new() };
        if self.by_seed.is_empty() { "-".into() } else { format!("{}{spread}", fixed(self.mean, digits)) }
    }

    /// As in `+0.012 ± 0.008`; nothing where no seed is in both.
    pub fn difference_text(&self, measure: &Measure) -> String {
        let ((mean, half), digits) = (self.difference, digits(measure));
        if !mean.is_finite() {
            return String::new();
        }
        let mean = fixed(mean, digits);
        let mean = if mean.starts_with('-') { mean } else { format!("+{mean}") };
        if half.is_finite() { format!("{mean} ± {}", fixed(half, digits)) } else { mean }
    }
}

fn digits(measure: &Measure) -> usize {
    match measure.digits {
        0 => 3,
        digits => usize::from(digits),
    }
}

impl Table {
    /// As in `chunk, F1 of spans`, a task each.
    pub fn headings(&self) -> impl Iterator<Item = (String, &Measure)> {
        self.judged.iter().map(|task| (format!("{}, {}", task.name, task.measure.title), &task.measure))
    }

    /// The cells, the heading first.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let mut heading = vec![String::new()];
        heading.extend(self.headings().flat_map(|(task, _)| [task, format!("to {}", self.first)]));
        heading.extend(["seeds", "TFLOP", "steps", "million tokens", "hours"].map(String::from));
        let row = |row: &Row| {
            let mut cells = vec![row.name.clone()];
            for (score, task) in row.scores.iter().zip(&self.judged) {
                cells.push(score.text(&task.measure));
                cells.push(if row.is_first { String::new() } else { score.difference_text(&task.measure) });
            }
            cells.push(row.seeds().to_string());
            match row.cost {
                Some((flops, steps, tokens, seconds)) => cells.extend([
                    fixed(flops / 1e12, 2),
                    grouped(steps),
                    fixed(tokens as f64 / 1e6, 1),
                    fixed(seconds / 3_600.0, 2),
                ]),
                None => cells.extend(["-"; 4].map(String::from)),
            }
            cells
        };
        std::iter::once(heading).chain(self.rows.iter().map(row)).collect()
    }

    /// What its ± are.
    pub fn explained(&self) -> String {
        if self.rows.iter().all(|row| row.seeds() < 2) {
            return "one seed: whatever lies close is not told apart".into();
        }
        let several = self.rows.windows(2).any(|pair| pair[0].budget != pair[1].budget && pair[1].cost.is_some());
        let random = if several { "; that of random weights is to the largest budget" } else { "" };
        format!(
            "± of a score is one standard deviation over seeds; of a difference to {}, taken seed by seed, half its 95 % interval{random}",
            self.first
        )
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let cells = self.cells();
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let rule = format!("|{}\n", "---|".repeat(cells[0].len()));
        format!("{}{rule}{}", line(&cells[0]), cells[1..].iter().map(line).collect::<String>())
    }

    /// As JSON: `compared`, with every score by seed.
    pub fn json(&self) -> Value {
        let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let task = |(score, task): (&Score, &Judged)| {
            let by_seed: serde_json::Map<String, Value> =
                score.by_seed.iter().map(|(seed, score)| (seed.to_string(), json!(score))).collect();
            let (mean, half) = score.difference;
            json!({
                "task": task.name, "measure": &*task.measure.name, "mean": number(score.mean),
                "deviation": number(score.deviation), "scores": by_seed,
                "difference": {"to": self.first, "mean": number(mean), "half_interval": number(half)},
            })
        };
        let row = |row: &Row| {
            let cost = row.cost.as_ref();
            json!({
                "name": row.name, "budget": row.budget, "flops": cost.map(|c| c.0), "steps": cost.map(|c| c.1),
                "tokens": cost.map(|c| c.2), "seconds": cost.map(|c| c.3),
                "tasks": row.scores.iter().zip(&self.judged).map(task).collect::<Vec<_>>(),
            })
        };
        json!({"compared": self.rows.iter().map(row).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comparison, found};
    use super::*;

    #[test]
    fn scores_are_over_seeds_and_differences_within_them() {
        let all = comparison(&[
            found("electra", 1, 5, 0.6),
            found("electra", 1, 10, 0.8),
            found("electra", 2, 10, 0.7),
            found("mlm", 1, 20, 0.82),
            found("mlm", 2, 20, 0.74),
            found("mlm", 3, 20, 0.9),
            found(RANDOM, 1, 0, 0.5),
        ]);
        let table = all.table();
        let rows = table.cells();
        assert_eq!(rows[1][..4], ["electra", "0.750 ± 0.071", "", "2"]);
        // .02 and .04: .03 +- 12.706 * .01.
        assert_eq!(rows[2][..4], ["mlm", "0.820 ± 0.080", "+0.030 ± 0.127", "3"]);
        assert_eq!(rows[2][4..], ["2.00", "20", "0.0", "0.00"]);
        assert_eq!(rows[3], ["random weights", "0.500", "-0.300", "1", "-", "-", "-", "-"]);
        assert!(table.markdown().starts_with("|  | chunk, F1 of spans | to electra | seeds |"));
        let json = table.json();
        assert_eq!(json["compared"][1]["tasks"][0]["scores"]["3"], 0.9);
        assert_eq!(json["compared"][2]["tasks"][0]["deviation"], Value::Null);
    }

    #[test]
    fn every_budget_is_held_against_its_own_first() {
        let at = |arm: &str, budget: f64, score: f64| Found { budget, ..found(arm, 1, (budget / 1e11) as u64, score) };
        let all = comparison(&[
            at("electra", 2e12, 0.6),
            at("mlm", 2e12, 0.7),
            at("electra", 1e12, 0.5),
            at("mlm", 1e12, 0.45),
            found(RANDOM, 1, 0, 0.4),
        ]);
        let rows = all.table().cells();
        let shown: Vec<String> =
            rows[1..].iter().map(|row| [&row[0], &row[1], &row[2], &row[4]].map(|s| &**s).join(" ")).collect();
        assert_eq!(
            shown,
            [
                "electra 0.500  1.00",
                "mlm 0.450 -0.050 1.00",
                "electra 0.600  2.00",
                "mlm 0.700 +0.100 2.00",
                "random weights 0.400 -0.200 -",
            ]
        );
        // Without the first at the least budget nothing is held against another there.
        let all = comparison(&[at("electra", 2e12, 0.6), at("mlm", 2e12, 0.7), at("mlm", 1e12, 0.45)]);
        let rows = all.table().cells();
        assert_eq!((rows[0][2].as_str(), rows[1][0].as_str(), rows[1][2].as_str()), ("to electra", "mlm", ""));
        assert_eq!(all.table().json()["compared"][0]["tasks"][0]["difference"]["to"], "electra");
    }
}
