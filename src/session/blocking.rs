//! Sessions for threads that may wait for devices: each of these is its async namesake, run to its end.

use super::{
    Asked, Change, Device, Material, Opened, Reopened, Report, Session, SessionError, SessionOptions, Setup, Startup,
    as_begun_async, fine_tune_async, open_async, reopen_async, start_async,
};
use crate::config::Config;
use crate::corpus::Examples;
use crate::gpu::Adapter;
use crate::objective::Shown;
use crate::plan::{Engine, EngineError, Target};
use crate::run::Run;
use pollster::block_on;
use std::path::Path;
use std::sync::Arc;

impl Device {
    /// As [`Device::adapter_async`].
    ///
    /// # Errors
    /// Those of [`Device::adapter_async`].
    pub fn adapter(&self) -> Result<Option<Adapter>, EngineError> {
        block_on(self.adapter_async())
    }
}

/// As [`open_async`].
///
/// # Errors
/// Those of [`open_async`].
pub fn open(device: &Device, bank_len: usize) -> Result<(Box<dyn Engine>, Target), EngineError> {
    block_on(open_async(device, bank_len))
}

/// As [`start_async`].
///
/// # Errors
/// [`SessionError`].
pub fn start(
    folder: &Path,
    config: Config,
    length: Option<usize>,
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    block_on(start_async(folder, config, length, how, watch))
}

/// As [`fine_tune_async`].
///
/// # Errors
/// [`SessionError`].
pub fn fine_tune(
    folder: &Path,
    config: Config,
    asked: Asked,
    settings: &[String],
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    block_on(fine_tune_async(folder, config, asked, settings, how, watch))
}

/// As [`as_begun_async`].
///
/// # Errors
/// [`SessionError`].
pub fn as_begun(
    config: Config,
    length: Option<usize>,
    device: &Device,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<(Config, Vec<String>), SessionError> {
    block_on(as_begun_async(config, length, device, watch))
}

/// As [`reopen_async`].
///
/// # Errors
/// [`SessionError`].
pub fn reopen(
    folder: &Path,
    change: &Change,
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Reopened, SessionError> {
    block_on(reopen_async(folder, change, how, watch))
}

impl Session {
    /// As [`Session::create_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn create(folder: &Path, setup: Setup) -> Result<Self, SessionError> {
        block_on(Self::create_async(folder, setup))
    }

    /// As [`Session::resume_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn resume(run: Run, setup: Setup) -> Result<Self, SessionError> {
        block_on(Self::resume_async(run, setup))
    }

    /// As [`Session::advance_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn advance(&mut self, stop: bool) -> Result<Vec<Report>, SessionError> {
        block_on(self.advance_async(stop))
    }

    /// As [`Session::flush_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn flush(&mut self) -> Result<Vec<Report>, SessionError> {
        block_on(self.flush_async())
    }

    /// As [`Session::checkpoint_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn checkpoint(&mut self) -> Result<Vec<Report>, SessionError> {
        block_on(self.checkpoint_async())
    }

    /// As [`Session::sample_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn sample(&mut self, material: &Material) -> Result<Vec<Vec<Shown>>, SessionError> {
        block_on(self.sample_async(material))
    }

    /// As [`Session::show_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn show(&mut self, examples: Arc<Examples>) -> Result<Vec<Vec<Shown>>, SessionError> {
        block_on(self.show_async(examples))
    }

    /// As [`Session::weights_async`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn weights(&mut self) -> Result<Vec<f32>, SessionError> {
        block_on(self.weights_async())
    }
}
