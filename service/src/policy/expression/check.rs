//! Check: goes through a parsed expression before any payment does. Words must be known, kinds must fit, parts are
//! counted; every word is replaced by the code of its place on the way.
//!
//! It is as strict as CEL's own checker and stricter where CEL would answer "never": a text compared with a number.
//! It does not follow nulls: `feature.x > 5` is accepted, and has no value for a payment whose x is undefined.

use cel::IdedExpr;
use cel::common::ast::operators::{
    ADD, CONDITIONAL, DIVIDE, EQUALS, GREATER, GREATER_EQUALS, IN, LESS, LESS_EQUALS, LOGICAL_AND,
    LOGICAL_NOT, LOGICAL_OR, MODULO, MULTIPLY, NEGATE, NOT_EQUALS, SUBSTRACT,
};
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, SourceInfo};

use super::kind::Kind;
use super::word::{Constants, Word};
use super::{Flaw, MAX_NESTING};
use crate::policy::terms::Terms;

/// Most parts of one expression: a comparison has three.
const MAX_PARTS: usize = 1_000;

/// Names that are suggested for one that is not known.
const MOST_SUGGESTIONS: usize = 5;

/// What may stand as a word.
const ROOTS: &str = "payment.NAME, entity.NAME, field.NAME, feature.NAME, list.NAME or score";

/// What may be called.
const FUNCTIONS: &str = "text.startsWith(text), text.endsWith(text), text.contains(text), size(text), \
                         int(number) or double(number)";

/// A part of an expression that was looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    kind: Kind,
    /// Its first character.
    at: usize,
}

/// One walk through one expression.
pub(super) struct Check<'a> {
    terms: &'a Terms,
    places: &'a SourceInfo,
    constants: &'a mut Constants,
    parts: usize,
    flaws: Vec<Flaw>,
}

impl<'a> Check<'a> {
    pub(super) fn new(terms: &'a Terms, places: &'a SourceInfo, constants: &'a mut Constants) -> Self {
        Self { terms, places, constants, parts: 0, flaws: Vec::new() }
    }

    /// Parts counted so far.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Everything that is wrong, in the order of the text.
    pub(super) fn flaws(mut self) -> Vec<Flaw> {
        self.flaws.sort_by_key(|flaw| flaw.character);
        self.flaws
    }

    /// Reports an expression that is no condition.
    pub(super) fn want_condition(&mut self, part: Part) {
        self.want(part, Kind::Flag, "a condition: true or false, such as score > 0.5");
    }

    /// What an expression is, and where it begins.
    pub(super) fn part(&mut self, expr: &mut IdedExpr, depth: u16) -> Part {
        // Before a word is replaced and a call taken apart: their parts say where they begin.
        let at = self.start(expr).unwrap_or(0);
        let at = self.places.source.get(..at).map_or(at, |before| before.chars().count());
        self.parts += 1;
        if self.parts == MAX_PARTS + 1 {
            self.report(at, format!("more than {MAX_PARTS} parts"), "several rules");
        }
        if depth == MAX_NESTING {
            self.report(at, "too deep a nesting", &format!("at most {MAX_NESTING} levels"));
        }
        let kind = match &mut expr.expr {
            _ if depth >= MAX_NESTING || self.parts > MAX_PARTS => Kind::Unknown,
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Ident(_) | Expr::Select(_) => self.word(at, expr),
            Expr::Call(call) => self.call(at, call, depth + 1),
            Expr::List(_) => self.refuse(at, "a list", "a list only behind `in`"),
            Expr::Map(_) | Expr::Struct(_) => self.refuse(at, "a map or a message", "a plain value"),
            Expr::Comprehension(_) | Expr::Unspecified => self.refuse(at, "a loop", "a plain value"),
        };
        Part { kind, at }
    }

    fn literal(&mut self, at: usize, literal: &LiteralValue) -> Kind {
        match literal {
            LiteralValue::Boolean(_) => Kind::Flag,
            LiteralValue::Int(_) => Kind::Whole,
            LiteralValue::Double(_) => Kind::Real,
            LiteralValue::String(_) => Kind::Text,
            LiteralValue::Null => Kind::Null,
            LiteralValue::UInt(_) => self.refuse(at, "an unsigned number", "a number without the u"),
            LiteralValue::Bytes(_) => self.refuse(at, "bytes", "a text"),
        }
    }

