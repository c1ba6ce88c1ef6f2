//! Accounts of people, with passwords as argon2id hashes. Every change is an audit entry.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use serde_json::json;
use sqlx::Row;

use crate::audit::Deed;
use crate::error::QueueError;
use crate::store::{Queue, Write};

/// Length of a password, characters: long enough for a sentence, short enough to be hashed at no great cost.
const PASSWORD: std::ops::RangeInclusive<usize> = 10..=256;

/// How long a place among those whose password is checked is waited for.
const PLACE_WITHIN: std::time::Duration = std::time::Duration::from_secs(3);

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
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        if new.name.is_empty() || new.name.len() > 64 || !new.name.chars().all(legal) {
            let expected = "1 to 64 letters, digits, and . - _ @".to_owned();
            return Err(QueueError::Invalid { field: "name", expected });
        }
        let hash = self.hashed(new.password).await?;
        let mut write = self.write().await?;
        let made = sqlx::query(
            "INSERT INTO accounts (name, password, roles, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(new.name)
        .bind(hash)
        .bind(new.roles.join(" "))
        .bind(now_ms)
        .execute(write.connection())
        .await?;
        if made.rows_affected() == 0 {
            return Err(QueueError::NotNow(format!("there is an account \"{}\" already", new.name)));
        }
        let detail = json!({ "roles": new.roles });
        write
            .audit(&[Deed { at_ms: now_ms, actor, action: "add_account", object: new.name, detail: &detail }])
            .await?;
        write.commit().await?;
        let roles = new.roles.to_vec();
        Ok(Account { name: new.name.to_owned(), roles, disabled: false, created_ms: now_ms })
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn accounts(&self) -> Result<Vec<Account>, QueueError> {
        let text = "SELECT name, roles, disabled, created_at FROM accounts ORDER BY name";
        let rows = sqlx::query(text).fetch_all(&self.pool).await?;
        let account = |row: &sqlx::any::AnyRow| {
            Ok(Account {
                name: row.try_get("name")?,
                roles: words(&row.try_get::<String, _>("roles")?),
                disabled: row.try_get::<i64, _>("disabled")? != 0,
                created_ms: row.try_get("created_at")?,
            })
        };
        rows.iter().map(account).collect()
    }

    /// Another password; all sessions of the account end, and it is locked no more.
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
        let hash = self.hashed(password).await?;
        let mut write = self.write().await?;
        let text = "UPDATE accounts SET password = $2, failures = 0, locked_until = 0 WHERE name = $1";
        let done = sqlx::query(text).bind(name).bind(hash).execute(write.connection()).await?;
        write.ended(actor, "set_password", name, done.rows_affected(), now_ms).await
    }

    /// Lets somebody in no more; all sessions of the account end, and what it held or was given is anybody's.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn disable(&self, actor: &str, name: &str, now_ms: i64) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        let text = "UPDATE accounts SET disabled = 1 WHERE name = $1";
        let done = sqlx::query(text).bind(name).execute(write.connection()).await?;
        if done.rows_affected() > 0 {
            write.freed(actor, name, now_ms).await?;
        }
        write.ended(actor, "disable_account", name, done.rows_affected(), now_ms).await
    }

    /// The hash of a password. It takes a while, beside the threads that answer.
    async fn hashed(&self, password: &str) -> Result<String, QueueError> {
        if !PASSWORD.contains(&password.chars().count()) {
            let expected = format!("{} to {} characters", PASSWORD.start(), PASSWORD.end());
            return Err(QueueError::Invalid { field: "password", expected });
        }
        let password = password.to_owned();
        let hash = self.computed(move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| QueueError::Damaged(format!("argon2: {error}")))
        });
        hash.await?
    }

    /// Whether it is this password. A hash that is none is compared too: it takes as long and is never right.
    pub(crate) async fn is_password(&self, password: &str, hash: &str) -> Result<bool, QueueError> {
        let (password, hash) = (password.to_owned(), hash.to_owned());
        let verify = move || {
            let parsed = PasswordHash::new(&hash).or_else(|_| PasswordHash::new(NOBODY));
            parsed.is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        };
        self.computed(verify).await
    }

    async fn computed<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        let busy = || QueueError::Unavailable("too many sign in at once".to_owned());
        let place = tokio::time::timeout(PLACE_WITHIN, self.passwords.clone().acquire_owned()).await;
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        tokio::task::spawn_blocking(compute).await.map_err(|error| QueueError::Damaged(error.to_string()))
    }
}

