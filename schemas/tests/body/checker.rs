//! Whether a value fits a JSON Schema, for the keywords that ours use. Another keyword stops the test.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// The first reason why it does not fit.
pub(crate) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let schema = schema.as_object().ok_or("a schema that is no object")?;
    for (keyword, want) in schema {
        let fits = match keyword.as_str() {
            "title" | "description" | "default" | "format" | "contentEncoding" | "required" => continue,
            "properties" => {
                properties(schema, value)?;
                continue;
            }
            "additionalProperties" => {
                additional(schema, value)?;
                continue;
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| check(want, item))?;
                continue;
            }
            "anyOf" => want.as_array().unwrap().iter().any(|way| check(way, value).is_ok()),
            "type" => match want {
                Value::Array(types) => types.iter().any(|of| is_of(value, of.as_str().unwrap())),
                of => is_of(value, of.as_str().unwrap()),
            },
            "enum" => want.as_array().unwrap().contains(value),
            "pattern" => {
                value.as_str().is_none_or(|text| Regex::new(want.as_str().unwrap()).unwrap().is_match(text))
            }
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= want.as_u64().unwrap())
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 <= want.as_u64().unwrap())
            }
            "minimum" => compare(value, want, |value, want| value >= want, |value, want| value >= want),
            "maximum" => compare(value, want, |value, want| value <= want, |value, want| value <= want),
            "exclusiveMinimum" => {
                compare(value, want, |value, want| value > want, |value, want| value > want)
            }
            "exclusiveMaximum" => {
                compare(value, want, |value, want| value < want, |value, want| value < want)
            }
            other => panic!("the keyword {other} is not known here"),
        };
        if !fits {
            return Err(format!("{value}: {keyword} {want}"));
        }
    }
    Ok(())
}

fn properties(schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is not there"));
        }
    }
    let known = schema["properties"].as_object().unwrap();
    object
        .iter()
        .filter_map(|(name, value)| Some((known.get(name)?, value)))
        .try_for_each(|(of, value)| check(of, value))
}

fn additional(schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let known = |name: &String| schema.get("properties").is_some_and(|known| known.get(name).is_some());
    let mut more = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
    match &schema["additionalProperties"] {
        Value::Bool(false) => more.next().map_or(Ok(()), |(name, _)| Err(format!("{name} is not known"))),
        of => more.try_for_each(|(_, value)| check(of, value)),
    }
}

fn is_of(value: &Value, of: &str) -> bool {
    match of {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|value| value.fract() == 0.0)
        }
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is not known"),
    }
}

fn compare(value: &Value, want: &Value, ints: fn(i64, i64) -> bool, floats: fn(f64, f64) -> bool) -> bool {
    match (value.as_i64(), want.as_i64(), value.as_f64(), want.as_f64()) {
        (Some(value), Some(want), ..) => ints(value, want),
        (.., Some(value), Some(want)) => floats(value, want),
        _ => true,
    }
}
