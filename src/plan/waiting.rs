//! Waiting for an engine, whether it can wait or not.

use super::{Engine, EngineError, Fetched};
use crate::graph::Bank;

/// [`Engine::collect`] that waits, of any engine.
///
/// # Errors
/// Those of [`Engine::collect`].
pub async fn collect(engine: &mut dyn Engine) -> Result<Option<Fetched>, EngineError> {
    loop {
        match engine.collect(true)? {
            None if engine.under_way() > 0 => pause().await,
            collected => return Ok(collected),
        }
    }
}

/// [`Engine::read_bank`] of any engine.
///
/// # Errors
/// Those of [`Engine::read_bank`].
pub async fn read_bank(engine: &mut dyn Engine, bank: Bank) -> Result<Vec<f32>, EngineError> {
    loop {
        match engine.poll_bank(bank)? {
            None => pause().await,
            Some(bank) => return Ok(bank),
        }
    }
}

/// Gives the thread back to the browser, so that devices and messages get their turn. Elsewhere devices are waited for, and nobody
/// comes here.
#[cfg(not(target_family = "wasm"))]
pub async fn pause() {}

#[cfg(target_family = "wasm")]
pub use crate::web::pause;
