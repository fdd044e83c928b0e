//! Puts the generator's samples where tokens were selected and labels every token; `shaders/replace_tokens.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct ReplaceTokens;

/// From `ids` [B, L], `sampled` `[M]`, `positions` [B, K] (within the example) and `weights` [B, K] (0: an unused slot): the
/// corrupted ids [B, L] and the labels [B, L], 1 where the token now differs from the original.
pub fn replace_tokens(
    g: &mut Graph,
    ids: Tensor,
    sampled: Tensor,
    positions: Tensor,
    weights: Tensor,
) -> Result<(Tensor, Tensor), GraphError> {
    let out = g.add(ReplaceTokens, &[ids, sampled, positions, weights])?;
    Ok((out[0], out[1]))
}

impl ReplaceTokens {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (ids, sampled, positions, weights) = (t.int(0), t.int(1), t.int(2), t.real(3));
        let (corrupted, labels) = (t.out_int(0), t.out_int(1));
        corrupted.copy_from_slice(ids);
        labels.fill(0);
        let (length, slots) = (t.input_types[0].columns(), t.input_types[2].columns());
        for (m, ((&s, &p), &w)) in sampled.iter().zip(positions).zip(weights).enumerate() {
            if w > R::ZERO && (p as usize) < length {
                let place = m / slots * length + p as usize;
                corrupted[place] = s;
                labels[place] = u32::from(s != ids[place]);
            }
        }
    }
}

impl Op for ReplaceTokens {
    fn name(&self) -> &'static str {
        "replace_tokens"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [ids, s, p, w]
                if ids.dtype == DType::U32
                    && s.dtype == DType::U32
                    && s.len() == p.len()
                    && w.len() == p.len()
                    && ids.rows() == p.rows() =>
            {
                Ok(vec![(*ids).clone(), (*ids).clone()])
            }
            _ => Err(mismatch("replace_tokens", inputs, "ids [B, L], samples [B K], positions and weights [B, K]")),
        }
    }

    fn backward(&self, _: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None; node.inputs.len()])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let tokens = shapes.inputs[0].len();
        let dispatch = (0..4).fold(Dispatch::new("replace_tokens"), |d, i| d.read(Operand::Input(i)));
        let dispatch = dispatch
            .write(Operand::Output(0))
            .write(Operand::Output(1))
            .word(tokens)
            .word(shapes.inputs[0].columns())
            .word(shapes.inputs[2].columns());
        vec![dispatch.elements(tokens, 256)]
    }

    twins!();
}
