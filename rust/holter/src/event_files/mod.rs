//! TensorBoard's event files: `TFRecord` framing around protobuf messages, of which only the scalars matter here.
//!
//! [`EventReader`] reads the scalars of a file in batches, in bounded memory, and reports damage with its
//! offset. [`encode_events`] encodes points as records; a file is [`file_header`] followed by such records.
//!
//! Formats: `tensorboard/compat/proto/{event,summary,tensor}.proto` and `tensorflow/core/lib/io/record_writer.h`.

mod framing;
mod message;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Damage, EventBatch, EventReader};
pub use write::{encode_events, file_header};
