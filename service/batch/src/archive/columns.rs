//! Avro records as columns: a type for each Avro type, logical types as Parquet's own, unions of several as a struct
//! with one field for each branch.

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{RecordField, RecordSchema, UnionSchema};
use apache_avro::types::Value;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use hmac::{Hmac, KeyInit, Mac};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use sha2::Sha256;

/// Digits that a 128-bit decimal holds; wider ones stay bytes.
const MOST_DIGITS: usize = 38;

/// A type that contains itself is followed so deep, and no deeper.
const MOST_DEPTH: usize = 12;

/// What is done with a sensitive field on its way into the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// It is left out.
    Drop,
    /// HMAC-SHA-256 under a key, hexadecimal: equal values stay equal, and nobody without the key can guess them.
    Hash,
}

/// What is done with which top-level fields, and the key.
#[derive(Clone, Default)]
pub struct Treatments {
    /// By field.
    pub fields: BTreeMap<String, Treatment>,
    /// The key of the hash.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Treatments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Treatments").field("fields", &self.fields).finish_non_exhaustive()
    }
}

/// A schema of the registry, with the columns that it comes to.
#[derive(Debug)]
pub struct KnownSchema {
    /// Its registry id.
    pub id: u32,
    /// Its text.
    pub text: String,
    schema: Schema,
    /// Its columns.
    pub(super) columns: Vec<FieldRef>,
    treatments: Treatments,
}

impl KnownSchema {
    /// Reads a schema's text.
    ///
    /// # Errors
    /// When it is no Avro schema of a record.
    pub fn new(id: u32, text: &str, treatments: &Treatments) -> Result<Self, String> {
        let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
        let Schema::Record(record) = &schema else { return Err("not a schema of a record".to_owned()) };
        let names = Names::of(&schema);
        let column = |field: &RecordField| {
            let kind = match treatments.fields.get(&field.name) {
                Some(Treatment::Drop) => return None,
                Some(Treatment::Hash) => DataType::Utf8,
                None => names.kind(&field.schema, 0)?.0,
            };
            Some(Arc::new(Field::new(&field.name, kind, true)))
        };
        let columns = record.fields.iter().filter_map(column).collect();
        Ok(Self { id, text: text.to_owned(), schema, columns, treatments: treatments.clone() })
    }

    /// All that is needed to read its records.
    pub(super) fn reading(&self) -> Result<Reading<'_>, String> {
        let reader = GenericDatumReader::builder(&self.schema).build().map_err(|error| error.to_string())?;
        Ok(Reading { known: self, names: Names::of(&self.schema), reader })
    }

    fn hashed(&self, cell: &Cell<'_>) -> Option<String> {
        let text = match plain(cell.value) {
            Value::Null => return None,
            Value::String(text) | Value::Enum(_, text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Long(number) => number.to_string(),
            _ => serde_json::to_string(cell).ok()?,
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.treatments.key).ok()?;
        mac.update(text.as_bytes());
        Some(hex::encode(mac.finalize().into_bytes()))
    }
}

/// Reads records of one schema.
pub(super) struct Reading<'a> {
    known: &'a KnownSchema,
    names: Names<'a>,
    reader: GenericDatumReader<'a>,
}

impl Reading<'_> {
    /// A record's value; `None` for bytes that are no record of the schema, or more than one.
    pub fn decode(&self, mut body: &[u8]) -> Option<Value> {
        let value = self.reader.read_value(&mut body).ok()?;
        body.is_empty().then_some(value)
    }

    /// A record's fields into a map of columns.
    pub fn write<M: SerializeMap>(&self, value: &Value, map: &mut M) -> Result<(), M::Error> {
        let KnownSchema { schema, treatments, .. } = self.known;
        let (Value::Record(values), Schema::Record(record)) = (value, schema) else { return Ok(()) };
        for ((name, value), field) in values.iter().zip(&record.fields) {
            let cell = Cell { value, schema: &field.schema, names: &self.names };
            match treatments.fields.get(name) {
                Some(Treatment::Drop) => {}
                Some(Treatment::Hash) => map.serialize_entry(name, &self.known.hashed(&cell))?,
                None => map.serialize_entry(name, &cell)?,
            }
        }
        Ok(())
    }
}

/// Named types, which may be referred to by name.
struct Names<'a>(BTreeMap<String, &'a Schema>);

