//! PyTorch and transformers on the same machine, mode by mode.

use super::python::Python;
use crate::bench::MatmulTime;
use crate::cli::Failure;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often each side runs. They take turns, so that a busy machine slows both.
pub(super) const ROUNDS: usize = 3;

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
    /// What is compared: the modes that were `asked` for, else all that the device has.
    pub(super) fn chosen(asked: &[Self], on_gpu: bool) -> Vec<Self> {
        const ON_CPU: [Mode; 4] = [Mode::EagerFp32, Mode::EagerBf16, Mode::CompiledFp32, Mode::CompiledBf16];
        let usual = if on_gpu { Self::value_variants() } else { &ON_CPU };
        if asked.is_empty() { usual } else { asked }.to_vec()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Comparison<T> {
    /// PyTorch's version.
    pub version: String,
    /// The device in PyTorch's words.
    pub device: String,
    /// By mode, in the order they were asked for.
    pub modes: Vec<ModeReport<T>>,
}

/// What came of one mode.
#[derive(Debug, Serialize)]
pub(super) struct ModeReport<T> {
    pub mode: Mode,
    #[serde(flatten)]
    pub outcome: Outcome<T>,
}

/// What was measured, or why nothing was.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome<T> {
    Measured(T),
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
}

impl Peer {
    /// A Python that answers within a time, in `modes`, on leyden's kind of device, with `flags` that say what it does.
    pub(super) fn new(
        (python, patience): (&Path, Duration),
        modes: Vec<Mode>,
        on_gpu: bool,
        flags: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let mut flags: Vec<String> = flags.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect();
        flags.extend(["--device".into(), if on_gpu { "gpu" } else { "cpu" }.into()]);
        if !on_gpu {
            flags.extend(["--threads".into(), rayon::current_num_threads().to_string()]);
        }
        Self { python: python.to_path_buf(), patience, modes, flags }
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

    /// Measures mode after mode with one Python at a time, so that no mode is short of memory because of another. `measure` gives
    /// why there is nothing, in one line, where the process is to blame.
    ///
    /// # Errors
    /// Those of `measure`; [`Failure::Input`] where there is no such Python; [`Failure::Work`] where no mode ran at all.
    pub(super) fn compare<T>(
        &self,
        mut measure: impl FnMut(&mut Python) -> Result<Result<T, String>, Failure>,
    ) -> Result<Comparison<T>, Failure> {
        let mut found: Option<Ready> = None;
        let mut modes = Vec::with_capacity(self.modes.len());
        for &mode in &self.modes {
            let measured = match self.start(mode)? {
                Err(error) => Err(error),
                Ok((mut process, ready)) => {
                    found.get_or_insert(ready);
                    measure(&mut process)?
                }
            };
            let outcome = measured.map_or_else(|error| Outcome::Failed { error }, Outcome::Measured);
            modes.push(ModeReport { mode, outcome });
        }
        let failed = |m: &ModeReport<T>| match &m.outcome {
            Outcome::Failed { error } => Some(error.clone()),
            Outcome::Measured(_) => None,
        };
        match found {
            Some(Ready { torch: version, device }) => Ok(Comparison { version, device, modes }),
            None => {
                let error = modes.iter().find_map(failed).unwrap_or_else(|| "no mode to run".into());
                Err(Failure::Work(format!("{}: {error}; it needs torch and transformers", self.python.display())))
            }
        }
    }
}

/// What a process says when it is warm.
#[derive(Debug, serde::Deserialize)]
struct Ready {
    torch: String,
    device: String,
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
