//! Curves: smoothing them, and leaving out what a picture cannot show.

/// A place on a curve: x, y.
pub type Point = (f64, f64);

/// The weight of what was before for a curve of `count` points: the average reaches back over about a third of their
/// square root, so that noise shrinks in a long run and the average of a steep fall does not lag far behind it.
pub fn smoothing_for(count: usize) -> f64 {
    1.0 - 1.0 / ((count as f64).sqrt() / 3.0).max(1.0)
}

/// The exponential moving average of `points`: each counts `1 - weight`, those before it `weight` times as much as a
/// point earlier. Divided by the weights' sum, so that it does not start at 0 (the correction of Kingma and Ba 2014, section 3).
///
/// A value that is no number stays one in the result and does not enter the average.
pub fn smooth(points: &[Point], weight: f64) -> Vec<Point> {
    let (mut average, mut total) = (0.0, 0.0);
    let mut step = |y: f64| {
        if !y.is_finite() {
            return y;
        }
        average = weight * average + (1.0 - weight) * y;
        total = weight * total + (1.0 - weight);
        average / total
    };
    points.iter().map(|&(x, y)| (x, step(y))).collect()
}

/// A curve cut where it is no number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// Stretches of finite points in order.
    pub pieces: Vec<Vec<Point>>,
    /// Where it is no number.
    pub gaps: Vec<f64>,
}

/// Thins `points`, which are in order of x, to what `columns` pixel columns between `from` and `to` can show: of each
/// column the first, the lowest, the highest and the last point, so that the lines drawn are the same (Jugel et al. 2014,
/// "M4: a visualization-oriented time series data aggregation"). At most one gap a column.
pub fn thin(points: &[Point], from: f64, to: f64, columns: usize) -> Split {
    let scale = if to > from { columns as f64 / (to - from) } else { 0.0 };
    let column = |x: f64| ((x - from) * scale).floor();
    let mut out = Split::default();
    for whole in points.chunk_by(|a, b| a.1.is_finite() == b.1.is_finite()) {
        if !whole[0].1.is_finite() {
            let columns = whole.chunk_by(|a, b| column(a.0) == column(b.0));
            out.gaps.extend(columns.map(|c| c[0].0));
            continue;
        }
        let mut piece = Vec::new();
        for points in whole.chunk_by(|a, b| column(a.0) == column(b.0)) {
            keep(points, &mut piece);
        }
        out.pieces.push(piece);
    }
    out.gaps.dedup_by(|a, b| column(*a) == column(*b));
    out
}

/// The first, lowest, highest and last of a column's points, each once and in order.
fn keep(points: &[Point], to: &mut Vec<Point>) {
    let last = points.len() - 1;
    let (mut low, mut high) = (0, 0);
    for (i, point) in points.iter().enumerate() {
        if point.1 < points[low].1 {
            low = i;
        }
        if point.1 > points[high].1 {
            high = i;
        }
    }
    let mut kept = [0, low.min(high), low.max(high), last].to_vec();
    kept.dedup();
    to.extend(kept.into_iter().map(|i| points[i]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn smoothing_starts_at_the_curve_and_skips_what_is_no_number() {
        let points = [(0.0, 4.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 2.0)];
        let smoothed = smooth(&points, 0.5);
        assert_eq!(smoothed[0], (0.0, 4.0));
        assert!((smoothed[1].1 - 8.0 / 3.0).abs() < 1e-12, "{smoothed:?}");
        assert!(smoothed[2].1.is_nan());
        assert!((smoothed[3].1 - 16.0 / 7.0).abs() < 1e-12, "{smoothed:?}");
        assert_eq!(smooth(&points[..2], 0.0), points[..2]);
        assert_eq!((smoothing_for(9), smoothing_for(900)), (0.0, 0.9));
    }

    #[test]
    fn a_column_keeps_its_ends_and_extremes() {
        let points: Vec<Point> = [5.0, 9.0, 7.0, 1.0, 6.0].iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
        let thinned = thin(&points, 0.0, 100.0, 1);
        assert_eq!(thinned.pieces, [[(0.0, 5.0), (1.0, 9.0), (3.0, 1.0), (4.0, 6.0)]]);
        let one = thin(&points[..1], 0.0, 0.0, 10);
        assert_eq!(one.pieces, [[(0.0, 5.0)]]);
    }

    #[test]
    fn gaps_break_the_curve_and_are_kept() {
        let nan = f64::NAN;
        let points: Vec<Point> =
            [1.0, nan, f64::INFINITY, 2.0, nan, 3.0].iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
        let thinned = thin(&points, 0.0, 6.0, 6);
        assert_eq!(thinned.pieces, [[(0.0, 1.0)], [(3.0, 2.0)], [(5.0, 3.0)]]);
        assert_eq!(thinned.gaps, [1.0, 2.0, 4.0]);
        assert_eq!(thin(&points, 0.0, 6.0, 1).gaps, [1.0]);
    }

    proptest! {
        #[test]
        fn few_points_with_the_same_extremes(ys in prop::collection::vec(-9.0..9.0f64, 1..3000), columns in 1usize..40) {
            let points: Vec<Point> = ys.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
            let thinned = thin(&points, 0.0, points.len() as f64, columns);
            prop_assert_eq!(thinned.pieces.len(), 1);
            let kept = &thinned.pieces[0];
            prop_assert!(kept.len() <= 4 * (columns + 1));
            prop_assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
            let range = |points: &[Point]| {
                points.iter().fold((f64::MAX, f64::MIN), |r, p| (r.0.min(p.1), r.1.max(p.1)))
            };
            prop_assert_eq!(range(kept), range(&points));
        }
    }
}
