//! Gradients of the embedding tables, without atomics: each row of a table adds up its tokens in order.
//!
//! Words: `shaders/word_gradient.wgsl`, which reads the tokens sorted by id (`word_gradient_sort.wgsl`) and the sums of
//! long runs of one id (`word_gradient_pieces.wgsl`). Positions and types: `shaders/position_gradient.wgsl` and
//! `shaders/position_gradient_types.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, parallel};
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct WordGradient {
    vocabulary: usize,
}

/// `[vocabulary, E]` where row v is the sum of the rows of `d` [T, E] whose id is v; of d `[T]`, a value a token, `[vocabulary]`.
pub fn word_gradient(g: &mut Graph, ids: Tensor, d: Tensor, vocabulary: usize) -> Result<Tensor, GraphError> {
    g.add1(WordGradient { vocabulary }, &[ids, d])
}

/// E of gradients [T, E], 1 of `[T]`.
fn width(d: &TensorType) -> usize {
    if d.shape.len() == 1 { 1 } else { d.columns() }
}

impl WordGradient {
    /// Tokens that are sorted together: what fits into 16 KiB of workgroup memory.
    const BLOCK: usize = 4_096;
    /// Sorted tokens of one id that are added up beforehand.
    const PIECE: usize = 64;
    /// Ids below this leave room for a place in a block, and for the key of no token.
    const MOST_WORDS: usize = (1 << 20) - 1;

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (ids, d) = (t.int(0), t.real(1));
        let e = width(t.input_types[1]);
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
            [ids, d]
                if ids.dtype == DType::U32
                    && ids.len() * width(d) == d.len()
                    && self.vocabulary <= Self::MOST_WORDS =>
            {
                let rows = if d.shape.len() == 1 { vec![self.vocabulary] } else { vec![self.vocabulary, d.columns()] };
                Ok(vec![TensorType::f32(&rows)])
            }
            _ => {
                Err(mismatch("word_gradient", inputs, "T ids and their gradients [T, E] or [T], less than 2^20 words"))
            }
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[1], outputs: &[] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("word_gradient")
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        let (tokens, e) = (shapes.inputs[0].len(), width(&shapes.inputs[1]));
        let blocks = tokens.div_ceil(Self::BLOCK);
        vec![TensorType::u32(&[blocks, Self::BLOCK]), TensorType::f32(&[tokens.div_ceil(Self::PIECE), e])]
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (tokens, e) = (shapes.inputs[0].len(), width(&shapes.inputs[1]));
        let blocks = tokens.div_ceil(Self::BLOCK);
        let (keys, pieces) = (Operand::Scratch(0), Operand::Scratch(1));
        let sort = Dispatch::new("word_gradient_sort")
            .read(Operand::Input(0))
            .write(keys)
            .word(tokens)
            .word(self.vocabulary)
            .groups(blocks, 1, 1);
        // Places behind the last token are no whole piece.
        let sums = Dispatch::new("word_gradient_pieces")
            .element("D", shapes.inputs[1].dtype)
            .constant("columns", e as u32)
            .read(keys)
            .read(Operand::Input(1))
            .write(pieces)
            .groups(tokens / Self::PIECE, e.div_ceil(64), 1);
        let lanes = e.div_ceil(4).next_power_of_two().min(256);
        let rows = Dispatch::new("word_gradient")
            .element("D", shapes.inputs[1].dtype)
            .constant("columns", e as u32)
            .constant("lanes", lanes as u32)
            .read(keys)
            .read(Operand::Input(1))
            .read(pieces)
            .write(Operand::Output(0))
            .word(self.vocabulary)
            .word(blocks)
            .elements(self.vocabulary, 256 / lanes);
        vec![sort, sums, rows]
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

    fn halves(&self) -> Halves {
        Halves { inputs: &[1], outputs: &[] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("position_gradient")
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        vec![TensorType::f32(&[shapes.inputs[0].columns(), self.types, shapes.inputs[1].columns()])]
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (examples, length) = (shapes.inputs[0].rows(), shapes.inputs[0].columns());
        let e = shapes.inputs[1].columns();
        let positions = Dispatch::new("position_gradient")
            .element("D", shapes.inputs[1].dtype)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .write(Operand::Scratch(0))
            .word(examples)
            .word(length)
            .word(e)
            .word(self.types)
            .groups(e.div_ceil(32), self.positions, 1);
        let types = Dispatch::new("position_gradient_types")
            .read(Operand::Scratch(0))
            .write(Operand::Output(1))
            .word(length)
            .word(self.types * e)
            .groups((self.types * e).div_ceil(32), 1, 1);
        vec![positions, types]
    }

    twins!();
}
