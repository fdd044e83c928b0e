//! GELU with the gradient of GELU, and the other activations.

use crate::math::Activation;
use burn::tensor::{Tensor, activation};

/// x (1 + erf(x / √2)) / 2, for a tensor of any shape: the exact GELU, and under autodiff its derivative.
///
/// `burn::tensor::activation::gelu` of burn 0.22.1 has the same values, but its gradient is that of the approximation by
/// tanh (`gelu_backward` in `burn-backend/src/backend/ops/activation.rs`), which is off by up to 9e-4 (at ±2.02). A test
/// says when it is mended: `cargo test --features burn --test burn burns_gelu`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * (x * std::f32::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0) * 0.5
}

/// Any of leyden's activations.
pub(super) fn apply<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluNew => {
            // Without a power, whose gradient would go through a logarithm.
            let inner =
                (x.clone() + x.clone() * x.clone() * x.clone() * 0.044715) * (2.0 / std::f64::consts::PI).sqrt();
            x * inner.tanh().add_scalar(1.0) * 0.5
        }
        Activation::Relu => activation::relu(x),
    }
}