    /// A variable: it is replaced by its code.
    fn word(&mut self, at: usize, expr: &mut IdedExpr) -> Kind {
        let (root, name) = match &expr.expr {
            Expr::Ident(name) if name == "score" => {
                expr.expr = Expr::Ident(Word::Score.code());
                return Kind::Real;
            }
            Expr::Ident(root) => (root.clone(), None),
            Expr::Select(SelectExpr { operand, field, test: false }) => match &operand.expr {
                Expr::Ident(root) => (root.clone(), Some(field.clone())),
                _ => return self.refuse(at, "a field of a value", ROOTS),
            },
            _ => return self.refuse(at, "a test for a field", "a comparison with null"),
        };
        let word = name.as_deref().and_then(|name| Word::find(&root, name, self.terms));
        if let Some((word, kind)) = word {
            expr.expr = Expr::Ident(word.code());
            return kind;
        }
        let found = name.as_deref().map_or(root.clone(), |name| format!("{root}.{name}"));
        let expected = match Word::names(&root, self.terms) {
            None => ROOTS.to_owned(),
            Some(names) if names.is_empty() => format!("another word: there is no {root}"),
            Some(names) => format!("{root}. and {}", suggested(name.as_deref().unwrap_or(""), names)),
        };
        self.refuse(at, &format!("the unknown word {found}"), &expected)
    }

