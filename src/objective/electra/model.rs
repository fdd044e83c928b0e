//! The two networks.

use crate::config::{Config, GeneratorConfig};
use crate::model::{Builder, Model, ModelConfig, Tie};

impl Model {
    /// ELECTRA's networks: a "generator" with a masked language model's head and a "discriminator" that tells replaced tokens,
    /// with tied embeddings.
    pub fn new(config: &Config) -> Self {
        let GeneratorConfig { hidden, layers, heads, feed_forward } = config.generator;
        let sizes = ModelConfig { hidden, layers, heads, feed_forward, ..config.model.clone() };
        let mut b = Builder::default();
        let mut generator = b.network("generator", &sizes);
        let mut discriminator = b.tied("discriminator", &generator, Tie::Embeddings, &config.model);
        b.masked_lm(&mut generator, true);
        b.replaced_tokens(&mut discriminator);
        b.finish(vec![generator, discriminator])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::files::sha256;

    /// Runs of older programs go on, and a seed means what it meant.
    #[test]
    fn layout_and_initial_weights_stay() {
        let model = Model::new(&preset("tiny").unwrap());
        let offsets: Vec<u64> = model.table.parameters().iter().map(|p| p.offset as u64).collect();
        assert_eq!(sha256(bytemuck::cast_slice(&offsets))[..16], *"b136788494a06297");
        // Other systems' logarithms may differ in the last bit.
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(sha256(bytemuck::cast_slice(&model.initial(1)))[..16], *"66df779df4d19576");
        }
    }

    #[test]
    fn small_has_the_papers_parameters() {
        let model = Model::new(&preset("small").unwrap());
        assert_eq!(model.table.count(), 14_196_219);
    }

    #[test]
    fn initial_weights_follow_their_rules() {
        let mut config = preset("small").unwrap();
        config.model.vocabulary = 500;
        let model = Model::new(&config);
        let bank = model.initial(3);
        assert_eq!(bank, model.initial(3));
        assert_ne!(bank, model.initial(4));
        let window = |i: usize| &bank[model.table.parameters()[i].range()];
        let discriminator = model.network("discriminator").unwrap();
        let word = window(discriminator.embeddings.word);
        let deviation = (word.iter().map(|x| x * x).sum::<f32>() / word.len() as f32).sqrt();
        // A normal cut at two deviations has .88 of its deviation.
        assert!((deviation - 0.0176).abs() < 0.0003, "{deviation}");
        assert!(word.iter().all(|x| x.abs() <= 0.04));
        assert!(window(discriminator.embeddings.norm.gamma).iter().all(|&x| x == 1.0));
        let last = window(discriminator.replaced_tokens().unwrap().prediction.weight);
        let limit = (6.0f32 / (1.0 + last.len() as f32)).sqrt();
        assert!(last.iter().all(|x| x.abs() <= limit) && last.iter().any(|x| x.abs() > 0.8 * limit));
    }
}
