//! Counter-based random numbers: the same on the CPU and in `shaders/shared/random.wgsl`.
//!
//! The generator is PCG4D of Jarzynski and Olano, "Hash Functions for GPU Rendering" (JCGT 2020). Four numbers come
//! from (seed, step, stream, element / 4); a stream belongs to one op, so nothing is drawn twice. Elements are counted
//! modulo 2^32 within a step's whole batch: a part of it draws what the whole would have drawn there.

use super::StepState;

/// The numbers of one op in one part of a step.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u32,
    step: u32,
    stream: u32,
    first: u32,
}

impl Draws {
    /// The numbers of `stream` in the step of `state` for a tensor of `count` elements, the batch first among its
    /// dimensions.
    pub fn new(state: &StepState, stream: u32, count: usize) -> Self {
        let first = state.part.wrapping_mul(count as u32);
        Self { seed: state.seed[0], step: state.step, stream: stream ^ state.seed[1], first }
    }

    /// The number in the whole batch of element `element` of this part.
    #[inline(always)]
    pub fn counter(self, element: usize) -> u32 {
        self.first.wrapping_add(element as u32)
    }

    /// Numbers of the whole batch's elements `4 * quad .. 4 * quad + 4`.
    #[inline(always)]
    pub fn quad(self, quad: u32) -> [u32; 4] {
        let quad = quad & (u32::MAX / 4);
        let mul = |a: u32| a.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (mut x, mut y, mut z, mut w) = (mul(self.seed), mul(self.step), mul(self.stream), mul(quad));
        x = x.wrapping_add(y.wrapping_mul(w));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        w = w.wrapping_add(y.wrapping_mul(z));
        x ^= x >> 16;
        y ^= y >> 16;
        z ^= z >> 16;
        w ^= w >> 16;
        x = x.wrapping_add(y.wrapping_mul(w));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        w = w.wrapping_add(y.wrapping_mul(z));
        [x, y, z, w]
    }

    /// The number of one element of this part.
    #[inline(always)]
    pub fn element(self, element: usize) -> u32 {
        let counter = self.counter(element);
        self.quad(counter / 4)[(counter % 4) as usize]
    }
}

/// An element is dropped when its number is below this: probability * 2^32.
pub fn keep_threshold(probability: f32) -> u32 {
    (f64::from(probability) * 4_294_967_296.0) as u32
}

/// A number in [0, 1) with 24 random bits, exact in 32-bit floating point.
#[inline(always)]
pub fn uniform(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_uniform_and_streams_differ() {
        let state = StepState { seed: [7, 0], step: 3, ..StepState::default() };
        let n = 40_000;
        let (a, b) = (Draws::new(&state, 1, n), Draws::new(&state, 2, n));
        let (mut sum, mut square, mut cross) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let (x, y) = (f64::from(uniform(a.element(i))) - 0.5, f64::from(uniform(b.element(i))) - 0.5);
            sum += x;
            square += x * x;
            cross += x * y;
        }
        let n = n as f64;
        assert!((sum / n).abs() < 0.006, "mean {}", sum / n);
        assert!((square / n - 1.0 / 12.0).abs() < 0.002, "variance {}", square / n);
        assert!((cross / n).abs() < 0.002, "correlation {}", cross / n);
    }

    #[test]
    fn a_part_draws_what_the_whole_batch_does() {
        let at = |part, count| Draws::new(&StepState { seed: [7, 9], step: 3, part, ..StepState::default() }, 1, count);
        for part in 0..3 {
            let found: Vec<u32> = (0..7).map(|i| at(part, 7).element(i)).collect();
            let expected: Vec<u32> = (0..7).map(|i| at(0, 21).element(part as usize * 7 + i)).collect();
            assert_eq!(found, expected, "part {part}");
        }
        // Counters go round.
        assert_eq!(at(2, 1 << 31).element(5), at(0, 8).element(5));
    }
}
