//! A module's parameters by their names in `transformers`.

use crate::model::Architecture;

/// The name of the parameter at `path` in a [`super::Generator`] or [`super::Discriminator`]; `None` for a path that is none
/// of theirs.
pub(super) fn name(architecture: Architecture, path: &[String]) -> Option<String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (&kind, module) = path.split_last()?;
    // burn names a layer norm's parameters as the paper does.
    let kind = match kind {
        "gamma" => "weight",
        "beta" => "bias",
        kind => kind,
    };
    let place = match (architecture, module) {
        (_, ["embeddings", "word"]) => "electra.embeddings.word_embeddings",
        (_, ["embeddings", "position"]) => "electra.embeddings.position_embeddings",
        (_, ["embeddings", "types"]) => "electra.embeddings.token_type_embeddings",
        (_, ["embeddings", "norm"]) => "electra.embeddings.LayerNorm",
        (_, ["encoder", "project"]) => "electra.embeddings_project",
        (_, ["encoder", "layers", index, part @ ..]) => {
            let part = match part {
                ["attention", "query"] => "attention.self.query",
                ["attention", "key"] => "attention.self.key",
                ["attention", "value"] => "attention.self.value",
                ["attention", "output"] => "attention.output.dense",
                ["attention_norm"] => "attention.output.LayerNorm",
                ["intermediate"] => "intermediate.dense",
                ["output"] => "output.dense",
                ["output_norm"] => "output.LayerNorm",
                _ => return None,
            };
            return Some(format!("electra.encoder.layer.{index}.{part}.{kind}"));
        }
        (Architecture::MaskedLm, ["dense"]) => "generator_predictions.dense",
        (Architecture::MaskedLm, ["norm"]) => "generator_predictions.LayerNorm",
        (Architecture::MaskedLm, []) => "generator_lm_head",
        (Architecture::PreTraining, ["dense"]) => "discriminator_predictions.dense",
        (Architecture::PreTraining, ["prediction"]) => "discriminator_predictions.dense_prediction",
        _ => return None,
    };
    Some(format!("{place}.{kind}"))
}
