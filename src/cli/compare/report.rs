//! What a comparison comes to: a table as text, Markdown and JSON, a picture, and curves that `leyden plot` and the window draw.

use super::arms::Arm;
use super::results::{Found, RANDOM};
use super::tasks::Task;
use crate::cli::Failure;
use crate::cli::style::Style;
use crate::cli::table::Table;
use crate::history::{Recorded, Scale, X};
use crate::measure::{Measure, Measures, Plot, Values, half_interval, mean_and_deviation};
use crate::numbers::{fixed, grouped};
use crate::picture::{ByValue, Figure, MOST_RUNS, ValuePanel, to_png};
use crate::run::METRICS;
use serde_json::{Value, json};
use std::path::Path;

/// Where everything goes, and what it is about.
pub(super) struct Report<'a> {
    pub out: &'a Path,
    pub arms: Vec<&'a Arm>,
    pub tasks: &'a [Task],
    /// The setting of which they are the values, where they are.
    pub varied: Option<&'a str>,
}

/// A task and what it is measured by.
struct Judged<'a> {
    name: &'a str,
    measure: Measure,
}

/// Scores of one of what is compared on one task, by seed.
type Scores = Vec<(u64, f64)>;

fn values(scores: &[(u64, f64)]) -> Vec<f64> {
    scores.iter().map(|(_, score)| *score).collect()
}

