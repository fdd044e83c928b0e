//! ELECTRA's joint objective, the whole method on a page.
//!
//! A small generator sees the text with some tokens masked and is trained to guess them; its guesses, sampled, stand
//! where tokens were drawn, and the discriminator is trained to say of every token whether it is still the original.
//! A guess that hits the original counts as original. Nothing flows back from the discriminator to the generator
//! but through the embeddings they share: sampling has no gradient.

use super::{Config, Encoded, Model, discriminator_logits, encode, generator_head};
use crate::graph::{DType, Graph, GraphError, Tensor};
use crate::ops;

/// A batch of B examples of L tokens, K drawn positions each.
#[derive(Debug, Clone, Copy)]
pub struct Inputs {
    /// Original tokens [B, L].
    pub ids: Tensor,
    /// What the generator sees [B, L].
    pub masked_ids: Tensor,
    /// Segments [B, L].
    pub types: Tensor,
    /// Tokens that are not padding `[B]`.
    pub lengths: Tensor,
    /// Drawn positions as rows of B L: [B, K].
    pub positions: Tensor,
    /// The original tokens there [B, K].
    pub targets: Tensor,
    /// 1 for a drawn position, 0 for an unused slot: [B, K].
    pub weights: Tensor,
    /// Drawn positions of the step's whole batch, of which these examples may be a part: `[1]`.
    pub drawn: Tensor,
    /// Tokens of the step's whole batch, padding not counted: `[1]`.
    pub tokens: Tensor,
}

impl Inputs {
    /// Declares a batch's tensors.
    pub fn new(g: &mut Graph, batch: usize, length: usize, drawn: usize) -> Self {
        let (tokens, slots) = ([batch, length], [batch, drawn]);
        Self {
            ids: g.input("ids", DType::U32, &tokens),
            masked_ids: g.input("masked ids", DType::U32, &tokens),
            types: g.input("types", DType::U32, &tokens),
            lengths: g.input("lengths", DType::U32, &[batch]),
            positions: g.input("positions", DType::U32, &slots),
            targets: g.input("targets", DType::U32, &slots),
            weights: g.input("weights", DType::F32, &slots),
            drawn: g.input("drawn", DType::F32, &[1]),
            tokens: g.input("tokens", DType::F32, &[1]),
        }
    }
}

/// What the objective gives.
#[derive(Debug, Clone, Copy)]
pub struct Objective {
    /// The weighted sum of both losses: `[1]`.
    pub loss: Tensor,
    /// Masked language modelling, mean over the whole batch's drawn positions, nats; of a part, its share: `[1]`.
    pub generator_loss: Tensor,
    /// Replaced-token detection, mean over the whole batch's tokens, nats; of a part, its share: `[1]`.
    pub discriminator_loss: Tensor,
    /// The generator's samples: [B K].
    pub sampled: Tensor,
    /// The generator's best guesses: [B K].
    pub best: Tensor,
    /// What the discriminator sees: [B, L].
    pub corrupted: Tensor,
    /// 1 where it differs from the original: [B, L].
    pub labels: Tensor,
    /// The discriminator's logits of "replaced": [B L, 1].
    pub logits: Tensor,
}

/// Builds ELECTRA's objective. `samples` [B K] stand in for the generator's own where given, as tests need it.
pub fn electra(
    g: &mut Graph,
    model: &Model,
    config: &Config,
    batch: Inputs,
    dropout: bool,
    samples: Option<Tensor>,
) -> Result<Objective, GraphError> {
    let on = if dropout { 1.0 } else { 0.0 };
    let c = Encoded {
        types: batch.types,
        lengths: batch.lengths,
        dropout: on * config.model.dropout,
        attention_dropout: on * config.model.attention_dropout,
    };

    // The generator guesses the drawn tokens.
    let (guess, generator_loss) = g.in_scope("generator", |g| {
        let hidden = encode(g, model, &model.generator, batch.masked_ids, c)?;
        let drawn = ops::gather_rows(g, hidden, batch.positions)?;
        let x = generator_head(g, model, drawn)?;
        let words = (g.parameter(model.heads.generator_output), g.parameter(model.heads.generator_bias));
        let guess = ops::vocabulary_nll(g, x, words, batch.targets)?;
        Ok((guess, ops::weighted_mean(g, guess.nll, batch.weights, batch.drawn)?))
    })?;

    // Its samples replace them, and the discriminator says of every token whether it was replaced.
    let sampled = samples.unwrap_or(guess.sampled);
    let (corrupted, labels, logits, discriminator_loss) = g.in_scope("discriminator", |g| {
        let (corrupted, labels) = ops::replace_tokens(g, batch.ids, sampled, batch.positions, batch.weights)?;
        let hidden = encode(g, model, &model.discriminator, corrupted, c)?;
        let logits = discriminator_logits(g, model, hidden)?;
        let nll = ops::binary_nll(g, logits, labels)?;
        let length = g.ty(batch.ids).columns();
        let weights = ops::length_mask(g, batch.lengths, length)?;
        Ok((corrupted, labels, logits, ops::weighted_mean(g, nll, weights, batch.tokens)?))
    })?;

    let o = &config.objective;
    let terms = [(o.generator_weight, generator_loss), (o.discriminator_weight, discriminator_loss)];
    Ok(Objective {
        loss: ops::weighted_sum(g, &terms)?,
        generator_loss,
        discriminator_loss,
        sampled,
        best: guess.best,
        corrupted,
        labels,
        logits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;

    #[test]
    fn samples_are_drawn_alike_with_and_without_dropout() {
        let config = preset("small").unwrap().set("model.layers=1").unwrap();
        let model = Model::new(&config);
        let draws = |dropout| {
            let mut g = Graph::new(model.table.clone());
            let inputs = Inputs::new(&mut g, 2, 16, 2);
            electra(&mut g, &model, &config, inputs, dropout, None).unwrap();
            let sampling = g.nodes().iter().find(|node| node.op.name() == "vocabulary_nll").unwrap();
            format!("{:?}", sampling.op)
        };
        assert_eq!(draws(true), draws(false));
    }
}
