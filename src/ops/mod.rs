//! The ops: one file each, with the shape rule, the gradient rule, the CPU twin and the WGSL dispatches.
//!
//! To add one: a file here with a struct that implements [`Op`](crate::op::Op), a function that adds it to a graph, a shader
//! of the same stem under `shaders/`, and a row in `tests/kernels.rs`, which holds the kernel against the twin on random odd
//! shapes and the gradient against finite differences. Where there is a choice of kernels, [`kernels`] has it.
//!
//! The letters of shapes are those of the [crate](crate#letters-of-shapes).

mod accumulate;
mod activation_backward;
mod adamw;
mod add;
mod advantage;
mod attention;
mod attention_backward;
mod binary_nll;
mod candidate_nll;
mod candidates;
mod constant;
mod copy_nll;
mod dropout;
mod embedding;
mod embedding_gradient;
mod gather_rows;
mod global_norm;
mod join_rows;
pub mod kernels;
mod layer_norm;
mod length_mask;
mod linear;
mod linear_weight_gradient;
mod loss_scale;
mod parameter_gradients;
mod replace_tokens;
mod reward_nll;
mod round_weights;
mod sample_words;
mod softmax_nll;
mod squared_error;
mod two_streams;
mod vocabulary_nll;
mod vocabulary_nll_backward;
mod weighted_mean;
mod weighted_sum;

pub use accumulate::accumulate;
pub use activation_backward::activation_backward;
pub use adamw::{AdamW, MOST_SPANS, adamw};
pub use add::add;
pub use advantage::advantage;
pub use attention::attention;
pub use binary_nll::binary_nll;
pub use candidate_nll::{CandidateOutput, MOST_CANDIDATES, candidate_nll};
pub use candidates::candidates;
pub use constant::{constant, zero_indices};
pub use copy_nll::copy_nll;
pub use dropout::dropout;
pub use embedding::{EmbeddingTables, embedding};
pub use embedding_gradient::{position_gradient, word_gradient};
pub use gather_rows::gather_rows;
pub use global_norm::global_norm;
pub use join_rows::join_rows;
pub use layer_norm::{EPSILON, layer_norm, residual_layer_norm};
pub use length_mask::length_mask;
pub use linear::{linear, linear_activation};
pub use loss_scale::{LossScale, loss_scale};
pub use parameter_gradients::{ParameterGradients, Part};
pub use replace_tokens::replace_tokens;
pub use reward_nll::reward_nll;
pub use round_weights::round_weights;
pub use sample_words::{MOST_DRAWN, sample_words};
pub use softmax_nll::{SoftmaxOutput, softmax_nll, span_nll};
pub use squared_error::squared_error;
pub use two_streams::{Streams, draw_order, two_streams};
pub use vocabulary_nll::{
    Sampling, VocabularyOutput, vocabulary_nll, vocabulary_nll_sampled, vocabulary_nll_without_sample,
};
pub use weighted_mean::weighted_mean;
pub use weighted_sum::{MOST_TERMS, weighted_sum};
