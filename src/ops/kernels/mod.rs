//! Which kernels there are for an op, how one is chosen on a device and what it binds; each for the ops that have a choice.
//!
//! The names of kernels are in [`crate::op`], for devices are described by them; trying them on a device is `tune`'s.

mod attention;
mod matmul;
mod matmul_choice;
mod parts;
pub(in crate::ops) mod vocabulary_tiles;

pub(in crate::ops) use attention::{Pass, TILE};
pub use matmul::{Matmul, MatmulOperands};
pub(in crate::ops) use parts::{AddParts, PartsSum};
