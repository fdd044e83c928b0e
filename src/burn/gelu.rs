//! GELU with the gradient of GELU.

use burn::tensor::Tensor;

/// x (1 + erf(x / √2)) / 2, for a tensor of any shape: the exact GELU, and under autodiff its derivative.
///
/// `burn::tensor::activation::gelu` of burn 0.22.1 has the same values, but its gradient is that of the approximation by
/// tanh (`gelu_backward` in `burn-backend/src/backend/ops/activation.rs`), which is off by up to 9e-4 (at ±2.02). A test
/// says when it is mended: `cargo test --features burn --test burn burns_gelu`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * (x * std::f32::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0) * 0.5
}
