//! Renders a template and its values into a checked key, with no allocation but the key's own.

use std::fmt::{self, Write};

use crate::Error;
use crate::key::{Key, MAX_LEN};
use crate::template::Values;

const TOO_LONG: &str = "it is longer than 1 KiB; lock an id or a digest of the long value instead";
const EMPTY_VALUE: &str = "a placeholder's value is empty, which is nearly always a missing id; check the value before the call";
const FAILED: &str =
    "the `Display` of one of its values returned an error; lock a value that can be written";

/// Returns the key for a template with its values.
///
/// # Errors
///
/// [`Error::InvalidKey`] when the key is longer than 1 KiB, or when a value is empty or cannot be written.
pub fn key(values: &Values, template: fmt::Arguments<'_>) -> Result<Key, Error> {
    let mut sink = Sink::new(values);
    let written = sink.write_fmt(template);
    sink.finish(written)
}

/// A buffer as long as the longest key: writing stops at its end, however long the values are.
struct Sink<'a> {
    values: &'a Values,
    bytes: [u8; MAX_LEN],
    len: usize,
    full: bool,
}

impl<'a> Sink<'a> {
    fn new(values: &'a Values) -> Self {
        Self {
            values,
            bytes: [0; MAX_LEN],
            len: 0,
            full: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> fmt::Result {
        let end = self.len + bytes.len();
        let Some(room) = self.bytes.get_mut(self.len..end) else {
            self.full = true;
            return Err(fmt::Error);
        };
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn push_encoded(&mut self, byte: u8) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let safe = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if safe && !self.values.separators.as_bytes().contains(&byte) {
            self.push(&[byte])
        } else {
            self.push(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 0xF)],
            ])
        }
    }

    fn finish(self, written: fmt::Result) -> Result<Key, Error> {
        let bytes = &self.bytes[..self.len];
        let text = str::from_utf8(bytes).expect("only whole strings and ASCII were pushed");
        // Even if a `Display` ignores the sink's error, no shortened key comes out.
        if self.full {
            Err(Key::invalid(text, TOO_LONG))
        } else if written.is_err() {
            Err(Key::invalid(text, FAILED))
        } else if self.values.empty.get() {
            Err(Key::invalid(text, EMPTY_VALUE))
        } else {
            Key::new(text)
        }
    }
}

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !self.values.writing.get() {
            return self.push(text.as_bytes());
        }
        if !text.is_empty() {
            self.values.wrote.set(true);
        }
        text.bytes().try_for_each(|byte| self.push_encoded(byte))
    }
}
