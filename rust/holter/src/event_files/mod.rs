//! TensorBoard's event files: TFRecord framing around protobuf messages, of which only the scalars matter here.
//!
//! [`EventReader`] reads the scalars of a file in batches, in bounded memory, and reports damage with its
//! offset. [`encode_events`] encodes points as records; a file is [`file_header`] followed by such records.
//!
//! ```
//! use std::io::Cursor;
//!
//! use holter::event_files::{EventReader, encode_events, file_header};
//!
//! let mut file = file_header(1.7e9);
//! file.extend(encode_events("loss", [(1, 0.5, 1.7e9), (2, 1.0 / 3.0, 1.7e9)].into_iter()));
//!
//! let size = file.len() as u64;
//! let mut reader = EventReader::new(Cursor::new(file), size);
//! while let Some(batch) = reader.next_batch()? {
//!     assert_eq!(batch.names, ["loss"]);
//!     assert_eq!(batch.values, [0.5, 1.0 / 3.0]);
//!     assert!(batch.damage.is_empty());
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
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
