//! JSON values as slices of the body: what kind they are, and the names and values inside.
//!
//! serde_json scans the whole body first, without recursion, so the syntax is right wherever a slice is looked at
//! and no nesting can overflow the stack. Slices keep a number's digits as they were written: nothing passes
//! through a float on its way to an integer or a decimal. Only what the schema has a place for is looked into, so
//! the depth is the schema's.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fault::{INVALID_TEXT, Wrong};

/// A JSON value, told by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Flag,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    /// The kind of a value whose syntax is right.
    pub(super) fn of(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'n') => Kind::Null,
            Some(b't' | b'f') => Kind::Flag,
            Some(b'"') => Kind::Text,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            _ => Kind::Number,
        }
    }

    /// The kind as words, for faults.
    pub(super) fn words(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Flag => "a boolean",
            Kind::Number => "a number",
            Kind::Text => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

/// The one value that a text is.
///
/// # Errors
/// The syntax, with line and column.
pub(super) fn scanned(text: &str) -> Result<&str, serde_json::Error> {
    serde_json::from_str::<&RawValue>(text).map(RawValue::get)
}

/// The content of a JSON string. U+0000 is refused: C libraries, Postgres and many a log end a text there.
/// Half of a surrogate pair is no character. All else is data, also controls that turn the writing direction.
pub(super) fn text(raw: &str) -> Result<Cow<'_, str>, Wrong> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let text: String = serde_json::from_str(raw)
        .map_err(|_| Wrong::new(INVALID_TEXT, "half of a surrogate pair is no character"))?;
    if text.contains('\0') {
        return Err(Wrong::new(INVALID_TEXT, "U+0000 is not taken in a text"));
    }
    Ok(Cow::Owned(text))
}

/// Calls back with every name, as it is written, and its value.
///
/// # Errors
/// None for an object whose syntax is right.
pub(super) fn entries<'a>(raw: &'a str, each: impl FnMut(&'a str, &'a str)) -> Result<(), serde_json::Error> {
    serde_json::Deserializer::from_str(raw).deserialize_map(Entries(each))
}

/// The items of an array; at most `most` of them, and how many there are.
///
/// # Errors
/// None for an array whose syntax is right.
pub(super) fn items(raw: &str, most: usize) -> Result<(Vec<&str>, usize), serde_json::Error> {
    serde_json::Deserializer::from_str(raw).deserialize_seq(Items { most })
}

struct Entries<F>(F);

impl<'a, F: FnMut(&'a str, &'a str)> Visitor<'a> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<&RawValue>()? {
            (self.0)(name.get(), object.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}

struct Items {
    most: usize,
}

impl<'a> Visitor<'a> for Items {
    type Value = (Vec<&'a str>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let (mut items, mut count) = (Vec::new(), 0_usize);
        while let Some(item) = array.next_element::<&RawValue>()? {
            count = count.checked_add(1).ok_or_else(|| A::Error::custom("too many items"))?;
            if items.len() < self.most {
                items.push(item.get());
            }
        }
        Ok((items, count))
    }
}
