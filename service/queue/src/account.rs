//! Accounts of people, with passwords as argon2id hashes. Every change is an audit entry.

use crate::error::QueueError;
use crate::store::Queue;

/// Somebody new.
#[derive(Debug, Clone)]
pub struct NewAccount<'a> {
    /// 1 to 64 letters, digits, `.`, `-`, `_` and `@`.
    pub name: &'a str,
    /// 10 to 256 characters.
    pub password: &'a str,
    /// Words of roles; what they mean is not known here.
    pub roles: &'a [String],
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// Words of roles.
    pub roles: Vec<String>,
    /// May not sign in any more.
    pub disabled: bool,
    /// Made when.
    pub created_ms: i64,
}

impl Queue {
    /// Makes an account.
    ///
    /// # Errors
    /// `Invalid`; `NotNow` when there is one of the name.
    pub async fn add_account(
        &self,
        actor: &str,
        new: NewAccount<'_>,
        now_ms: i64,
    ) -> Result<Account, QueueError> {
        let _ = (actor, new, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn accounts(&self) -> Result<Vec<Account>, QueueError> {
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Another password; all sessions of the account end.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn set_password(
        &self,
        actor: &str,
        name: &str,
        password: &str,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        let _ = (actor, name, password, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Lets somebody in no more; all sessions of the account end.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn disable(&self, actor: &str, name: &str, now_ms: i64) -> Result<(), QueueError> {
        let _ = (actor, name, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
