//! A TOML file read key by key, collecting every error on the way.
//!
//! serde stops at the first error and cannot name the file; a user with five typing errors would start the
//! service five times. So keys are asked for one by one: a missing, malformed or unknown key becomes a
//! [`Problem`] and reading goes on. Not a config system: precedence of flags and files is the service's.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use toml::{Table, Value};

use crate::problem::{Problem, Problems};

/// Longest value that is quoted back to the user, characters.
const QUOTED_CHARS: usize = 60;

/// A type that can be read from one TOML value.
pub trait FromToml: Sized {
    /// What the user should write, for the error: `a duration with a unit, such as "7d"`.
    const EXPECTED: &'static str;
    /// The value, or `None` if it is not one.
    fn from_toml(value: &Value) -> Option<Self>;
}

/// Where the errors of one file are collected.
#[derive(Debug, Clone)]
pub struct Sink {
    file: Rc<str>,
    problems: Rc<RefCell<Vec<Problem>>>,
}

impl Sink {
    fn new(file: &str) -> Self {
        Self { file: file.into(), problems: Rc::default() }
    }

    /// Reports one problem with `key`.
    pub fn report(&self, key: &str, found: impl Into<String>, expected: impl Into<String>) {
        self.problems.borrow_mut().push(Problem::new(&*self.file, key, found, expected));
    }

    /// Everything reported so far. Call it after the sections are dropped: that is when unknown keys show.
    pub fn problems(&self) -> Problems {
        Problems(self.problems.borrow().clone())
    }
}

/// One table of the file. Keys still unasked for when it is dropped are reported as unknown.
#[derive(Debug)]
pub struct Section {
    path: String,
    table: Table,
    asked: BTreeSet<String>,
    sink: Sink,
}

impl Section {
    /// Reads the text of a file; a text that does not parse is reported and read as empty.
    pub fn open(file: &str, text: &str) -> (Section, Sink) {
        let sink = Sink::new(file);
        let table = text.parse::<Table>().unwrap_or_else(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| line_and_column(text, span.start));
            sink.report(&format!("line {line}, column {column}"), error.message(), "valid TOML");
            Table::new()
        });
        (Section::of(String::new(), table, sink.clone()), sink)
    }

    /// A table that was read (and perhaps overlaid) elsewhere.
    pub fn from_table(file: &str, table: Table) -> (Section, Sink) {
        let sink = Sink::new(file);
        (Section::of(String::new(), table, sink.clone()), sink)
    }

    fn of(path: String, table: Table, sink: Sink) -> Self {
        Self { path, table, asked: BTreeSet::new(), sink }
    }

    /// Dotted path of a key of this section, as the user would look for it.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports a problem with one of this section's keys.
    pub fn report(&self, key: &str, found: impl Into<String>, expected: impl Into<String>) {
        self.sink.report(&self.key(key), found, expected);
    }

    /// The raw value, if the key is there.
    pub fn raw(&mut self, key: &str) -> Option<Value> {
        self.asked.insert(key.to_owned());
        self.table.remove(key)
    }

    /// The value, if the key is there and well formed; a malformed one is reported.
    pub fn optional<T: FromToml>(&mut self, key: &str) -> Option<T> {
        let value = self.raw(key)?;
        let read = T::from_toml(&value);
        if read.is_none() {
            self.report(key, quoted(&value), T::EXPECTED);
        }
        read
    }

    /// The value; a missing or malformed one is reported.
    pub fn required<T: FromToml>(&mut self, key: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.asked.insert(key.to_owned());
            self.report(key, "nothing", T::EXPECTED);
            return None;
        }
        self.optional(key)
    }

    /// The value, or `default` where the key is missing or malformed (the latter is reported).
    pub fn or<T: FromToml>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// An integer within bounds, or `default`.
    pub fn integer_within(&mut self, key: &str, default: i64, within: std::ops::RangeInclusive<i64>) -> i64 {
        let value: i64 = self.or(key, default);
        if within.contains(&value) {
            return value;
        }
        self.report(key, value.to_string(), format!("{} to {}", within.start(), within.end()));
        default
    }

    /// One of the words, mapped to its meaning.
    pub fn word<T: Clone>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let word: String = self.optional(key)?;
        let found = words.iter().find(|(name, _)| *name == word).map(|(_, meaning)| meaning.clone());
        if found.is_none() {
            let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
            self.report(key, format!("\"{word}\""), format!("one of {}", names.join(", ")));
        }
        found
    }

    /// The table under `key`; empty when it is missing.
    pub fn section(&mut self, key: &str) -> Section {
        let table = match self.raw(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.report(key, quoted(&other), format!("a table [{}]", self.key(key)));
                Table::new()
            }
        };
        Section::of(self.key(key), table, self.sink.clone())
    }

    /// The array of tables under `key`, each with its place in its path.
    pub fn sections(&mut self, key: &str) -> Vec<Section> {
        let values = match self.raw(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(other) => {
                self.report(key, quoted(&other), format!("tables [[{}]]", self.key(key)));
                Vec::new()
            }
        };
        let mut sections = Vec::with_capacity(values.len());
        for (i, value) in values.into_iter().enumerate() {
            let path = self.key(&format!("{key}[{i}]"));
            match value {
                Value::Table(table) => sections.push(Section::of(path, table, self.sink.clone())),
                other => self.sink.report(&path, quoted(&other), "a table"),
            }
        }
        sections
    }

    /// Whether the key is there and holds a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(Value::is_table)
    }

    /// A section without keys that reports under `key`.
    pub fn empty(&self, key: &str) -> Section {
        Section::of(self.key(key), Table::new(), self.sink.clone())
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The keys not asked for yet, in order: for tables whose keys are the user's own names.
    pub fn remaining_keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        for key in self.table.keys() {
            let known: Vec<_> = self.asked.iter().map(String::as_str).collect();
            let expected = if known.is_empty() {
                "no key here".to_owned()
            } else {
                format!("one of {}", known.join(", "))
            };
            self.sink.report(&self.key(key), "an unknown key", expected);
        }
    }
}

