//! The JSON Schema of a body, from the Avro schema and what the mapping asks of its fields.
//!
//! Written out without references: a checked schema unfolds to a bounded number of fields, and a schema without
//! references stands in any document as it is.

use serde_json::{Map, Value, json};

use super::fault::At;
use super::leaf;
use super::record::{default_bytes, is_optional};
use super::role::{Role, branch_plan, is_needed, roles_here};
use super::union::names_branches;
use super::writer::{Form, MAX_RECORD_BYTES, Writer};
use crate::codec::plan::Plan;
use crate::codec::tree::{Branch, Field, Node, Record};

/// A schema's keywords.
pub(super) type Keywords = Map<String, Value>;

/// The schema of a record.
pub(super) fn of_record(record: &Record, plans: Option<&[Plan]>, roles: &[Role]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (at, field) in record.fields.iter().enumerate() {
        let plan = plans.and_then(|plans| plans.get(at));
        let is_null = field.default.as_ref().is_none_or(Value::is_null);
        let must = !is_optional(field) || (is_null && is_needed(plan, roles));
        if must {
            required.push(Value::from(&*field.name));
        }
        properties.insert(field.name.to_string(), of_field(field, plan, roles, must));
    }
    let mut schema = json!({
        "type": "object",
        "title": &*record.name,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if let (Some(doc), Some(keywords)) = (&record.doc, schema.as_object_mut()) {
        keywords.insert("description".to_owned(), Value::from(&**doc));
    }
    schema
}

fn of_field(field: &Field, plan: Option<&Plan>, roles: &[Role], must: bool) -> Value {
    let mut schema = of_node(&field.node, plan, roles);
    if let Some(doc) = &field.doc {
        schema.insert("description".to_owned(), Value::from(&**doc));
    }
    if let Some(default) = default(field).filter(|_| !must) {
        schema.insert("default".to_owned(), default.clone());
    }
    Value::Object(schema)
}

/// The schema's default, where a body would write it in the same way.
fn default(field: &Field) -> Option<&Value> {
    let (bytes, default) = (default_bytes(field)?, field.default.as_ref()?);
    let mut writer = Writer::new(Form::Body, MAX_RECORD_BYTES, 1);
    writer.value(&field.node, &default.to_string(), &At::Top);
    (writer.faults.is_empty() && writer.out == bytes).then_some(default)
}

fn of_node(node: &Node, plan: Option<&Plan>, roles: &[Role]) -> Keywords {
    let mut ways = ways(node, plan, roles);
    match (ways.len(), ways.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            ways.extend(last);
            keywords(json!({ "anyOf": ways }))
        }
    }
}

/// Each way in which a value can be written.
fn ways(node: &Node, plan: Option<&Plan>, roles: &[Role]) -> Vec<Keywords> {
    match node {
        Node::Union(branches) => of_union(branches, plan, roles),
        Node::Record(record) => {
            let plans = match plan {
                Some(Plan::Record(plans)) => Some(&**plans),
                _ => None,
            };
            vec![keywords(of_record(record, plans, roles))]
        }
        Node::Array(of) => vec![keywords(json!({ "type": "array", "items": of_node(of, None, roles) }))],
        Node::Map(of) => {
            vec![keywords(json!({ "type": "object", "additionalProperties": of_node(of, None, roles) }))]
        }
        _ => leaf::ways(node, &roles_here(plan, roles)),
    }
}

fn of_union(branches: &[Branch], plan: Option<&Plan>, roles: &[Role]) -> Vec<Keywords> {
    let needed = is_needed(plan, roles);
    let taken = branches.iter().enumerate().filter(|(at, branch)| {
        let unfit = matches!(branch_plan(plan, *at), Some(Plan::Unfit(_)));
        let needless = needed && matches!(branch.node, Node::Null);
        !unfit && !needless
    });
    let mut ways_of_all = Vec::new();
    let mut named = Vec::new();
    for (at, branch) in taken {
        let plan = branch_plan(plan, at);
        ways_of_all.extend(ways(&branch.node, plan, roles));
        if names_branches(branches) {
            let name = branch.node.branch_name();
            let mut inside = Map::new();
            inside.insert(name.to_owned(), Value::Object(of_node(&branch.node, plan, roles)));
            named.push(keywords(json!({
                "type": "object", "properties": inside, "required": [name], "additionalProperties": false,
            })));
        }
    }
    ways_of_all.extend(named);
    nullable(ways_of_all)
}

/// Null and one plain type, written shortly.
fn nullable(ways: Vec<Keywords>) -> Vec<Keywords> {
    let is_null = |way: &Keywords| way.get("type").is_some_and(|of| of == "null");
    let plain = |way: &Keywords| way.get("type").is_some_and(Value::is_string) && !way.contains_key("enum");
    match ways.as_slice() {
        [null, other] | [other, null] if is_null(null) && !is_null(other) && plain(other) => {
            let mut both = other.clone();
            if let Some(of) = both.get_mut("type") {
                *of = json!([of.clone(), "null"]);
            }
            vec![both]
        }
        _ => ways,
    }
}

/// The keywords of a schema that is an object.
pub(super) fn keywords(schema: Value) -> Keywords {
    match schema {
        Value::Object(keywords) => keywords,
        _ => Keywords::new(),
    }
}