impl Report<'_> {
    /// Writes everything that results so far give; the table as text.
    pub(super) fn write(&self, all: &[Found]) -> Result<String, Failure> {
        let judged: Vec<Judged<'_>> = self
            .tasks
            .iter()
            .filter_map(|task| Some(Judged { name: task.name(), measure: task.measure(self.out)? }))
            .collect();
        let arms: Vec<&str> =
            self.arms.iter().map(|arm| arm.name.as_str()).filter(|arm| all.iter().any(|f| f.arm == *arm)).collect();
        if judged.is_empty() || arms.is_empty() {
            return Ok(String::new());
        }
        let rows = rows(&judged, &arms, all);
        self.put("table.md", markdown(&judged, &rows).as_bytes())?;
        let table = serde_json::to_string_pretty(&as_json(&judged, &arms, all)).map_err(Failure::work)? + "\n";
        self.put("table.json", table.as_bytes())?;
        let style = Style::stdout();
        let mut table = Table::new(&[&[false][..], &vec![true; rows[0].len() - 1]].concat());
        rows.iter().for_each(|row| table.row(row.clone()));
        let mut text = format!("\n{}\n", style.bold("at the end of the budget, on held-out records"));
        table.lines().iter().for_each(|line| text += &format!("{line}\n"));
        text += &explained(&arms, &judged, all);
        for (arm, name) in self.arms.iter().map(|arm| (arm, arm.name.as_str())).filter(|(_, name)| arms.contains(name))
        {
            self.curve(&arm.folder(), name, &judged, all)?;
        }
        let shown = &arms[..arms.len().min(MOST_RUNS)];
        if shown.len() < arms.len() {
            text += &format!("the picture has the first {MOST_RUNS} of them\n");
        }
        self.picture(shown)?;
        let by_value = match self.varied {
            Some(setting) => self.by_value(setting, &judged, &arms, all)?,
            None => "",
        };
        let place = self.out.display();
        text += &format!(
            "wrote {place}/table.md, table.json and compare.png{by_value}; leyden plot {place}/curves/* --x flops draws more\n"
        );
        Ok(text)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.out.join(name);
        let folder = path.parent().unwrap_or(self.out);
        let done = std::fs::create_dir_all(folder).and_then(|()| crate::files::write(&path, bytes));
        done.map_err(|e| Failure::Work(format!("{}: {e}", path.display())))
    }

    /// A folder like a run's: its mean scores along what they cost, with what lies a deviation below and above.
    fn curve(&self, folder: &Path, arm: &str, judged: &[Judged<'_>], all: &[Found]) -> Result<(), Failure> {
        let mut measures = Vec::new();
        for Judged { name, measure } in judged {
            let title = format!("{name}: {}", measure.title);
            let of = |suffix: &str, plot| Measure {
                name: format!("{name}{suffix}").into(),
                tag: format!("score/{name}{suffix}"),
                title: title.clone(),
                plot,
                selects: false,
                baselines: Vec::new(),
                ..measure.clone()
            };
            measures.extend([of("", Plot::Main), of(".low", Plot::More), of(".high", Plot::More)]);
        }
        let mut steps: Vec<u64> = all.iter().filter(|f| f.arm == arm).map(|f| f.step).collect();
        steps.push(0);
        steps.sort_unstable();
        steps.dedup();
        let line = |step: u64| {
            let of = |f: &&Found| f.step == step && f.arm == if step == 0 { RANDOM } else { arm };
            let there: Vec<&Found> = all.iter().filter(of).collect();
            let mut found = Values::default();
            for Judged { name, .. } in judged {
                let scores: Vec<f64> = there.iter().filter(|f| f.task == *name).map(|f| f.score).collect();
                if scores.is_empty() {
                    continue;
                }
                let (mean, deviation) = mean_and_deviation(&scores);
                found.set(*name, mean);
                if deviation.is_finite() {
                    found.set(format!("{name}.low").as_str(), mean - deviation);
                    found.set(format!("{name}.high").as_str(), mean + deviation);
                }
            }
            let mean = |of: fn(&Found) -> f64| there.iter().map(|f| of(f)).sum::<f64>() / there.len().max(1) as f64;
            let (flops, seconds) = (mean(|f| f.flops), mean(|f| f.seconds));
            let tokens = there.first().map_or(0, |f| f.tokens);
            let line = json!({"step": step, "tokens": tokens, "seconds": seconds, "flops": flops, "held_out": found});
            (!there.is_empty()).then(|| format!("{line}\n"))
        };
        let lines: String = steps.into_iter().filter_map(line).collect();
        let place = Path::new("curves").join(folder);
        let name = |file: &str| place.join(file).to_string_lossy().into_owned();
        let measures = Measures::new(measures).to_json().map_err(Failure::work)?;
        self.put(&name(Measures::FILE), &measures)?;
        self.put(&name(METRICS), lines.as_bytes())
    }

    /// The scores at the end of the budget over the values of what is varied; what it was written to.
    fn by_value(
        &self,
        setting: &str,
        judged: &[Judged<'_>],
        arms: &[&str],
        all: &[Found],
    ) -> Result<&'static str, Failure> {
        let has_all = |arm: &&&str| judged.iter().all(|task| !scores(arm, task.name, all).is_empty());
        let done: Vec<&str> = arms.iter().filter(has_all).copied().collect();
        let panel = |Judged { name, measure }: &Judged<'_>| {
            let value = |arm: &&str| {
                let value = arm.split_once('=').map_or(*arm, |(_, value)| value);
                (value.to_string(), values(&scores(arm, name, all)))
            };
            let random = values(&scores(RANDOM, name, all));
            let level = (!random.is_empty()).then(|| (RANDOM.to_string(), mean_and_deviation(&random).0));
            let values = done.iter().map(value).collect();
            ValuePanel { title: format!("{name}: {}", measure.title), values, level }
        };
        let panels: Vec<ValuePanel> = judged.iter().map(panel).collect();
        if done.is_empty() {
            return Ok("");
        }
        let height = (100 + 320 * panels.len() as u32).min(3_000);
        let figure = ByValue { setting, panels: &panels, size: (900, height) };
        let png = figure.to_svg().and_then(|svg| to_png(&svg)).map_err(Failure::work)?;
        self.put("values.png", &png)?;
        Ok(" and values.png")
    }

    fn picture(&self, arms: &[&str]) -> Result<(), Failure> {
        let shown = self.arms.iter().filter(|arm| arms.contains(&arm.name.as_str()));
        let read = |arm: &&Arm| {
            let recorded = Recorded::read(&self.out.join("curves").join(arm.folder())).map_err(Failure::work)?;
            Ok((arm.name.clone(), recorded))
        };
        let runs = shown.map(read).collect::<Result<Vec<_>, Failure>>()?;
        let height = (160 + 340 * self.tasks.len() as u32).min(3_000);
        let figure = Figure { runs: &runs, x: X::Flops, scale: Scale::Linear, smoothing: None, size: (1_000, height) };
        let png = figure.to_svg().and_then(|svg| to_png(&svg)).map_err(Failure::work)?;
        self.put("compare.png", &png)
    }
}

