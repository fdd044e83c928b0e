//! The same step in PyTorch and transformers, on the same machine, in turns.

use super::python::Python;
use crate::bench::{MatmulTime, median};
use crate::cli::Failure;
use crate::config::Config;
use crate::math::Activation;
use crate::ops::EPSILON;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often each side runs. They take turns, so that a busy machine slows both.
const ROUNDS: usize = 3;

/// How PyTorch runs the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// Op by op in fp32, TF32 off
    EagerFp32,
    /// Op by op in fp32 with TF32
    EagerTf32,
    /// Op by op under bf16 autocast
    EagerBf16,
    /// torch.compile in fp32, TF32 off
    CompiledFp32,
    /// torch.compile in fp32 with TF32
    CompiledTf32,
    /// torch.compile under bf16 autocast
    CompiledBf16,
    /// torch.compile with reduce-overhead (CUDA graphs) under bf16 autocast
    GraphsBf16,
    /// torch.compile with max-autotune (searched kernels, CUDA graphs) under bf16 autocast
    AutotunedBf16,
}

impl Mode {
    /// What is compared where nothing is asked for: on a GPU everything.
    fn defaults(on_gpu: bool) -> &'static [Self] {
        if on_gpu { Self::value_variants() } else { &[Self::EagerFp32] }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What the peer reached.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// PyTorch's version.
    pub version: String,
    /// The device in PyTorch's words.
    pub device: String,
    /// By mode, in the order they were asked for.
    pub modes: Vec<ModeReport>,
}

/// What came of one mode.
#[derive(Debug, Serialize)]
pub(super) struct ModeReport {
    pub mode: Mode,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Speeds, or why there are none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Speeds {
        /// PyTorch's tokens/s: of the median of all its steps.
        tokens_per_second: f64,
        /// leyden's tokens/s in the same rounds.
        leyden_tokens_per_second: f64,
        /// leyden's tokens/s over PyTorch's, of the medians of all steps.
        ratio: f64,
        /// The same by round.
        rounds: Vec<f64>,
    },
    Failed {
        /// The last line of what PyTorch said.
        error: String,
    },
}

/// How to start the peer.
pub(super) struct Peer {
    python: PathBuf,
    /// For each of its answers.
    patience: Duration,
    modes: Vec<Mode>,
    flags: Vec<String>,
    steps: usize,
    tokens: f64,
}

impl Peer {
    /// The peer of `config` with a Python that answers within a time, in `modes`, those that fit the device if none are given.
    ///
    /// # Errors
    /// [`Failure::Input`] where the script has no such model.
    pub(super) fn new(
        (python, patience): (&Path, Duration),
        modes: &[Mode],
        config: &Config,
        steps: usize,
        on_gpu: bool,
    ) -> Result<Self, Failure> {
        let m = &config.model;
        let Some(electra) = config.objective.electra() else {
            let name = config.objective.name();
            return Err(Failure::Input(format!(
                "--against torch: the peer trains electra, not {name}; leave --objective out"
            )));
        };
        let g = electra.generator.sizes(m);
        if g.layers != m.layers || m.dropout != m.attention_dropout {
            return Err(Failure::Input(
                "--against torch: the peer has as many layers in both networks and one rate of dropout; \
                 set objective.generator.layers and model.attention_dropout accordingly"
                    .into(),
            ));
        }
        if m.activation != Activation::Gelu || m.layer_norm_epsilon != EPSILON {
            return Err(Failure::Input(
                "--against torch: the peer's activation is gelu and its layer norm's epsilon 1e-12; \
                 set model.activation and model.layer_norm_epsilon accordingly"
                    .into(),
            ));
        }
        let numbers = [
            ("batch", config.training.batch),
            ("length", config.data.length),
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
        flags.extend(["--device".into(), if on_gpu { "gpu" } else { "cpu" }.into()]);
        if !on_gpu {
            flags.extend(["--threads".into(), rayon::current_num_threads().to_string()]);
        }
        let tokens = (config.training.batch * config.data.length) as f64;
        let modes = if modes.is_empty() { Mode::defaults(on_gpu) } else { modes }.to_vec();
        Ok(Self { python: python.to_path_buf(), patience, modes, flags, steps, tokens })
    }

    /// Starts a mode's process and waits until it is warm.
    ///
    /// # Errors
    /// [`Failure::Input`] where there is no such Python. Inside, in one line, why PyTorch could not.
    fn start(&self, mode: Mode) -> Result<Result<(Python, Ready), String>, Failure> {
        let mode = mode.to_string();
        let flags = ["--serve", "--mode", &mode].into_iter().chain(self.flags.iter().map(String::as_str));
        let mut process = Python::start(&self.python, flags, self.patience)?;
        Ok(process.ready::<Ready>().map(|ready| (process, ready)))
    }
}

/// What a process says when it is warm.
#[derive(Debug, serde::Deserialize)]
struct Ready {
    torch: String,
    device: String,
}

/// Its answer to "go N".
#[derive(Debug, serde::Deserialize)]
struct Times {
    /// Seconds of each of N steps.
    steps: Vec<f64>,
}

/// Runs both sides in turn, mode after mode, never at the same time and with one Python at a time, so that no mode is short
/// of memory because of another. `ours` gives the seconds of some of leyden's steps.
///
/// # Errors
/// leyden's; [`Failure::Input`] where there is no such Python; [`Failure::Work`] where no mode ran at all.
pub(super) fn compare(peer: &Peer, mut ours: impl FnMut() -> Result<Vec<f64>, Failure>) -> Result<Comparison, Failure> {
    let mut found: Option<Ready> = None;
    let mut modes = Vec::with_capacity(peer.modes.len());
    for &mode in &peer.modes {
        let outcome = match peer.start(mode)? {
            Err(error) => Outcome::Failed { error },
            Ok((mut process, ready)) => {
                found.get_or_insert(ready);
                in_turns(peer, &mut process, &mut ours)?
            }
        };
        modes.push(ModeReport { mode, outcome });
    }
    let first = modes.iter().find_map(|m| if let Outcome::Failed { error } = &m.outcome { Some(error) } else { None });
    match (found, first) {
        (Some(Ready { torch: version, device }), _) => Ok(Comparison { version, device, modes }),
        (None, error) => {
            let (place, error) = (peer.python.display(), error.map_or("no mode to run", String::as_str));
            Err(Failure::Work(format!("{place}: {error}; it needs torch and transformers")))
        }
    }
}

/// Seconds of `count` steps, taken now.
fn go(process: &mut Python, count: usize) -> Result<Vec<f64>, String> {
    let Times { steps } = process.ask(&format!("go {count}"))?;
    if steps.len() != count || steps.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return Err(format!("expected the seconds of {count} steps, found {steps:?}"));
    }
    Ok(steps)
}