impl Write {
    /// An account is not disabled until the end of the transaction. To be asked for before alerts are locked.
    pub(crate) async fn hold_account(&mut self, name: &str) -> Result<(), QueueError> {
        if !self.is_alone() && !name.contains('\0') {
            let text = "SELECT name FROM accounts WHERE name = $1 FOR SHARE";
            sqlx::query(text).bind(name).fetch_optional(self.connection()).await?;
        }
        Ok(())
    }

    /// Whether somebody of this name can come, with an account that is not disabled or signed in by another's word, and has
    /// one of the roles that work alerts: one given to a viewer would be nobody's.
    pub(crate) async fn is_worker(
        &mut self,
        name: &str,
        workers: &[String],
        now_ms: i64,
    ) -> Result<bool, QueueError> {
        if name.is_empty() || name.contains('\0') {
            return Ok(false);
        }
        let text = "SELECT roles FROM accounts WHERE name = $1 AND disabled = 0 UNION ALL \
                    SELECT roles FROM sessions WHERE subject = $1 AND roles IS NOT NULL AND ends_at > $2";
        let rows = sqlx::query(text).bind(name).bind(now_ms).fetch_all(self.connection()).await?;
        let mut works = false;
        for row in &rows {
            works |= words(&row.try_get::<String, _>("roles")?).iter().any(|role| workers.contains(role));
        }
        Ok(works)
    }

    /// What somebody held or was given is anybody's, and its history says why. Locked in the order of bulk actions first.
    async fn freed(&mut self, actor: &str, name: &str, now_ms: i64) -> Result<(), QueueError> {
        let theirs = self.pick(
            "SELECT alert_id FROM alerts WHERE state <> 'resolved' AND (assignee = $1 OR holder = $1) ORDER BY alert_id",
            "SELECT alert_id FROM alerts WHERE state <> 'resolved' AND (assignee = $1 OR holder = $1) ORDER BY alert_id \
             FOR UPDATE",
        );
        let rows = sqlx::query(theirs).bind(name).fetch_all(self.connection()).await?;
        let ids: Vec<String> = rows.iter().map(|row| row.try_get("alert_id")).collect::<Result<_, _>>()?;
        for id in &ids {
            sqlx::query(
                "UPDATE alerts SET version = version + 1, changed_at = $3, action_id = NULL, undo_until = NULL, \
                 assignee = CASE WHEN assignee = $2 THEN NULL ELSE assignee END, \
                 lease_until = CASE WHEN holder = $2 THEN 0 ELSE lease_until END, \
                 holder = CASE WHEN holder = $2 THEN NULL ELSE holder END WHERE alert_id = $1",
            )
            .bind(id)
            .bind(name)
            .bind(now_ms)
            .execute(self.connection())
            .await?;
        }
        let detail = json!({ "of": name });
        let freed = |id| Deed { at_ms: now_ms, actor, action: "set_free", object: id, detail: &detail };
        let deeds: Vec<_> = ids.iter().map(|id| freed(id.as_str())).collect();
        self.audit(&deeds).await
    }

    /// Ends the sessions of an account that was changed, and writes it down.
    async fn ended(
        mut self,
        actor: &str,
        action: &str,
        name: &str,
        changed: u64,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        if changed == 0 {
            return Err(QueueError::NotFound);
        }
        let text = "DELETE FROM sessions WHERE subject = $1 AND roles IS NULL";
        sqlx::query(text).bind(name).execute(self.connection()).await?;
        self.audit(&[Deed { at_ms: now_ms, actor, action, object: name, detail: &json!({}) }]).await?;
        self.commit().await
    }
}

/// A hash with the usual costs that no password has: what is compared when there is no such account.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dHJpcGxpbmUtbm9ib2R5IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(crate) fn words(roles: &str) -> Vec<String> {
    roles.split_whitespace().map(str::to_owned).collect()
}
