//! The JSON Schema of a value without parts, narrowed to what the mapping takes of it.

use serde_json::{Value, json};

use super::description::{Keywords, keywords};
use super::pattern;
use super::role::Role;
use crate::codec::tree::{Digits, FixedKind, IntKind, LongKind, Node, TextKind};
use crate::mapping::{AmountUnit, FieldKind, TimeUnit};
use crate::payment::{Currency, MAX_AMOUNT_MINOR, MAX_KEY_BYTES};
use crate::time::EventTime;

/// 2^53: beyond it a double no longer tells whole numbers apart, and no mapping takes it for one.
const WHOLE_DOUBLE: f64 = 9_007_199_254_740_992.0;

/// Each way in which the value can be written.
pub(super) fn ways(node: &Node, roles: &[Role]) -> Vec<Keywords> {
    let plain = match node {
        Node::Null => vec![json!({ "type": "null" })],
        Node::Boolean => vec![json!({ "type": "boolean" })],
        Node::Int(kind) => of_int(*kind),
        Node::Long(kind) => of_long(*kind, roles),
        Node::Float => {
            let most = f64::from(f32::MAX);
            vec![json!({ "type": "number", "format": "float", "minimum": -most, "maximum": most })]
        }
        Node::Double => {
            vec![json!({ "type": "number", "format": "double", "minimum": f64::MIN, "maximum": f64::MAX })]
        }
        Node::Text(TextKind::Plain) => vec![json!({ "type": "string", "pattern": pattern::TEXT })],
        Node::Text(TextKind::Uuid) => vec![of_uuid()],
        Node::Enum(of) => vec![json!({ "type": "string", "enum": symbols(&of.symbols, roles) })],
        Node::Bytes(None) => vec![json!({
            "type": "string", "contentEncoding": "base64", "pattern": pattern::base64(None),
        })],
        Node::Bytes(Some(digits)) => vec![of_decimal(*digits, roles)],
        Node::Fixed(of) => match of.kind {
            FixedKind::Plain => vec![json!({
                "type": "string", "contentEncoding": "base64", "pattern": pattern::base64(Some(of.bytes)),
            })],
            FixedKind::Decimal(digits) => vec![of_decimal(digits, roles)],
            FixedKind::Uuid => vec![of_uuid()],
        },
        Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => Vec::new(),
    };
    let mut ways: Vec<Keywords> = plain.into_iter().map(keywords).collect();
    for way in &mut ways {
        roles.iter().for_each(|role| narrow(way, node, *role));
    }
    ways
}

fn of_int(kind: IntKind) -> Vec<Value> {
    let number = json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX });
    match kind {
        IntKind::Plain => vec![number],
        IntKind::Date => {
            vec![json!({ "type": "string", "format": "date", "pattern": pattern::date() }), number]
        }
        IntKind::TimeOfDay => {
            vec![json!({ "type": "string", "pattern": pattern::time_of_day(TimeUnit::Milli) }), number]
        }
    }
}

fn of_long(kind: LongKind, roles: &[Role]) -> Vec<Value> {
    let number = json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX });
    let mapped = roles.iter().any(|role| matches!(role, Role::Time(_)));
    let text = match kind {
        LongKind::Plain => return vec![number],
        LongKind::Timestamp(unit) => {
            json!({ "type": "string", "format": "date-time", "pattern": pattern::timestamp(unit, mapped) })
        }
        LongKind::LocalTimestamp(unit) => {
            json!({ "type": "string", "pattern": pattern::local_timestamp(unit, mapped) })
        }
        LongKind::TimeOfDay => {
            json!({ "type": "string", "pattern": pattern::time_of_day(TimeUnit::Micro) })
        }
    };
    vec![text, number]
}

fn of_uuid() -> Value {
    json!({ "type": "string", "format": "uuid", "pattern": pattern::UUID })
}

