//! The kernels' sources: every file of `shaders/`, embedded, and how one is put together.
//!
//! A shader whose first line is `//! shared: step, random` gets `shaders/shared/step.wgsl` and
//! `shaders/shared/random.wgsl` in front of it, in that order, by plain concatenation.
//!
//! A shader that works in single and in half precision names its open element types in a line `//! elements: X, Y`
//! behind that. In front of everything then stand the types that the dispatch chose: for each name the scalar, and the
//! vectors of two and of four as `X2` and `X4`. Arithmetic is in single precision all the same: what is read is
//! converted, as in `f32(x[i])`, and what is written too, as in `X(value)`.
//!
//! A kernel that is nothing but pieces is no file but a line of `shaders/variants`.
//!
//! Conventions: the entry point is `main`. Group 0 holds the uniform struct at binding 0 (only where the dispatch has
//! one) and the storage buffers from binding 1 on; group 1 holds the step's state, declared by `shared/step.wgsl`.

use crate::graph::DType;
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
    "activation_backward"
    "adamw"
    "add"
    "add_parts"
    "advantage"
    "agreement"
    "agreement_finish"
    "agreement_squares"
    "attention"
    "attention_backward_key"
    "attention_backward_query"
    "attention_backward_tiles"
    "attention_tiles"
    "binary_nll"
    "binary_nll_backward"
    "candidate_nll"
    "candidate_nll_backward"
    "candidate_nll_slopes"
    "candidates"
    "constant"
    "copy_nll"
    "copy_nll_backward"
    "draw_order"
    "dropout"
    "embedding"
    "gather_rows"
    "gather_rows_backward"
    "global_norm"
    "global_norm_root"
    "join_rows"
    "layer_norm"
    "layer_norm_backward"
    "length_mask"
    "loss_scale"
    "multiply_add"
    "position_gradient"
    "position_gradient_types"
    "replace_tokens"
    "reward_nll"
    "reward_nll_backward"
    "round_weights"
    "sample_words"
    "softmax_nll"
    "softmax_nll_backward"
    "squared_error"
    "squared_error_backward"
    "take_rows"
    "two_streams"
    "vocabulary_nll"
    "vocabulary_nll_backward"
    "vocabulary_nll_finish"
    "vocabulary_tiles"
    "vocabulary_tiles_backward"
    "vocabulary_tiles_merge"
    "weighted_mean"
    "weighted_mean_backward"
    "weighted_mean_finish"
    "weighted_sum"
    "word_gradient"
    "word_gradient_pieces"
    "word_gradient_sort"
);

/// The pieces that kernels share, by stem.
pub const SHARED: &[(&str, &str)] = embed!("shared/":
    "activation"
    "attention"
    "attention_backward"
    "attention_cooperative"
    "attention_cooperative_backward"
    "attention_cooperative_forward"
    "attention_scalar"
    "attention_tiles"
    "attention_visible"
    "finite"
    "index"
    "logarithm"
    "matmul"
    "matmul_blocks"
    "matmul_cooperative"
    "matmul_matrices_16"
    "matmul_matrices_8"
    "matmul_scalar"
    "matmul_tiles"
    "matmul_vector"
    "matrices_16"
    "matrices_8"
    "random"
    "softplus"
    "step"
    "vocabulary_access"
    "vocabulary_cooperative"
    "vocabulary_cooperative_backward"
    "vocabulary_cooperative_forward"
    "vocabulary_rows"
    "vocabulary_state"
    "vocabulary_tile"
    "vocabulary_turn"
);

/// The kernels that are nothing but pieces: `stem: pieces | element types` a line.
pub const VARIANTS: &str = include_str!("../../shaders/variants");

/// The stems of all kernels: those of files, then those of [`VARIANTS`].
pub fn stems() -> impl Iterator<Item = &'static str> {
    KERNELS.iter().map(|&(stem, _)| stem).chain(variants().map(|(stem, _)| stem))
}

fn variants() -> impl Iterator<Item = (&'static str, &'static str)> {
    VARIANTS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": "))
}

/// What a kernel is put together of.
struct Recipe {
    pieces: Vec<&'static str>,
    /// The element types that it leaves open.
    open: Vec<&'static str>,
    /// What comes behind the pieces.
    text: &'static str,
}

