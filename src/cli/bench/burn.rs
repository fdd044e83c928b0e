//! The same step by burn, on the same adapter at the same time.

use crate::cli::Failure;
use crate::config::Config;
use crate::session::Device;
use serde::Serialize;

/// What the peer reached. Means over all steps of a side, since burn is timed by the round.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// burn's version.
    pub version: String,
    /// burn's tokens/s.
    pub tokens_per_second: f64,
    /// leyden's tokens/s over burn's.
    pub ratio: f64,
    /// The same by round.
    pub rounds: Vec<f64>,
}

/// burn, set up and warm.
#[cfg(feature = "burn")]
pub(super) struct Peer {
    stepper: crate::bench::BurnStepper,
    tokens: f64,
    steps: usize,
}

#[cfg(feature = "burn")]
impl Peer {
    /// The peer of `config` on the adapter that `device` means.
    ///
    /// # Errors
    /// [`Failure::Input`] where that is the CPU engine, and burn's own.
    pub(super) fn new(device: &Device, config: &Config, steps: usize) -> Result<Self, Failure> {
        use crate::gpu::{Choice, choose};
        let name = config.objective.name();
        if !config.objective.electra().is_some_and(|electra| electra.is_usual()) {
            let what = format!(
                "--against burn: the peer trains electra as it is, not {name} as it is set; leave out --objective, and objective.over, replaced_by, tying, temperature and disallow_correct"
            );
            return Err(Failure::Input(what));
        }
        let choice = match device {
            Device::Cpu => None,
            Device::Auto => Some(Choice::Auto),
            Device::Named(name) => Some(Choice::Named(name.clone())),
        };
        let adapter = choice.map_or(Ok(None), |choice| choose(&choice)).map_err(Failure::work)?;
        let Some(adapter) = adapter else {
            return Err(Failure::Input(
                "--against burn: burn takes no steps on the CPU engine; name a GPU with --device, as `leyden devices` \
                 lists them"
                    .into(),
            ));
        };
        let stepper = crate::bench::BurnStepper::new(&adapter, config.clone()).map_err(Failure::work)?;
        Ok(Self { stepper, tokens: (config.training.batch * config.data.length) as f64, steps })
    }

    /// Runs both sides in turn; `ours` gives the seconds of some of leyden's steps.
    ///
    /// # Errors
    /// Either side's.
    pub(super) fn compare(
        &mut self,
        mut ours: impl FnMut() -> Result<Vec<f64>, Failure>,
    ) -> Result<Comparison, Failure> {
        /// They take turns, so that a busy machine slows both.
        const ROUNDS: usize = 3;
        let (mut all_ours, mut all_theirs, mut rounds) = (0.0, 0.0, Vec::new());
        for _ in 0..ROUNDS {
            let seconds = ours()?;
            let our_step = seconds.iter().sum::<f64>() / seconds.len() as f64;
            let their_step = self.stepper.run(self.steps).map_err(Failure::work)?;
            rounds.push(their_step / our_step);
            all_ours += our_step;
            all_theirs += their_step;
        }
        Ok(Comparison {
            version: crate::burn::VERSION.into(),
            tokens_per_second: self.tokens * ROUNDS as f64 / all_theirs,
            ratio: all_theirs / all_ours,
            rounds,
        })
    }
}

/// Stands for burn in a build without it.
#[cfg(not(feature = "burn"))]
pub(super) struct Peer;

#[cfg(not(feature = "burn"))]
impl Peer {
    /// # Errors
    /// Always.
    pub(super) fn new(_: &Device, _: &Config, _: usize) -> Result<Self, Failure> {
        Err(Failure::Input(
            "--against burn: this leyden was built without burn; \
             cargo run --release --features burn -- bench --against burn"
                .into(),
        ))
    }

    /// # Errors
    /// Those of `ours`, which is not called.
    pub(super) fn compare(&mut self, _: impl FnMut() -> Result<Vec<f64>, Failure>) -> Result<Comparison, Failure> {
        Err(Failure::Work("burn is not in this build".into()))
    }
}
