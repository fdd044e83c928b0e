//! The same step of pre-training in PyTorch and transformers, in turns with leyden's.

use super::python::Python;
use super::torch::{Comparison, Mode, Peer, ROUNDS};
use crate::bench::median;
use crate::cli::Failure;
use crate::config::Config;
use crate::math::Activation;
use crate::ops::EPSILON;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// Both sides' speeds.
#[derive(Debug, Serialize)]
pub(super) struct Speeds {
    /// PyTorch's tokens/s: of the median of all its steps.
    pub tokens_per_second: f64,
    /// leyden's tokens/s in the same rounds.
    pub leyden_tokens_per_second: f64,
    /// leyden's tokens/s over PyTorch's, of the medians of all steps.
    pub ratio: f64,
    /// The same by round.
    pub rounds: Vec<f64>,
}

/// The peer that takes the steps of a configuration.
pub(super) struct StepPeer {
    peer: Peer,
    steps: usize,
    tokens: f64,
}

impl StepPeer {
    /// The peer of `config` with a Python that answers within a time, in `modes`, those that fit the device if none are given, and
    /// rounds of so many steps.
    ///
    /// # Errors
    /// [`Failure::Input`] where the script has no such model.
    pub(super) fn new(
        python: (&Path, Duration),
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
        if !electra.is_usual() {
            return Err(Failure::Input(
                "--against torch: the peer's discriminator learns from all tokens and shares the embeddings, and its words are drawn by \
                 the softmax; leave objective.over, replaced_by, tying, temperature and disallow_correct as they are"
                    .into(),
            ));
        }
        let g = electra.generator.sizes(m);
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
            ("generator-layers", g.layers),
            ("generator-hidden", g.hidden),
            ("generator-heads", g.heads),
            ("generator-ffn", g.feed_forward),
        ];
        let numbers = numbers.into_iter().map(|(name, n)| (name, n.to_string()));
        let dropout = [("dropout", m.dropout), ("attention-dropout", m.attention_dropout)];
        let flags = numbers.chain(dropout.map(|(name, rate)| (name, rate.to_string())));
        let peer = Peer::new(python, Mode::chosen(modes, on_gpu), on_gpu, flags);
        Ok(Self { peer, steps, tokens: (config.training.batch * config.data.length) as f64 })
    }

    /// Runs both sides in turn, mode after mode, never at the same time. `ours` gives the seconds of some of leyden's steps.
    ///
    /// # Errors
    /// leyden's, and those of [`Peer::compare`].
    pub(super) fn compare(
        &self,
        mut ours: impl FnMut() -> Result<Vec<f64>, Failure>,
    ) -> Result<Comparison<Speeds>, Failure> {
        self.peer.compare(|process| self.in_turns(process, &mut ours))
    }

    /// The rounds of one mode.
    fn in_turns(
        &self,
        process: &mut Python,
        ours: &mut impl FnMut() -> Result<Vec<f64>, Failure>,
    ) -> Result<Result<Speeds, String>, Failure> {
        let (mut all_ours, mut all_theirs, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let our_seconds = ours()?;
            let their_seconds = match go(process, self.steps) {
                Ok(seconds) => seconds,
                Err(error) => return Ok(Err(error)),
            };
            rounds.push(median(&their_seconds) / median(&our_seconds));
            all_ours.extend(our_seconds);
            all_theirs.extend(their_seconds);
        }
        let (ours, theirs) = (median(&all_ours), median(&all_theirs));
        Ok(Ok(Speeds {
            tokens_per_second: self.tokens / theirs,
            leyden_tokens_per_second: self.tokens / ours,
            ratio: theirs / ours,
            rounds,
        }))
    }
}

/// Its answer to "go N".
#[derive(Debug, serde::Deserialize)]
struct Times {
    /// Seconds of each of N steps.
    steps: Vec<f64>,
}

/// Seconds of `count` steps, taken now.
fn go(process: &mut Python, count: usize) -> Result<Vec<f64>, String> {
    let Times { steps } = process.ask(&format!("go {count}"))?;
    if steps.len() != count || steps.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return Err(format!("expected the seconds of {count} steps, found {steps:?}"));
    }
    Ok(steps)
}
