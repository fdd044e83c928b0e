//! Devices for threads that may wait for them.

use super::{Adapter, Choice, GpuEngine, adapters_async, choose_async};
use crate::plan::EngineError;
use pollster::block_on;

/// All adapters, the best for training first. Empty where there is no driver.
pub fn adapters() -> Vec<Adapter> {
    block_on(adapters_async())
}

/// As [`choose_async`].
///
/// # Errors
/// Those of [`choose_async`].
pub fn choose(choice: &Choice) -> Result<Option<Adapter>, EngineError> {
    block_on(choose_async(choice))
}

impl GpuEngine {
    /// As [`GpuEngine::new_async`].
    ///
    /// # Errors
    /// Those of [`GpuEngine::new_async`].
    pub fn new(adapter: &Adapter, bank_len: usize) -> Result<Self, EngineError> {
        block_on(Self::new_async(adapter, bank_len))
    }

    /// As [`GpuEngine::new`] on the adapter that [`choose`] finds; `None` where the CPU engine is to be used.
    ///
    /// # Errors
    /// Those of [`choose`] and [`GpuEngine::new`].
    pub fn open(choice: &Choice, bank_len: usize) -> Result<Option<Self>, EngineError> {
        choose(choice)?.map(|adapter| Self::new(&adapter, bank_len)).transpose()
    }
}
