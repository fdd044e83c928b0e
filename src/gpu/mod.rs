//! The GPU engine: a plan's steps as compute dispatches on Vulkan, Metal, DX12 or a browser's WebGPU, through wgpu.
//!
//! [`adapters`] lists the devices, [`choose`] picks one, and [`GpuEngine`] runs plans on it. Everything a step needs
//! (buffers, uniforms, pipelines, bind groups) is made when a plan is loaded; a step only records and submits.
//! Kernels are the files of `shaders/` and the lines of `shaders/variants`, see [`shaders`].

mod adapter;
#[cfg(not(target_family = "wasm"))]
mod blocking;
mod command;
mod context;
mod copy;
mod engine;
mod pipelines;
mod profile;
mod program;
mod readback;
pub mod shaders;
#[cfg(test)]
mod tests;

pub use adapter::{Adapter, AdapterInfo, AdapterKind, Choice, adapters_async, choose_async};
#[cfg(not(target_family = "wasm"))]
pub use blocking::{adapters, choose};
pub use engine::GpuEngine;
