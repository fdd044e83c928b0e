//! Dropout; `shaders/dropout.wgsl`. The mask is drawn again in the gradient, never stored.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::parallel::{self, vectorize};
use crate::math::{Draws, Real, keep_threshold};
use crate::op::{
    DeviceTraits, Dispatch, Dropout, Halves, Op, Operand, Pointwise, Prologue, Shapes, Twin, mismatch, twins,
};

/// Dropout of `x`; `x` itself where `probability` is 0.
pub fn dropout(g: &mut Graph, x: Tensor, probability: f32) -> Result<Tensor, GraphError> {
    if probability == 0.0 {
        return Ok(x);
    }
    let stream = g.stream("dropout");
    g.add1(Dropout { probability, stream }, &[x])
}

impl Dropout {
    /// Applies the mask of elements `start..` to `x`.
    #[inline(always)]
    pub(super) fn apply<R: Real>(self, draws: Draws, start: usize, x: &mut [R]) {
        let threshold = keep_threshold(self.probability);
        let scale = R::of(1.0 / (1.0 - f64::from(self.probability)));
        draws.map(
            start,
            x,
            #[inline(always)]
            |x, bits| x * if bits >= threshold { scale } else { R::ZERO },
        );
    }

    /// The kernel's three words of settings: threshold, scale and stream.
    pub(super) fn words(self, dispatch: Dispatch) -> Dispatch {
        let scale = 1.0 / (1.0 - f64::from(self.probability));
        dispatch.word(keep_threshold(self.probability) as usize).float(scale as f32).word(self.stream as usize)
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let draws = t.step.draws(self.stream, t.output_types[0].len());
        let this = *self;
        parallel::rows(t.out(0), 1, |start, x| {
            vectorize(
                #[inline(always)]
                || this.apply(draws, start, x),
            )
        });
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x] if x.dtype.is_real() => Ok(vec![(*x).clone()]),
            _ => Err(mismatch("dropout", inputs, "one floating-point tensor")),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[0] }
    }

    fn prologues(&self) -> Vec<Prologue> {
        vec![Prologue { what: Pointwise::Dropout(*self), input: 0, side: None, rest: None }]
    }

    fn backward(&self, g: &mut Graph, _: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![d[0].map(|d| g.add1(*self, &[d])).transpose()?])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let quads = len.div_ceil(4);
        let dispatch =
            Dispatch::new("dropout").element("X", shapes.outputs[0].dtype).write(Operand::Output(0)).word(len);
        vec![self.words(dispatch).elements(quads, 256)]
    }

    twins!();
}
