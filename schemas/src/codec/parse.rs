//! The JSON of a schema, read into the tree that plans are made from and the graph that the reader walks.
//!
//! A parser of our own, since none does all of it: serde_avro_fast's drops aliases and refuses a decimal without a
//! scale, apache-avro's refuses namespaces that Java's registry accepts. Lenient like Java's where bytes do not
//! depend on it (names, defaults, unknown attributes), strict where they do.
//!
//! The graph carries plain types only: a decimal is bytes to the reader and a timestamp a long. What they mean
//! is in the tree, so the reader never formats a decimal that nobody wants.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use serde_avro_fast::schema::{self as wire, Array, Map, Name, RegularType, SchemaKey, SchemaNode, Union};
use serde_json::Value;

use super::attributes::{Object, aliases, attribute, decimal_digits, doc, full_name, text};
use super::schema::{MAX_SCHEMA_DEPTH, MAX_SCHEMA_FIELDS, refused};
use super::tree::{Branch, Enum, Field, Fixed, FixedKind, IntKind, LongKind, Node, Record, TextKind};
use crate::mapping::TimeUnit;
use crate::reject::Reject;

/// Most branches of a union: they are searched one by one.
const MAX_BRANCHES: usize = 256;

type Parsed = Result<(Node, SchemaKey), Reject>;

/// Reads the inside of a named type: its object, the namespace inside, its place in the graph.
type ReadNamed = fn(&mut Parser, &Object, &str, SchemaKey) -> Result<(Node, RegularType), Reject>;

/// A named type: being read, or ready. A name met while it is being read is a recursion.
enum Named {
    Open,
    Ready(Node, SchemaKey),
}

/// The parser's state: the graph so far and the named types met.
pub(crate) struct Parser {
    nodes: Vec<SchemaNode>,
    names: HashMap<String, Named>,
}

