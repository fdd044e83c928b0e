//! leyden pre-trains ELECTRA on any Vulkan, Metal or DX12 GPU, or on the CPU, in one binary, or in a tab of a browser.
//!
//! A small generator replaces some tokens of a text; a discriminator says of every token whether it was replaced. Both
//! are trained together, and the discriminator is what one keeps (Clark et al., arXiv 2003.10555). That is one
//! [`objective`] of several; the rest of the crate knows none of them.
//!
//! # The flow
//!
//! ```text
//! files ─ whatever they are ─> documents             text
//!      ─ vocabulary, examples                        corpus
//!      ─ batches, masks ─> one batch                 batch
//!      ─ generator ─> sample ─> replace ─> discriminator ─> joint loss
//!                                                    model, objective  a graph, built once
//!      ─> gradients as more nodes of it              graph, ops
//!      ─> passes over all of it: fused, halved, computed again, grouped
//!                                                    graph::{fuse, mixed, recompute, group}, each may be left out
//!      ─> plan: order, and a place for every tensor  plan
//!      ─> run it, step after step                    gpu (WGSL; tune finds the kernels) or cpu (their twins)
//!      ─> losses, accuracies, events                 train, by the names of measure
//!      ─> files, checkpoints, recovery               session, run, transformers
//!      ─> terminal, window, a page of a browser       cli, window, web
//! ```
//!
//! Everything behind [`objective`] is a description until a [`plan::Plan`] is loaded into a [`plan::Engine`]. A step is then
//! a fixed list of dispatches over buffers that exist: no shape logic, no allocation on a device and no wait for it.
//!
//! # Where to start
//!
//! * [`objective::electra`] is the method on a page and [`objective::mlm`] the shortest one; [`model`] has the networks they are
//!   about, and [`transformers`] their files.
//! * [`ops`] has a file for each operation: shape rule, gradient rule, CPU twin and WGSL dispatches. The shader of the same
//!   stem lies in `shaders/`. The twin is the specification, the oracle in tests, and what a machine without a GPU runs.
//! * [`train::Trainer`] is a value that one advances, made of a [`train::Recipe`] and [`train::Data`], and
//!   [`session::Session`] the same with a folder and a clock; `cli` and `window` are two ways to drive it.
//!
//! # Waiting
//!
//! In a browser nobody may wait for a device: it answers once the thread is given back. So whatever waits is an async function
//! (`advance_async`, `snapshot_async`, ...), whose one waiting place is [`plan::pause`]; on a desktop the engines wait by
//! themselves, nothing is ever pending, and the namesakes without `_async` run such a function to its end. Files are those of the module
//! `fs`: the system's, or in a browser some in memory, which the browser's own storage follows.
//!
//! # How a number gets from text to a plot
//!
//! A [`batch::Source`] puts examples into the rows of a [`batch::Batch`], which is columns by name. An objective's page asks for
//! columns ([`objective::Inputs`]) and gives [`objective::Outputs`] by name. [`train::step`] makes a plan of it, and a step leaves
//! [`objective::Results`]. The objective's [`objective::Tally`] adds them up to [`measure::Values`] by the names of its
//! [`measure::Measures`], which a run keeps as measures.json. From there on ([`history`]: metrics.jsonl, curves, tables, pictures, the
//! window) everything loops over measures.
//!
//! # Letters of shapes
//!
//! B examples, L tokens an example, T = B L; K slots an example, for its selected tokens, M = B K; V words of the vocabulary,
//! P positions, Y segment types; E width of the embeddings, H width of the layers, F width of their feed-forward part. A
//! linear layer's weight is [out, in].
//!
//! # What holds everywhere
//!
//! * Random numbers are functions of (seed, step, where in the model, element), and sums have a fixed order: the same device and seed
//!   give the same bits, and both engines agree to rounding.
//! * Base kernels stay within what every WebGPU device offers: 8 storage buffers, 128 MiB a binding, 16 KiB of workgroup
//!   memory, 256 invocations, no subgroups, no 16-bit numbers. Faster ones are tried on a device once ([`tune`]), and must
//!   agree with the base kernel there before they are used.
//! * In mixed precision what is large and passed on is stored in 16 bits; what adds up is in 32.
//! * Weights are written as `transformers` names them, beside their old version and renamed.
//!
//! What is hidden here (`cli`, `comparison`, `window`, `picture`, `bench`, `tune`, `math`) is public for the program and its tests alone.
#![warn(missing_docs)]

pub mod batch;
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
pub mod bench;
#[cfg(feature = "burn")]
pub mod burn;
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[doc(hidden)]
pub mod comparison;
pub mod config;
pub mod corpus;
pub mod cpu;
pub mod dataset;
mod files;
mod fs;
pub mod gpu;
pub mod graph;
pub mod history;
#[doc(hidden)]
pub mod math;
pub mod measure;
pub mod model;
mod numbers;
pub mod objective;
pub mod op;
pub mod ops;
#[doc(hidden)]
pub mod picture;
pub mod plan;
pub mod probe;
pub mod random;
pub mod run;
pub mod session;
pub mod task;
pub mod text;
pub mod train;
pub mod transformers;
#[doc(hidden)]
pub mod tune;
#[cfg(target_family = "wasm")]
pub mod web;
#[doc(hidden)]
pub mod window;
