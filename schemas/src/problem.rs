//! What is wrong with the user's input, said so that it can be put right.
//!
//! Every file that a user writes (config, features, policy, manifest) is read whole before anything is
//! refused, so that all its errors are seen at once. Not for records of a topic: those are data, see `Reject`.

use std::fmt;

/// One thing to put right: where it stands, what was found and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file (or flag, or variable) as the user named it.
    pub file: String,
    /// Dotted path of the key inside the file, or `line L, column C` where the text does not parse.
    pub key: String,
    /// What stands there now.
    pub found: String,
    /// What to write instead.
    pub expected: String,
}

impl Problem {
    /// A problem with one key of one file.
    pub fn new(
        file: impl Into<String>,
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), key: key.into(), found: found.into(), expected: expected.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: found {}; expected {}", self.file, self.key, self.found, self.expected)
    }
}

/// Everything that is wrong, in the order in which it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// `Ok(value)` when nothing is wrong.
    ///
    /// # Errors
    /// All problems, when there is at least one or the value is missing.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
