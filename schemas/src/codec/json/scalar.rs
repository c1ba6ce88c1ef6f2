//! Values without parts: from their JSON to the bytes of their type, exactly or not at all.

use super::bytes::{base64, characters, extended, shortest, sized, uuid};
use super::expectation::{expected, mismatch};
use super::fault::{NOT_IN_ENUM, TOO_LONG, Wrong};
use super::moment::{date, local_timestamp, time_of_day, timestamp};
use super::number::{decimal, double, float, int, long};
use super::token::{Kind, text};
use super::writer::{Form, MAX_RECORD_BYTES, Writer};
use crate::codec::tree::{Digits, Enum, Fixed, FixedKind, IntKind, LongKind, Node, TextKind};
use crate::mapping::TimeUnit;

/// Most symbols told of an enum.
const MAX_SYMBOLS: usize = 20;

impl Writer {
    /// Writes a value without parts.
    pub(super) fn scalar(&mut self, node: &Node, raw: &str) -> Result<(), Wrong> {
        match (node, Kind::of(raw)) {
            (Node::Null, Kind::Null) => {}
            (Node::Boolean, Kind::Flag) => self.out.push(u8::from(raw == "true")),
            (Node::Int(_), Kind::Number) => self.whole(int(raw)?.into()),
            (Node::Int(IntKind::Date), Kind::Text) if self.is_body() => self.whole(date(&text(raw)?)?.into()),
            (Node::Int(IntKind::TimeOfDay), Kind::Text) if self.is_body() => {
                self.whole(time_of_day(&text(raw)?, TimeUnit::Milli)?);
            }
            (Node::Long(_), Kind::Number) => self.whole(long(raw)?),
            (Node::Long(kind), Kind::Text) if *kind != LongKind::Plain && self.is_body() => {
                let time = moment(*kind, &text(raw)?)?;
                self.whole(time);
            }
            (Node::Float, Kind::Number) => self.out.extend(float(raw)?.to_le_bytes()),
            (Node::Double, Kind::Number) => self.out.extend(double(raw)?.to_le_bytes()),
            (Node::Text(kind), Kind::Text) => {
                let text = text(raw)?;
                if *kind == TextKind::Uuid && self.is_body() {
                    uuid(&text)?;
                }
                self.sequence(text.as_bytes());
            }
            (Node::Enum(of), Kind::Text) => self.symbol(of, &text(raw)?)?,
            (Node::Bytes(digits), Kind::Text) => {
                let bytes = self.bytes(*digits, raw)?;
                self.sequence(&bytes);
            }
            (Node::Fixed(of), Kind::Text) => {
                let bytes = self.fixed(of, raw)?;
                self.out.extend(bytes);
            }
            (_, kind) => return Err(mismatch(&expected(node), kind)),
        }
        Ok(())
    }

    fn is_body(&self) -> bool {
        self.form == Form::Body
    }

    fn symbol(&mut self, of: &Enum, text: &str) -> Result<(), Wrong> {
        let index = of.symbols.iter().position(|symbol| **symbol == *text);
        let index = index.ok_or_else(|| {
            let some: Vec<_> = of.symbols.iter().take(MAX_SYMBOLS).map(|symbol| &**symbol).collect();
            let more = if of.symbols.len() > some.len() { ", …" } else { "" };
            Wrong::new(NOT_IN_ENUM, format!("expected one of {}{more}", some.join(", ")))
        })?;
        self.whole(i64::try_from(index).unwrap_or(i64::MAX));
        Ok(())
    }

    fn bytes(&self, digits: Option<Digits>, raw: &str) -> Result<Vec<u8>, Wrong> {
        match (self.form, digits) {
            (Form::Body, Some(digits)) => decimal(&text(raw)?, digits).map(shortest),
            (Form::Body, None) => base64(&text(raw)?),
            (Form::Default, _) => characters(&default_text(raw)?),
        }
    }

    fn fixed(&self, of: &Fixed, raw: &str) -> Result<Vec<u8>, Wrong> {
        if of.bytes > MAX_RECORD_BYTES {
            return Err(Wrong::new(TOO_LONG, "the type has more bytes than a record may have"));
        }
        match (self.form, of.kind) {
            (Form::Body, FixedKind::Decimal(digits)) => extended(decimal(&text(raw)?, digits)?, of.bytes),
            (Form::Body, FixedKind::Uuid) => uuid(&text(raw)?).map(Vec::from),
            _ => sized(self.bytes(None, raw)?, of.bytes),
        }
    }
}

fn moment(kind: LongKind, text: &str) -> Result<i64, Wrong> {
    match kind {
        LongKind::Timestamp(unit) => timestamp(text, unit),
        LongKind::LocalTimestamp(unit) => local_timestamp(text, unit),
        LongKind::TimeOfDay => time_of_day(text, TimeUnit::Micro),
        LongKind::Plain => Err(mismatch("a whole number", Kind::Text)),
    }
}

/// A text of a schema, in which U+0000 is a byte like any other.
fn default_text(raw: &str) -> Result<String, Wrong> {
    serde_json::from_str(raw).map_err(|_| mismatch("characters", Kind::Text))
}
