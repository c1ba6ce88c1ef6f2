//! A value that nobody wants, stepped over as strictly as it would be read.
//!
//! The library's own way of ignoring a value believes the byte count of a block and skips the check of UTF-8 and of
//! enum indices; a record that is broken there is broken.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::walk::Walk;

/// Steps over one value and all that is in it, checking it on the way.
pub(crate) struct StepOver<'a, 'w> {
    pub(crate) walk: &'w mut Walk<'a>,
}

impl<'a> DeserializeSeed<'a> for StepOver<'a, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        self.walk.pay()?;
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for StepOver<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(StepOver { walk: &mut *self.walk })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Key)?.is_some() {
            entries.next_value_seed(StepOver { walk: &mut *self.walk })?;
        }
        Ok(())
    }
}

/// A map's key, which must be UTF-8, or a record's field name.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<(), D::Error> {
        key.deserialize_str(IgnoredAny).map(|_| ())
    }
}