/// The rounds of one mode.
fn in_turns(
    peer: &Peer,
    process: &mut Python,
    ours: &mut impl FnMut() -> Result<Vec<f64>, Failure>,
) -> Result<Outcome, Failure> {
    let (mut all_ours, mut all_theirs, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let our_seconds = ours()?;
        let their_seconds = match go(process, peer.steps) {
            Ok(seconds) => seconds,
            Err(error) => return Ok(Outcome::Failed { error }),
        };
        rounds.push(median(&their_seconds) / median(&our_seconds));
        all_ours.extend(our_seconds);
        all_theirs.extend(their_seconds);
    }
    let (ours, theirs) = (median(&all_ours), median(&all_theirs));
    Ok(Outcome::Speeds {
        tokens_per_second: peer.tokens / theirs,
        leyden_tokens_per_second: peer.tokens / ours,
        ratio: theirs / ours,
        rounds,
    })
}

/// PyTorch's matrix products, which on an NVIDIA GPU are cuBLAS's.
pub(super) struct Products {
    process: Python,
    /// PyTorch's version.
    pub version: String,
}

impl Products {
    /// Starts the process.
    ///
    /// # Errors
    /// [`Failure::Input`] where there is no such Python. Inside, in one line, why PyTorch could not.
    pub(super) fn start((python, patience): (&Path, Duration), on_gpu: bool) -> Result<Result<Self, String>, Failure> {
        let (device, threads) = (if on_gpu { "gpu" } else { "cpu" }, rayon::current_num_threads().to_string());
        let flags = ["--products", "--device", device, "--threads", &threads];
        let mut process = Python::start(python, flags, patience)?;
        Ok(process.ready::<Ready>().map(|ready| Self { process, version: ready.torch }))
    }

    /// Seconds of the multiplication that `ours` is the time of: the best of some.
    ///
    /// # Errors
    /// Why there are none, in one line.
    pub(super) fn seconds(&mut self, ours: &MatmulTime) -> Result<f64, String> {
        #[derive(serde::Deserialize)]
        struct Answer {
            seconds: f64,
        }
        let MatmulTime { m, n, k, layout, precision, .. } = ours;
        let question = serde_json::json!({"m": m, "n": n, "k": k, "layout": layout, "precision": precision});
        let Answer { seconds } = self.process.ask(&question.to_string())?;
        if seconds > 0.0 { Ok(seconds) } else { Err(format!("expected a time, found {seconds} s")) }
    }
}
