//! Results on standard output, where a reader may leave early, and numbers as people read them.

use super::Failure;
use std::io::{self, ErrorKind, Write};

/// Writes `text` to standard output at once. `false` if the reader is gone (`leyden devices | head -1`), which is no
/// failure but the end.
pub(crate) fn print(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Work(format!("cannot write to standard output: {error}"))),
    }
}

/// JSON as one document over several lines.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n")).map(drop)
}

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
}
