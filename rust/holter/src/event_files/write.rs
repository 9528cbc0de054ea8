//! Points as records of event files, exactly: [`EventReader`](super::EventReader) returns every value bit for bit,
//! except the payloads of NaNs.
//!
//! Each value is a `simple_value`, the float32 that every reader of event files supports. If that is not exact, the
//! float64 follows in the field [`EXACT_VALUE`]. TensorBoard's own form of a float64, a tensor, is not an
//! alternative: its data server does not show such scalars (0.7.2).

use super::framing::Encoder;
use super::message::EXACT_VALUE;

/// The bytes of the field `simple_value`.
const SIMPLE_VALUE_BYTES: usize = 5;
/// The bytes of the field [`EXACT_VALUE`].
const EXACT_VALUE_BYTES: usize = 11;

/// The first record of a file, created at `wall_time` in seconds since the Unix epoch.
pub fn file_header(wall_time: f64) -> Vec<u8> {
    let mut file = Encoder::with_capacity(64);
    file.push(|event| {
        push_double(event, 1, wall_time);
        push_bytes(event, 3, b"brain.Event:2");
    });
    file.finish()
}

/// The points `(step, value, wall time in seconds)` of the series `name` as records, in their order.
pub fn encode_events(name: &str, points: impl ExactSizeIterator<Item = (i64, f64, f64)>) -> Vec<u8> {
    let rounded_summary = summary_up_to_value(name, SIMPLE_VALUE_BYTES);
    let exact_summary = summary_up_to_value(name, SIMPLE_VALUE_BYTES + EXACT_VALUE_BYTES);
    let mut file = Encoder::with_capacity(points.len() * (exact_summary.len() + 48));
    for (step, value, wall_time) in points {
        let rounded = value as f32;
        let is_exact = f64::from(rounded) == value || value.is_nan();
        file.push(|event| {
            push_double(event, 1, wall_time);
            push_varint(event, 2 << 3);
            push_varint(event, step as u64);
            event.extend_from_slice(if is_exact { &rounded_summary } else { &exact_summary });
            event.extend_from_slice(&rounded.to_le_bytes());
            if !is_exact {
                push_double(event, EXACT_VALUE, value);
            }
        });
    }
    file.finish()
}

/// The field `summary` of an event, up to the float32 of a value of `value_bytes` bytes.
fn summary_up_to_value(name: &str, value_bytes: usize) -> Vec<u8> {
    let mut tag = Vec::new();
    push_bytes(&mut tag, 1, name.as_bytes());
    let mut value = vec![1 << 3 | 2];
    push_varint(&mut value, (tag.len() + value_bytes) as u64);
    value.extend(tag);
    let mut summary = vec![5 << 3 | 2];
    push_varint(&mut summary, (value.len() + value_bytes) as u64);
    summary.extend(value);
    summary.push(2 << 3 | 5);
    summary
}

fn push_double(message: &mut Vec<u8>, field: u64, value: f64) {
    push_varint(message, field << 3 | 1);
    message.extend_from_slice(&value.to_le_bytes());
}

fn push_bytes(message: &mut Vec<u8>, field: u64, content: &[u8]) {
    push_varint(message, field << 3 | 2);
    push_varint(message, content.len() as u64);
    message.extend_from_slice(content);
}

#[inline]
fn push_varint(message: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        message.push(value as u8 | 128);
        value >>= 7;
    }
    message.push(value as u8);
}
