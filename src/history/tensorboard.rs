//! A run's history as a TensorBoard event file.
//!
//! The file is a row of records, each its length (8 bytes), the length's checksum (4), an event, and the event's checksum
//! (4); numbers are little-endian and checksums CRC-32C, turned and shifted so that those of data that hold checksums are
//! sound (TensorFlow's `core/lib/io/record_writer.h` and `core/lib/hash/crc32c.h`). An event is a Protocol Buffers
//! message (TensorFlow's `core/util/event.proto`), of which five fields are needed here.

use super::Moment;
use crate::measure::{Measure, Measures, Plot};

/// What an event file must have in its name for TensorBoard to find it.
pub const EVENT_FILE: &str = "events.out.tfevents.leyden";

/// The bytes of an event file with every measure of `moments` as a scalar; `began` is when the run began, in seconds since
/// 1970. A main measure that is no number stays one; others that are none were not made and are left out.
pub fn events(moments: &[Moment], measures: &Measures, began: f64) -> Vec<u8> {
    let mut file = Vec::new();
    record(&mut file, &event(began, 0, &bytes_field(3, b"brain.Event:2")));
    for moment in moments {
        let value = |m: &Measure| match moment.get(&m.name) {
            None if m.plot == Plot::Main => Some(f64::NAN),
            found => found.filter(|x| m.plot == Plot::Main || !x.is_nan()),
        };
        let values: Vec<u8> = measures.all().filter_map(|m| Some(scalar(&m.tag, value(m)?))).flatten().collect();
        record(&mut file, &event(began + moment.seconds, moment.step, &bytes_field(5, &values)));
    }
    file
}

fn record(file: &mut Vec<u8>, data: &[u8]) {
    let masked = |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length));
    file.extend(data);
    file.extend(masked(data));
}

/// An event: wall_time = 1, step = 2, and `what` it is about: file_version = 3 or summary = 5.
fn event(wall_time: f64, step: u64, what: &[u8]) -> Vec<u8> {
    // A field's key is its number and, in the low three bits, how it is written: 0 varint, 1 eight bytes, 2 length and
    // bytes, 5 four bytes.
    let mut message = vec![1 << 3 | 1];
    message.extend(wall_time.to_le_bytes());
    message.push(2 << 3);
    varint(&mut message, step);
    message.extend(what);
    message
}

/// One value of a summary (1): tag = 1, simple_value = 2.
fn scalar(tag: &str, value: f64) -> Vec<u8> {
    let mut message = bytes_field(1, tag.as_bytes());
    message.push(2 << 3 | 5);
    message.extend((value as f32).to_le_bytes());
    bytes_field(1, &message)
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    varint(&mut field, bytes.len() as u64);
    field.extend(bytes);
    field
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Values;

    /// The records' data; panics where a checksum is wrong.
    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let check = |bytes: &[u8], sum: &[u8]| {
            let masked = u32::from_le_bytes(sum.try_into().unwrap()).wrapping_sub(0xa282_ead8);
            assert_eq!(masked.rotate_left(15), crc32c::crc32c(bytes));
        };
        while !file.is_empty() {
            let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            check(&file[..8], &file[8..12]);
            let data = &file[12..12 + length];
            check(data, &file[12 + length..16 + length]);
            found.push(data.to_vec());
            file = &file[16 + length..];
        }
        found
    }

    #[test]
    fn bytes_are_those_that_tensorboard_reads() {
        let main = |name| Measure { plot: Plot::Main, ..Measure::new(name, name, "") };
        let hits = Measure { tag: "share/hits".into(), ..Measure::new("hits", "Hits", "") };
        let measures = Measures::new([main("loss"), main("other"), hits, Measure::new("misses", "Misses", "")]);
        let values = Values::from([("hits", 0.75), ("loss", 1.5), ("misses", f64::NAN)]);
        let moment = Moment { step: 300, seconds: 2.0, learning_rate: 0.5, values, ..Moment::default() };
        let found = records(&events(&[moment], &measures, 1e9));
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        let mut expected = vec![0x09];
        expected.extend(1_000_000_002f64.to_le_bytes());
        expected.extend([0x10, 0xac, 0x02]);
        let mut values = Vec::new();
        let all = [("loss", 1.5f32), ("other", f32::NAN), ("share/hits", 0.75), ("optimizer/learning_rate", 0.5)];
        for (tag, value) in all {
            let length = tag.len() as u8;
            values.extend([0x0a, length + 7, 0x0a, length]);
            values.extend(tag.as_bytes());
            values.push(0x15);
            values.extend(value.to_le_bytes());
        }
        expected.extend([0x2a, values.len() as u8]);
        expected.extend(values);
        assert_eq!(found[1], expected);
    }
}
