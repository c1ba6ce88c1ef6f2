//! What is wrong with a body, and where: faults with JSON Pointers (RFC 6901), several at once, bounded.
//!
//! A detail names types and limits, never content. A pointer holds the names of a body, which may be anything:
//! what looks like a card number in it is masked, and what is long is cut.

use crate::sensitive::masked;

/// Most faults told of one body: enough to mend it, too few to fill a log.
pub const MAX_FAULTS: usize = 20;

/// Longest name in a pointer, characters; a longer one is cut.
const MAX_NAME_CHARS: usize = 128;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// The codes of faults that are found before the mapping is asked, in the order of the docs. What the
        /// mapping finds has the words of [`RejectCode`](crate::reject::RejectCode).
        pub const FAULT_CODES: &[&str] = &[$($name,)*];
    };
}

codes! {
    /// No such field in the schema.
    UNKNOWN_FIELD = "unknown_field",
    /// A field without a default and never null is not there.
    MISSING_FIELD = "missing_field",
    /// A name stands twice in one object.
    DUPLICATE_FIELD = "duplicate_field",
    /// Another kind of JSON value than the schema's type takes.
    WRONG_TYPE = "wrong_type",
    /// A number that the type cannot hold.
    OUT_OF_RANGE = "out_of_range",
    /// More decimal places, or a finer time, than the type keeps.
    TOO_PRECISE = "too_precise",
    /// Not a symbol of the enum.
    NOT_IN_ENUM = "not_in_enum",
    /// A text with U+0000 or half of a surrogate pair.
    INVALID_TEXT = "invalid_text",
    /// A text that is no time, date, decimal, UUID or Base64 where the type wants one.
    INVALID_FORMAT = "invalid_format",
    /// A value that fits several branches of a union.
    AMBIGUOUS_BRANCH = "ambiguous_branch",
    /// A fixed of another length.
    WRONG_LENGTH = "wrong_length",
    /// More than is taken: of a batch, or of a record once its defaults are written.
    TOO_LONG = "too_long",
    /// A batch without items.
    TOO_SHORT = "too_short",
}

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Where, as a JSON Pointer into the body.
    pub pointer: String,
    /// A stable word: one of [`FAULT_CODES`], or of [`RejectCode`](crate::reject::RejectCode).
    pub code: &'static str,
    /// For a person: what was expected.
    pub detail: String,
}

/// What is wrong with one value, by whoever does not know where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Wrong {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// Where a value stands: the steps back up to the top. Lives on the stack; becomes text only for a fault.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Top,
    Name(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// The JSON Pointer.
    pub(super) fn pointer(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            At::Top => {}
            At::Name(above, name) => {
                above.write(out);
                push_name(out, name);
            }
            At::Index(above, index) => {
                above.write(out);
                out.push('/');
                out.push_str(&index.to_string());
            }
        }
    }
}

/// Appends one step of a JSON Pointer.
pub(super) fn push_name(out: &mut String, name: &str) {
    out.push('/');
    let cut = name.char_indices().nth(MAX_NAME_CHARS).map_or(name, |(end, _)| name.get(..end).unwrap_or(""));
    out.push_str(&masked(cut).replace('~', "~0").replace('/', "~1"));
    if cut.len() < name.len() {
        out.push('…');
    }
}

/// The faults found so far.
#[derive(Debug)]
pub(super) struct Faults {
    found: Vec<Fault>,
    most: usize,
}

impl Faults {
    /// None yet, and at most this many.
    pub(super) fn new(most: usize) -> Self {
        Self { found: Vec::new(), most }
    }

    pub(super) fn push(&mut self, at: &At<'_>, wrong: Wrong) {
        if !self.is_full() {
            let Wrong { code, detail } = wrong;
            self.found.push(Fault { pointer: at.pointer(), code, detail });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether another one would be left out: then looking further is idle.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.found
    }
}
