//! The layers of the configuration, laid over each other as plain tables; and where each value came from.
//!
//! Nothing is checked here but that a table meets a table: keys and values are judged once, where they are read.

use std::collections::BTreeMap;

use schemas::document::quoted;
use schemas::problem::Problem;
use toml::{Table, Value};

/// What the names of our variables begin with.
const PREFIX: &str = "TRIPLINE__";

/// Between the parts of a variable's name.
const BETWEEN: &str = "__";

/// The overlaid table.
#[derive(Debug)]
pub(super) struct Layers {
    /// What is read.
    pub table: Table,
    /// What is wrong already.
    pub problems: Vec<Problem>,
    /// The file, flag or variable of each key that is not from the default, by its dotted path.
    origins: BTreeMap<String, String>,
}

impl Layers {
    /// The lowest layer.
    pub fn over(default: Table) -> Self {
        Self { table: default, problems: Vec::new(), origins: BTreeMap::new() }
    }

    /// Lays the file's table on top.
    pub fn file(&mut self, name: &str, mut over: Table) {
        flatten_properties(&mut over);
        merge(name, "", &mut self.table, over, &mut self.problems);
    }

    /// Lays the variables of the environment on top, in the order of their names.
    pub fn environment(&mut self, env: &[(String, String)]) {
        let ours =
            |name: &str| name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        let mut variables: Vec<_> = env.iter().filter(|(name, _)| ours(name)).collect();
        variables.sort();
        for (name, value) in variables {
            let rest = name.get(PREFIX.len()..).unwrap_or_default().to_lowercase();
            let parts: Vec<_> = rest.split(BETWEEN).map(str::to_owned).collect();
            if parts.iter().any(String::is_empty) {
                let expected = "a name such as TRIPLINE__KAFKA__BOOTSTRAP";
                self.problems.push(Problem::new(name, "the variable's name", "an empty part", expected));
                continue;
            }
            let parts = self.spelled(parts);
            self.put(name, parts, value_of(value));
        }
    }

    /// Lays the arguments of `--set` on top, in their order.
    pub fn sets(&mut self, sets: &[String]) {
        for set in sets {
            let origin = "--set";
            let parts = set.split_once('=').map(|(key, value)| (key.trim(), value));
            let parts =
                parts.map(|(key, value)| (key.split('.').map(str::to_owned).collect::<Vec<_>>(), value));
            match parts {
                Some((parts, value)) if !parts.iter().any(String::is_empty) => {
                    self.put(origin, parts, value_of(value));
                }
                // The value is not quoted back: it may be a secret.
                _ => {
                    let key = set.split('=').next().unwrap_or_default();
                    let expected = "key=value, such as kafka.bootstrap=127.0.0.1:9092";
                    let found = if set.contains('=') { "an empty part of a key" } else { "no \"=\"" };
                    self.problems.push(Problem::new(origin, key, found, expected));
                }
            }
        }
    }

    /// Who set the key, or the nearest table above it.
    pub fn origin(&self, key: &str) -> Option<&str> {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return Some(origin);
            }
            key = key.rsplit_once(['.', '['])?.0;
        }
    }

    /// The parts as the table spells them, where it has them in another case: names of the user's own may be in
    /// capitals.
    fn spelled(&self, parts: Vec<String>) -> Vec<String> {
        let mut table = Some(&self.table);
        let mut spelled = Vec::with_capacity(parts.len());
        for part in parts {
            let key = table.and_then(|table| table.keys().find(|key| key.to_lowercase() == part)).cloned();
            let key = key.unwrap_or(part);
            table = table.and_then(|table| table.get(&key)).and_then(Value::as_table);
            spelled.push(key);
        }
        spelled
    }

    /// Puts one value at its key.
    fn put(&mut self, origin: &str, parts: Vec<String>, value: Value) {
        let parts = match parts.as_slice() {
            [kafka, properties, name @ ..]
                if kafka == "kafka" && properties == "properties" && !name.is_empty() =>
            {
                vec![kafka.clone(), properties.clone(), name.join(".")]
            }
            _ => parts,
        };
        let dotted = parts.join(".");
        let mut over = value;
        let mut table = &mut self.table;
        if let Some((last, above)) = parts.split_last() {
            for part in above {
                let inner = table.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
                match inner {
                    Value::Table(inner) => table = inner,
                    other => {
                        let expected = format!("no such key: {part} is not a table");
                        self.problems.push(Problem::new(origin, &dotted, quoted(other), expected));
                        return;
                    }
                }
            }
            let is_section = above.is_empty() && table.get(last).is_some_and(Value::is_table);
            over = Value::Table(Table::from_iter([(last.clone(), over)]));
            if !is_section {
                // What stood there is replaced whole: `{ field = ... }` by `{ value = ... }`.
                table.remove(last);
            }
        }
        if let Value::Table(over) = over {
            merge(origin, "", table, over, &mut self.problems);
        }
        flatten_properties(&mut self.table);
        self.origins.insert(dotted, origin.to_owned());
    }
}

/// Lays `over` on `under`, key by key where both are tables.
fn merge(origin: &str, path: &str, under: &mut Table, over: Table, problems: &mut Vec<Problem>) {
    for (key, value) in over {
        let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(origin, &dotted, under, over, problems),
            // The section's other keys keep their values, and are not reported as missing.
            (Some(Value::Table(_)), value) => {
                problems.push(Problem::new(origin, &dotted, quoted(&value), format!("a table [{dotted}]")));
            }
            (_, value) => _ = under.insert(key, value),
        }
    }
}

/// `5`, `true`, `["a", "b"]` and `"text"` as TOML reads them; anything else is a text as it stands.
fn value_of(text: &str) -> Value {
    text.parse::<Value>().unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Writes `security.protocol = "SSL"` and `"security.protocol" = "SSL"` in `[kafka.properties]` as the same key, so
/// that a layer finds what another has set. Numbers and booleans become texts: librdkafka takes nothing else.
fn flatten_properties(table: &mut Table) {
    let kafka = table.get_mut("kafka").and_then(Value::as_table_mut);
    let properties = kafka.and_then(|kafka| kafka.get_mut("properties")).and_then(Value::as_table_mut);
    if let Some(properties) = properties {
        let mut flat = Table::new();
        flatten(std::mem::take(properties), "", &mut flat);
        *properties = flat;
    }
}

fn flatten(table: Table, path: &str, flat: &mut Table) {
    for (key, value) in table {
        let dotted = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => flatten(inner, &dotted, flat),
            Value::Integer(_) | Value::Boolean(_) => {
                _ = flat.insert(dotted, Value::String(value.to_string()))
            }
            value => _ = flat.insert(dotted, value),
        }
    }
}
