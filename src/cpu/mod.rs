//! The CPU engine: the plan run by the twins, on as many cores as help.

mod engine;
mod threads;

/// Bytes of memory of this machine, where the system says (Linux's /proc); in a browser all that a page can have.
pub fn memory() -> Option<u64> {
    if cfg!(target_family = "wasm") {
        return Some(1 << 32);
    }
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

pub use engine::{CpuEngine, Precision};
