//! Networks in the files of `transformers`: config.json, weights, and the folders that hold both and a tokenizer.
//!
//! A folder holds one [`Network`](crate::model::Network) with its first head, under the names that it was built with.
//! [`to_bytes`], [`from_bytes`] and [`config_json`] are for what is ours; [`Pretrained::load`] and
//! [`Pretrained::load_fine_tuned`] read what others saved.

mod config_json;
mod error;
mod folder;
mod published;
mod tensors;
mod weights;

pub use config_json::{Described, config_json, read_config_json};
pub use error::{CheckpointError, FolderError};
pub use folder::Pretrained;
pub use tensors::Other;
pub use weights::{Entry, entries, from_bytes, to_bytes};