impl<'a> Names<'a> {
    fn of(schema: &'a Schema) -> Self {
        let mut names = Self(BTreeMap::new());
        names.learn(schema);
        names
    }

    fn learn(&mut self, schema: &'a Schema) {
        if let Some(name) = schema.name().filter(|_| !matches!(schema, Schema::Ref { .. })) {
            self.0.insert(name.fullname(None), schema);
        }
        match schema {
            Schema::Record(record) => record.fields.iter().for_each(|field| self.learn(&field.schema)),
            Schema::Array(array) => self.learn(&array.items),
            Schema::Map(map) => self.learn(&map.types),
            Schema::Union(union) => union.variants().iter().for_each(|branch| self.learn(branch)),
            _ => {}
        }
    }

    /// A type's column type, and whether it may be null; `None` for null alone, which has no values.
    fn kind(&self, schema: &Schema, depth: usize) -> Option<(DataType, bool)> {
        if depth > MOST_DEPTH {
            return None;
        }
        let kind = match schema {
            Schema::Null => return None,
            Schema::Boolean => DataType::Boolean,
            // One width, so that a field that was widened stays one column.
            Schema::Int | Schema::Long => DataType::Int64,
            Schema::Float | Schema::Double => DataType::Float64,
            Schema::Bytes | Schema::Fixed(_) | Schema::Duration(_) => DataType::Binary,
            Schema::String | Schema::Enum(_) | Schema::Uuid(_) | Schema::BigDecimal => DataType::Utf8,
            Schema::Decimal(decimal) if decimal.precision <= MOST_DIGITS => {
                DataType::Decimal128(u8::try_from(decimal.precision).ok()?, i8::try_from(decimal.scale).ok()?)
            }
            Schema::Decimal(_) => DataType::Binary,
            Schema::Date => DataType::Date32,
            Schema::TimeMillis => DataType::Time32(TimeUnit::Millisecond),
            Schema::TimeMicros => DataType::Time64(TimeUnit::Microsecond),
            Schema::TimestampMillis => timestamp(TimeUnit::Millisecond, true),
            Schema::TimestampMicros => timestamp(TimeUnit::Microsecond, true),
            Schema::TimestampNanos => timestamp(TimeUnit::Nanosecond, true),
            Schema::LocalTimestampMillis => timestamp(TimeUnit::Millisecond, false),
            Schema::LocalTimestampMicros => timestamp(TimeUnit::Microsecond, false),
            Schema::LocalTimestampNanos => timestamp(TimeUnit::Nanosecond, false),
            Schema::Array(array) => {
                DataType::List(Arc::new(self.field("item", &array.items, depth, false)?))
            }
            Schema::Map(map) => {
                let value = self.field("value", &map.types, depth, false)?;
                let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), value]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
            }
            Schema::Record(record) => self.record(record, depth)?,
            Schema::Union(union) => return self.union(union, depth),
            Schema::Ref { name } => return self.kind(self.0.get(&name.fullname(None))?, depth + 1),
        };
        Some((kind, false))
    }

    fn record(&self, record: &RecordSchema, depth: usize) -> Option<DataType> {
        let fields =
            record.fields.iter().filter_map(|field| self.field(&field.name, &field.schema, depth, true));
        let fields: Fields = fields.collect();
        (!fields.is_empty()).then_some(DataType::Struct(fields))
    }

    fn union(&self, union: &UnionSchema, depth: usize) -> Option<(DataType, bool)> {
        let some: Vec<&Schema> =
            union.variants().iter().filter(|branch| !matches!(branch, Schema::Null)).collect();
        if let [only] = some.as_slice() {
            return Some((self.kind(only, depth)?.0, true));
        }
        let branches = some.iter().filter_map(|branch| self.field(&branch_name(branch), branch, depth, true));
        let branches: Fields = branches.collect();
        (!branches.is_empty()).then_some((DataType::Struct(branches), true))
    }

    fn field(&self, name: &str, schema: &Schema, depth: usize, nullable: bool) -> Option<Field> {
        let (kind, may_be_null) = self.kind(schema, depth + 1)?;
        Some(Field::new(name, kind, nullable || may_be_null))
    }
}

fn timestamp(unit: TimeUnit, utc: bool) -> DataType {
    DataType::Timestamp(unit, utc.then(|| "UTC".into()))
}

fn branch_name(schema: &Schema) -> String {
    match schema {
        Schema::Ref { name } => name.name().to_owned(),
        named => match named.name() {
            Some(name) => name.name().to_owned(),
            None => kind_word(named).to_owned(),
        },
    }
}

