//! What a layer's sum is put through, and its derivative; on a GPU `shaders/shared/activation.wgsl`.

use super::Real;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

/// A function that is applied to each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x Phi(x) with the error function, as BERT and every published ELECTRA have it.
    #[default]
    Gelu,
    /// The same with Phi approximated by (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
    GeluNew,
    /// max(x, 0)
    Relu,
}

/// What tanh's cubic term is multiplied by.
const CUBIC: f64 = 0.044_715;

/// 2 sqrt(2 / pi)
const SLOPE: f64 = SQRT_2 * FRAC_2_SQRT_PI;

impl Activation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gelu, Self::GeluNew, Self::Relu];

    /// The name, as in `transformers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluNew => "gelu_new",
            Self::Relu => "relu",
        }
    }

    /// The activation that `transformers` calls `name`; it has several names for one function.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "gelu" | "gelu_python" => Some(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh" | "gelu_python_tanh" => {
                Some(Self::GeluNew)
            }
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    /// `shaders/shared/activation.wgsl` knows it by this number.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Gelu => 0,
            Self::GeluNew => 1,
            Self::Relu => 2,
        }
    }

    /// y = f(u), element by element. Call it inside `vectorize`.
    #[inline(always)]
    pub(crate) fn apply<R: Real>(self, u: &[R], y: &mut [R]) {
        match self {
            Self::Gelu => {
                for (y, &u) in y.iter_mut().zip(u) {
                    *y = gelu(u);
                }
            }
            Self::GeluNew => {
                for (y, &u) in y.iter_mut().zip(u) {
                    *y = u * tanh_gate(u).0;
                }
            }
            Self::Relu => {
                for (y, &u) in y.iter_mut().zip(u) {
                    *y = if u <= R::ZERO { R::ZERO } else { u };
                }
            }
        }
    }

    /// d *= f'(u), element by element. Call it inside `vectorize`.
    #[inline(always)]
    pub(crate) fn multiply_by_derivative<R: Real>(self, u: &[R], d: &mut [R]) {
        match self {
            Self::Gelu => {
                for (d, &u) in d.iter_mut().zip(u) {
                    *d *= gelu_derivative(u);
                }
            }
            Self::GeluNew => {
                for (d, &u) in d.iter_mut().zip(u) {
                    *d *= gelu_new_derivative(u);
                }
            }
            Self::Relu => {
                for (d, &u) in d.iter_mut().zip(u) {
                    *d *= if u <= R::ZERO { R::ZERO } else { R::ONE };
                }
            }
        }
    }
}

/// x Phi(x).
#[inline(always)]
fn gelu<R: Real>(x: R) -> R {
    R::of(0.5) * x * (R::ONE + (x * R::of(FRAC_1_SQRT_2)).erf())
}

/// d/dx x Phi(x) = Phi(x) + x phi(x).
#[inline(always)]
fn gelu_derivative<R: Real>(x: R) -> R {
    // The exponential is the one inside erf, which the compiler sees.
    let z = x * R::of(FRAC_1_SQRT_2);
    let phi = (-(z * z)).exp() * R::of(0.398_942_280_401_432_7);
    R::of(0.5) * (R::ONE + z.erf()) + x * phi
}

/// (1 + tanh(z)) / 2 = 1 / (1 + exp(-2 z)) with z = sqrt(2 / pi) (x + 0.044715 x^3), and the square of x. Behind 10 the first
/// is 0 or 1 in single precision, and the exponential stays finite.
#[inline(always)]
fn tanh_gate<R: Real>(x: R) -> (R, R) {
    let ten = R::of(10.0);
    let y = -(-x.max(-ten)).max(-ten);
    let square = y * y;
    (R::ONE / (R::ONE + (-y * (R::of(SLOPE) + R::of(SLOPE * CUBIC) * square)).exp()), square)
}

#[inline(always)]
fn gelu_new_derivative<R: Real>(x: R) -> R {
    let (gate, square) = tanh_gate(x);
    gate + x * gate * (R::ONE - gate) * (R::of(SLOPE) + R::of(3.0 * SLOPE * CUBIC) * square)
}

/// The probability of a logit.
pub fn sigmoid(x: f32) -> f32 {
    super::logistic(f64::from(x)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition and, by a central difference, its slope.
    fn exact(activation: Activation, x: f64) -> [f64; 2] {
        let f = |x: f64| match activation {
            Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x / SQRT_2)),
            Activation::GeluNew => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Relu => x.max(0.0),
        };
        [f(x), (f(x + 1e-5) - f(x - 1e-5)) / 2e-5]
    }

    fn found<R: Real>(activation: Activation, x: f64) -> [f64; 2] {
        let (u, mut y, mut d) = ([R::of(x)], [R::ZERO], [R::ONE]);
        activation.apply(&u, &mut y);
        activation.multiply_by_derivative(&u, &mut d);
        [y[0].wide(), d[0].wide()]
    }

    #[test]
    fn functions_and_derivatives_are_the_exact_ones() {
        for activation in Activation::ALL {
            for i in -2_000..2_000 {
                // Never at ReLU's corner.
                let x = f64::from((f64::from(i) + 0.5) as f32 * 0.01);
                let expected = exact(activation, x);
                for (found, tolerance) in [(found::<f64>(activation, x), 1e-8), (found::<f32>(activation, x), 3e-6)] {
                    for (f, e) in found.iter().zip(expected) {
                        assert!((f - e).abs() <= tolerance * e.abs().max(1.0), "{activation:?}({x}) = {f}, not {e}");
                    }
                }
            }
        }
    }

    #[test]
    fn far_out_they_are_zero_or_the_line_and_what_is_no_number_stays_none() {
        for activation in Activation::ALL {
            for x in [1e2, 1e4, 65_504.0, 1e19] {
                assert_eq!(found::<f32>(activation, x), [f64::from(x as f32), 1.0], "{activation:?}({x})");
                let [y, d] = found::<f32>(activation, -x);
                assert!(y.abs() < 1e-15 && d.abs() < 1e-15, "{activation:?}({}) = {y}, slope {d}", -x);
            }
            assert!(found::<f32>(activation, f64::NAN)[0].is_nan(), "{activation:?}");
        }
        assert_eq!(found::<f32>(Activation::Relu, 0.0), [0.0, 0.0]);
    }

    #[test]
    fn names_are_those_of_transformers() {
        for activation in Activation::ALL {
            assert_eq!(Activation::named(activation.name()), Some(activation));
            assert_eq!(serde_json::to_value(activation).unwrap(), activation.name());
        }
        assert_eq!(Activation::named("gelu_pytorch_tanh"), Some(Activation::GeluNew));
        // Clipped, and another function.
        for other in ["gelu_10", "quick_gelu", "silu", "GELU", ""] {
            assert_eq!(Activation::named(other), None);
        }
    }
}
