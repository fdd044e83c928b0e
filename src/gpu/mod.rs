//! The GPU engine: a plan's steps as compute dispatches on Vulkan, Metal or DX12, through wgpu.
//!
//! [`adapters`] lists the devices, [`choose`] picks one, and [`GpuEngine`] runs plans on it. Everything a step needs
//! (buffers, uniforms, pipelines, bind groups) is made when a plan is loaded; a step only records and submits.
//! Kernels are the files of `shaders/`, see [`shaders`].

mod adapter;
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

pub use adapter::{Adapter, AdapterInfo, AdapterKind, Choice, adapters, choose};
pub use engine::GpuEngine;
