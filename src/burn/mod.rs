//! The model as [burn](https://burn.dev) modules, on any of burn's backends, with burn's autodiff; in builds with the
//! feature `burn`.
//!
//! It is the same model a second time, out of burn's own layers and without a line of the rest of this crate's kernels:
//!
//! * A Rust program takes a checkpoint of leyden, or an ELECTRA of `transformers`, and uses it or trains it on.
//!   `examples/fine_tune.rs` does both.
//! * Tests hold leyden's gradients against burn's, parameter by parameter.
//! * `leyden bench --against burn` trains both on one adapter in turns.
//!
//! burn 0.22 has no backend as a type: a tensor's [`Device`](burn::tensor::Device) says where it is computed.
//! [`device()`] gives that of a GPU that leyden has found; with burn's own features switched on, `Device::cuda(0)`,
//! `Device::flex()` and the others will do as well. Parameters that are to be trained live on `device.autodiff()`, and
//! there dropout is on; `model.valid()`, or a device without autodiff, is for use.
//!
//! ```no_run
//! use leyden::burn::{Discriminator, Tokens, device};
//! use leyden::gpu::{Choice, choose};
//! use leyden::model::Architecture;
//! use leyden::transformers::Pretrained;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let Some(adapter) = choose(&Choice::Auto)? else { return Ok(()) };
//! let device = device(&adapter)?;
//! let pretrained = Pretrained::load("run".as_ref(), Architecture::PreTraining)?;
//! let discriminator = Discriminator::from_pretrained(&pretrained, &device)?;
//! let ids = pretrained.tokenizer.encode_with_special("The cat drank the piano.", 128)?;
//! let logits = discriminator.forward(&Tokens::sentence(&ids, &device));
//! let probabilities: Vec<f32> = burn::tensor::activation::sigmoid(logits).try_into_vec_as()?;
//! # Ok(())
//! # }
//! ```
//!
//! B = examples, L = tokens an example, K = drawn positions an example, M = B K, H = hidden, E = embedding, V = vocabulary.
//!
//! burn's own GELU is not used: in burn 0.22.1 its gradient is not that of its values, see [`gelu()`].

mod batch;
mod device;
mod discriminator;
mod electra;
mod encoder;
mod error;
mod gelu;
mod generator;
mod names;
mod optimizer;
mod weights;

pub use batch::{Batch, Tokens};
pub use device::device;
pub use discriminator::Discriminator;
pub use electra::{Electra, Objective};
pub use encoder::{Embeddings, Encoder, EncoderLayer};
pub use error::BurnError;
pub use gelu::gelu;
pub use generator::Generator;
pub use optimizer::Optimizer;

/// burn's version.
pub const VERSION: &str = "0.22.1";

#[cfg(test)]
mod tests {
    #[test]
    fn version_is_that_of_the_lock_file() {
        let lock = include_str!("../../Cargo.lock");
        let expected = format!("name = \"burn\"\nversion = \"{}\"\n", super::VERSION);
        assert!(lock.replace("\r\n", "\n").contains(&expected));
    }
}