/// Scores at the end of the budget.
fn scores(arm: &str, task: &str, all: &[Found]) -> Scores {
    let mut found: Scores =
        all.iter().filter(|f| f.end && f.arm == arm && f.task == task).map(|f| (f.seed, f.score)).collect();
    found.sort_by_key(|(seed, _)| *seed);
    found
}

/// Differences to the first, seed by seed.
fn differences(first: &Scores, other: &Scores) -> Vec<f64> {
    let of = |seed: u64| first.iter().find(|(known, _)| *known == seed).map(|(_, score)| *score);
    other.iter().filter_map(|&(seed, score)| Some(score - of(seed)?)).collect()
}

/// `+0.012 ± 0.008`, the half width of the 95 % interval, or the difference alone.
fn signed(differences: &[f64], digits: usize) -> String {
    if differences.is_empty() {
        return String::new();
    }
    let (mean, half) = (mean_and_deviation(differences).0, half_interval(differences));
    let mean = fixed(mean, digits);
    let mean = if mean.starts_with('-') { mean } else { format!("+{mean}") };
    if half.is_finite() { format!("{mean} ± {}", fixed(half, digits)) } else { mean }
}

fn digits(measure: &Measure) -> usize {
    match measure.digits {
        0 => 3,
        digits => usize::from(digits),
    }
}

