//! How far numbers lie apart, and how sure their mean is.

/// Mean and standard deviation of a few numbers; the deviation is NaN of one.
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { f64::NAN })
}

/// Half the width of the 95 % interval of the mean of a few numbers by Student's t; NaN of one.
pub fn half_interval(values: &[f64]) -> f64 {
    let (_, deviation) = mean_and_deviation(values);
    student(values.len().saturating_sub(1)) * deviation / (values.len() as f64).sqrt()
}

/// Student's t below which 97.5 % lie, with so many degrees of freedom.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    match freedom {
        0 => f64::NAN,
        n if n <= TABLE.len() => TABLE[n - 1],
        // The first terms of Cornish and Fisher's expansion: right to a thousandth here.
        n => 1.96 + 2.3722 / n as f64 + 2.8225 / (n * n) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers() {
        let (mean, deviation) = mean_and_deviation(&[2.0, 4.0, 9.0]);
        assert!((mean - 5.0).abs() < 1e-12 && (deviation - 13f64.sqrt()).abs() < 1e-12);
        // scipy.stats.t.interval(.95, 2, 5, sem([2, 4, 9])) is 5 +- 8.9566.
        assert!((half_interval(&[2.0, 4.0, 9.0]) - 8.9566).abs() < 1e-3);
        assert!(mean_and_deviation(&[1.0]).1.is_nan() && half_interval(&[1.0]).is_nan());
        // scipy.stats.t.ppf(.975, 40) and 120.
        assert!((student(40) - 2.0211).abs() < 1e-3 && (student(120) - 1.9799).abs() < 1e-3);
    }
}
