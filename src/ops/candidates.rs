//! Words to choose from, the right one among them; `shaders/candidates.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct Candidates;

/// The `originals`, M words, before the `samples` [M, C]: [M, C + 1]. With `replaced`, u32, M of them, the original stands in place of the
/// first sample where that is 1, and nowhere else: [M, C]. No gradient flows through them.
pub fn candidates(
    g: &mut Graph,
    samples: Tensor,
    originals: Tensor,
    replaced: Option<Tensor>,
) -> Result<Tensor, GraphError> {
    let inputs: Vec<Tensor> = [samples, originals].into_iter().chain(replaced).collect();
    g.add1(Candidates, &inputs)
}

impl Candidates {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (samples, originals) = (t.int(0), t.int(1));
        let replaced = (t.input_types.len() > 2).then(|| t.int(2));
        let (from, to) = (t.input_types[0].columns(), t.output_types[0].columns());
        for (m, out) in t.out_int(0).chunks_exact_mut(to).enumerate() {
            out[to - from..].copy_from_slice(&samples[m * from..][..from]);
            if replaced.is_none_or(|replaced| replaced[m] == 1) {
                out[0] = originals[m];
            }
        }
    }
}

impl Op for Candidates {
    fn name(&self) -> &'static str {
        "candidates"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [samples, words @ ..]
                if matches!(words.len(), 1 | 2)
                    && samples.dtype == DType::U32
                    && words.iter().all(|w| w.dtype == DType::U32 && w.len() == samples.rows()) =>
            {
                let added = 2 - words.len();
                Ok(vec![TensorType::u32(&[samples.rows(), samples.columns() + added])])
            }
            _ => Err(mismatch("candidates", inputs, "samples [M, C], M originals, and M labels at most")),
        }
    }

    fn backward(&self, _: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None; node.inputs.len()])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let replaced = shapes.inputs.len() > 2;
        let dispatch = Dispatch::new("candidates")
            .constant("where_replaced", replaced)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .read(Operand::Input(if replaced { 2 } else { 1 }))
            .write(Operand::Output(0))
            .word(len)
            .word(shapes.outputs[0].columns());
        vec![dispatch.elements(len, 256)]
    }

    twins!();
}
