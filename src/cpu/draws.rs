//! Random numbers for a row at a time.

use crate::ops::Draws;

/// Counters that are hashed side by side: two or four vectors.
const QUADS: usize = 32;

/// `x = f(x, bits)` for the elements `start..` of a part's tensor and their random numbers, which are those of
/// [`Draws::element`]. For loops inside [`super::parallel::vectorize`]; `f` must be marked `#[inline(always)]`.
#[inline(always)]
pub fn map<R: Copy>(draws: Draws, start: usize, x: &mut [R], f: impl Fn(R, u32) -> R) {
    let counter = draws.counter(start);
    let (mut skip, mut quad) = ((counter % 4) as usize, counter / 4);
    let mut rest = x;
    while !rest.is_empty() {
        let mut bits = [0; 4 * QUADS];
        for (i, four) in bits.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *four = draws.quad(quad + i as u32);
        }
        let (now, later) = rest.split_at_mut((bits.len() - skip).min(rest.len()));
        for (x, &bits) in now.iter_mut().zip(&bits[skip..]) {
            *x = f(*x, bits);
        }
        (rest, skip, quad) = (later, 0, quad + QUADS as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::StepState;

    #[test]
    fn every_element_gets_its_own_number() {
        // The last part's counters go round within it.
        for part in [0, 3, u32::MAX] {
            let draws = Draws::new(&StepState { seed: [3, 4], step: 5, part, ..StepState::default() }, 6, 137);
            for (start, len) in [(0, 1), (1, 2), (3, 300), (130, 128), (7, 125), (2, 0)] {
                let mut x = vec![0u32; len];
                map(draws, start, &mut x, |old, bits| old + bits);
                let expected: Vec<u32> = (start..start + len).map(|i| draws.element(i)).collect();
                assert_eq!(x, expected, "{len} from {start} of part {part}");
            }
        }
    }
}