fn kind_word(schema: &Schema) -> &'static str {
    match schema {
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::String | Schema::Uuid(_) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Bytes | Schema::Decimal(_) | Schema::BigDecimal => "bytes",
        _ => "long",
    }
}

fn plain(value: &Value) -> &Value {
    match value {
        Value::Union(_, inner) => plain(inner),
        other => other,
    }
}

/// An Avro value as serde has it, by its schema.
struct Cell<'a> {
    value: &'a Value,
    schema: &'a Schema,
    names: &'a Names<'a>,
}

impl<'a> Cell<'a> {
    fn of(&self, value: &'a Value, schema: &'a Schema) -> Cell<'a> {
        Cell { value, schema, names: self.names }
    }

    fn union<S: Serializer>(
        &self,
        serializer: S,
        branch: u32,
        union: &'a UnionSchema,
    ) -> Result<S::Ok, S::Error> {
        let Value::Union(_, inner) = self.value else { return serializer.serialize_none() };
        let branches = union.variants();
        let some = branches.iter().filter(|branch| !matches!(branch, Schema::Null)).count();
        match branches.get(branch as usize) {
            None | Some(Schema::Null) => serializer.serialize_none(),
            Some(schema) if some == 1 => self.of(inner, schema).serialize(serializer),
            Some(schema) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(&branch_name(schema), &self.of(inner, schema))?;
                map.end()
            }
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, self.schema) {
            (_, Schema::Ref { name }) => match self.names.0.get(&name.fullname(None)) {
                Some(schema) => self.of(self.value, schema).serialize(serializer),
                None => serializer.serialize_none(),
            },
            (Value::Union(branch, _), Schema::Union(union)) => self.union(serializer, *branch, union),
            (Value::Boolean(value), _) => serializer.serialize_bool(*value),
            (Value::Int(value), _) => serializer.serialize_i64((*value).into()),
            (Value::Date(value) | Value::TimeMillis(value), _) => serializer.serialize_i32(*value),
            (
                Value::Long(value)
                | Value::TimeMicros(value)
                | Value::TimestampMillis(value)
                | Value::TimestampMicros(value)
                | Value::TimestampNanos(value)
                | Value::LocalTimestampMillis(value)
                | Value::LocalTimestampMicros(value)
                | Value::LocalTimestampNanos(value),
                _,
            ) => serializer.serialize_i64(*value),
            (Value::Float(value), _) => serializer.serialize_f64((*value).into()),
            (Value::Double(value), _) => serializer.serialize_f64(*value),
            (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => serializer.serialize_bytes(bytes),
            (Value::String(text) | Value::Enum(_, text), _) => serializer.serialize_str(text),
            (Value::Uuid(id), _) => serializer.collect_str(id),
            (Value::BigDecimal(number), _) => serializer.collect_str(number),
            (Value::Duration(duration), _) => {
                let bytes: [u8; 12] = (*duration).into();
                serializer.serialize_bytes(&bytes)
            }
            (Value::Decimal(number), Schema::Decimal(kind)) => {
                let bytes = Vec::<u8>::try_from(number).map_err(S::Error::custom)?;
                match decimal(&bytes, kind.scale).filter(|_| kind.precision <= MOST_DIGITS) {
                    Some(text) => serializer.serialize_str(&text),
                    None => serializer.serialize_bytes(&bytes),
                }
            }
            (Value::Array(items), Schema::Array(array)) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&self.of(item, &array.items))?;
                }
                list.end()
            }
            (Value::Map(entries), Schema::Map(kind)) => {
                // In order: the same records give the same bytes.
                let entries: BTreeMap<_, _> = entries.iter().collect();
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &self.of(value, &kind.types))?;
                }
                map.end()
            }
            (Value::Record(fields), Schema::Record(record)) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for ((name, value), field) in fields.iter().zip(&record.fields) {
                    map.serialize_entry(name, &self.of(value, &field.schema))?;
                }
                map.end()
            }
            _ => serializer.serialize_none(),
        }
    }
}

/// A two's complement number with its point, as text.
fn decimal(bytes: &[u8], scale: usize) -> Option<String> {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut word = [sign; 16];
    let at = word.len().checked_sub(bytes.len())?;
    word[at..].copy_from_slice(bytes);
    let number = i128::from_be_bytes(word);
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}
