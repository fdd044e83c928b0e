//! Names beside the places they belong to, none over another.

/// Moves `wanted`, the middles of labels of one height, apart until they are `apart` from each other, and keeps them
/// between `top` and `bottom` if there is room. The order is kept; a place each.
pub(super) fn spread(wanted: &[f64], apart: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut places = wanted.to_vec();
    let mut least = top;
    for &i in &order {
        places[i] = places[i].max(least);
        least = places[i] + apart;
    }
    let mut most = bottom;
    for &i in order.iter().rev() {
        places[i] = places[i].min(most);
        most = places[i] - apart;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn labels_do_not_touch() {
        assert_eq!(spread(&[10.0, 80.0], 20.0, 0.0, 100.0), [10.0, 80.0]);
        assert_eq!(spread(&[50.0, 45.0, 52.0], 20.0, 0.0, 100.0), [65.0, 45.0, 85.0]);
        assert_eq!(spread(&[99.0, 98.0], 20.0, 0.0, 100.0), [100.0, 80.0]);
        assert!(spread(&[], 20.0, 0.0, 100.0).is_empty());
    }
}