/// The table's cells, the heading first.
fn rows(judged: &[Judged<'_>], arms: &[&str], all: &[Found]) -> Vec<Vec<String>> {
    let mut heading = vec![String::new()];
    for Judged { name, measure } in judged {
        heading.push(format!("{name}, {}", measure.title));
        heading.push(format!("to {}", arms[0]));
    }
    heading.extend(["seeds", "TFLOP", "steps", "million tokens", "hours"].map(String::from));
    let mut rows = vec![heading];
    let random = all.iter().any(|f| f.arm == RANDOM).then_some(RANDOM);
    for arm in arms.iter().copied().chain(random) {
        let mut row = vec![arm.to_string()];
        let mut seeds = 0;
        for Judged { name, measure } in judged {
            let (found, first) = (scores(arm, name, all), scores(arms[0], name, all));
            let (mean, deviation) = mean_and_deviation(&values(&found));
            let digits = digits(measure);
            let spread =
                if deviation.is_finite() { format!(" ± {}", fixed(deviation, digits)) } else { String::new() };
            row.push(if found.is_empty() { "-".into() } else { format!("{}{spread}", fixed(mean, digits)) });
            row.push(if arm == arms[0] { String::new() } else { signed(&differences(&first, &found), digits) });
            seeds = seeds.max(found.len());
        }
        row.push(seeds.to_string());
        let ends: Vec<&Found> = all.iter().filter(|f| f.end && f.arm == arm).collect();
        match ends.first().filter(|_| arm != RANDOM) {
            Some(end) => {
                let hours = ends.iter().map(|f| f.seconds).sum::<f64>() / ends.len() as f64 / 3_600.0;
                row.extend([
                    fixed(end.flops / 1e12, 2),
                    grouped(end.step),
                    fixed(end.tokens as f64 / 1e6, 1),
                    fixed(hours, 2),
                ]);
            }
            None => row.extend(["-"; 4].map(String::from)),
        }
        rows.push(row);
    }
    rows
}

fn markdown(judged: &[Judged<'_>], rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(2 * judged.len() + 6));
    format!("{}{rule}{}", line(&rows[0]), rows[1..].iter().map(line).collect::<String>())
}

fn explained(arms: &[&str], judged: &[Judged<'_>], all: &[Found]) -> String {
    let most = judged.iter().flat_map(|task| arms.iter().map(|arm| scores(arm, task.name, all).len())).max();
    match most {
        Some(0 | 1) => "one seed: whatever lies close is not told apart\n".into(),
        _ => format!(
            "± of a score is one standard deviation over seeds; of a difference to {}, taken seed by seed, half its 95 % interval\n",
            arms[0]
        ),
    }
}

fn as_json(judged: &[Judged<'_>], arms: &[&str], all: &[Found]) -> Value {
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    let task = |arm: &str, Judged { name, measure }: &Judged<'_>| {
        let (found, first) = (scores(arm, name, all), scores(arms[0], name, all));
        let (mean, deviation) = mean_and_deviation(&values(&found));
        let apart = differences(&first, &found);
        let by_seed: serde_json::Map<String, Value> =
            found.iter().map(|(seed, score)| (seed.to_string(), json!(score))).collect();
        json!({
            "task": name, "measure": &*measure.name, "mean": number(mean), "deviation": number(deviation), "scores": by_seed,
            "difference": {"to": arms[0], "mean": number(mean_and_deviation(&apart).0), "half_interval": number(half_interval(&apart))},
        })
    };
    let arm = |name: &str| {
        let ends: Vec<&Found> = all.iter().filter(|f| f.end && f.arm == name).collect();
        let (end, runs) = (ends.first(), ends.len().max(1) as f64);
        let seconds = ends.iter().map(|f| f.seconds).sum::<f64>() / runs;
        json!({
            "name": name, "flops": end.map(|f| f.flops), "steps": end.map(|f| f.step), "tokens": end.map(|f| f.tokens),
            "seconds": seconds, "tasks": judged.iter().map(|judged| task(name, judged)).collect::<Vec<_>>(),
        })
    };
    json!({"compared": arms.iter().copied().chain([RANDOM]).map(arm).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arm: &str, seed: u64, step: u64, score: f64) -> Found {
        let (end, flops) = (step != 5, 1e11 * step as f64);
        Found { arm: arm.into(), seed, task: "chunk".into(), step, flops, tokens: 100 * step, seconds: 7.2, end, score }
    }

    #[test]
    fn the_table_is_over_seeds_and_differences_are_within_them() {
        let judged = [Judged { name: "chunk", measure: Measure::share("span_f1", "F1 of spans") }];
        let all = [
            found("electra", 1, 5, 0.6),
            found("electra", 1, 10, 0.8),
            found("electra", 2, 10, 0.7),
            found("mlm", 1, 20, 0.82),
            found("mlm", 2, 20, 0.74),
            found("mlm", 3, 20, 0.9),
            found(RANDOM, 1, 0, 0.5),
        ];
        let rows = rows(&judged, &["electra", "mlm"], &all);
        assert_eq!(rows[1][..4], ["electra", "0.750 ± 0.071", "", "2"]);
        // .02 and .04: .03 +- 12.706 * .01.
        assert_eq!(rows[2][..4], ["mlm", "0.820 ± 0.080", "+0.030 ± 0.127", "3"]);
        assert_eq!(rows[2][4..], ["2.00", "20", "0.0", "0.00"]);
        assert_eq!(rows[3], ["random weights", "0.500", "-0.300", "1", "-", "-", "-", "-"]);
        assert!(markdown(&judged, &rows).starts_with("|  | chunk, F1 of spans | to electra | seeds |"));
        let json = as_json(&judged, &["electra", "mlm"], &all);
        assert_eq!(json["compared"][1]["tasks"][0]["scores"]["3"], 0.9);
        assert_eq!(json["compared"][2]["tasks"][0]["deviation"], Value::Null);
    }
}
