//! The device that a person names: `auto`, `cpu` or part of an adapter's name.

use crate::cpu::CpuEngine;
use crate::gpu::{Adapter, Choice, GpuEngine, choose_async};
use crate::plan::{Engine, EngineError, Target};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What to compute on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    /// The best GPU, or the CPU engine where there is none.
    Auto,
    /// The CPU engine.
    Cpu,
    /// A GPU adapter whose name or backend contains this.
    Named(String),
}

impl FromStr for Device {
    type Err = std::convert::Infallible;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            _ => Self::Named(s.to_string()),
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Named(name) => name,
        })
    }
}

impl Device {
    /// The adapter that is meant; `None` for the CPU engine.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`] where there is none of that name.
    pub async fn adapter_async(&self) -> Result<Option<Adapter>, EngineError> {
        match self {
            Self::Cpu => Ok(None),
            Self::Auto => choose_async(&Choice::Auto).await,
            Self::Named(name) => choose_async(&Choice::Named(name.clone())).await,
        }
    }
}

/// Whose memory the CPU engine has.
const THIS: &str = if cfg!(target_family = "wasm") { "this tab" } else { "this machine" };

/// Opens an engine whose banks have `bank_len` elements, and says what to plan for.
///
/// # Errors
/// [`EngineError`] where there is no such device, or it has no room.
pub async fn open_async(device: &Device, bank_len: usize) -> Result<(Box<dyn Engine>, Target), EngineError> {
    open_on(device.adapter_async().await?.as_ref(), bank_len).await
}

/// Opens an engine on an adapter, or the CPU engine without one.
pub(super) async fn open_on(
    adapter: Option<&Adapter>,
    bank_len: usize,
) -> Result<(Box<dyn Engine>, Target), EngineError> {
    Ok(match adapter {
        Some(adapter) => {
            let engine = GpuEngine::new_async(adapter, bank_len).await?;
            let target = Target::Gpu(engine.traits());
            (Box::new(engine), target)
        }
        None => {
            let needed = bank_len as u64 * 16;
            if crate::cpu::memory().is_some_and(|there| needed > there) {
                return Err(EngineError::OutOfMemory { adapter: THIS.into(), needed: needed >> 20 });
            }
            (Box::new(CpuEngine::<f32>::new(bank_len)), Target::Cpu)
        }
    })
}
