//! Sessions: a subject with roles, whoever vouched for them. Only a hash of the token is kept.

use crate::error::QueueError;
use crate::store::Queue;

/// What the browser holds: 32 random bytes, hexadecimal. Its `Debug` does not tell.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A token as a cookie has it; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| Self(text.to_ascii_lowercase()))
    }

    /// For the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The subject: an account's name, or what an identity provider calls them.
    pub subject: String,
    /// Words of roles, as the account has them now.
    pub roles: Vec<String>,
    /// To be sent with everything that changes something: a function of the token, unknown to other sites.
    pub csrf: String,
    /// When it is over whatever happens.
    pub ends_ms: i64,
}

/// A try to sign in.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The name as typed.
    pub name: &'a str,
    /// The password as typed.
    pub password: &'a str,
}

/// What came of it. A wrong name and a wrong password are not told apart, nor by the time that they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// Come in.
    In(Token, Session),
    /// Name or password are wrong.
    Wrong,
    /// Too many wrong ones: not before this time, right or wrong.
    Locked {
        /// Milliseconds since 1970.
        until_ms: i64,
    },
}

impl Queue {
    /// Checks a password and begins a session. Successes, failures and lockouts are audit entries.
    ///
    /// # Errors
    /// See [`QueueError`]; `Unavailable` too when too many sign in at once.
    pub async fn sign_in(&self, attempt: Attempt<'_>, now_ms: i64) -> Result<SignIn, QueueError> {
        let _ = (attempt, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Begins a session for somebody whom another has vouched for.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn begin_session(
        &self,
        subject: &str,
        roles: &[String],
        now_ms: i64,
    ) -> Result<(Token, Session), QueueError> {
        let _ = (subject, roles, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Who holds this token, if it is still good; the idle time begins anew (written at most once a minute).
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn session(&self, token: &Token, now_ms: i64) -> Result<Option<Session>, QueueError> {
        let _ = (token, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn sign_out(&self, token: &Token, now_ms: i64) -> Result<(), QueueError> {
        let _ = (token, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
