//! How the small types of the vocabulary are written in contracts and in JSON: a time as its milliseconds, an
//! amount as its minor units, a currency as its letters, a feature value as long, double, boolean or null.
//!
//! Reading checks what the types promise. Newtypes are written as the bare value on purpose: serde's newtype
//! call makes an Avro serializer look for a union branch of that name.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::payment::{AmountMinor, Currency, Label, LabelSource};
use crate::time::EventTime;
use crate::value::FeatureValue;

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.ms())
    }
}

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ms = i64::deserialize(deserializer)?;
        EventTime::from_ms(ms).ok_or_else(|| D::Error::custom("not a time between the years 1970 and 9998"))
    }
}

impl Serialize for AmountMinor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.minor())
    }
}

impl<'de> Deserialize<'de> for AmountMinor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let minor = i64::deserialize(deserializer)?;
        AmountMinor::new(minor).ok_or_else(|| D::Error::custom("not an amount of 0 to 10^15 minor units"))
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CurrencyVisitor)
    }
}

struct CurrencyVisitor;

impl Visitor<'_> for CurrencyVisitor {
    type Value = Currency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("three capital letters")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Currency, E> {
        Currency::parse(text).ok_or_else(|| E::custom("not three capital letters"))
    }
}

impl Serialize for LabelSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LabelSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| LabelSource::parse(&word))
    }
}

impl Serialize for Label {
    /// The record of `avro/label.avsc`. Reading is `codec::LabelDecoder`'s, which takes others' schemas too.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Label", 4)?;
        record.serialize_field("transaction_id", &self.transaction_id)?;
        record.serialize_field("fraud", &self.fraud)?;
        record.serialize_field("label_time", &self.label_time)?;
        record.serialize_field("source", &self.source)?;
        record.end()
    }
}

impl Serialize for FeatureValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FeatureValue::Null => serializer.serialize_unit(),
            FeatureValue::Int(value) => serializer.serialize_i64(*value),
            FeatureValue::Real(value) => serializer.serialize_f64(*value),
            FeatureValue::Flag(value) => serializer.serialize_bool(*value),
        }
    }
}

impl<'de> Deserialize<'de> for FeatureValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = FeatureValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, a number, a boolean or null")
    }

    fn visit_unit<E: Error>(self) -> Result<FeatureValue, E> {
        Ok(FeatureValue::Null)
    }

    fn visit_none<E: Error>(self) -> Result<FeatureValue, E> {
        Ok(FeatureValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<FeatureValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    /// A column has a field for each branch of the union, and one of them is set.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FeatureValue, A::Error> {
        let mut found = FeatureValue::Null;
        while let Some(branch) = map.next_key::<String>()? {
            let value = match branch.as_str() {
                "long" => map.next_value::<Option<i64>>()?.map(FeatureValue::Int),
                "double" => map.next_value::<Option<f64>>()?.map(FeatureValue::Real),
                "boolean" => map.next_value::<Option<bool>>()?.map(FeatureValue::Flag),
                _ => return Err(A::Error::unknown_field(&branch, &["long", "double", "boolean"])),
            };
            found = value.unwrap_or(found);
        }
        Ok(found)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<FeatureValue, E> {
        Ok(FeatureValue::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<FeatureValue, E> {
        // JSON hands over every non-negative integer this way.
        i64::try_from(value).map(FeatureValue::Int).map_err(|_| E::custom("a whole number beyond 64 bits"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<FeatureValue, E> {
        Ok(FeatureValue::Real(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<FeatureValue, E> {
        Ok(FeatureValue::Flag(value))
    }
}
