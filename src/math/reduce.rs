//! Reductions of a row in lanes, so that they are vectorised: a loop with one running value waits for every addition.

use super::Real;

const LANES: usize = 32;

/// The largest element; the first one, or the lowest number there is, where nothing is larger (NaN never is).
#[inline(always)]
pub fn most<R: Real>(row: &[R]) -> R {
    let first = row.first().copied().unwrap_or(R::of(f64::from(f32::MIN)));
    let mut lanes = [first; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let mut most = first;
    for &x in lanes.iter().chain(rest) {
        most = if x > most { x } else { most };
    }
    most
}

/// Sum of `f` over a row in eight lanes, so that it is vectorised.
#[inline(always)]
pub fn sum<R: Real>(row: &[R], f: impl Fn(R) -> R) -> R {
    sum2(row, row, |x, _| f(x))
}

/// As [`sum`] over pairs.
#[inline(always)]
pub fn sum2<R: Real>(a: &[R], b: &[R], f: impl Fn(R, R) -> R) -> R {
    let mut lanes = [R::ZERO; 8];
    let (x, y) = (a.chunks_exact(8), b.chunks_exact(8));
    let mut total: R = x.remainder().iter().zip(y.remainder()).map(|(&x, &y)| f(x, y)).sum();
    for (x, y) in x.zip(y) {
        for i in 0..8 {
            lanes[i] += f(x[i], y[i]);
        }
    }
    for lane in lanes {
        total += lane;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::most;

    #[test]
    fn finds_the_largest_wherever_it_is() {
        for len in [1, 31, 32, 33, 100] {
            for at in 0..len {
                let row: Vec<f32> = (0..len).map(|i| if i == at { 2.0 } else { -(i as f32) }).collect();
                assert_eq!(most(&row), 2.0, "{at} of {len}");
            }
        }
        assert_eq!(most(&[1.0, f32::NAN, 3.0]), 3.0);
    }
}
