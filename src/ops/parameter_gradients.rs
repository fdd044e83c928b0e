//! The gradients of a layer's parameters at once: the products of its linear layers, and one dispatch that adds up all that is
//! in parts (`shaders/add_parts.wgsl`). The pass `graph/group.rs` makes it of what reverse mode leaves one by one.

use super::layer_norm::layer_norm_sums;
use super::linear_weight_gradient::{LinearWeightGradient, linear_weight_gradient};
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{
    DeviceTraits, Dispatch, MatmulShape, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins,
};
use crate::ops::kernels::{AddParts, Matmul, MatmulOperands};
use std::sync::Arc;

/// Gradients that begin at these elements: of matrices in output 0, of vectors in output 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A linear layer's, of the inputs dy \[T, N\] and x \[T, K\].
    Linear {
        /// dW = dy^T x \[N, K\].
        weight: usize,
        /// db \[N\], the column sums of dy.
        bias: usize,
    },
    /// A layer norm's, of the input \[blocks, 2, C\], what dgamma and dbeta are the sums of.
    Norm {
        /// dgamma \[C\].
        gamma: usize,
        /// dbeta \[C\].
        beta: usize,
    },
}

/// Two windows of the bank of gradients: one with those of matrices, one with those of vectors. What lies between them is not
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterGradients {
    /// What there is, in the order of its inputs: linear layers, and at most two layer norms.
    pub parts: Vec<Part>,
    /// Elements of the outputs.
    pub lens: [usize; 2],
}

/// One of the parts with its inputs.
enum Piece {
    /// The product, and the index of dy; x is the input behind it.
    Linear(Matmul, usize),
    /// What is added up, the index of the input, and to where.
    Norm(usize, [usize; 2]),
}

impl ParameterGradients {
    /// Layer norms that one has room for.
    pub const NORMS: usize = 2;

    /// Elements of parts that wait to be added up, more only where a single product has more: 64 MiB, half of what every device can
    /// bind.
    const MOST: usize = 16 << 20;

    fn pieces(&self, inputs: &[TensorType]) -> Vec<Piece> {
        let mut input = 0;
        let piece = |part: &Part| match *part {
            Part::Linear { weight, bias } => {
                input += 2;
                let product = LinearWeightGradient::product(&inputs[input - 2], &inputs[input - 1]);
                Piece::Linear(Matmul { c_offset: weight, bias_offset: bias, ..product }, input - 2)
            }
            Part::Norm { gamma, beta } => {
                input += 1;
                Piece::Norm(input - 1, [gamma, beta])
            }
        };
        self.parts.iter().map(piece).collect()
    }

    /// Elements of the tensors for parts of matrices and of row sums, and where those of each product begin;
    /// before some, those so far have to be added up.
    fn windows(&self, pieces: &[Piece], device: &DeviceTraits) -> ([usize; 2], Vec<(bool, [usize; 2])>) {
        let (mut lens, mut ends, mut windows) = ([0; 2], [0; 2], Vec::new());
        for piece in pieces {
            let Piece::Linear(product, _) = piece else { continue };
            let slices = product.slices(device);
            let parts = if slices > 1 { [product.m * product.n, product.m].map(|len| slices * len) } else { [0; 2] };
            let full = ends[0] > 0 && ends[0] + parts[0] > Self::MOST;
            if full {
                ends = [0; 2];
            }
            windows.push((full, ends));
            for i in 0..2 {
                ends[i] += parts[i].next_multiple_of(4);
                lens[i] = lens[i].max(ends[i]);
            }
        }
        (lens, windows)
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let types: Vec<TensorType> = t.input_types.iter().map(|&ty| ty.clone()).collect();
        let (matrices, vectors) = (t.out(0), t.out(1));
        for piece in self.pieces(&types) {
            match piece {
                Piece::Linear(p, i) => {
                    let (dy, x) = ((t.real(i), p.m), (t.real(i + 1), p.n));
                    let dw = &mut matrices[p.c_offset..][..p.m * p.n];
                    let db = &mut vectors[p.bias_offset..][..p.m];
                    linear_weight_gradient(t.products, dy, x, (dw, db));
                }
                Piece::Norm(i, to) => {
                    let (parts, c) = (t.real(i), types[i].columns());
                    for (half, to) in to.into_iter().enumerate() {
                        let sums = &mut vectors[to..to + c];
                        sums.fill(R::ZERO);
                        for part in parts.chunks_exact(2 * c) {
                            sums.iter_mut().zip(&part[half * c..]).for_each(|(sum, &part)| *sum += part);
                        }
                    }
                }
            }
        }
    }
}

