//! ELECTRA's joint objective, the whole method on a page.
//!
//! A small generator sees the text with some tokens masked and is trained to guess them; its guesses, sampled, stand
//! where tokens were selected, and the discriminator is trained to say of every token whether it is still the original.
//! A guess that hits the original counts as original. Nothing flows back from the discriminator to the generator
//! but through the embeddings they share: sampling has no gradient.

pub mod measures;
mod model;

use crate::batch::{Column, Extent, IDS, LENGTHS, MASKED_IDS, POSITIONS, TARGETS, TYPES, WEIGHTS};
use crate::config::Config;
use crate::graph::{Graph, GraphError};
use crate::model::{Encoded, Model};
use crate::objective::{Inputs, Mode, Outputs};
use crate::ops;

/// The names of what a step of [`electra`] gives beside the loss, the weighted sum of both losses.
pub mod outputs {
    /// Masked language modelling, mean over the selected tokens, nats: `[1]`.
    pub const GENERATOR_LOSS: &str = "generator_loss";
    /// Replaced-token detection, mean over the tokens, nats: `[1]`.
    pub const DISCRIMINATOR_LOSS: &str = "discriminator_loss";
    /// The generator's most likely words: [B K].
    pub const BEST: &str = "best";
    /// The words that it drew: [B K].
    pub const SAMPLED: &str = "sampled";
    /// 1 where a token is not the original: [B, L].
    pub const LABELS: &str = "labels";
    /// The discriminator's logits of "replaced": [B L, 1].
    pub const LOGITS: &str = "logits";
}

/// Samples in place of the generator's own, where they are given.
pub const SAMPLED: Column = Column::words(outputs::SAMPLED, Extent::Slot);

/// Builds ELECTRA's objective; its outputs are [`outputs`].
///
/// # Errors
/// [`GraphError`] where the model does not fit together.
pub fn electra(
    g: &mut Graph,
    model: &Model,
    config: &Config,
    batch: &mut Inputs,
    mode: Mode,
) -> Result<Outputs, GraphError> {
    let on = if mode.dropout { 1.0 } else { 0.0 };
    let lengths = batch.column(g, LENGTHS);
    let c = Encoded {
        types: batch.column(g, TYPES),
        lengths,
        dropout: on * config.model.dropout,
        attention_dropout: on * config.model.attention_dropout,
    };
    let (positions, weights) = (batch.column(g, POSITIONS), batch.column(g, WEIGHTS));

    // The generator guesses the selected tokens.
    let (guess, generator_loss) = g.in_scope("generator", |g| {
        let masked = batch.column(g, MASKED_IDS);
        let generator = model.network("generator")?;
        let head = generator.masked_lm()?;
        let hidden = generator.encode(g, masked, c)?;
        let selected = ops::gather_rows(g, hidden, positions)?;
        let x = head.hidden(g, selected)?;
        let words = (g.parameter(head.output), g.parameter(head.bias));
        let targets = batch.column(g, TARGETS);
        let guess = ops::vocabulary_nll(g, x, words, targets)?;
        let total = batch.total(g, WEIGHTS);
        Ok((guess, ops::weighted_mean(g, guess.nll, weights, total)?))
    })?;

    // Its samples replace them, and the discriminator says of every token whether it was replaced.
    let sampled = batch.unless_given(g, mode, SAMPLED, guess.sampled);
    let (labels, logits, discriminator_loss) = g.in_scope("discriminator", |g| {
        let ids = batch.column(g, IDS);
        let (corrupted, labels) = ops::replace_tokens(g, ids, sampled, positions, weights)?;
        let discriminator = model.network("discriminator")?;
        let hidden = discriminator.encode(g, corrupted, c)?;
        let logits = discriminator.replaced_tokens()?.logits(g, hidden)?;
        let nll = ops::binary_nll(g, logits, labels)?;
        let (tokens, total) = (ops::length_mask(g, lengths, batch.shape().length)?, batch.total(g, LENGTHS));
        Ok((labels, logits, ops::weighted_mean(g, nll, tokens, total)?))
    })?;

    let o = &config.objective;
    let terms = [(o.generator_weight, generator_loss), (o.discriminator_weight, discriminator_loss)];
    Ok(Outputs::new(ops::weighted_sum(g, &terms)?)
        .sum(outputs::GENERATOR_LOSS, generator_loss)
        .sum(outputs::DISCRIMINATOR_LOSS, discriminator_loss)
        .rows(outputs::BEST, guess.best)
        .rows(outputs::SAMPLED, sampled)
        .rows(outputs::LABELS, labels)
        .rows(outputs::LOGITS, logits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Shape;
    use crate::config::preset;

    #[test]
    fn samples_have_their_stream_with_and_without_dropout() {
        let config = preset("small").unwrap().set("model.layers=1").unwrap();
        let model = Model::new(&config);
        let draws = |dropout| {
            let mut g = Graph::new(model.table.clone());
            let mut inputs = Inputs::new(Shape { examples: 2, length: 16, slots: 2 });
            let mode = Mode { dropout, ..Mode::default() };
            electra(&mut g, &model, &config, &mut inputs, mode).unwrap();
            let sampling = g.nodes().iter().find(|node| node.op.name() == "vocabulary_nll").unwrap();
            format!("{:?}", sampling.op)
        };
        assert_eq!(draws(true), draws(false));
    }
}
