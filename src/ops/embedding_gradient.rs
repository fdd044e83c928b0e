//! Gradients of the embedding tables, without atomics: each row of a table adds up its tokens in order.
//!
//! Words: `shaders/word_gradient.wgsl`; positions and types: `shaders/position_gradient.wgsl`.

use super::{DeviceTraits, Dispatch, Op, Real, Shapes, Twin, mismatch, no_second_derivative, twins};
use crate::cpu::parallel;
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};

#[derive(Debug)]
struct WordGradient {
    vocabulary: usize,
}

/// `[vocabulary, E]` where row v is the sum of the rows of `d` [T, E] whose id is v.
pub fn word_gradient(g: &mut Graph, ids: Tensor, d: Tensor, vocabulary: usize) -> Result<Tensor, GraphError> {
    g.add1(WordGradient { vocabulary }, &[ids, d])
}

impl WordGradient {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (ids, d) = (t.int(0), t.real(1));
        let e = t.input_types[1].columns();
        parallel::rows(t.out(0), e, |start, out| {
            out.fill(R::ZERO);
            let here = start..start + out.len() / e;
            for (&id, d) in ids.iter().zip(d.chunks_exact(e)) {
                if here.contains(&(id as usize)) {
                    let row = &mut out[(id as usize - start) * e..][..e];
                    row.iter_mut().zip(d).for_each(|(o, &d)| *o += d);
                }
            }
        });
    }
}

impl Op for WordGradient {
    fn name(&self) -> &'static str {
        "word_gradient"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [ids, d] if ids.dtype == DType::U32 && ids.len() == d.rows() => {
                Ok(vec![TensorType::f32(&[self.vocabulary, d.columns()])])
            }
            _ => Err(mismatch("word_gradient", inputs, "ids [T] and their gradients [T, E]")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("word_gradient")
    }

    fn dispatches(&self, _shapes: &Shapes, _device: &DeviceTraits) -> Vec<Dispatch> {
        Vec::new()
    }

    twins!();
}

#[derive(Debug)]
struct PositionGradient {
    positions: usize,
    types: usize,
}

/// Gradients of the position table `[positions, E]` and the type table `[types, E]` from `d` [B * L, E] and the
/// tokens' types [B, L].
pub fn position_gradient(
    g: &mut Graph,
    types: Tensor,
    d: Tensor,
    positions: usize,
    kinds: usize,
) -> Result<(Tensor, Tensor), GraphError> {
    let out = g.add(PositionGradient { positions, types: kinds }, &[types, d])?;
    Ok((out[0], out[1]))
}

impl PositionGradient {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (types, d) = (t.int(0), t.real(1));
        let (length, e) = (t.input_types[0].columns(), t.input_types[1].columns());
        let (by_position, by_type) = (t.out(0), t.out(1));
        by_position.fill(R::ZERO);
        by_type.fill(R::ZERO);
        for (row, (&kind, d)) in types.iter().zip(d.chunks_exact(e)).enumerate() {
            let p = &mut by_position[row % length * e..][..e];
            let k = &mut by_type[(kind as usize).min(self.types - 1) * e..][..e];
            for ((p, k), &d) in p.iter_mut().zip(k).zip(d) {
                *p += d;
                *k += d;
            }
        }
    }
}

impl Op for PositionGradient {
    fn name(&self) -> &'static str {
        "position_gradient"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [types, d] if types.dtype == DType::U32 && types.len() == d.rows() => {
                let e = d.columns();
                Ok(vec![TensorType::f32(&[self.positions, e]), TensorType::f32(&[self.types, e])])
            }
            _ => Err(mismatch("position_gradient", inputs, "types [B, L] and gradients [B L, E]")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("position_gradient")
    }

    fn dispatches(&self, _shapes: &Shapes, _device: &DeviceTraits) -> Vec<Dispatch> {
        Vec::new()
    }

    twins!();
}