impl Op for ParameterGradients {
    fn name(&self) -> &'static str {
        "parameter_gradients"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let mut rest = inputs;
        let mut norms = 0;
        for part in &self.parts {
            let fits = match (part, rest) {
                (&Part::Linear { weight, bias }, [dy, x, behind @ ..]) => {
                    rest = behind;
                    dy.rows() == x.rows()
                        && weight + dy.columns() * x.columns() <= self.lens[0]
                        && bias + dy.columns() <= self.lens[1]
                }
                (&Part::Norm { gamma, beta }, [parts, behind @ ..]) => {
                    rest = behind;
                    norms += 1;
                    parts.shape.len() == 3 && parts.shape[1] == 2 && gamma.max(beta) + parts.columns() <= self.lens[1]
                }
                _ => false,
            };
            if !fits || norms > Self::NORMS {
                return Err(mismatch("parameter_gradients", inputs, format!("the inputs of {:?}", self.parts)));
            }
        }
        Ok(self.lens.map(|len| TensorType::f32(&[len])).to_vec())
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("parameter_gradients")
    }

    fn flops(&self, s: &Shapes) -> u64 {
        let flops = |piece: &Piece| if let Piece::Linear(product, _) = piece { product.flops() } else { 0 };
        self.pieces(&s.inputs).iter().map(flops).sum()
    }

    fn matmuls(&self, s: &Shapes) -> Vec<MatmulShape> {
        let shape = |piece: &Piece| if let Piece::Linear(p, _) = piece { Some(p.shape(false)) } else { None };
        self.pieces(&s.inputs).iter().filter_map(shape).collect()
    }

    fn matmul_alone(&self, shape: &MatmulShape, s: &Shapes) -> Option<(Arc<dyn Op>, Shapes)> {
        let first = |piece: Piece| match piece {
            Piece::Linear(product, i) if product.shape(false) == *shape => Some(i),
            _ => None,
        };
        let i = self.pieces(&s.inputs).into_iter().find_map(first)?;
        let inputs = s.inputs[i..i + 2].to_vec();
        let outputs = LinearWeightGradient.infer(&[&inputs[0], &inputs[1]]).ok()?;
        Some((Arc::new(LinearWeightGradient), Shapes { inputs, outputs }))
    }

    fn scratch(&self, s: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        let (lens, _) = self.windows(&self.pieces(&s.inputs), device);
        lens.map(|len| TensorType::f32(&[len.max(4)])).to_vec()
    }

    fn dispatches(&self, s: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let pieces = self.pieces(&s.inputs);
        let (_, windows) = self.windows(&pieces, device);
        let [matrices, rows] = [Operand::Scratch(0), Operand::Scratch(1)];
        let [weights, vectors] = [Operand::Output(0), Operand::Output(1)];
        let mut add = AddParts {
            read: vec![matrices, rows],
            write: [weights, vectors],
            element: DType::F32,
            accumulate: false,
            sums: Vec::new(),
        };
        let (mut dispatches, mut windows) = (Vec::new(), windows.into_iter());
        for piece in pieces {
            match piece {
                Piece::Linear(product, i) => {
                    let (a, b) = (Operand::Input(i), Operand::Input(i + 1));
                    let operands = MatmulOperands { a, b, c: weights, bias: None, second: Some(vectors) };
                    let (full, [c, sums]) = windows.next().unwrap_or_default();
                    if full {
                        dispatches.extend(add.dispatches());
                        add.sums.clear();
                    }
                    dispatches.push(product.product_in_parts(&operands, [(matrices, c), (rows, sums)], device));
                    let slices = product.slices(device);
                    if slices > 1 {
                        add.sums.extend(product.sums(slices, [c, sums]));
                    }
                }
                Piece::Norm(i, [gamma, beta]) => {
                    let [blocks, _, c] = s.inputs[i].shape[..] else { continue };
                    add.sums.extend(layer_norm_sums((blocks, c), add.read.len(), [(1, gamma), (1, beta)]));
                    add.read.push(Operand::Input(i));
                }
            }
        }
        dispatches.extend(add.dispatches());
        dispatches
    }

    twins!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Tuning;

    /// What waits to be added up is never more than every device can bind, however many slices the products have.
    #[test]
    fn parts_are_added_up_before_they_are_too_many() {
        let inputs = [1_024, 256].map(|columns| TensorType::f32(&[16_384, columns]));
        let parts = [0, 1, 2].map(|i| Part::Linear { weight: i * 1_024 * 256, bias: i * 1_024 });
        let op = ParameterGradients { parts: parts.to_vec(), lens: [3 * 1_024 * 256, 3 * 1_024] };
        let inputs = [0, 1, 0, 1, 0, 1].map(|i: usize| inputs[i].clone()).to_vec();
        let shapes = Shapes { outputs: op.lens.map(|len| TensorType::f32(&[len])).to_vec(), inputs };
        let shape = op.matmuls(&shapes)[0];
        for (slices, expected) in [(1, 0), (16, 1), (32, 2), (64, 3), (100, 3)] {
            let kernel = format!("tiles 64x64x16 8x4 split {slices}").parse().expect("a kernel");
            let device = DeviceTraits { tuning: Tuning::new(vec![(shape, kernel)]), ..DeviceTraits::FLOOR };
            let largest = op.scratch(&shapes, &device)[0].len();
            assert!(largest <= ParameterGradients::MOST.max(slices * 1_024 * 256), "{slices} slices: {largest}");
            let dispatches = op.dispatches(&shapes, &device);
            let sums = dispatches.iter().filter(|dispatch| dispatch.shader == "add_parts").count();
            assert_eq!((sums, dispatches.len()), (expected, 3 + expected), "{slices} slices");
        }
        let (alone, of) = op.matmul_alone(&shape, &shapes).expect("a product alone");
        assert_eq!((alone.matmuls(&of), of.inputs.len()), (vec![shape], 2));
    }
}