fn recipe(stem: &str) -> Option<Recipe> {
    if let Some(text) = find(KERNELS, stem) {
        return Some(Recipe { pieces: header(text, "shared"), open: header(text, "elements"), text });
    }
    let (_, line) = variants().find(|(name, _)| *name == stem)?;
    let (pieces, open) = line.split_once('|').unwrap_or((line, ""));
    Some(Recipe { pieces: names(pieces), open: names(open), text: "" })
}

/// Why a kernel has no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShaderError {
    /// No file of that stem is embedded.
    #[error(
        "no shader {0:?} is embedded; expected a file of that stem in shaders/ and its line in gpu/shaders.rs, or a line of shaders/variants"
    )]
    Unknown(String),
    /// It names a piece that does not exist.
    #[error("shader {shader:?} asks for shared piece {piece:?}, expected one of {expected}")]
    UnknownPiece {
        /// The kernel.
        shader: String,
        /// What it asks for.
        piece: String,
        /// What there is.
        expected: String,
    },
    /// A dispatch sets an element type that the shader does not leave open.
    #[error("shader {shader:?} has no element type {element:?}, expected one of {expected:?}")]
    UnknownElement {
        /// The kernel.
        shader: String,
        /// What was set.
        element: String,
        /// What there is.
        expected: String,
    },
}

fn find(table: &[(&'static str, &'static str)], stem: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == stem).map(|&(_, source)| source)
}

/// The whole source of kernel `stem`: its element types, the shared pieces that it asks for, then the file. `elements`
/// are the open element types that are not f32.
pub fn source(stem: &str, elements: &[(&str, DType)]) -> Result<Cow<'static, str>, ShaderError> {
    let Recipe { pieces, open, text } = recipe(stem).ok_or_else(|| ShaderError::Unknown(stem.to_string()))?;
    if let Some((name, _)) = elements.iter().find(|(name, _)| !open.contains(name)) {
        let (shader, element) = (stem.to_string(), name.to_string());
        return Err(ShaderError::UnknownElement { shader, element, expected: open.join(", ") });
    }
    if pieces.is_empty() && open.is_empty() {
        return Ok(text.into());
    }
    let mut whole = String::new();
    let uses = |word: &str| {
        text.contains(word) || pieces.iter().any(|piece| find(SHARED, piece).is_some_and(|p| p.contains(word)))
    };
    if elements.iter().any(|&(_, dtype)| dtype == DType::F16) || uses("<f16") {
        whole.push_str("enable f16;\n");
    }
    if uses("coop_mat") {
        whole.push_str("enable wgpu_cooperative_matrix;\n");
    }
    for name in open {
        let dtype = elements.iter().find(|&&(n, _)| n == name).map_or(DType::F32, |&(_, dtype)| dtype).name();
        whole.push_str(&format!(
            "alias {name} = {dtype}; alias {name}2 = vec2<{dtype}>; alias {name}4 = vec4<{dtype}>;\n"
        ));
    }
    for &piece in &pieces {
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

/// The open element types of kernel `stem`.
pub fn elements(stem: &str) -> Vec<&'static str> {
    recipe(stem).map(|recipe| recipe.open).unwrap_or_default()
}

/// The names in the line `//! what: a, b` among a shader's first lines, in order.
fn header<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    let mut lines = text.lines().map_while(|line| line.strip_prefix("//! "));
    let Some(list) = lines.find_map(|line| line.strip_prefix(what)?.strip_prefix(':')) else { return Vec::new() };
    names(list)
}

fn names(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_first_and_in_order() {
        assert_eq!(header("//! shared: step, random\n//! elements: X\nfn main() {}", "shared"), ["step", "random"]);
        assert_eq!(header("//! shared: step, random\n//! elements: X\nfn main() {}", "elements"), ["X"]);
        assert!(header("// shared: step", "shared").is_empty());
        let add = source("add", &[]).expect("embedded");
        assert!(add.find("fn element_index").expect("index") < add.find("fn main").expect("main"));
        assert_eq!(source("nonsense", &[]), Err(ShaderError::Unknown("nonsense".into())));
        assert!(matches!(source("add", &[("W", DType::F16)]), Err(ShaderError::UnknownElement { .. })));
    }
}
