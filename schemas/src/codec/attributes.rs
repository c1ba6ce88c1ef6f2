//! Attributes of a type's or a field's JSON object.

use serde_json::{Map, Value};

use super::schema::refused;
use super::tree::Digits;
use crate::reject::Reject;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Most aliases of a field that are kept.
const MAX_ALIASES: usize = 32;

/// The digits of a decimal; `None` when the annotation is not valid.
pub(crate) fn decimal_digits(object: &Object) -> Option<Digits> {
    let precision = object.get("precision")?.as_u64().filter(|precision| *precision > 0)?;
    let scale = object.get("scale").map_or(Some(0), Value::as_u64)?;
    let scale = u32::try_from(scale).ok().filter(|_| scale <= precision)?;
    Some(Digits { precision: u32::try_from(precision).unwrap_or(u32::MAX), scale })
}

/// The full name of a named type and the namespace for what stands inside it.
pub(crate) fn full_name(object: &Object, enclosing: &str) -> Result<(String, String), Reject> {
    let name = text(object, "name")?;
    if let Some((namespace, _)) = name.rsplit_once('.') {
        return Ok((name.trim_start_matches('.').to_owned(), namespace.to_owned()));
    }
    let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(enclosing);
    if namespace.is_empty() {
        return Ok((name.to_owned(), String::new()));
    }
    Ok((format!("{namespace}.{name}"), namespace.to_owned()))
}

/// An attribute that must be there.
pub(crate) fn attribute<'a>(object: &'a Object, key: &str) -> Result<&'a Value, Reject> {
    object.get(key).ok_or_else(|| refused(format!("a type or field without \"{key}\"")))
}

/// A text that must be there.
pub(crate) fn text<'a>(object: &'a Object, key: &str) -> Result<&'a str, Reject> {
    attribute(object, key)?.as_str().ok_or_else(|| refused(format!("a \"{key}\" that is not a string")))
}

/// What a type or a field says about itself.
pub(crate) fn doc(object: &Object) -> Option<Box<str>> {
    object.get("doc").and_then(Value::as_str).filter(|doc| !doc.is_empty()).map(Into::into)
}

/// A field's aliases.
pub(crate) fn aliases(object: &Object) -> Vec<Box<str>> {
    let listed = object.get("aliases").and_then(Value::as_array);
    let names = listed.into_iter().flatten().filter_map(Value::as_str);
    names.take(MAX_ALIASES).map(Into::into).collect()
}