fn of_decimal(digits: Digits, roles: &[Role]) -> Value {
    let is_amount = roles.iter().any(|role| matches!(role, Role::Amount(_)));
    json!({ "type": "string", "pattern": pattern::decimal(digits, is_amount) })
}

fn symbols<'a>(symbols: &'a [Box<str>], roles: &[Role]) -> Vec<&'a str> {
    let all = symbols.iter().map(|symbol| &**symbol);
    if roles.contains(&Role::Currency) {
        return all.filter(|symbol| Currency::parse(symbol).is_some()).collect();
    }
    all.collect()
}

/// Narrows one way of writing a value to what its role takes.
fn narrow(way: &mut Keywords, node: &Node, role: Role) {
    let kind = way.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    match (role, kind.as_str()) {
        (Role::Id | Role::Key | Role::Field(FieldKind::Text), "string") => {
            way.insert("maxLength".to_owned(), json!(MAX_KEY_BYTES));
            if role != Role::Field(FieldKind::Text) {
                way.insert("minLength".to_owned(), json!(1));
            }
        }
        (Role::Currency, "string") if !way.contains_key("enum") => {
            way.insert("pattern".to_owned(), json!("^[A-Z]{3}$"));
        }
        (Role::Time(unit), "integer") => {
            let unit = match node {
                Node::Long(LongKind::Timestamp(unit) | LongKind::LocalTimestamp(unit)) => Some(*unit),
                _ => unit,
            };
            within(way, 0, unit.map_or(i64::MAX, last_time));
        }
        (Role::Amount(unit), "integer") => within(way, 0, MAX_AMOUNT_MINOR / ten_to(scale_of(unit))),
        (Role::Amount(unit), "number") => {
            if unit == AmountUnit::Minor {
                way.insert("type".to_owned(), json!("integer"));
            }
            let most = MAX_AMOUNT_MINOR as f64 / ten_to(scale_of(unit)) as f64;
            way.insert("minimum".to_owned(), json!(0));
            way.insert("maximum".to_owned(), json!(most));
        }
        (Role::Field(FieldKind::Flag), "integer") => within(way, 0, 1),
        (Role::Field(FieldKind::Decimal { scale }), "integer") => {
            let most = i64::MAX / ten_to(scale);
            within(way, -most, most);
        }
        (Role::Field(kind), "number") => {
            let scale = match kind {
                FieldKind::Decimal { scale } => scale,
                _ => 0,
            };
            if kind == FieldKind::Integer {
                way.insert("type".to_owned(), json!("integer"));
            }
            let most = WHOLE_DOUBLE / ten_to(scale) as f64;
            way.insert("minimum".to_owned(), json!(-most));
            way.insert("maximum".to_owned(), json!(most));
        }
        _ => {}
    }
}

/// Narrows an integer's range.
fn within(way: &mut Keywords, least: i64, most: i64) {
    let known = |way: &Keywords, key: &str, none| way.get(key).and_then(Value::as_i64).unwrap_or(none);
    let (low, high) = (known(way, "minimum", i64::MIN), known(way, "maximum", i64::MAX));
    way.insert("minimum".to_owned(), json!(low.max(least)));
    way.insert("maximum".to_owned(), json!(high.min(most)));
}

fn scale_of(unit: AmountUnit) -> u32 {
    match unit {
        AmountUnit::Minor => 0,
        AmountUnit::Major { scale } => scale,
    }
}

fn ten_to(scale: u32) -> i64 {
    10_i64.saturating_pow(scale)
}

/// The last event time in this unit.
fn last_time(unit: TimeUnit) -> i64 {
    let last_ms = EventTime::LAST.ms();
    match unit {
        TimeUnit::Second => last_ms / 1_000,
        TimeUnit::Milli => last_ms,
        TimeUnit::Micro => last_ms.saturating_mul(1_000).saturating_add(999),
        TimeUnit::Nano => i64::MAX,
    }
}