impl Parser {
    /// Nothing read yet.
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), names: HashMap::new() }
    }

    /// The reader's graph; the root is its first node.
    pub(crate) fn into_nodes(self) -> Vec<SchemaNode> {
        self.nodes
    }

    /// The schema's tree and the full name of its top type, if it has one.
    pub(crate) fn root(&mut self, json: &Value) -> Result<(Node, String), Reject> {
        let (node, _) = self.node(json, "")?;
        let name = json.as_object().and_then(|object| full_name(object, "").ok());
        Ok((node, name.map(|(name, _)| name).unwrap_or_default()))
    }

    fn node(&mut self, json: &Value, namespace: &str) -> Parsed {
        match json {
            Value::String(word) => self.word(word, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => match object.get("type") {
                Some(Value::String(word)) => self.object(word, object, namespace),
                Some(nested @ (Value::Object(_) | Value::Array(_))) => self.node(nested, namespace),
                _ => Err(refused("a type without \"type\"")),
            },
            _ => Err(refused("a type that is neither a name, an object nor a union")),
        }
    }

    /// A primitive by its word, or a named type read before.
    fn word(&mut self, word: &str, namespace: &str) -> Parsed {
        if let Some((node, regular)) = primitive(word) {
            return Ok((node, self.push(regular)));
        }
        let name = if word.contains('.') || namespace.is_empty() {
            word.trim_start_matches('.').to_owned()
        } else {
            format!("{namespace}.{word}")
        };
        // Java also finds a name without namespace from inside one.
        match self.names.get(&name).or_else(|| self.names.get(word)) {
            Some(Named::Ready(node, key)) => Ok((node.clone(), *key)),
            Some(Named::Open) => Err(refused(format!("recursive: {name} contains itself"))),
            None => Err(refused(format!("the type {name} is not defined before it is used"))),
        }
    }

    fn object(&mut self, word: &str, object: &Object, namespace: &str) -> Parsed {
        match word {
            "record" => self.named(object, namespace, Self::record),
            "enum" => self.named(object, namespace, Self::enumeration),
            "fixed" => self.named(object, namespace, Self::fixed),
            "array" => {
                let key = self.reserve();
                let (items, of) = self.node(attribute(object, "items")?, namespace)?;
                self.put(key, RegularType::Array(Array::new(of)));
                Ok((Node::Array(Box::new(items)), key))
            }
            "map" => {
                let key = self.reserve();
                let (values, of) = self.node(attribute(object, "values")?, namespace)?;
                self.put(key, RegularType::Map(Map::new(of)));
                Ok((Node::Map(Box::new(values)), key))
            }
            _ => {
                let (node, key) = self.word(word, namespace)?;
                Ok((annotated(node, object), key))
            }
        }
    }

    fn union(&mut self, json: &[Value], namespace: &str) -> Parsed {
        if json.is_empty() || json.len() > MAX_BRANCHES {
            return Err(refused(format!(
                "a union of {} branches, 1 to {MAX_BRANCHES} are taken",
                json.len()
            )));
        }
        let key = self.reserve();
        let (mut branches, mut keys) = (Vec::<Branch>::new(), Vec::new());
        for json in json {
            let (node, of) = self.node(json, namespace)?;
            let wire_name = wire_name(&node, of)?;
            if branches.iter().any(|known| known.wire_name == wire_name) {
                return Err(refused(format!("a union holds {} twice", node.word())));
            }
            branches.push(Branch { wire_name, node });
            keys.push(of);
        }
        self.put(key, RegularType::Union(Union::new(keys)));
        Ok((Node::Union(branches), key))
    }

    /// A named type: its name is open while `read` reads it.
    fn named(&mut self, object: &Object, namespace: &str, read: ReadNamed) -> Parsed {
        let (name, namespace) = full_name(object, namespace)?;
        match self.names.entry(name.clone()) {
            Entry::Occupied(_) => return Err(refused(format!("{name} is defined twice"))),
            Entry::Vacant(entry) => entry.insert(Named::Open),
        };
        let key = self.reserve();
        let (node, regular) = read(self, object, &namespace, key)?;
        self.put(key, regular);
        self.names.insert(name, Named::Ready(node.clone(), key));
        Ok((node, key))
    }

    fn record(
        &mut self,
        object: &Object,
        namespace: &str,
        key: SchemaKey,
    ) -> Result<(Node, RegularType), Reject> {
        let json =
            attribute(object, "fields")?.as_array().ok_or_else(|| refused("fields that are not a list"))?;
        let (mut fields, mut regular) = (Vec::<Field>::new(), Vec::new());
        for json in json {
            let object = json.as_object().ok_or_else(|| refused("a field that is not an object"))?;
            let name = text(object, "name")?;
            if fields.len() >= MAX_SCHEMA_FIELDS {
                return Err(refused(format!("more than {MAX_SCHEMA_FIELDS} fields")));
            }
            // A logical type beside the field's "type" instead of inside it counts for nothing, as with Java's.
            let (node, of) = self.node(attribute(object, "type")?, namespace)?;
            regular.push(wire::RecordField::new(name, of));
            fields.push(Field {
                name: name.into(),
                aliases: aliases(object),
                node,
                doc: doc(object),
                default: object.get("default").cloned(),
                default_bytes: OnceLock::new(),
            });
        }
        let mut names: Vec<_> = fields.iter().map(|field| &field.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(refused(format!("a record has the field {} twice", twice[0])));
        }
        let (name, _) = full_name(object, namespace)?;
        let record = bounded(Record::new(name.into(), doc(object), fields))?;
        let regular = wire::Record::new(graph_name(key), regular);
        Ok((Node::Record(Arc::new(record)), RegularType::Record(regular)))
    }

    fn enumeration(
        &mut self,
        object: &Object,
        namespace: &str,
        key: SchemaKey,
    ) -> Result<(Node, RegularType), Reject> {
        let json =
            attribute(object, "symbols")?.as_array().ok_or_else(|| refused("symbols that are not a list"))?;
        let symbols =
            json.iter().map(|symbol| symbol.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
        let symbols = symbols.ok_or_else(|| refused("a symbol that is not a string"))?;
        let (name, _) = full_name(object, namespace)?;
        let listed = symbols.iter().map(|symbol| symbol.as_str().into()).collect();
        let node = Node::Enum(Arc::new(Enum { name: name.into(), symbols: listed }));
        Ok((node, RegularType::Enum(wire::Enum::new(graph_name(key), symbols))))
    }

    fn fixed(
        &mut self,
        object: &Object,
        namespace: &str,
        key: SchemaKey,
    ) -> Result<(Node, RegularType), Reject> {
        let size = attribute(object, "size")?.as_u64().and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| refused("a size that is not a whole number"))?;
        let kind = match object.get("logicalType").and_then(Value::as_str) {
            Some("decimal") => decimal_digits(object).map_or(FixedKind::Plain, FixedKind::Decimal),
            Some("uuid") if size == 16 => FixedKind::Uuid,
            _ => FixedKind::Plain,
        };
        let (name, _) = full_name(object, namespace)?;
        let node = Node::Fixed(Arc::new(Fixed { name: name.into(), bytes: size, kind }));
        Ok((node, RegularType::Fixed(wire::Fixed::new(graph_name(key), size))))
    }

    fn push(&mut self, regular: RegularType) -> SchemaKey {
        let key = self.reserve();
        self.put(key, regular);
        key
    }

    /// A place in the graph before its content is known: parents come before children, the root first.
    fn reserve(&mut self) -> SchemaKey {
        self.nodes.push(RegularType::Null.into());
        SchemaKey::from_idx(self.nodes.len() - 1)
    }

    fn put(&mut self, key: SchemaKey, regular: RegularType) {
        if let Some(place) = self.nodes.get_mut(key.idx()) {
            *place = regular.into();
        }
    }
}

