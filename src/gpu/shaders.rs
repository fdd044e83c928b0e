//! The kernels' sources: every file of `shaders/`, embedded, and how one is put together.
//!
//! A shader whose first line is `//! shared: step, random` gets `shaders/shared/step.wgsl` and
//! `shaders/shared/random.wgsl` in front of it, in that order, by plain concatenation.
//!
//! Conventions: the entry point is `main`. Group 0 holds the uniform struct at binding 0 (only where the dispatch has
//! one) and the storage buffers from binding 1 on; group 1 holds the step's state, declared by `shared/step.wgsl`.

use std::borrow::Cow;

/// (stem, source) of each listed file.
macro_rules! embed {
    ($folder:literal: $($stem:literal)*) => {
        &[$(($stem, include_str!(concat!("../../shaders/", $folder, $stem, ".wgsl")))),*]
    };
}

/// The kernels by stem. A new file in `shaders/` gets its line here, in alphabetical order.
pub const KERNELS: &[(&str, &str)] = embed!("":
    "accumulate"
    "adamw"
    "add"
    "attention"
    "attention_backward_key"
    "attention_backward_query"
    "binary_cross_entropy"
    "binary_cross_entropy_backward"
    "binary_cross_entropy_mean"
    "constant"
    "dropout"
    "embedding"
    "gather_rows"
    "gather_rows_backward"
    "gelu_backward"
    "global_norm"
    "global_norm_root"
    "layer_norm"
    "layer_norm_backward"
    "layer_norm_backward_sums"
    "matmul_blocks_scalar"
    "matmul_blocks_vector"
    "matmul_sum"
    "matmul_tiles_scalar"
    "matmul_tiles_vector"
    "position_gradient"
    "position_gradient_types"
    "replace_tokens"
    "vocabulary_cross_entropy"
    "vocabulary_cross_entropy_backward"
    "vocabulary_cross_entropy_finish"
    "vocabulary_cross_entropy_scale"
    "weighted_sum"
    "word_gradient"
    "word_gradient_pieces"
    "word_gradient_sort"
);

/// The pieces that kernels share, by stem.
pub const SHARED: &[(&str, &str)] = embed!("shared/":
    "attention"
    "attention_backward"
    "gelu"
    "index"
    "logarithm"
    "matmul"
    "matmul_blocks"
    "matmul_scalar"
    "matmul_tiles"
    "matmul_vector"
    "random"
    "step"
);

/// Why a kernel has no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShaderError {
    /// No file of that stem is embedded.
    #[error("no shader {0:?} is embedded; expected a file of that stem in shaders/ and its line in gpu/shaders.rs")]
    Unknown(String),
    /// The first line names a piece that does not exist.
    #[error("shader {shader:?} asks for shared piece {piece:?}, expected one of {expected}")]
    UnknownPiece {
        /// The kernel.
        shader: String,
        /// What it asks for.
        piece: String,
        /// What there is.
        expected: String,
    },
}

fn find(table: &[(&'static str, &'static str)], stem: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == stem).map(|&(_, source)| source)
}

/// The whole source of kernel `stem`: the shared pieces that it asks for, then the file.
pub fn source(stem: &str) -> Result<Cow<'static, str>, ShaderError> {
    let text = find(KERNELS, stem).ok_or_else(|| ShaderError::Unknown(stem.to_string()))?;
    let pieces = shared_pieces(text);
    if pieces.is_empty() {
        return Ok(text.into());
    }
    let mut whole = String::new();
    for piece in pieces {
        let shared = find(SHARED, piece).ok_or_else(|| ShaderError::UnknownPiece {
            shader: stem.to_string(),
            piece: piece.to_string(),
            expected: SHARED.iter().map(|&(name, _)| name).collect::<Vec<_>>().join(", "),
        })?;
        whole.push_str(shared);
        whole.push('\n');
    }
    whole.push_str(text);
    Ok(whole.into())
}

/// The pieces that the first line of a shader names, in order.
fn shared_pieces(text: &str) -> Vec<&str> {
    let first = text.lines().next().unwrap_or_default();
    let Some(list) = first.strip_prefix("//! shared:") else { return Vec::new() };
    list.split(',').map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_first_and_in_order() {
        assert_eq!(shared_pieces("//! shared: step, random\nfn main() {}"), ["step", "random"]);
        assert!(shared_pieces("// shared: step").is_empty());
        let add = source("add").expect("embedded");
        assert!(add.find("fn element_index").expect("index") < add.find("fn main").expect("main"));
        assert_eq!(source("nonsense"), Err(ShaderError::Unknown("nonsense".into())));
    }
}
