//! Numbers as people read them.

/// 14196219 as `14,196,219`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something, as in `1 file` and `2,048 words`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with `digits` behind the point. What is rounded to 0 has no sign: a loss of -1e-9 is `0.000`.
pub(crate) fn fixed(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|b| b == b'0' || b == b'.') => zero.into(),
        _ => text,
    }
}

/// A text that may be of any length as a part of a message: its first `most` characters, an ellipsis for the rest.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// The middle of some measurements; NaN without any.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Bytes in the largest unit that leaves at least 1, as in `1.9 GiB`.
pub(crate) fn bytes(number: u64) -> String {
    scaled(number as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Floating-point operations, as in `1.17 TFLOP`.
pub(crate) fn flop(number: u64) -> String {
    scaled(number as f64, 1000.0, &["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"])
}

/// Three digits at most before a unit, and no zeros behind the point for round numbers.
fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be rounded to a full step belongs to the next unit.
    while number >= step - 0.5 && unit + 1 < units.len() {
        number /= step;
        unit += 1;
    }
    let digits = match number {
        n if unit == 0 || n == n.round() => 0,
        n if n < 9.995 && step == 1000.0 => 2,
        n if n < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$} {}", units[unit])
}

/// A stretch of time in its two largest units, as in `45 s`, `3 min 20 s`, `2 h 05 min`, `6 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".into();
    }
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {:02} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {:02} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let numbers = [0, 7, 999, 1_000, 14_196_219];
        assert_eq!(numbers.map(grouped), ["0", "7", "999", "1,000", "14,196,219"]);
        let sizes = [0, 1_023, 1_024, 1_536, 128 << 20, 2_040_109_466, (1 << 20) - 1];
        assert_eq!(sizes.map(bytes), ["0 B", "1023 B", "1 KiB", "1.5 KiB", "128 MiB", "1.9 GiB", "1.0 MiB"]);
        let operations = [12, 1_174_000_000_000, 71_700_000, 999_700];
        assert_eq!(operations.map(flop), ["12 FLOP", "1.17 TFLOP", "71.7 MFLOP", "1.00 MFLOP"]);
    }

    #[test]
    fn nothing_has_no_sign() {
        for (number, digits, text) in [
            (-0.0, 3, "0.000"),
            (-1e-9, 4, "0.0000"),
            (-0.4, 0, "0"),
            (-0.0006, 3, "-0.001"),
            (-12.5, 1, "-12.5"),
            (7.62, 2, "7.62"),
            (f64::NEG_INFINITY, 3, "-inf"),
        ] {
            assert_eq!(fixed(number, digits), text);
        }
    }

    #[test]
    fn time_is_told_in_two_units() {
        let times = [0.4, 59.0, 60.0, 200.0, 7_500.0, 532_800.0, f64::NAN];
        assert_eq!(times.map(duration), ["0 s", "59 s", "1 min 00 s", "3 min 20 s", "2 h 05 min", "6 d 4 h", "?"]);
    }
}
