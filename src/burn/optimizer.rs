//! AdamW by burn, behind clipping by the norm of all gradients together.

use crate::config::OptimizerConfig;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

/// Updates a module as leyden's own optimizer does: clipping by the global norm, which burn's clipping is not (it takes
/// each tensor by itself), then AdamW without decay on biases and layer norms. burn's AdamW always corrects its moments'
/// bias, so that it is leyden's with `optimizer.bias_correction` on.
pub struct Optimizer {
    adamw: ModuleOptimizer,
    clip_norm: f64,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer").field("clip_norm", &self.clip_norm).finish_non_exhaustive()
    }
}

impl Optimizer {
    /// An optimizer for modules like `module`.
    pub fn new<M: Module>(config: &OptimizerConfig, module: &M) -> Self {
        let adamw = |decay: f64| {
            AdamWConfig::new()
                .with_beta_1(config.beta1 as f32)
                .with_beta_2(config.beta2 as f32)
                .with_epsilon(config.epsilon as f32)
                .with_weight_decay(decay as f32)
        };
        let mut vectors = Vectors(Vec::new());
        module.visit(&mut vectors);
        let adamw =
            adamw(config.weight_decay).init().with_group(ParamGroup::from_ids(vectors.0), adamw(0.0).build(), None);
        Self { adamw, clip_norm: config.clip_norm }
    }

    /// `module` after one step down the gradient of `loss`.
    pub fn step<M: Module>(&mut self, learning_rate: f64, module: M, loss: &Tensor<1>) -> M {
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        let gradients = clip(&module, gradients, self.clip_norm);
        self.adamw.step(learning_rate, module, gradients)
    }
}

/// The parameters that do not decay: biases and layer norms are all that has one dimension.
struct Vectors(Vec<ParamId>);

impl ModuleVisitor for Vectors {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if D == 1 {
            self.0.push(parameter.id);
        }
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.sums.extend(self.gradients.get::<D>(parameter.id).map(|gradient| gradient.square().sum()));
    }
}

struct Scale {
    by: Tensor<1>,
    from: GradientsParams,
    to: GradientsParams,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(parameter.id) {
            self.to.register(parameter.id, gradient * self.by.clone().reshape([1; D]));
        }
    }
}

/// Gradients whose norm, over all of them, is at most `most`. Nothing waits for the device.
fn clip<M: Module>(module: &M, gradients: GradientsParams, most: f64) -> GradientsParams {
    let mut squares = Squares { gradients: &gradients, sums: Vec::new() };
    module.visit(&mut squares);
    if squares.sums.is_empty() {
        return gradients;
    }
    let norm = Tensor::cat(squares.sums, 0).sum().sqrt();
    let mut scale =
        Scale { by: norm.recip().mul_scalar(most).clamp_max(1.0), from: gradients, to: GradientsParams::new() };
    module.visit(&mut scale);
    scale.to
}
