//! Correlations.

/// Pearson's correlation of two lists of the same length; NaN where one of them does not vary, or of fewer than two.
///
/// ```
/// use leyden::task::score::pearson;
///
/// let r = pearson(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]);
/// assert!((r - 0.8).abs() < 1e-12);
/// assert!(pearson(&[1.0, 2.0], &[5.0, 5.0]).is_nan());
/// ```
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len());
    let varies = |values: &[f64]| values[..n].iter().any(|value| *value != values[0]);
    if n < 2 || !varies(x) || !varies(y) {
        return f64::NAN;
    }
    let mean = |values: &[f64]| values[..n].iter().sum::<f64>() / n as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut of_x, mut of_y, mut both) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mean_x, b - mean_y);
        (of_x, of_y, both) = (of_x + a * a, of_y + b * b, both + a * b);
    }
    // Rounding may lead a little beyond.
    (both / (of_x * of_y).sqrt()).clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, ties having the mean of theirs; NaN as [`pearson`].
///
/// ```
/// use leyden::task::score::spearman;
///
/// assert_eq!(spearman(&[1.0, 2.0, 3.0], &[1.0, 8.0, 27.0]), 1.0);
/// ```
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    // A rank of what is no number would be made up.
    if x.iter().chain(y).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 1, ties averaged.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (ties.len() + 1) as f64 / 2.0;
        ties.iter().for_each(|&at| ranks[at] = rank);
        before += ties.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::super::{assert_close, golden};
    use super::*;

    #[test]
    fn correlations_are_those_of_scipy() {
        for case in golden("numbers") {
            let list = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).unwrap() };
            let (x, y, name) = (list("x"), list("y"), case["name"].as_str().unwrap());
            // Far from 0 only so many digits are left.
            let rounded = |value: f64| if name == "far from 0" { (value * 1e9).round() / 1e9 } else { value };
            let expected = |part: &str| case[part].as_f64().map(rounded).into();
            assert_close(rounded(pearson(&x, &y)), &expected("pearson"), name);
            assert_close(rounded(spearman(&x, &y)), &expected("spearman"), name);
        }
    }

    #[test]
    fn nothing_correlates_with_nothing() {
        assert!(pearson(&[], &[]).is_nan() && spearman(&[1.0], &[1.0]).is_nan());
        assert!(pearson(&[1.0, f64::NAN], &[1.0, 2.0]).is_nan() && spearman(&[1.0, f64::NAN], &[1.0, 2.0]).is_nan());
        assert_eq!(ranks(&[3.0, -1.0, 3.0, 0.0, -0.0]), [4.5, 1.0, 4.5, 2.5, 2.5]);
    }
}