    fn call(&mut self, at: usize, call: &mut CallExpr, depth: u16) -> Kind {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref_mut(), call.args.as_mut_slice()) {
            (LOGICAL_AND | LOGICAL_OR, None, [left, right]) => {
                self.operand(left, Kind::Flag, depth);
                self.operand(right, Kind::Flag, depth)
            }
            (LOGICAL_NOT, None, [of]) => self.operand(of, Kind::Flag, depth),
            (EQUALS | NOT_EQUALS, None, [left, right]) => {
                let (left, right) = (self.part(left, depth), self.part(right, depth));
                self.equality(at, left.kind, right.kind)
            }
            (LESS | LESS_EQUALS | GREATER | GREATER_EQUALS, None, [left, right]) => {
                let (left, right) = (self.part(left, depth), self.part(right, depth));
                self.order(at, left.kind, right.kind)
            }
            (ADD | SUBSTRACT | MULTIPLY | DIVIDE | MODULO, None, [left, right]) => {
                let whole_only = name == MODULO;
                let (left, right) = (self.part(left, depth), self.part(right, depth));
                self.arithmetic(at, left.kind, right.kind, whole_only)
            }
            (NEGATE, None, [of]) => self.number(of, depth),
            (CONDITIONAL, None, [condition, yes, no]) => {
                self.operand(condition, Kind::Flag, depth);
                let (yes, no) = (self.part(yes, depth), self.part(no, depth));
                self.choice(at, yes.kind, no.kind)
            }
            (IN, None, [value, list]) => self.membership(value, list, depth),
            ("size", None, [of]) => {
                self.operand(of, Kind::Text, depth);
                Kind::Whole
            }
            ("int", None, [of]) => {
                self.number(of, depth);
                Kind::Whole
            }
            ("double", None, [of]) => {
                self.number(of, depth);
                Kind::Real
            }
            ("startsWith" | "endsWith" | "contains", Some(of), [argument]) => {
                self.operand(of, Kind::Text, depth);
                self.operand(argument, Kind::Text, depth);
                Kind::Flag
            }
            _ => {
                let found = shown(name);
                self.refuse(at, &found, FUNCTIONS)
            }
        }
    }

    fn operand(&mut self, expr: &mut IdedExpr, wanted: Kind, depth: u16) -> Kind {
        let part = self.part(expr, depth);
        self.want(part, wanted, &wanted.to_string());
        wanted
    }

    fn number(&mut self, expr: &mut IdedExpr, depth: u16) -> Kind {
        let part = self.part(expr, depth);
        if part.kind.is_number() {
            return part.kind;
        }
        self.refuse(part.at, &part.kind.to_string(), "a number")
    }

    fn equality(&mut self, at: usize, left: Kind, right: Kind) -> Kind {
        if !left.can_equal(right) {
            self.report(at, format!("{left} compared with {right}"), "two values of one kind, or null");
        }
        Kind::Flag
    }

    fn order(&mut self, at: usize, left: Kind, right: Kind) -> Kind {
        let texts = left.fits(Kind::Text) && right.fits(Kind::Text);
        let numbers = left.is_number() && right.is_number();
        if !(texts || numbers) {
            self.report(at, format!("{left} compared with {right}"), "two numbers or two texts");
        }
        Kind::Flag
    }

    fn arithmetic(&mut self, at: usize, left: Kind, right: Kind, whole_only: bool) -> Kind {
        let known = if left == Kind::Unknown { right } else { left };
        let numbers = left.is_number() && right.is_number() && left.fits(right);
        if numbers && !(whole_only && known == Kind::Real) {
            return known;
        }
        let expected = if whole_only {
            "two whole numbers"
        } else {
            "two whole numbers or two doubles: double(...) around the whole one, or 2.0 for 2"
        };
        self.refuse(at, &format!("{left} and {right}"), expected)
    }

    fn choice(&mut self, at: usize, yes: Kind, no: Kind) -> Kind {
        if !yes.fits(no) {
            return self.refuse(at, &format!("{yes} or else {no}"), "two values of one kind");
        }
        if yes == Kind::Unknown { no } else { yes }
    }

    fn membership(&mut self, value: &mut IdedExpr, list: &mut IdedExpr, depth: u16) -> Kind {
        let value = self.part(value, depth);
        let Expr::List(elements) = &mut list.expr else {
            let list = self.part(list, depth);
            self.want(list, Kind::Texts, "a list in brackets, or list.names");
            if list.kind == Kind::Texts {
                self.want(value, Kind::Text, "a text");
            }
            return Kind::Flag;
        };
        self.parts += 1;
        for element in &mut elements.elements {
            let element = self.part(element, depth + 1);
            if !value.kind.can_equal(element.kind) {
                self.report(element.at, element.kind.to_string(), &value.kind.to_string());
            }
        }
        if let Some(word) = self.constants.keep(&elements.elements) {
            list.expr = Expr::Ident(word.code());
        }
        Kind::Flag
    }

    fn want(&mut self, part: Part, wanted: Kind, expected: &str) {
        if !part.kind.fits(wanted) {
            self.report(part.at, part.kind.to_string(), expected);
        }
    }

    fn refuse(&mut self, at: usize, found: &str, expected: &str) -> Kind {
        self.report(at, found, expected);
        Kind::Unknown
    }

    fn report(&mut self, at: usize, found: impl Into<String>, expected: &str) {
        self.flaws.push(Flaw { character: at, found: found.into(), expected: expected.to_owned() });
    }

    /// The first byte of an expression: its parts may begin before the operator that it is known by.
    fn start(&self, expr: &IdedExpr) -> Option<usize> {
        let own = self.places.offset_for(expr.id).and_then(|(start, _)| usize::try_from(start).ok());
        let own = match &expr.expr {
            // A function is known by its bracket.
            Expr::Call(call) if call.target.is_none() && call.func_name.starts_with(char::is_alphabetic) => {
                own.map(|bracket| bracket.saturating_sub(call.func_name.len()))
            }
            _ => own,
        };
        let first = match &expr.expr {
            Expr::Select(select) => self.start(&select.operand),
            Expr::Call(call) => {
                call.target.as_deref().or(call.args.first()).and_then(|first| self.start(first))
            }
            _ => None,
        };
        own.into_iter().chain(first).min()
    }
}

/// An operator or a function, as the user knows it.
fn shown(name: &str) -> String {
    let plain: String = name.chars().filter(|c| *c != '_' && *c != '@').collect();
    if plain.chars().all(char::is_alphanumeric) { format!("{plain}()") } else { format!("`{plain}`") }
}

/// The names most like the one that is not known: those that begin most alike.
fn suggested(name: &str, mut names: Vec<String>) -> String {
    let alike = |other: &str| name.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    names.sort_by_key(|other| std::cmp::Reverse(alike(other)));
    let more = if names.len() > MOST_SUGGESTIONS { ", ..." } else { "" };
    names.truncate(MOST_SUGGESTIONS);
    format!("{}{more}", names.join(", "))
}
