//! Who sees whom where selected tokens are predicted one after the other, in a random order (XLNet: Yang et al., arXiv 1906.08237, sections
//! 2.2 and 2.3); `shaders/draw_order.wgsl` and `shaders/two_streams.wgsl`.
//!
//! Each example has its L tokens, the content stream, and behind them a row for each of K slots, the query stream. A token that is not
//! selected has rank 0 and so is seen by all; a selected one has its place in the order, from 1 on. A token sees those of its rank and below,
//! itself among them; a slot's query, which must not know its word, those below. Nobody sees a query.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Draws, Real};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct DrawOrder {
    stream: u32,
}

/// For each example a random order of its slots with `weights` [B, K] above 0, as ranks from 1 on; of the others 0: [B, K], u32. No
/// gradient flows through it.
pub fn draw_order(g: &mut Graph, weights: Tensor) -> Result<Tensor, GraphError> {
    let stream = g.stream("draw_order");
    g.add1(DrawOrder { stream }, &[weights])
}

impl DrawOrder {
    fn ranks<R: Real>(weights: &[R], first: usize, draws: Draws, ranks: &mut [u32]) {
        let number = |slot: usize| (draws.element(first + slot), slot);
        for (slot, rank) in ranks.iter_mut().enumerate() {
            let before = (0..weights.len()).filter(|&other| weights[other] > R::ZERO && number(other) < number(slot));
            *rank = if weights[slot] > R::ZERO { before.count() as u32 + 1 } else { 0 };
        }
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (weights, slots) = (t.real(0), t.input_types[0].columns());
        let draws = t.step.draws(self.stream, weights.len());
        for (example, ranks) in t.out_int(0).chunks_exact_mut(slots).enumerate() {
            let first = example * slots;
            Self::ranks(&weights[first..first + slots], first, draws, ranks);
        }
    }
}

impl Op for DrawOrder {
    fn name(&self) -> &'static str {
        "draw_order"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [weights] if weights.dtype == DType::F32 => Ok(vec![TensorType::u32(&weights.shape)]),
            _ => Err(mismatch("draw_order", inputs, "weights [B, K]")),
        }
    }

    fn backward(&self, _: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None; node.inputs.len()])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.inputs[0].len();
        let dispatch = Dispatch::new("draw_order")
            .read(Operand::Input(0))
            .write(Operand::Output(0))
            .word(len)
            .word(shapes.inputs[0].columns())
            .word(self.stream as usize);
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}

#[derive(Debug)]
struct TwoStreams {
    length: usize,
}

/// What [`two_streams`] gives.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    /// Ranks and bounds for [`attention`](super::attention()): [B, 2 (L + K)], u32.
    pub order: Tensor,
    /// Where an example's queries are among its rows, L and on: [B, K], u32.
    pub queries: Tensor,
}

/// Of examples of up to `length` tokens, L, `lengths` `[B]` of them, with slots at `positions` [B, K] that come in the order of their
/// `ranks` [B, K], u32, those of rank 0 not at all. No gradient flows through it.
pub fn two_streams(
    g: &mut Graph,
    lengths: Tensor,
    positions: Tensor,
    ranks: Tensor,
    length: usize,
) -> Result<Streams, GraphError> {
    let out = g.add(TwoStreams { length }, &[lengths, positions, ranks])?;
    Ok(Streams { order: out[0], queries: out[1] })
}

/// The rank of what nobody sees.
const NEVER: u32 = u32::MAX;

impl TwoStreams {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (lengths, positions, ranks) = (t.int(0), t.int(1), t.int(2));
        let (length, slots) = (self.length, t.input_types[1].columns());
        let all = length + slots;
        let (order, queries) = (t.out_int(0), t.out_int(1));
        for (b, order) in order.chunks_exact_mut(2 * all).enumerate() {
            let (keys, bounds) = order.split_at_mut(all);
            let slot = b * slots..(b + 1) * slots;
            bounds.fill(0);
            for (&position, &rank) in positions[slot.clone()].iter().zip(&ranks[slot.clone()]) {
                if let Some(bound) = bounds[..length].get_mut(position as usize) {
                    *bound = rank.max(*bound);
                }
            }
            keys.fill(NEVER);
            let valid = (lengths[b] as usize).min(length);
            keys[..valid].copy_from_slice(&bounds[..valid]);
            for (k, (bound, rank)) in bounds[length..].iter_mut().zip(&ranks[slot]).enumerate() {
                *bound = rank.saturating_sub(1);
                queries[b * slots + k] = (length + k) as u32;
            }
        }
    }
}

impl Op for TwoStreams {
    fn name(&self) -> &'static str {
        "two_streams"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [lengths, positions, ranks]
                if inputs.iter().all(|ty| ty.dtype == DType::U32)
                    && positions.rows() == lengths.len()
                    && ranks.len() == positions.len() =>
            {
                let (b, k) = (lengths.len(), positions.columns());
                Ok(vec![TensorType::u32(&[b, 2 * (self.length + k)]), TensorType::u32(&[b, k])])
            }
            _ => Err(mismatch("two_streams", inputs, "lengths [B], positions and ranks [B, K]")),
        }
    }

    fn backward(&self, _: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None; node.inputs.len()])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.outputs[0].len() / 2;
        let dispatch = (0..3).fold(Dispatch::new("two_streams"), |d, i| d.read(Operand::Input(i)));
        let dispatch = dispatch
            .write(Operand::Output(0))
            .write(Operand::Output(1))
            .word(rows)
            .word(self.length)
            .word(shapes.inputs[1].columns());
        vec![dispatch.elements(rows, 256)]
    }

    twins!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for step in 0..6_000 {
            let mut ranks = [9; 4];
            DrawOrder::ranks(&[1.0, 0.0, 1.0, 1.0f32], 4, Draws::new([3, 4], step, 7, 0), &mut ranks);
            *counts.entry(ranks).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6, "{counts:?}");
        // Standard deviation 29.
        assert!(counts.iter().all(|(ranks, count)| ranks[1] == 0 && count.abs_diff(1_000) < 120), "{counts:?}");
    }
}
