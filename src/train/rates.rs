//! Learning rates by depth.

use crate::graph::Parameter;
use crate::model::Model;
use std::collections::HashMap;

/// How fast a parameter learns beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rates {
    /// All alike.
    #[default]
    Uniform,
    /// The closer to the input, the slower: times d^(n + 2 - depth) in a network of n layers, where the embeddings and the
    /// projection behind them have depth 0, layer i (from 0) has i + 1, and the heads have n + 2, as google-research/electra has
    /// it (model/optimization.py). What networks share is as deep as in the network where it is deepest.
    ByLayer(f32),
}

impl Rates {
    /// What a parameter's learning rate is multiplied with. Parameters of no network are as heads.
    pub fn factors(self, model: &Model) -> impl Fn(&Parameter) -> f32 + use<> {
        let mut known: HashMap<usize, f32> = HashMap::new();
        if let Self::ByLayer(decay) = self {
            for network in &model.networks {
                let layers = network.encoder.layers.len();
                for part in &network.parts {
                    let below = layers + 2 - depth(&part.name, layers);
                    let factor = decay.powi(below as i32);
                    let offset = model.table.parameters()[part.parameter].offset;
                    known.entry(offset).and_modify(|known| *known = known.max(factor)).or_insert(factor);
                }
            }
        }
        move |parameter| known.get(&parameter.offset).copied().unwrap_or(1.0)
    }
}

/// The depth of a parameter by its name in `transformers`, in a network of so many layers.
fn depth(name: &str, layers: usize) -> usize {
    if name.starts_with("electra.embeddings") {
        return 0;
    }
    let layer =
        name.strip_prefix("electra.encoder.layer.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    layer.map_or(layers + 2, |layer| layer + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn rates_fall_towards_the_input() {
        let mut config = preset("tiny").unwrap().with_objective("mlm").unwrap();
        config.model.layers = 3;
        let model = Model::new(&config);
        let factors = Rates::ByLayer(0.5).factors(&model);
        let of = |part: &str| {
            let parameters = model.table.parameters().iter().filter(|p| p.name.contains(part));
            let mut found: Vec<f32> = parameters.map(&factors).collect();
            found.dedup();
            found
        };
        assert_eq!(of("embeddings_project"), [1.0 / 32.0]);
        assert_eq!([of("layer.0."), of("layer.1."), of("layer.2.")], [[1.0 / 16.0], [1.0 / 8.0], [1.0 / 4.0]]);
        assert_eq!(of("generator_predictions"), [1.0]);
        // The output matrix is the word embeddings, and as deep as the head.
        assert_eq!(of("word_embeddings"), [1.0]);
        assert_eq!(of("position_embeddings"), [1.0 / 32.0]);
        let even = Rates::Uniform.factors(&model);
        assert!(model.table.parameters().iter().all(|p| even(p) == 1.0));
    }

    #[test]
    fn the_paper_s_largest_network_has_few_spans() {
        let mut config = preset("base").unwrap().with_objective("mlm").unwrap();
        (config.model.layers, config.model.vocabulary) = (24, 100);
        let model = Model::new(&config);
        let factors = Rates::ByLayer(0.9).factors(&model);
        let spans = model.table.spans(|parameter| Some(factors(parameter))).len();
        assert!(spans <= crate::ops::MOST_SPANS, "{spans}");
    }
}
