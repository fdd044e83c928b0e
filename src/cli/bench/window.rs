//! `leyden bench --window`: what the window costs of the training's speed.

use crate::bench::median;
use crate::cli::Failure;
use crate::cli::output::{print, print_json};
use crate::config::Config;
use crate::session::SessionOptions;
use crate::window::{Job, Opening, Turns, open};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Pairs of turns, and a turn's length.
const PAIRS: usize = 4;
const TURN: Duration = Duration::from_secs(10);

/// Trains in a window that is drawn in every other turn, and says how fast both were.
pub(super) fn run(mut config: Config, how: SessionOptions, json: bool) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("leyden-bench-window-{}", std::process::id()));
    // Nothing but steps: no end, no evaluation and no checkpoint in between.
    let t = &mut config.training;
    (t.steps, t.hours) = (u64::from(u32::MAX), None);
    (t.evaluate_every, t.checkpoint_every, t.checkpoint_minutes, t.evaluation_examples) = (1 << 40, 1 << 40, 0.0, 8);
    let name = format!("{}, {} x {} tokens, {}", config.preset, t.batch, config.data.length, how.device);
    let turns = Arc::new(Turns::new(PAIRS, TURN));
    let job =
        Job::Start { folder: Some(folder.clone()), config: Box::new(config), length: None, files: Vec::new(), how };
    let opened = open(Opening { job: Some(job), runs: Vec::new(), turns: Some(turns.clone()) });
    let _ = std::fs::remove_dir_all(&folder);
    opened.map_err(Failure::work)?;
    let pairs = turns.pairs();
    if pairs.len() < PAIRS {
        return Err(Failure::Work("the window was closed before the measurement was over".into()));
    }
    let ratios: Vec<f64> = pairs.iter().map(|(still, drawn)| drawn / still).collect();
    let (still, drawn): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    if json {
        return print_json(&json!({"what": name, "still": still, "drawn": drawn, "ratio": median(&ratios)}));
    }
    let all: Vec<String> = ratios.iter().map(|r| format!("{r:.3}")).collect();
    print(&format!(
        "{name}\n  {:.2} steps/s with the window still, {:.2} with it drawn: {:.3} (by pair {})\n",
        median(&still),
        median(&drawn),
        median(&ratios),
        all.join(", ")
    ))
    .map(drop)
}
