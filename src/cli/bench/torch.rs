//! The same step in PyTorch and transformers, on the same machine at the same time.

use crate::bench::median;
use crate::cli::Failure;
use crate::electra::Config;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the models of transformers and times steps; prints a line of JSON.
const SCRIPT: &str = include_str!("../../../tests/tools/bench_torch.py");

/// How often each side runs. They take turns, so that a busy machine slows both.
const ROUNDS: usize = 3;

/// What the peer reached.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// PyTorch's version.
    pub version: String,
    /// PyTorch's tokens/s: of the median of all its steps.
    pub tokens_per_second: f64,
    /// leyden's tokens/s over PyTorch's, of the medians of all steps.
    pub ratio: f64,
    /// The same by round.
    pub rounds: Vec<f64>,
}

/// How to start the peer.
pub(super) struct Peer {
    python: PathBuf,
    flags: Vec<String>,
    tokens: f64,
}

impl Peer {
    /// The peer of `config`.
    ///
    /// # Errors
    /// [`Failure::Input`] where the script has no such model.
    pub(super) fn new(python: &Path, config: &Config, steps: usize, on_gpu: bool) -> Result<Self, Failure> {
        let (m, g) = (&config.model, &config.generator);
        if g.layers != m.layers || m.dropout != m.attention_dropout {
            return Err(Failure::Input(
                "--against torch: the peer has as many layers in both halves and one rate of dropout; \
                 set generator.layers and model.attention_dropout accordingly"
                    .into(),
            ));
        }
        let numbers = [
            ("batch", config.training.batch),
            ("length", config.data.length),
            ("steps", steps),
            ("vocabulary", m.vocabulary),
            ("positions", m.positions),
            ("embedding", m.embedding),
            ("layers", m.layers),
            ("hidden", m.hidden),
            ("heads", m.heads),
            ("ffn", m.feed_forward),
            ("generator-hidden", g.hidden),
            ("generator-heads", g.heads),
            ("generator-ffn", g.feed_forward),
        ];
        let mut flags: Vec<String> =
            numbers.iter().flat_map(|(name, n)| [format!("--{name}"), n.to_string()]).collect();
        flags.extend(["--dropout".into(), m.dropout.to_string()]);
        flags.extend(["--device".into(), if on_gpu { "cuda" } else { "cpu" }.into()]);
        if !on_gpu {
            flags.extend(["--threads".into(), rayon::current_num_threads().to_string()]);
        }
        let tokens = (config.training.batch * config.data.length) as f64;
        Ok(Self { python: python.to_path_buf(), flags, tokens })
    }

    /// One round: PyTorch's version and the seconds of its steps.
    fn run(&self) -> Result<(String, Vec<f64>), Failure> {
        let place = self.python.display();
        let out = Command::new(&self.python).arg("-c").arg(SCRIPT).args(&self.flags).output();
        let out = out.map_err(|e| Failure::Input(format!("--python {place}: {e}")))?;
        if !out.status.success() {
            let text = String::from_utf8_lossy(&out.stderr);
            let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message");
            return Err(Failure::Work(format!("{place}: {last}; it needs torch and transformers")));
        }
        let text = String::from_utf8_lossy(&out.stdout);
        let parsed: Option<(String, Vec<f64>)> = text.lines().last().and_then(|line| {
            let report: serde_json::Value = serde_json::from_str(line).ok()?;
            let steps = report["steps"].as_array()?.iter().filter_map(serde_json::Value::as_f64).collect();
            Some((report["torch"].as_str()?.to_string(), steps))
        });
        parsed.ok_or_else(|| Failure::Work(format!("{place}: expected a line of JSON, found {:?}", text.trim())))
    }
}

/// Runs both sides in turn; `ours` gives the seconds of some of leyden's steps.
///
/// # Errors
/// Either side's.
pub(super) fn compare(peer: &Peer, mut ours: impl FnMut() -> Result<Vec<f64>, Failure>) -> Result<Comparison, Failure> {
    let (mut all_ours, mut all_theirs, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    let mut version = String::new();
    for _ in 0..ROUNDS {
        let our_seconds = ours()?;
        let (found, their_seconds) = peer.run()?;
        version = found;
        rounds.push(median(&their_seconds) / median(&our_seconds));
        all_ours.extend(our_seconds);
        all_theirs.extend(their_seconds);
    }
    let theirs = median(&all_theirs);
    Ok(Comparison { version, tokens_per_second: peer.tokens / theirs, ratio: theirs / median(&all_ours), rounds })
}
