//! The floating-point types a CPU twin runs in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// f32 for training, f64 for gradient checks.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
    + bytemuck::Pod
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Converts, rounding.
    fn of(x: f64) -> Self;
    /// Converts exactly.
    fn wide(self) -> f64;
    /// e^x, branch-free so that loops over it are vectorised.
    fn exp(self) -> Self;
    /// Natural logarithm of a positive normal number, branch-free in f32.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The error function, branch-free in f32 (absolute error below 5e-7).
    fn erf(self) -> Self;
    /// The larger.
    fn max(self, other: Self) -> Self;
    /// The same numbers where they are in single precision.
    fn singles(_: &[Self]) -> Option<&[f32]> {
        None
    }
    /// As [`Real::singles`], to write.
    fn singles_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    /// Range reduction to 2^n * e^r with |r| <= ln(2) / 2 and a polynomial of degree 6: relative error below 2e-7.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = self.clamp(-87.0, 88.0);
        // Adding 1.5 * 2^23 rounds to the nearest integer without a branch or a call, and leaves it in the low bits.
        const SHIFT: f32 = 12_582_912.0;
        let shifted = x * std::f32::consts::LOG2_E + SHIFT;
        let n = shifted - SHIFT;
        let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
        let mut p = 1.0 / 720.0;
        p = p * r + 1.0 / 120.0;
        p = p * r + 1.0 / 24.0;
        p = p * r + 1.0 / 6.0;
        p = p * r + 0.5;
        p = p * r + 1.0;
        p = p * r + 1.0;
        // p is near 1: adding n to its exponent multiplies it by 2^n.
        f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
    }
    /// Mantissa in [sqrt(1/2), sqrt(2)) and the series of 2 artanh(z), z = (m - 1) / (m + 1): relative error 3e-7.
    #[inline(always)]
    fn ln(self) -> Self {
        let bits = self.to_bits().wrapping_sub(0x3f35_04f3);
        let exponent = (bits as i32) >> 23;
        let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3));
        let z = (m - 1.0) / (m + 1.0);
        let s = z * z;
        let p = z * (2.0 + s * (0.666_666_7 + s * (0.4 + s * (0.285_714_3 + s * 0.222_222_2))));
        p + exponent as f32 * std::f32::consts::LN_2
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    /// Abramowitz and Stegun, formula 7.1.26; `shaders/shared/activation.wgsl` has the same.
    #[inline(always)]
    fn erf(self) -> Self {
        let a = self.abs();
        let t = 1.0 / (1.0 + 0.327_591_1 * a);
        let p = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
        (1.0 - p * Real::exp(-(a * a))).copysign(self)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        f32::max(self, other)
    }
    fn singles(all: &[Self]) -> Option<&[f32]> {
        Some(all)
    }
    fn singles_mut(all: &mut [Self]) -> Option<&mut [f32]> {
        Some(all)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn max(self, other: Self) -> Self {
        f64::max(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_ln_and_erf_are_accurate() {
        for i in -8_000..8_000 {
            let x = i as f32 * 0.01;
            let (found, expected) = (f64::from(Real::exp(x)), f64::from(x).exp());
            assert!((found / expected - 1.0).abs() < 4e-7, "exp({x}) = {found}, expected {expected}");
            let y = i as f32 * 0.001;
            let z = (i as f32 * 0.0101).exp2().clamp(1e-30, 1e30);
            let (found, expected) = (f64::from(Real::ln(z)), f64::from(z).ln());
            assert!(
                (found - expected).abs() < 3e-7 * expected.abs().max(1.0),
                "ln({z}) = {found}, expected {expected}"
            );
            let (found, expected) = (f64::from(Real::erf(y)), libm::erf(f64::from(y)));
            assert!((found - expected).abs() < 5e-7, "erf({y}) = {found}, expected {expected}");
        }
    }
}
