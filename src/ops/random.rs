//! Counter-based random numbers: the same on the CPU and in `shaders/shared/random.wgsl`.
//!
//! The generator is PCG4D of Jarzynski and Olano, "Hash Functions for GPU Rendering" (JCGT 2020). Four numbers come
//! from (seed, step, stream, element / 4); a stream belongs to one op, so nothing is ever drawn twice.

use super::StepState;

/// The numbers of one op in one step.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u32,
    step: u32,
    stream: u32,
}

impl Draws {
    /// The numbers of `stream` in the step of `state`.
    pub fn new(state: &StepState, stream: u32) -> Self {
        Self { seed: state.seed[0], step: state.step, stream: stream ^ state.seed[1] }
    }

    /// Numbers of elements `4 * quad .. 4 * quad + 4`.
    #[inline(always)]
    pub fn quad(self, quad: u32) -> [u32; 4] {
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

    /// The number of one element.
    #[inline(always)]
    pub fn element(self, element: u32) -> u32 {
        self.quad(element / 4)[(element % 4) as usize]
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
        let (a, b) = (Draws::new(&state, 1), Draws::new(&state, 2));
        let n = 40_000;
        let (mut sum, mut square, mut cross) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let (x, y) = (f64::from(uniform(a.element(i))) - 0.5, f64::from(uniform(b.element(i))) - 0.5);
            sum += x;
            square += x * x;
            cross += x * y;
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.006, "mean {}", sum / n);
        assert!((square / n - 1.0 / 12.0).abs() < 0.002, "variance {}", square / n);
        assert!((cross / n).abs() < 0.002, "correlation {}", cross / n);
    }
}
