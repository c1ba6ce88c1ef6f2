//! A body that is taken: for the documentation, and to try the door with.

use serde_json::{Map, Value, json};

use super::bytes::to_base64;
use super::role::{Role, branch_plan, roles_here};
use super::union::names_branches;
use crate::codec::plan::Plan;
use crate::codec::tree::{Branch, Digits, Fixed, FixedKind, IntKind, LongKind, Node, Record, TextKind};
use crate::mapping::{FieldKind, TimeUnit};
use crate::payment::Currency;

const INSTANT_S: i64 = 1_767_323_045;
const LOCAL_TIMESTAMP: &str = "2026-01-02T03:04:05";
const UUID: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

/// Largest fixed that is written out, bytes.
const MAX_FIXED_BYTES: usize = 4_096;

/// A record with every field.
pub(super) fn of_record(record: &Record, plans: Option<&[Plan]>, roles: &[Role]) -> Value {
    let fields = record.fields.iter().enumerate().map(|(at, field)| {
        let plan = plans.and_then(|plans| plans.get(at));
        (field.name.to_string(), of_node(&field.node, plan, roles, &field.name))
    });
    Value::Object(fields.collect())
}

fn of_node(node: &Node, plan: Option<&Plan>, roles: &[Role], name: &str) -> Value {
    match node {
        Node::Record(record) => {
            let plans = match plan {
                Some(Plan::Record(plans)) => Some(&**plans),
                _ => None,
            };
            of_record(record, plans, roles)
        }
        Node::Array(of) => json!([of_node(of, None, roles, name)]),
        Node::Map(of) => json!({ "key": of_node(of, None, roles, name) }),
        Node::Union(branches) => of_union(branches, plan, roles, name),
        _ => of_leaf(node, &roles_here(plan, roles), name),
    }
}

fn of_union(branches: &[Branch], plan: Option<&Plan>, roles: &[Role], name: &str) -> Value {
    let taken = branches.iter().enumerate().find(|(at, branch)| {
        let unfit = matches!(branch_plan(plan, *at), Some(Plan::Unfit(_)));
        !unfit && !matches!(branch.node, Node::Null)
    });
    let Some((at, branch)) = taken else { return Value::Null };
    let value = of_node(&branch.node, branch_plan(plan, at), roles, name);
    if !names_branches(branches) {
        return value;
    }
    let mut named = Map::new();
    named.insert(branch.node.branch_name().to_owned(), value);
    Value::Object(named)
}

fn of_leaf(node: &Node, roles: &[Role], name: &str) -> Value {
    match node {
        Node::Boolean => json!(true),
        Node::Int(IntKind::Plain) => json!(i32::try_from(whole(roles)).unwrap_or(1)),
        Node::Int(IntKind::Date) => json!("2026-01-02"),
        Node::Int(IntKind::TimeOfDay) | Node::Long(LongKind::TimeOfDay) => json!("03:04:05"),
        Node::Long(LongKind::Plain) => json!(whole(roles)),
        Node::Long(LongKind::Timestamp(_)) => json!(format!("{LOCAL_TIMESTAMP}Z")),
        Node::Long(LongKind::LocalTimestamp(_)) => json!(LOCAL_TIMESTAMP),
        Node::Float | Node::Double => json!(whole(roles) as f64),
        Node::Text(TextKind::Plain) => json!(text(roles, name)),
        Node::Text(TextKind::Uuid) => json!(UUID),
        Node::Enum(of) => {
            let is_currency = roles.contains(&Role::Currency);
            let fits = |symbol: &&str| !is_currency || Currency::parse(symbol).is_some();
            json!(of.symbols.iter().map(|symbol| &**symbol).find(fits))
        }
        Node::Bytes(None) => json!(to_base64(b"bytes")),
        Node::Bytes(Some(digits)) => json!(decimal(*digits)),
        Node::Fixed(of) => json!(of_fixed(of)),
        Node::Null | Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => Value::Null,
    }
}

fn of_fixed(of: &Fixed) -> String {
    match of.kind {
        FixedKind::Plain => to_base64(&vec![0; of.bytes.min(MAX_FIXED_BYTES)]),
        FixedKind::Decimal(digits) => decimal(digits),
        FixedKind::Uuid => UUID.to_owned(),
    }
}

fn whole(roles: &[Role]) -> i64 {
    let of = |role: &Role| match role {
        Role::Time(unit) => match unit {
            None | Some(TimeUnit::Second) => INSTANT_S,
            Some(TimeUnit::Milli) => INSTANT_S * 1_000,
            Some(TimeUnit::Micro) => INSTANT_S * 1_000_000,
            Some(TimeUnit::Nano) => INSTANT_S * 1_000_000_000,
        },
        Role::Amount(_) => 1_250,
        Role::Id | Role::Key => 1_001,
        Role::Field(FieldKind::Flag) => 1,
        Role::Currency | Role::Field(_) => 7,
    };
    roles.first().map_or(1, of)
}

fn text(roles: &[Role], name: &str) -> String {
    match roles.first() {
        Some(_) if roles.contains(&Role::Currency) => "EUR".to_owned(),
        Some(Role::Id) => "tx-1001".to_owned(),
        Some(Role::Key) => format!("{}-1", name.chars().take(64).collect::<String>()),
        _ => "text".to_owned(),
    }
}

/// One and a half, as far as the digits allow.
fn decimal(digits: Digits) -> String {
    let whole = if digits.precision > digits.scale { "1" } else { "0" };
    match digits.scale {
        0 => whole.to_owned(),
        1 => format!("{whole}.5"),
        _ => format!("{whole}.50"),
    }
}
