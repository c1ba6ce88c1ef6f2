//! Fields that were renamed: which names the schemas met so far have called the same.
//!
//! A mapping names a field once. A later schema may rename it and keep the old name as an alias, and then records
//! of both schemas are in the topic for weeks, whichever of the names the mapping uses. What one schema says about
//! its names holds for the records of all of them.

use std::collections::HashMap;

use super::schema::CheckedSchema;
use super::tree::{Node, Record};

/// Most names kept: the registry is another's, and memory is ours. Far more than any team renames.
const MAX_NAMES: usize = 20_000;

/// The aliases of all schemas met: for the path of a record, the groups of names that mean one field.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    groups: HashMap<String, Vec<Vec<Box<str>>>>,
    names: usize,
}

impl Aliases {
    /// No schema met yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the aliases of a schema's fields. Whether any was new: then the schemas met before are planned again.
    pub fn learn(&mut self, schema: &CheckedSchema) -> bool {
        let before = self.names;
        self.learn_record(&schema.root, "");
        self.names > before
    }

    fn learn_record(&mut self, record: &Record, path: &str) {
        for field in &record.fields {
            if !field.aliases.is_empty() {
                let mut group: Vec<Box<str>> = vec![field.name.clone()];
                group.extend(field.aliases.iter().cloned());
                self.learn_group(path, group);
            }
            self.learn_node(&field.node, &joined(path, &field.name));
        }
    }

    fn learn_node(&mut self, node: &Node, path: &str) {
        match node {
            Node::Record(record) => self.learn_record(record, path),
            Node::Union(branches) => branches.iter().for_each(|branch| self.learn_node(&branch.node, path)),
            // A mapping cannot lead into an array or a map.
            _ => {}
        }
    }

    fn learn_group(&mut self, path: &str, group: Vec<Box<str>>) {
        if self.names + group.len() > MAX_NAMES {
            return;
        }
        let groups = self.groups.entry(path.to_owned()).or_default();
        if !groups.contains(&group) {
            self.names += group.len();
            groups.push(group);
        }
    }

    /// Whether some schema says that both names mean one field of the record at `path`.
    pub(crate) fn same(&self, path: &str, one: &str, other: &str) -> bool {
        let has = |group: &[Box<str>], name: &str| group.iter().any(|known| &**known == name);
        let groups = self.groups.get(path).map(Vec::as_slice).unwrap_or_default();
        groups.iter().any(|group| has(group, one) && has(group, other))
    }
}

/// The path of a field from its record's path.
pub(crate) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