/// A value as it is quoted back to the user, shortened.
pub fn quoted(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Table(_) => "a table".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= QUOTED_CHARS {
        return text;
    }
    let short: String = text.chars().take(QUOTED_CHARS).collect();
    format!("{short}...")
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

impl FromToml for String {
    const EXPECTED: &'static str = "a text in quotes, not empty";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }
}

impl FromToml for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromToml for i64 {
    const EXPECTED: &'static str = "a whole number";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_integer()
    }
}

impl FromToml for f64 {
    const EXPECTED: &'static str = "a finite number";
    fn from_toml(value: &Value) -> Option<Self> {
        let number = match value {
            Value::Float(number) => *number,
            Value::Integer(number) => *number as f64,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    const EXPECTED: &'static str = "a list in brackets";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::from_toml).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_reported_at_once() {
        let (mut root, sink) = Section::open("a.toml", "x = \"one\"\nz = 3\n[s]\ny = -1\ntypo = 1\n");
        assert_eq!(root.required::<i64>("x"), None);
        assert_eq!(root.required::<String>("missing"), None);
        let mut s = root.section("s");
        s.integer_within("y", 5, 0..=10);
        drop(s);
        drop(root);
        let text = sink.problems().to_string();
        for line in [
            "a.toml: x: found \"one\"; expected a whole number",
            "a.toml: missing: found nothing",
            "a.toml: s.y: found -1; expected 0 to 10",
            "a.toml: s.typo: found an unknown key; expected one of y",
            "a.toml: z: found an unknown key",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        assert_eq!(sink.problems().0.len(), 5);
    }

    #[test]
    fn a_text_that_does_not_parse_names_line_and_column() {
        let (root, sink) = Section::open("a.toml", "x = 1\ny = = 2\n");
        drop(root);
        assert_eq!(sink.problems().0[0].key, "line 2, column 5");
    }
}
