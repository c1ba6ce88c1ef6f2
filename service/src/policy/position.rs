//! Position: line and column, in the file as written, of a key and of a place inside a text.
//!
//! Reading gives values without their places. Whoever has to put a policy right looks for a line, so the file is
//! parsed a second time with places when something is wrong with it. Both count from 1, columns in characters.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A line and a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    line: usize,
    column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A file with the places of its keys.
#[derive(Debug)]
pub(super) struct Positions<'t> {
    text: &'t str,
    /// `None` where the text does not parse.
    root: Option<Spanned<DeTable<'t>>>,
}

/// What is found on the way along a dotted path.
enum Step<'a, 't> {
    Table(&'a DeTable<'t>),
    Value(&'a Spanned<DeValue<'t>>),
}

impl<'t> Positions<'t> {
    /// The places of a text.
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, root: DeTable::parse(text).ok() }
    }

    /// Where the key stands, `rule[2].action`, or that part of its path that there is; `None` where there is none.
    pub(super) fn key(&self, path: &str) -> Option<Position> {
        let (at, _) = self.walk(path)?;
        Some(self.position(at))
    }

    /// Where the character of the text under the key stands, counted from 0 in the text as it is read.
    pub(super) fn inside(&self, path: &str, character: usize) -> Option<Position> {
        let (at, value) = self.walk(path)?;
        let Some(value) = value.filter(|value| value.get_ref().is_str()) else {
            return Some(self.position(at));
        };
        let literal = self.text.get(value.span())?;
        Some(self.position(value.span().start + byte_of(literal, character)))
    }

    /// The byte at which the last key or element found on the path begins, and its value when the path was found
    /// whole.
    fn walk(&self, path: &str) -> Option<(usize, Option<&Spanned<DeValue<'t>>>)> {
        let mut step = Step::Table(self.root.as_ref()?.get_ref());
        let mut at = None;
        for part in path.split(['.', '[']) {
            let next = match (&step, part.strip_suffix(']')) {
                (Step::Table(table), None) => named(table, part),
                (Step::Value(value), None) => value.get_ref().as_table().and_then(|table| named(table, part)),
                (Step::Value(value), Some(index)) => element(value.get_ref(), index),
                (Step::Table(_), Some(_)) => None,
            };
            let Some((start, value)) = next else { return at.map(|at| (at, None)) };
            (at, step) = (Some(start), Step::Value(value));
        }
        match step {
            Step::Value(value) => at.map(|at| (at, Some(value))),
            Step::Table(_) => None,
        }
    }

    fn position(&self, byte: usize) -> Position {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Position { line: before.matches('\n').count() + 1, column }
    }
}

fn named<'a, 't>(table: &'a DeTable<'t>, name: &str) -> Option<(usize, &'a Spanned<DeValue<'t>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value))
}

fn element<'a, 't>(value: &'a DeValue<'t>, index: &str) -> Option<(usize, &'a Spanned<DeValue<'t>>)> {
    let element = value.as_array()?.get(index.parse::<usize>().ok()?)?;
    Some((element.span().start, element))
}

/// The byte of a TOML string, as it is written with its quotes, at which its n-th character begins.
fn byte_of(literal: &str, character: usize) -> usize {
    let quote = literal.chars().next().unwrap_or('"');
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let open = if literal.starts_with(&triple) && literal.len() >= 6 { 3 } else { 1 };
    let mut at = open;
    if open == 3 {
        // A line end right behind the quotes is not part of the text.
        let rest = literal.get(at..).unwrap_or_default();
        at += rest.len() - rest.strip_prefix("\r\n").or(rest.strip_prefix('\n')).unwrap_or(rest).len();
    }
    let mut left = character;
    loop {
        let rest = literal.get(at..).unwrap_or_default();
        let (bytes, characters) = written(rest, quote == '"', open == 3);
        if bytes == 0 || (left == 0 && characters > 0) {
            return at;
        }
        left -= characters;
        at += bytes;
    }
}

/// How many bytes the next thing takes, and how many characters of the text it stands for.
fn written(rest: &str, escapes: bool, folds: bool) -> (usize, usize) {
    let mut chars = rest.chars();
    let Some(first) = chars.next() else { return (0, 0) };
    if !escapes || first != '\\' {
        return (first.len_utf8(), 1);
    }
    match chars.next() {
        Some('x') => (4, 1),
        Some('u') => (6, 1),
        Some('U') => (10, 1),
        Some(' ' | '\t' | '\r' | '\n') if folds => {
            let behind = rest.get(1..).unwrap_or_default();
            (1 + behind.len() - behind.trim_start_matches([' ', '\t', '\r', '\n']).len(), 0)
        }
        Some(other) => (1 + other.len_utf8(), 1),
        None => (1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        "speed = 3\n",
        "[thresholds]\n",
        "  review = 1.1\n",
        "[[rule]]\n",
        "name = \"a\"\n",
        "when = \"a\\t\\u00e9b\"\n",
        "[[rule]]\n",
        "when = '''\n",
        "ü == 1\n",
        "&& b'''\n",
        "verdicts = [\"x\", \"y\"]\n",
        "cost = { fraud = { plus = 1 } }\n",
        "[[rule]]\n",
        "when = \"\"\"a \\\n",
        "    b\"\"\"\n",
    );

    fn at(position: Option<Position>) -> (usize, usize) {
        position.map_or((0, 0), |position| (position.line, position.column))
    }

    #[test]
    fn keys_have_their_place_or_that_of_what_holds_them() {
        let positions = Positions::of(TEXT);
        for (path, place) in [
            ("speed", (1, 1)),
            ("thresholds.review", (3, 3)),
            ("thresholds", (2, 2)),
            ("thresholds.decline", (2, 2)),
            ("rule[1].verdicts[1]", (11, 18)),
            ("rule[1].cost.fraud.plus", (12, 20)),
            ("rule[0].name", (5, 1)),
            ("rule[1].name", (7, 1)),
            ("nothing", (0, 0)),
        ] {
            assert_eq!(at(positions.key(path)), place, "{path}");
        }
        assert_eq!(at(Positions::of("a = = 1").key("a")), (0, 0));
    }

    #[test]
    fn characters_of_a_text_have_their_place_in_the_file() {
        let positions = Positions::of(TEXT);
        // a, tab, e acute, b
        let first: Vec<_> = (0..5).map(|n| at(positions.inside("rule[0].when", n))).collect();
        assert_eq!(first, [(6, 9), (6, 10), (6, 12), (6, 18), (6, 19)]);
        let second: Vec<_> = [0, 1, 5, 7, 10].map(|n| at(positions.inside("rule[1].when", n))).into();
        assert_eq!(second, [(9, 1), (9, 2), (9, 6), (10, 1), (10, 4)]);
        let third: Vec<_> = [0, 1, 2].map(|n| at(positions.inside("rule[2].when", n))).into();
        assert_eq!(third, [(14, 11), (14, 12), (15, 5)]);
        assert_eq!(at(positions.inside("rule[0].when", 999)), (6, 20), "behind the end is the end");
    }
}
