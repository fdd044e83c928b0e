//! What kernels on trial are given, and whether two of them gave the same.

use super::Subject;
use crate::graph::{DType, TensorType};
use crate::math::{pack, unpack};

/// One in so many whole numbers of a result may differ: they are indices of the largest of numbers that are nearly equal.
pub(super) const FEW: usize = 64;

/// What an input of `subject` holds. Numbers come again after a prime number of words, so that no two rows are alike.
pub(super) fn contents(ty: &TensorType, seed: u32, subject: &Subject) -> Vec<u32> {
    const PERIOD: u32 = 65_521;
    if ty.dtype == DType::U32 {
        return vec![subject.whole; ty.words()];
    }
    let number = |i: u32| {
        // A multiplicative hash, and its high bits mixed in (as at the end of xxHash).
        let x = (i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca77);
        let x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae3d);
        (((x ^ x >> 16) >> 8) as f32 / 8_388_608.0 - 1.0) * subject.scale
    };
    let elements = if ty.dtype == DType::F16 { 2 * PERIOD } else { PERIOD };
    let some = words(ty, (0..elements).map(number).collect());
    some.iter().copied().cycle().take(ty.words()).collect()
}

/// Real numbers as a tensor's words.
pub(super) fn words(ty: &TensorType, values: Vec<f32>) -> Vec<u32> {
    match ty.dtype {
        DType::F16 => pack(&values),
        _ => values.into_iter().map(f32::to_bits).collect(),
    }
}

/// Where `found` is not `expected`, both outputs of type `ty` and perhaps a guard.
pub(super) fn difference(ty: &TensorType, expected: &[u32], found: &[u32], tolerance: f32) -> Option<String> {
    let columns = ty.columns().max(1);
    let at = |i: usize| format!("[{}, {}]", i / columns, i % columns);
    let real = |words: &[u32]| -> Vec<f32> {
        if ty.dtype == DType::F16 {
            unpack(words).collect()
        } else {
            words.iter().map(|&w| f32::from_bits(w)).collect()
        }
    };
    let beyond = |i: usize| format!("writes {} elements beyond the end of its result", i - ty.len() + 1);
    if ty.dtype == DType::U32 {
        let mut wrong = (0..expected.len()).filter(|&i| expected.get(i) != found.get(i));
        if let Some(last) = wrong.clone().next_back().filter(|&i| i >= ty.len()) {
            return Some(beyond(last));
        }
        let count = wrong.clone().count();
        return wrong
            .next()
            .filter(|_| count > ty.len() / FEW)
            .map(|i| format!("gives {:?} at {} where the base kernel gives {}", found.get(i), at(i), expected[i]));
    }
    let (expected, found) = (real(expected), real(found));
    if let Some(last) = (ty.len()..expected.len()).rev().find(|&i| expected[i].to_bits() != found[i].to_bits()) {
        return Some(beyond(last));
    }
    let (expected, found) = (&expected[..ty.len()], &found[..ty.len()]);
    let squares: f64 = expected.iter().map(|&b| f64::from(b) * f64::from(b)).sum();
    let usual = (squares / ty.len().max(1) as f64).sqrt() as f32;
    let half = if ty.dtype == DType::F16 { 1.0 / 1024.0 } else { 0.0 };
    // Not a number is not within any bound.
    let near =
        |a: f32, b: f32| a == b || usual.is_finite() && (a - b).abs() <= tolerance * (b.abs() + usual) + half * b.abs();
    let differs = |i: &usize| found[*i].to_bits() != expected[*i].to_bits() && !near(found[*i], expected[*i]);
    let wrong = (0..ty.len()).find(differs)?;
    Some(format!("gives {} at {} where the base kernel gives {}", found[wrong], at(wrong), expected[wrong]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_rounding_agrees() {
        let (ty, half) = (TensorType::f32(&[2, 2]), TensorType::f16(&[2, 2]));
        let bits = |values: [f32; 4]| values.map(f32::to_bits).to_vec();
        let b = [10.0, -10.0, 1e-6, 0.0];
        assert_eq!(difference(&ty, &bits(b), &bits([10.000_1, -10.0, 2e-5, -1e-5]), 1e-5), None);
        let wrong = difference(&ty, &bits(b), &bits([10.0, -10.001, 0.0, 0.0]), 1e-5).expect("too far");
        assert!(wrong.contains("[0, 1]") && wrong.contains("-10.001"), "{wrong}");
        assert!(difference(&ty, &bits(b), &bits([10.0, -10.0, f32::NAN, 0.0]), 1e-5).is_some());
        // One unit in the last place of half precision.
        assert_eq!(difference(&half, &pack(&b), &pack(&[10.008, -10.0, 0.0, 0.0]), 1e-5), None);
        assert!(difference(&half, &pack(&b), &pack(&[10.03, -10.0, 0.0, 0.0]), 1e-5).is_some());
        let ids = TensorType::u32(&[64]);
        let (same, mut other): (Vec<u32>, Vec<u32>) = ((0..64).collect(), (0..64).collect());
        other[3] = 9;
        assert_eq!(difference(&ids, &same, &other, 0.0), None);
        other[4] = 9;
        assert!(difference(&ids, &same, &other, 0.0).is_some_and(|text| text.contains("[0, 3]")));
    }
}
