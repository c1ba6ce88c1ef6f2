//! Confluent's wire format: a zero byte, the schema's registry id in four bytes big endian, then the Avro body.

use crate::reject::{Reject, RejectCode};

/// Bytes before the body.
pub const FRAME_BYTES: usize = 5;

const MAGIC: u8 = 0;

/// A schema's id in the registry: 1 to 2^31 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u32);

/// Splits a record's value into its schema id and its body.
///
/// # Errors
/// `Empty`, `BadMagic`, `FrameTruncated`, or `SchemaUnknown` for an id that no registry gives.
pub fn unframe(value: &[u8]) -> Result<(SchemaId, &[u8]), Reject> {
    match value {
        [] => Err(Reject::new(RejectCode::Empty, "the record has no value")),
        [MAGIC, a, b, c, d, body @ ..] => {
            let id = i32::from_be_bytes([*a, *b, *c, *d]);
            let known = u32::try_from(id).ok().filter(|id| *id > 0);
            let known = known.ok_or_else(|| {
                Reject::new(RejectCode::SchemaUnknown, format!("{id} is not a schema id: ids start at 1"))
            })?;
            Ok((SchemaId(known), body))
        }
        [MAGIC, rest @ ..] => {
            let detail = format!("{} bytes, a frame has at least {FRAME_BYTES}", rest.len() + 1);
            Err(Reject::new(RejectCode::FrameTruncated, detail))
        }
        [other, ..] => {
            Err(Reject::new(RejectCode::BadMagic, format!("the first byte is {other}, not the magic byte 0")))
        }
    }
}

/// Writes the frame of a schema id; the body follows.
pub fn frame(id: SchemaId, out: &mut Vec<u8>) {
    out.push(MAGIC);
    out.extend_from_slice(&id.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(value: &[u8]) -> RejectCode {
        unframe(value).unwrap_err().code
    }

    #[test]
    fn frames_come_back_and_nothing_else_passes() {
        let mut out = Vec::new();
        frame(SchemaId(0x0102_0304), &mut out);
        out.extend_from_slice(b"body");
        assert_eq!(unframe(&out), Ok((SchemaId(0x0102_0304), &b"body"[..])));
        assert_eq!(unframe(&[0, 0, 0, 0, 1]), Ok((SchemaId(1), &[][..])));
        assert_eq!(code(&[]), RejectCode::Empty);
        for cut in 1..FRAME_BYTES {
            assert_eq!(code(&out[..cut]), RejectCode::FrameTruncated);
        }
        assert_eq!(code(&[1, 0, 0, 0, 1, 0]), RejectCode::BadMagic);
        assert_eq!(code(b"{\"a\":1}"), RejectCode::BadMagic);
        assert_eq!(code(&[0, 0, 0, 0, 0, 1]), RejectCode::SchemaUnknown);
        assert_eq!(code(&[0, 0xff, 0xff, 0xff, 0xff, 1]), RejectCode::SchemaUnknown);
    }
}
