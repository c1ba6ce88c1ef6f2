//! Expression: a condition of the policy in CEL, checked and compiled once, evaluated for every payment.
//!
//! ```text
//! text ─► cel's parser ─► check: words known, kinds fit, size bounded ─► Expression ─► cel's interpreter
//!                            └─ every word is replaced by its place: no name is looked up for a payment
//! ```
//! What is accepted is the part of CEL (<https://cel.dev>) that a condition over one payment needs: comparisons,
//! logic, arithmetic, `in`, `? :`, a few functions on texts. There are no comprehensions, maps or regular
//! expressions, so an evaluation takes at most as many steps as the text has parts. Not a language of our own: what
//! is accepted means what CEL says.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelBool;
use cel::{Context, Env, IdedExpr, Value};

use super::terms::Terms;

mod check;
mod kind;
mod word;

pub(super) use word::{Constants, Values};

use check::Check;

/// Longest text of an expression, bytes.
pub(super) const MAX_BYTES: usize = 8_000;

/// Deepest nesting: the stack that an evaluation takes.
const MAX_NESTING: u16 = 32;

/// The standard functions, without macros: `exists`, `map` and the like stay calls, and are refused as unknown.
static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// Something wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Where, in characters from 0.
    pub(super) character: usize,
    /// What stands there.
    pub(super) found: String,
    /// What could.
    pub(super) expected: String,
}

/// Why an expression has no value: a null where a number was needed, a number too large. Which is in the policy's
/// text and the payment; here it only counts that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotEvaluated;

/// A checked condition.
#[derive(Clone, PartialEq)]
pub(super) struct Expression {
    root: IdedExpr,
    parts: usize,
    source: String,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl Expression {
    /// Compiles and checks a condition. Its lists of constants go to `constants`, with which it is evaluated.
    ///
    /// # Errors
    /// Every flaw that was found: of a text that does not parse the first.
    pub(super) fn compile(source: &str, terms: &Terms, constants: &mut Constants) -> Result<Self, Vec<Flaw>> {
        if source.len() > MAX_BYTES {
            let found = format!("an expression of {} bytes", source.len());
            return Err(vec![Flaw { character: 0, found, expected: format!("at most {MAX_BYTES}") }]);
        }
        let parser = ENVIRONMENT.parser().max_recursion_depth(MAX_NESTING).enable_ident_escape_syntax(true);
        let (mut root, places) = parser.parse_with_source_info(source).map_err(|errors| {
            let first = errors.errors.first();
            vec![first.map_or_else(|| flaw_of("", 0), |error| flaw_of(&error.msg, place(source, error.pos)))]
        })?;
        let mut check = Check::new(terms, &places, constants);
        let whole = check.part(&mut root, 0);
        check.want_condition(whole);
        let parts = check.parts();
        let flaws = check.flaws();
        if flaws.is_empty() { Ok(Self { root, parts, source: source.trim().to_owned() }) } else { Err(flaws) }
    }

    /// The text, without white space around it.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// How many parts an evaluation goes through at most.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// When it has no value.
    pub(super) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, NotEvaluated> {
        let value = Value::resolve_val(&self.root, context).map_err(|_| NotEvaluated)?;
        value.downcast_ref::<CelBool>().map(|flag| *flag.inner()).ok_or(NotEvaluated)
    }
}

/// What expressions are evaluated over: one for all expressions of a decision.
pub(super) fn context<'v>(values: &'v Values<'_>) -> Context<'v, 'v> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(values);
    context
}

/// A parser's message in the form of a problem.
fn flaw_of(message: &str, character: usize) -> Flaw {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    // The list of all tokens that could follow helps nobody.
    let message = message.split(" expecting {").next().unwrap_or_default();
    if message.starts_with("OtherError") {
        let expected = format!("at most {MAX_NESTING} levels");
        return Flaw { character, found: "too deep a nesting".to_owned(), expected };
    }
    let found = message.chars().take(100).collect();
    Flaw { character, found, expected: "an expression in CEL".to_owned() }
}

/// The character, from 0, of a line and column from 1.
fn place(source: &str, (line, column): (isize, isize)) -> usize {
    let lines = usize::try_from(line.saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    source.split_inclusive('\n').take(lines).map(|line| line.chars().count()).sum::<usize>() + column
}

#[cfg(test)]
mod tests;
