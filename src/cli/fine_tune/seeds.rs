//! `--seeds N`: the same run with several seeds, and how much that matters.

use super::FineTuneArguments;
use crate::cli::Failure;
use crate::cli::output::print;
use crate::cli::style::Style;
use crate::cli::table::Table;
use crate::cli::train::Stop;
use crate::history::Recorded;
use crate::numbers::fixed;
use crate::run::{Run, SEEDS};
use serde_json::json;

/// Trains each seed's run to its end, or what is left of it, and compares them.
pub(super) fn run(arguments: &FineTuneArguments, count: u64) -> Result<(), Failure> {
    if !(2..=1_000).contains(&count) {
        return Err(Failure::Input(format!("--seeds is {count}, expected 2 to 1,000")));
    }
    let all = arguments.folder()?;
    let stop = Stop::on_interrupt();
    let (first, model) = (arguments.tuning.seed(), arguments.model.as_deref());
    let mut found = Vec::new();
    for seed in first..first.saturating_add(count) {
        let name = format!("seed-{seed}");
        let folder = all.join(&name);
        print(&format!("\n{}\n", Style::stdout().bold(&name)))?;
        if !arguments.tuning.sit_again(model, &folder, seed, &stop)? {
            let place = all.display();
            print(&format!("the other seeds come after it; go on with the same command and --out {place}\n"))?;
            return Ok(());
        }
        let measures = Recorded::read(&folder).map_err(Failure::work)?.measures;
        if let (Some((_, step, value)), Some(measure)) = (Run::best_of(&folder), measures.selecting()) {
            found.push((seed, name, step, value, measure.clone()));
        }
    }
    let Some((.., measure)) = found.first().cloned() else {
        return Err(Failure::Work("no seed was measured".into()));
    };
    let best = found.iter().reduce(|best, new| if measure.better.beats(new.3, best.3) { new } else { best });
    let Some(best) = best else { return Ok(()) };
    let mut values: Vec<f64> = found.iter().map(|found| found.3).collect();
    values.sort_by(f64::total_cmp);
    let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (values.len() - 1).max(1) as f64;
    let runs: Vec<_> = found
        .iter()
        .map(|(seed, name, step, value, _)| json!({"seed": seed, "folder": name, "step": step, "value": value}))
        .collect();
    let summary = json!({
        "measure": &*measure.name, "best": best.1, "median": median, "mean": mean, "deviation": variance.sqrt(), "runs": runs,
    });
    let path = all.join(SEEDS);
    let text = serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n";
    crate::files::write(&path, text.as_bytes()).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))?;
    let style = Style::stdout();
    let digits = usize::from(measure.digits);
    let mut table = Table::new(&[false, true, true]);
    for (_, name, step, value, _) in &found {
        let mark = if name == &best.1 { "  best" } else { "" };
        table.row([name.clone(), format!("step {step}"), format!("{}{mark}", fixed(*value, digits))]);
    }
    let mut out = format!("\n{} of each seed's best checkpoint\n", style.bold(&measure.title));
    table.lines().iter().for_each(|line| out += &format!("{line}\n"));
    let [low, .., high] = values[..] else { return Ok(()) };
    out += &format!(
        "{}  {} (from {} to {}; mean {}, standard deviation {})\n\nleyden predict {place} and leyden evaluate {place} take {}\n",
        style.bold("median"),
        fixed(median, digits),
        fixed(low, digits),
        fixed(high, digits),
        fixed(mean, digits),
        fixed(variance.sqrt(), digits),
        best.1,
        place = all.display(),
    );
    print(&out).map(drop)
}
