//! Sum of word, position and type embeddings; `shaders/embedding.wgsl`.
//!
//! word is [V, E], position [P, E], types [Y, E]; ids and types are [B, L]; the sum is [B * L, E].

use super::embedding_gradient::{position_gradient, word_gradient};
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, parallel};
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct Embedding;

/// The rows of three tables.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingTables {
    /// [V, E]
    pub word: Tensor,
    /// [P, E], P at least L
    pub position: Tensor,
    /// [Y, E]
    pub types: Tensor,
}

/// The sum of the three embeddings of every token. An id beyond its table is a caller's bug; it reads the last row.
pub fn embedding(g: &mut Graph, tables: EmbeddingTables, ids: Tensor, types: Tensor) -> Result<Tensor, GraphError> {
    g.add1(Embedding, &[tables.word, tables.position, tables.types, ids, types])
}

impl Embedding {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (word, position, kinds) = (t.real(0), t.real(1), t.real(2));
        let (ids, types) = (t.int(3), t.int(4));
        let (length, e) = (t.input_types[3].columns(), t.input_types[0].columns());
        let (v, y) = (t.input_types[0].shape[0] - 1, t.input_types[2].shape[0] - 1);
        parallel::rows(t.out(0), e, |start, out| {
            for (i, out) in out.chunks_exact_mut(e).enumerate() {
                let row = start + i;
                let w = &word[(ids[row] as usize).min(v) * e..][..e];
                let p = &position[row % length * e..][..e];
                let k = &kinds[(types[row] as usize).min(y) * e..][..e];
                for (((o, &w), &p), &k) in out.iter_mut().zip(w).zip(p).zip(k) {
                    *o = w + p + k;
                }
            }
        });
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [w, p, k, ids, types]
                if ids.dtype == DType::U32
                    && ids == types
                    && p.rows() >= ids.columns()
                    && w.columns() == p.columns()
                    && w.columns() == k.columns() =>
            {
                Ok(vec![TensorType::f32(&[ids.len(), w.columns()])])
            }
            _ => Err(mismatch(
                "embedding",
                inputs,
                "word [V, E], position [P >= L, E], types [Y, E], ids and types [B, L]",
            )),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[], outputs: &[0] }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 5]) };
        let rows = |g: &Graph, i: usize| g.shape(node.inputs[i])[0];
        let (v, p, y) = (rows(g, 0), rows(g, 1), rows(g, 2));
        let word = word_gradient(g, node.inputs[3], d, v)?;
        let (position, types) = position_gradient(g, node.inputs[4], d, p, y)?;
        Ok(vec![Some(word), Some(position), Some(types), None, None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let [word, _, types, ids, _] = &shapes.inputs[..] else { return Vec::new() };
        let len = shapes.outputs[0].len();
        let dispatch = Dispatch::new("embedding").read(Operand::Input(0)).moving(len.min(word.len()));
        let dispatch = dispatch.read(Operand::Input(1)).moving(ids.columns() * word.columns());
        let dispatch = (2..5).fold(dispatch, |d, i| d.read(Operand::Input(i)));
        let dispatch = dispatch
            .write(Operand::Output(0))
            .element("Out", shapes.outputs[0].dtype)
            .constant("columns", word.columns() as u32)
            .word(len)
            .word(ids.columns())
            .word(word.shape[0])
            .word(types.shape[0]);
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}
