//! Sessions: a subject with roles, whoever vouched for them. Only a hash of the token is kept.

use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::account::{NOBODY, words};
use crate::audit::Deed;
use crate::error::QueueError;
use crate::store::Queue;

/// That a session was used is written so seldom: each request would be a write otherwise.
const SEEN_EVERY_MS: i64 = 60_000;

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

    fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }

    /// What the database knows it by: who reads the table cannot sign in with it.
    fn hash(&self) -> String {
        hex::encode(Sha256::digest(format!("session {}", self.0)))
    }

    /// Another function of it than the one in the table: who reads the table cannot forge requests either.
    fn csrf(&self) -> String {
        hex::encode(&Sha256::digest(format!("csrf {}", self.0))[..16])
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

struct Known {
    hash: String,
    roles: Vec<String>,
    disabled: bool,
    locked_until_ms: i64,
}

impl Queue {
    /// Checks a password and begins a session. Successes, failures and lockouts are audit entries.
    ///
    /// # Errors
    /// See [`QueueError`]; `Unavailable` too when too many sign in at once.
    pub async fn sign_in(&self, attempt: Attempt<'_>, now_ms: i64) -> Result<SignIn, QueueError> {
        // No account has such a name, and Postgres would not be asked for it.
        let known = if attempt.name.contains('\0') { None } else { self.known(attempt.name).await? };
        let hash = known.as_ref().map_or(NOBODY, |known| known.hash.as_str());
        let is_right = self.is_password(attempt.password, hash).await?;
        // Not before, and with an entry like any other: a locked account is not to be told from none by the time it takes.
        if let Some(known) = known.as_ref().filter(|known| known.locked_until_ms > now_ms) {
            self.write_audit("nobody", "sign_in_failed", attempt.name, &json!({ "locked": true }), now_ms)
                .await?;
            return Ok(SignIn::Locked { until_ms: known.locked_until_ms });
        }
        let Some(known) = known.filter(|known| is_right && !known.disabled) else {
            return self.failed(attempt.name, now_ms).await;
        };
        match self.begin(attempt.name, Roles::Account(known.roles), now_ms).await? {
            Some((token, session)) => Ok(SignIn::In(token, session)),
            None => self.failed(attempt.name, now_ms).await,
        }
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
        let begun = self.begin(subject, Roles::Vouched(roles.to_vec()), now_ms).await?;
        begun.ok_or_else(|| QueueError::Damaged("nobody keeps out whom another vouched for".to_owned()))
    }

    /// Who holds this token, if it is still good; the idle time begins anew (written at most once a minute).
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn session(&self, token: &Token, now_ms: i64) -> Result<Option<Session>, QueueError> {
        let Some((session, seen_ms)) = self.good(token, now_ms).await? else { return Ok(None) };
        if now_ms >= seen_ms + SEEN_EVERY_MS {
            // While the database takes no write one can look all the same.
            if let Err(error) = self.touch(token, now_ms).await {
                tracing::debug!(%error, "a sign of life of a session is not kept");
            }
        }
        Ok(Some(session))
    }

    /// The same where a page asks by itself: that says nothing of who sits before it, so the idle time goes on.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn session_unrenewed(&self, token: &Token, now_ms: i64) -> Result<Option<Session>, QueueError> {
        Ok(self.good(token, now_ms).await?.map(|(session, _)| session))
    }

    /// A session that is not over, and when it was seen last.
    async fn good(&self, token: &Token, now_ms: i64) -> Result<Option<(Session, i64)>, QueueError> {
        let row = sqlx::query(
            "SELECT s.subject, s.roles AS vouched, s.seen_at, s.ends_at, a.roles, a.disabled \
             FROM sessions s LEFT JOIN accounts a ON a.name = s.subject AND s.roles IS NULL WHERE s.token_hash = $1",
        )
        .bind(token.hash())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (seen_ms, ends_ms): (i64, i64) = (row.try_get("seen_at")?, row.try_get("ends_at")?);
        let vouched: Option<String> = row.try_get("vouched")?;
        let own: Option<String> = row.try_get("roles")?;
        let is_disabled = row.try_get::<Option<i64>, _>("disabled")?.is_some_and(|disabled| disabled != 0);
        let Some(roles) = vouched.or(own).filter(|_| !is_disabled) else { return Ok(None) };
        if now_ms >= ends_ms || now_ms >= seen_ms.saturating_add(self.rules().session_idle_ms) {
            return Ok(None);
        }
        let subject = row.try_get("subject")?;
        let session = Session { subject, roles: words(&roles), csrf: token.csrf(), ends_ms };
        Ok(Some((session, seen_ms)))
    }

    async fn touch(&self, token: &Token, now_ms: i64) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        let text = "UPDATE sessions SET seen_at = $2 WHERE token_hash = $1 AND seen_at < $2";
        sqlx::query(text).bind(token.hash()).bind(now_ms).execute(write.connection()).await?;
        write.commit().await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn sign_out(&self, token: &Token, now_ms: i64) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        let row = sqlx::query("DELETE FROM sessions WHERE token_hash = $1 RETURNING subject")
            .bind(token.hash())
            .fetch_optional(write.connection())
            .await?;
        let Some(row) = row else { return Ok(()) };
        let subject: String = row.try_get("subject")?;
        let deed =
            Deed { at_ms: now_ms, actor: &subject, action: "sign_out", object: &subject, detail: &json!({}) };
        write.audit(&[deed]).await?;
        write.commit().await
    }

    async fn known(&self, name: &str) -> Result<Option<Known>, QueueError> {
        let text = "SELECT password, roles, disabled, locked_until FROM accounts WHERE name = $1";
        let row = sqlx::query(text).bind(name).fetch_optional(&self.pool).await?;
        let known = row.map(|row| {
            Ok::<_, QueueError>(Known {
                hash: row.try_get("password")?,
                roles: words(&row.try_get::<String, _>("roles")?),
                disabled: row.try_get::<i64, _>("disabled")? != 0,
                locked_until_ms: row.try_get("locked_until")?,
            })
        });
        known.transpose()
    }

    /// `None` where the account was locked or disabled while its password was looked at.
    async fn begin(
        &self,
        subject: &str,
        roles: Roles,
        now_ms: i64,
    ) -> Result<Option<(Token, Session)>, QueueError> {
        let token = Token::random();
        let ends_ms = now_ms.saturating_add(self.rules().session_absolute_ms);
        let idle_since = now_ms.saturating_sub(self.rules().session_idle_ms);
        let mut write = self.write().await?;
        // What is over goes with whoever comes.
        let text = "DELETE FROM sessions WHERE ends_at <= $1 OR seen_at <= $2";
        sqlx::query(text).bind(now_ms).bind(idle_since).execute(write.connection()).await?;
        let (vouched, roles) = match roles {
            Roles::Vouched(roles) => (Some(roles.join(" ")), roles),
            Roles::Account(roles) => (None, roles),
        };
        if vouched.is_none() {
            let text = "UPDATE accounts SET failures = 0, locked_until = 0 \
                        WHERE name = $1 AND disabled = 0 AND locked_until <= $2";
            let cleared = sqlx::query(text).bind(subject).bind(now_ms).execute(write.connection()).await?;
            if cleared.rows_affected() == 0 {
                return Ok(None);
            }
        }
        sqlx::query(
            "INSERT INTO sessions (token_hash, subject, roles, seen_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token.hash())
        .bind(subject)
        .bind(vouched)
        .bind(now_ms)
        .bind(ends_ms)
        .execute(write.connection())
        .await?;
        let deed =
            Deed { at_ms: now_ms, actor: subject, action: "sign_in", object: subject, detail: &json!({}) };
        write.audit(&[deed]).await?;
        write.commit().await?;
        let csrf = token.csrf();
        Ok(Some((token, Session { subject: subject.to_owned(), roles, csrf, ends_ms })))
    }

    /// Counts a failure; the account of the name, if there is one, is locked when there were too many in a row.
    async fn failed(&self, name: &str, now_ms: i64) -> Result<SignIn, QueueError> {
        let name = if name.contains('\0') { "" } else { name };
        let mut write = self.write().await?;
        let row = sqlx::query(
            "UPDATE accounts SET failures = failures + 1, locked_until = CASE WHEN failures + 1 >= $2 THEN $3 ELSE 0 END \
             WHERE name = $1 RETURNING locked_until",
        )
        .bind(name)
        .bind(i64::from(self.rules().lockout_after))
        .bind(now_ms.saturating_add(self.rules().lockout_ms))
        .fetch_optional(write.connection())
        .await?;
        // Somebody who types the password into the name's field should not find it in the log: names of accounts only.
        let object = if row.is_some() { name } else { "no account" };
        let locked_until_ms: i64 = row.as_ref().map_or(Ok(0), |row| row.try_get("locked_until"))?;
        let is_locked = locked_until_ms > now_ms;
        let action = if is_locked { "account_locked" } else { "sign_in_failed" };
        let deed = Deed { at_ms: now_ms, actor: "nobody", action, object, detail: &json!({}) };
        write.audit(&[deed]).await?;
        write.commit().await?;
        Ok(if is_locked { SignIn::Locked { until_ms: locked_until_ms } } else { SignIn::Wrong })
    }
}

enum Roles {
    Account(Vec<String>),
    Vouched(Vec<String>),
}