fn primitive(word: &str) -> Option<(Node, RegularType)> {
    Some(match word {
        "null" => (Node::Null, RegularType::Null),
        "boolean" => (Node::Boolean, RegularType::Boolean),
        "int" => (Node::Int(IntKind::Plain), RegularType::Int),
        "long" => (Node::Long(LongKind::Plain), RegularType::Long),
        "float" => (Node::Float, RegularType::Float),
        "double" => (Node::Double, RegularType::Double),
        "bytes" => (Node::Bytes(None), RegularType::Bytes),
        "string" => (Node::Text(TextKind::Plain), RegularType::String),
        _ => return None,
    })
}

/// A primitive with its logical type. One that does not fit its type is ignored, as the specification says.
fn annotated(node: Node, object: &Object) -> Node {
    let logical = object.get("logicalType").and_then(Value::as_str).unwrap_or_default();
    match node {
        Node::Int(kind) => Node::Int(match logical {
            "date" => IntKind::Date,
            "time-millis" => IntKind::TimeOfDay,
            _ => kind,
        }),
        Node::Long(kind) => Node::Long(match logical {
            "timestamp-millis" => LongKind::Timestamp(TimeUnit::Milli),
            "timestamp-micros" => LongKind::Timestamp(TimeUnit::Micro),
            "timestamp-nanos" => LongKind::Timestamp(TimeUnit::Nano),
            "local-timestamp-millis" => LongKind::LocalTimestamp(TimeUnit::Milli),
            "local-timestamp-micros" => LongKind::LocalTimestamp(TimeUnit::Micro),
            "local-timestamp-nanos" => LongKind::LocalTimestamp(TimeUnit::Nano),
            "time-micros" => LongKind::TimeOfDay,
            _ => kind,
        }),
        Node::Text(_) if logical == "uuid" => Node::Text(TextKind::Uuid),
        Node::Bytes(_) if logical == "decimal" => Node::Bytes(decimal_digits(object)),
        node => node,
    }
}

/// The name of a named type inside the graph: its place, since the user's names play no part in the bytes.
fn graph_name(key: SchemaKey) -> Name {
    Name::from_fully_qualified_name(format!("t{}", key.idx()))
}

/// The name under which serde_avro_fast reports a branch of a union.
fn wire_name(node: &Node, key: SchemaKey) -> Result<Box<str>, Reject> {
    Ok(match node {
        Node::Null => "Null".into(),
        Node::Boolean => "Boolean".into(),
        Node::Int(_) => "Int".into(),
        Node::Long(_) => "Long".into(),
        Node::Float => "Float".into(),
        Node::Double => "Double".into(),
        Node::Bytes(_) => "Bytes".into(),
        Node::Text(_) => "String".into(),
        Node::Array(_) => "Array".into(),
        Node::Map(_) => "Map".into(),
        Node::Record(_) | Node::Enum(_) | Node::Fixed(_) => format!("t{}", key.idx()).into(),
        Node::Union(_) => return Err(refused("a union directly inside a union")),
    })
}

fn bounded(record: Record) -> Result<Record, Reject> {
    if record.unfolded > MAX_SCHEMA_FIELDS {
        return Err(refused(format!("unfolds to {} fields, at most {MAX_SCHEMA_FIELDS}", record.unfolded)));
    }
    if record.depth > MAX_SCHEMA_DEPTH {
        return Err(refused(format!("types nest deeper than {MAX_SCHEMA_DEPTH}")));
    }
    Ok(record)
}
