//! Columns of a Parquet file as the mapping takes them: integers of any width, timestamps of any unit, and texts,
//! brought to one type each by arrow's casts.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, Schema};
use schemas::mapping::{FieldPath, Raw, TimeUnit};
use schemas::problem::Problem;

/// A column, cast.
pub(super) enum Column {
    Missing,
    Int(Int64Array),
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
            Column::Real(values) if values.is_valid(row) => Raw::Real(values.value(row)),
            Column::Text(values) if values.is_valid(row) => Raw::Text(Cow::Borrowed(values.value(row))),
            Column::Flag(values) if values.is_valid(row) => Raw::Flag(values.value(row)),
            Column::Time(values, unit) if values.is_valid(row) => Raw::Time(values.value(row), *unit),
            Column::Decimal(values, scale) if values.is_valid(row) => Raw::Decimal(values.value(row), *scale),
            _ => Raw::Null,
        }
    }
}

/// A column by its path: a column of that very name, else the field of a nested one.
pub(super) fn column(batch: &RecordBatch, path: &FieldPath) -> Result<Column, String> {
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
        DataType::Decimal128(_, scale) => {
            let scale = u32::try_from(*scale).map_err(|_| "a decimal with a negative scale".to_owned())?;
            Column::Decimal(array.as_primitive::<Decimal128Type>().clone(), scale)
        }
        other => return Err(format!("a column of type {other} cannot be taken")),
    })
}

/// What is wrong with a file that lacks a column.
pub(super) fn lacks(file: &str, schema: &Schema, path: &FieldPath, key: &str) -> Option<Problem> {
    let fields = schema.fields();
    let first = path.steps().first().map_or("", String::as_str);
    let known = fields.iter().any(|field| *field.name() == path.to_string() || field.name() == first);
    let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
    let expected = format!("one of its columns: {}", names.join(", "));
    (!known).then(|| Problem::new(file, key, format!("no column \"{path}\""), expected))
}
