//! The scalars of an `Event` message. Unknown fields are skipped by their wire type, as protobuf requires.

use std::ops::Range;

/// Our own field of `Summary.Value`: the float64 that `simple_value` is rounded from. Other readers skip it.
pub(super) const EXACT_VALUE: u64 = 18_540;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;
const MAX_VARINT_BYTES: usize = 10;
const DT_FLOAT: u64 = 1;
const DT_DOUBLE: u64 = 2;

/// An event; reused, so that parsing rarely allocates.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// Seconds since the Unix epoch; 0 if the message has none.
    pub(super) wall_time: f64,
    /// 0 if the message has none.
    pub(super) step: i64,
    pub(super) scalars: Vec<Scalar>,
    /// What the message holds besides scalars, in the plural.
    pub(super) skipped: Vec<&'static str>,
}

/// A scalar of an event.
#[derive(Debug)]
pub(super) struct Scalar {
    /// The place of the tag in the message.
    pub(super) tag: Range<usize>,
    pub(super) value: f64,
}

/// Parses `message` into `event`.
///
/// # Errors
///
/// Why `message` is not protobuf.
pub(super) fn parse(message: &[u8], event: &mut Event) -> Result<(), String> {
    event.wall_time = 0.0;
    event.step = 0;
    event.scalars.clear();
    event.skipped.clear();
    for field in Fields::new(message, 0..message.len()) {
        let field = field?;
        match (field.number, field.wire) {
            (1, FIXED64) => event.wall_time = field.double(message),
            (2, VARINT) => event.step = field.varint as i64,
            (5, BYTES) => parse_summary(message, field.content, event)?,
            (4 | 9, _) => event.skipped.push("graphs"),
            (6, _) => event.skipped.push("log messages"),
            (7, _) => event.skipped.push("session marks"),
            (8, _) => event.skipped.push("run metadata"),
            _ => {}
        }
    }
    Ok(())
}

fn parse_summary(message: &[u8], summary: Range<usize>, event: &mut Event) -> Result<(), String> {
    for field in Fields::new(message, summary) {
        let field = field?;
        if (field.number, field.wire) == (1, BYTES) {
            parse_value(message, field.content, event)?;
        }
    }
    Ok(())
}

/// Adds a `Summary.Value`: a tag, and a scalar or content of another kind.
fn parse_value(message: &[u8], value: Range<usize>, event: &mut Event) -> Result<(), String> {
    let mut tag = 0..0;
    let mut number = Err("values without content");
    let mut exact = None;
    for field in Fields::new(message, value) {
        let field = field?;
        match (field.number, field.wire) {
            (1, BYTES) => tag = field.content,
            (2, FIXED32) => number = Ok(Number::Float(field.float(message))),
            (4, _) => number = Err("images"),
            (5, _) => number = Err("histograms"),
            (6, _) => number = Err("audio"),
            (8, BYTES) => number = parse_tensor(message, field.content)?.ok_or("tensors"),
            (8, _) => number = Err("tensors"),
            (EXACT_VALUE, FIXED64) => exact = Some(field.double(message)),
            _ => {}
        }
    }
    match number {
        Ok(Number::Float(rounded)) => event.scalars.push(Scalar { tag, value: exact.unwrap_or(rounded.into()) }),
        Ok(Number::Double(value)) => event.scalars.push(Scalar { tag, value }),
        Err(kind) => event.skipped.push(kind),
    }
    Ok(())
}

enum Number {
    Float(f32),
    Double(f64),
}

/// The only number of a `TensorProto` of float32 or float64.
fn parse_tensor(message: &[u8], tensor: Range<usize>) -> Result<Option<Number>, String> {
    let mut dtype = 0;
    let [mut content, mut float, mut double] = [const { None }; 3];
    for field in Fields::new(message, tensor) {
        let field = field?;
        let repeated = match field.number {
            1 if field.wire == VARINT => {
                dtype = field.varint;
                None
            }
            4 => content.replace(field),
            5 => float.replace(field),
            6 => double.replace(field),
            _ => None,
        };
        if repeated.is_some() {
            return Ok(None);
        }
    }
    let has_bytes = |count| move |field: &Field| field.wire != VARINT && field.content.len() == count;
    Ok(match dtype {
        DT_FLOAT => float.or(content).filter(has_bytes(4)).map(|field| Number::Float(field.float(message))),
        DT_DOUBLE => double.or(content).filter(has_bytes(8)).map(|field| Number::Double(field.double(message))),
        _ => None,
    })
}

/// A field of a message.
struct Field {
    number: u64,
    wire: u8,
    /// Where the content is in the message, without its length.
    content: Range<usize>,
    /// The value, if the content is a varint.
    varint: u64,
}

impl Field {
    /// The content as a float32; zero if it does not have 4 bytes.
    fn float(&self, message: &[u8]) -> f32 {
        message[self.content.clone()].first_chunk().map_or(0.0, |bytes| f32::from_le_bytes(*bytes))
    }

    /// The content as a float64; zero if it does not have 8 bytes.
    fn double(&self, message: &[u8]) -> f64 {
        message[self.content.clone()].first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
    }
}

/// The fields of a message that is part of another one, or an error at its end.
struct Fields<'a> {
    /// The outer message, up to the end of the inner one.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(message: &'a [u8], part: Range<usize>) -> Self {
        Self { bytes: &message[..part.end], at: part.start }
    }

    fn field(&mut self) -> Result<Field, String> {
        let key = self.varint()?;
        let (number, wire) = (key >> 3, (key & 7) as u8);
        let mut start = self.at;
        let mut varint = 0;
        let length = match wire {
            VARINT => {
                varint = self.varint()?;
                (self.at - start) as u64
            }
            FIXED64 => 8,
            FIXED32 => 4,
            BYTES => {
                let length = self.varint()?;
                start = self.at;
                length
            }
            other => return Err(format!("wire type {other} is unknown")),
        };
        if length > (self.bytes.len() - start) as u64 {
            return Err("a field extends beyond the message".to_owned());
        }
        if number == 0 {
            return Err("a field has the number 0".to_owned());
        }
        self.at = start + length as usize;
        Ok(Field { number, wire, content: start..self.at, varint })
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for (place, byte) in self.bytes[self.at..].iter().take(MAX_VARINT_BYTES).enumerate() {
            value |= u64::from(byte & 127) << (7 * place);
            if *byte < 128 {
                self.at += place + 1;
                return Ok(value);
            }
        }
        Err("a varint does not end".to_owned())
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, String>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.bytes.len()).then(|| self.field())
    }
}
