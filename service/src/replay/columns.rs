//! Columns of a Parquet file as the mapping takes them: integers of any width, timestamps of any unit, and texts,
//! brought to one type each by arrow's casts.
//!
//! What is missing or cannot be taken is found in the file's schema, before a row is read.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type, Schema, UInt64Type,
};
use schemas::mapping::{FieldPath, Raw, TimeUnit};
use schemas::problem::Problem;

/// What is taken, for the user.
const TAKEN: &str = "integers, floats, decimals, texts, booleans or timestamps";

/// A column, cast.
pub(crate) enum Column {
    Missing,
    Int(Int64Array),
    /// 64 bits without a sign: an id may need the last one.
    Unsigned(UInt64Array),
    Real(Float64Array),
    Text(StringArray),
    Flag(BooleanArray),
    Time(Int64Array, TimeUnit),
    Decimal(Decimal128Array, u32),
}

impl Column {
    /// The value of a row.
    pub fn raw(&self, row: usize) -> Raw<'_> {
        match self {
            Column::Int(values) if values.is_valid(row) => Raw::Int(values.value(row)),
            Column::Unsigned(values) if values.is_valid(row) => unsigned(values.value(row)),
            Column::Real(values) if values.is_valid(row) => Raw::Real(values.value(row)),
            Column::Text(values) if values.is_valid(row) => Raw::Text(Cow::Borrowed(values.value(row))),
            Column::Flag(values) if values.is_valid(row) => Raw::Flag(values.value(row)),
            Column::Time(values, unit) if values.is_valid(row) => Raw::Time(values.value(row), *unit),
            Column::Decimal(values, scale) if values.is_valid(row) => Raw::Decimal(values.value(row), *scale),
            _ => Raw::Null,
        }
    }
}

/// Beyond an i64 its digits: an id stays what it is, a number is refused.
fn unsigned(value: u64) -> Raw<'static> {
    i64::try_from(value).map_or_else(|_| Raw::Text(Cow::Owned(value.to_string())), Raw::Int)
}

/// A column by its path: a column of that very name, else the field of a nested one.
pub(crate) fn column(batch: &RecordBatch, path: &FieldPath) -> Result<Column, String> {
    let found = find(batch, path);
    found.map_or(Ok(Column::Missing), |array| cast_column(&array).map_err(|error| format!("{path}: {error}")))
}

fn find(batch: &RecordBatch, path: &FieldPath) -> Option<ArrayRef> {
    if let Some(column) = batch.column_by_name(&path.to_string()) {
        return Some(column.clone());
    }
    let (first, rest) = path.steps().split_first()?;
    let mut here = batch.column_by_name(first)?.clone();
    for step in rest {
        here = here.as_struct_opt()?.column_by_name(step)?.clone();
    }
    Some(here)
}

fn cast_column(array: &ArrayRef) -> Result<Column, String> {
    let to = |kind: &DataType| cast(array, kind).map_err(|error| error.to_string());
    Ok(match array.data_type() {
        DataType::Dictionary(_, values) => return cast_column(&to(values)?),
        DataType::Boolean => Column::Flag(array.as_boolean().clone()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Column::Text(to(&DataType::Utf8)?.as_string::<i32>().clone())
        }
        DataType::UInt64 => Column::Unsigned(array.as_primitive::<UInt64Type>().clone()),
        kind if kind.is_integer() => Column::Int(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        kind if kind.is_floating() => {
            Column::Real(to(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        DataType::Timestamp(unit, _) => {
            let unit = match unit {
                arrow::datatypes::TimeUnit::Second => TimeUnit::Second,
                arrow::datatypes::TimeUnit::Millisecond => TimeUnit::Milli,
                arrow::datatypes::TimeUnit::Microsecond => TimeUnit::Micro,
                arrow::datatypes::TimeUnit::Nanosecond => TimeUnit::Nano,
            };
            Column::Time(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone(), unit)
        }
        kind => {
            let scale = decimal_scale(kind).ok_or_else(|| format!("a column of type {kind}"))?;
            let values = to(&DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))?;
            Column::Decimal(values.as_primitive::<Decimal128Type>().clone(), scale.unsigned_abs().into())
        }
    })
}

/// The decimal places of a decimal; `None` for other types and for places left of the point.
fn decimal_scale(kind: &DataType) -> Option<i8> {
    match kind {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale).filter(|scale| *scale >= 0),
        _ => None,
    }
}

fn is_taken(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_taken(values),
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Timestamp(..) => true,
        kind => kind.is_integer() || kind.is_floating() || decimal_scale(kind).is_some(),
    }
}

/// Where a path leads in a file: the place of its outermost column, and the type of what is there.
fn resolve<'a>(schema: &'a Schema, path: &FieldPath) -> Option<(usize, &'a DataType)> {
    if let Some((place, field)) = schema.fields().find(&path.to_string()) {
        return Some((place, field.data_type()));
    }
    let (first, rest) = path.steps().split_first()?;
    let (place, field) = schema.fields().find(first)?;
    let mut kind = field.data_type();
    for step in rest {
        let DataType::Struct(fields) = kind else { return None };
        kind = fields.find(step)?.1.data_type();
    }
    Some((place, kind))
}

/// What a path leads to before anything is read.
pub(super) enum Found {
    /// A column that can be taken: the place of its outermost column.
    Column(usize),
    /// Nothing.
    Nothing(Problem),
    /// A column of a type that cannot be taken.
    Untakable(Problem),
}

/// Looks a path up; `key` is what asks for it.
pub(super) fn look_up(file: &str, schema: &Schema, path: &FieldPath, key: &str) -> Found {
    match resolve(schema, path) {
        Some((place, kind)) if is_taken(kind) => Found::Column(place),
        Some((_, kind)) => {
            let found = format!("column \"{path}\" of type {kind}");
            Found::Untakable(Problem::new(file, key, found, TAKEN))
        }
        None => {
            let mut names = Vec::new();
            for field in schema.fields() {
                match field.data_type() {
                    DataType::Struct(inner) => {
                        names.extend(inner.iter().map(|inner| format!("{}.{}", field.name(), inner.name())));
                    }
                    _ => names.push(field.name().clone()),
                }
            }
            let expected = format!("one of its columns: {}", names.join(", "));
            Found::Nothing(Problem::new(file, key, format!("no column \"{path}\""), expected))
        }
    }
}
