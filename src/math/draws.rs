//! Counter-based random numbers: the same on the CPU and in `shaders/shared/random.wgsl`.
//!
//! The generator is PCG4D of Jarzynski and Olano, "Hash Functions for GPU Rendering" (JCGT 2020). Four numbers come
//! from (seed, step, stream, element / 4); a stream belongs to one op, so nothing is drawn twice. Elements are counted
//! modulo 2^32 within a step's whole batch: a part of it draws what the whole would have drawn there.

/// Counters that are hashed side by side: two or four vectors.
const QUADS: usize = 32;

/// The numbers of one op in one part of a step.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u32,
    step: u32,
    stream: u32,
    first: u32,
}

impl Draws {
    /// The numbers of `stream` in `step` of the run of `seed`, where the part's first element is number `first` of the whole
    /// batch.
    pub fn new(seed: [u32; 2], step: u32, stream: u32, first: u32) -> Self {
        Self { seed: seed[0], step, stream: stream ^ seed[1], first }
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

    /// `x = f(x, bits)` for the elements `start..` of a part's tensor and their random numbers, which are those of
    /// [`Draws::element`]. For loops inside [`super::parallel::vectorize`]; `f` must be marked `#[inline(always)]`.
    #[inline(always)]
    pub fn map<R: Copy>(self, start: usize, x: &mut [R], f: impl Fn(R, u32) -> R) {
        let counter = self.counter(start);
        let (mut skip, mut quad) = ((counter % 4) as usize, counter / 4);
        let mut rest = x;
        while !rest.is_empty() {
            let mut bits = [0; 4 * QUADS];
            for (i, four) in bits.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *four = self.quad(quad + i as u32);
            }
            let (now, later) = rest.split_at_mut((bits.len() - skip).min(rest.len()));
            for (x, &bits) in now.iter_mut().zip(&bits[skip..]) {
                *x = f(*x, bits);
            }
            (rest, skip, quad) = (later, 0, quad + QUADS as u32);
        }
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
        let n = 40_000;
        let (a, b) = (Draws::new([7, 0], 3, 1, 0), Draws::new([7, 0], 3, 2, 0));
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
    fn every_element_gets_its_own_number() {
        // The last one's counters go round.
        for first in [0, 3 * 137, 137u32.wrapping_neg()] {
            let draws = Draws::new([3, 4], 5, 6, first);
            for (start, len) in [(0, 1), (1, 2), (3, 300), (130, 128), (7, 125), (2, 0)] {
                let mut x = vec![0u32; len];
                draws.map(start, &mut x, |old, bits| old + bits);
                let expected: Vec<u32> = (start..start + len).map(|i| draws.element(i)).collect();
                assert_eq!(x, expected, "{len} from {start} after {first}");
            }
        }
    }
}
