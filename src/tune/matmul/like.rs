//! What multiplications that are like one another tell of each other's kernels.

use super::Task;
use crate::op::{MatmulFamily, MatmulKernel, MatmulShape};
use crate::tune::MatmulChoice;

/// How much slower than the best one of a like multiplication a candidate may have been there to be tried.
const PROMISING: f64 = 1.5;
/// How many times as large a side of a multiplication that is like another may be.
const LIKE: usize = 4;

/// The kernels to try for a task: its base, and of the others those that were good for the multiplications like it among the
/// `known`, or were not tried there; the best first.
pub(super) fn promising(task: &Task, known: &[MatmulChoice], given_up: &[MatmulFamily]) -> Vec<MatmulKernel> {
    let mut kernels: Vec<MatmulKernel> = task.candidates.clone();
    let base = kernels[0];
    kernels.retain(|kernel| *kernel == base || !given_up.contains(&kernel.family));
    let mut alike: Vec<(f64, &MatmulChoice)> =
        known.iter().filter_map(|choice| Some((distance(&task.shape, &choice.shape)?, choice))).collect();
    alike.sort_by(|a, b| a.0.total_cmp(&b.0));
    // How many times as long as the best one it took, for the multiplication most like this for which it was tried.
    let behind = |kernel: &MatmulKernel| {
        alike.iter().find_map(|(_, choice)| {
            // In how many slices k is worked through depends on the sizes.
            let same = choice.tried.iter().filter(|tried| tried.kernel.split(1) == kernel.split(1));
            let seconds = same.map(|tried| tried.seconds).min_by(f64::total_cmp)?;
            Some(seconds / choice.tried.iter().map(|tried| tried.seconds).fold(f64::INFINITY, f64::min))
        })
    };
    kernels.retain(|kernel| *kernel == base || behind(kernel).is_none_or(|behind| behind <= PROMISING));
    kernels[1..].sort_by(|a, b| {
        let [a, b] = [a, b].map(|kernel| behind(kernel).unwrap_or(f64::INFINITY));
        a.total_cmp(&b)
    });
    kernels
}

/// How unlike two multiplications of the same layout and element types are, in doublings of their sides; none where they are no
/// more alike than any two.
fn distance(a: &MatmulShape, b: &MatmulShape) -> Option<f64> {
    let kind = |s: &MatmulShape| (s.transpose_a, s.transpose_b, s.elements, s.aligned);
    let sides = [(a.m, b.m), (a.n, b.n), (a.k, b.k)];
    let near = sides.iter().all(|&(a, b)| a.max(b) <= LIKE * a.min(b));
    let doublings = |(a, b): &(usize, usize)| (*a as f64 / *b as f64).log2().abs();
    (kind(a) == kind(b) && near)
        .then(|| sides.iter().map(doublings).sum::<f64>() + if a.epilogue == b.epilogue { 0.0 } else { 0.5 })
}
