//! The audit log: who did what, in a chain of hashes.
//!
//! ```text
//!   hash(n) = SHA-256( canonical JSON of entry n, which holds hash(n - 1) )
//! ```
//! Canonical is RFC 8785 for what stands in it: keys in order, no white space, whole numbers and texts only. The head is
//! sent to a topic now and then; who cuts the end off, or computes the chain anew, is found by that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::QueueError;
use crate::store::{Queue, Write};

/// The hash before the first entry.
const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Entries read at once by a verification.
const PAGE: i64 = 2_000;

/// Findings that are told; one is enough to know.
const MOST_FINDINGS: usize = 100;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1 without a gap.
    pub seq: i64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What, such as `resolve`.
    pub action: String,
    /// With what, such as an alert's id.
    pub object: String,
    /// More of it, canonical JSON.
    pub detail: String,
    /// The hash of the entry before, hexadecimal; 64 zeros for the first.
    pub before: String,
    /// Its own.
    pub hash: String,
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Of this person.
    pub actor: Option<String>,
    /// Of this object.
    pub object: Option<String>,
    /// Before this number: the page before ended there.
    pub before_seq: Option<i64>,
    /// Most, 1 to 200.
    pub limit: usize,
}

/// Entries, the last first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
}

/// The head of the chain as it was once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The last entry's number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// What is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// At which entry.
    pub seq: i64,
    /// What.
    pub kind: FindingKind,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// Its content does not give its hash: it was changed.
    Changed,
    /// The numbers have a gap: entries were removed.
    Removed,
    /// It does not follow the one before: inserted or reordered.
    Broken,
    /// The log ends before what was anchored.
    Truncated,
    /// Another hash than the anchored one: the chain was computed anew.
    Forged,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Anchors compared.
    pub anchors: u64,
    /// The head.
    pub head: Option<Anchor>,
    /// What is wrong; at most 100.
    pub findings: Vec<Finding>,
}

/// What is written down, before it has a number and a hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deed<'a> {
    pub(crate) at_ms: i64,
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) object: &'a str,
    /// Whole numbers, texts, flags, and lists and objects of them: nothing that could be written in two ways.
    pub(crate) detail: &'a Value,
}

impl Write {
    /// Locks the log's end and appends entries. To be the last lock of a transaction, so that no two wait for each other.
    pub(crate) async fn audit(&mut self, deeds: &[Deed<'_>]) -> Result<(), QueueError> {
        if deeds.is_empty() {
            return Ok(());
        }
        let head = self.pick(HEAD, HEAD_LOCKED);
        let row = sqlx::query(head).fetch_one(self.connection()).await?;
        let (mut seq, mut before) = (row.try_get::<i64, _>("seq")?, row.try_get::<String, _>("hash")?);
        for deed in deeds {
            seq += 1;
            let detail = deed.detail.to_string();
            let hash = hash(&Entry { seq, deed, detail: &detail, before: &before });
            sqlx::query(
                "INSERT INTO audit (seq, at, actor, action, object, detail, before_hash, hash) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(seq)
            .bind(deed.at_ms)
            .bind(deed.actor)
            .bind(deed.action)
            .bind(deed.object)
            .bind(detail)
            .bind(before)
            .bind(hash.as_str())
            .execute(self.connection())
            .await?;
            before = hash;
        }
        sqlx::query("UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1")
            .bind(seq)
            .bind(before)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

/// A page by what is asked for: nothing, the actor, the object, both.
pub(crate) const PAGES: [&str; 4] = [
    "SELECT * FROM audit WHERE seq < $1 ORDER BY seq DESC LIMIT $2",
    "SELECT * FROM audit WHERE seq < $1 AND actor = $3 ORDER BY seq DESC LIMIT $2",
    "SELECT * FROM audit WHERE seq < $1 AND object = $3 ORDER BY seq DESC LIMIT $2",
    "SELECT * FROM audit WHERE seq < $1 AND actor = $3 AND object = $4 ORDER BY seq DESC LIMIT $2",
];

const HEAD: &str = "SELECT seq, hash FROM audit_head WHERE id = 1";
const HEAD_AND_LAST: &str =
    "SELECT seq, hash, (SELECT COALESCE(MAX(seq), 0) FROM audit) AS last FROM audit_head WHERE id = 1";
const HEAD_LOCKED: &str = "SELECT seq, hash FROM audit_head WHERE id = 1 FOR UPDATE";

struct Entry<'a> {
    seq: i64,
    deed: &'a Deed<'a>,
    detail: &'a str,
    before: &'a str,
}

/// The keys are in order, as RFC 8785 wants them; `detail` goes in as the text that it is.
fn hash(entry: &Entry<'_>) -> String {
    let Entry { seq, deed, detail, before } = entry;
    let canonical = json!({ "action": deed.action, "actor": deed.actor, "at": deed.at_ms, "before": before,
        "detail": detail, "object": deed.object, "seq": seq });
    hex::encode(Sha256::digest(canonical.to_string()))
}

fn read(row: &AnyRow) -> Result<AuditEntry, QueueError> {
    Ok(AuditEntry {
        seq: row.try_get("seq")?,
        at_ms: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        object: row.try_get("object")?,
        detail: row.try_get("detail")?,
        before: row.try_get("before_hash")?,
        hash: row.try_get("hash")?,
    })
}

impl Queue {
    /// Entries of the log.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, QueueError> {
        let limit = query.limit.clamp(1, 200);
        let before = query.before_seq.unwrap_or(i64::MAX);
        let text = PAGES[usize::from(query.actor.is_some()) + 2 * usize::from(query.object.is_some())];
        let asked = sqlx::query(text).bind(before).bind(limit as i64 + 1);
        let asked =
            [&query.actor, &query.object].into_iter().flatten().fold(asked, |asked, word| asked.bind(word));
        let rows = asked.fetch_all(&self.pool).await?;
        let mut entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more).map(|last| last.seq);
        Ok(AuditPage { entries, next })
    }

    /// Writes an entry of its own: for what is no action on an alert, such as a sign-in or a file of chargebacks.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn write_audit(
        &self,
        actor: &str,
        action: &str,
        object: &str,
        detail: &Value,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        write.audit(&[Deed { at_ms: now_ms, actor, action, object, detail }]).await?;
        write.commit().await
    }

    /// The head, to be anchored. `None` while the log is empty.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn audit_head(&self) -> Result<Option<Anchor>, QueueError> {
        let row = sqlx::query(HEAD).fetch_one(&self.pool).await?;
        let head = Anchor { seq: row.try_get("seq")?, hash: row.try_get("hash")? };
        Ok((head.seq > 0).then_some(head))
    }

    /// Reads the whole log, in pages, and compares it with itself and with what was anchored.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn verify_audit(&self, anchors: &[Anchor]) -> Result<Verification, QueueError> {
        // In one statement: an entry that is written between two would look like one too many.
        let row = sqlx::query(HEAD_AND_LAST).fetch_one(&self.pool).await?;
        let head = Anchor { seq: row.try_get("seq")?, hash: row.try_get("hash")? };
        // What is written while this reads is left for the next time.
        let end = head.seq.max(row.try_get("last")?);
        let head = (head.seq > 0).then_some(head);
        let mut chain = Chain::new(anchors);
        let mut last = 0;
        loop {
            let rows = sqlx::query("SELECT * FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3")
                .bind(last)
                .bind(end)
                .bind(PAGE)
                .fetch_all(&self.pool)
                .await?;
            for row in &rows {
                let entry = read(row)?;
                last = entry.seq;
                chain.follow(&entry);
            }
            if rows.is_empty() {
                return Ok(chain.end(head));
            }
        }
    }
}

/// The log as it is read, first to last.
struct Chain<'a> {
    /// By number. There may be several hashes of one: a chain that was computed anew has been anchored too.
    anchors: BTreeMap<i64, BTreeSet<&'a str>>,
    compared: u64,
    entries: u64,
    seq: i64,
    hash: String,
    findings: Vec<Finding>,
}

impl<'a> Chain<'a> {
    fn new(anchors: &'a [Anchor]) -> Self {
        let mut by_seq: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        for anchor in anchors {
            by_seq.entry(anchor.seq).or_default().insert(&anchor.hash);
        }
        let anchors = by_seq;
        Self { anchors, compared: 0, entries: 0, seq: 0, hash: ZERO.to_owned(), findings: Vec::new() }
    }

    fn find(&mut self, seq: i64, kind: FindingKind) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { seq, kind });
        }
    }

    fn follow(&mut self, entry: &AuditEntry) {
        self.entries += 1;
        if entry.seq != self.seq + 1 {
            self.find(self.seq + 1, FindingKind::Removed);
        } else if entry.before != self.hash {
            self.find(entry.seq, FindingKind::Broken);
        }
        if hash_of(entry) != entry.hash {
            self.find(entry.seq, FindingKind::Changed);
        }
        for hash in self.anchors.remove(&entry.seq).unwrap_or_default() {
            self.compared += 1;
            if hash != entry.hash {
                self.find(entry.seq, FindingKind::Forged);
            }
        }
        (self.seq, self.hash) = (entry.seq, entry.hash.clone());
    }

    fn end(mut self, head: Option<Anchor>) -> Verification {
        // What the log does not reach, or what was between two entries that it has.
        let missing: Vec<i64> = self.anchors.keys().copied().collect();
        for seq in missing {
            let kind = if seq > self.seq { FindingKind::Truncated } else { FindingKind::Removed };
            self.compared += 1;
            self.find(seq, kind);
        }
        let told = head.as_ref().map_or((0, ZERO), |head| (head.seq, head.hash.as_str()));
        if told.0 > self.seq {
            self.find(told.0, FindingKind::Truncated);
        } else if told.0 == self.seq && told.1 != self.hash {
            self.find(told.0, FindingKind::Forged);
        } else if told.0 < self.seq {
            self.find(told.0 + 1, FindingKind::Broken);
        }
        Verification { entries: self.entries, anchors: self.compared, head, findings: self.findings }
    }
}

fn hash_of(entry: &AuditEntry) -> String {
    let deed = Deed {
        at_ms: entry.at_ms,
        actor: &entry.actor,
        action: &entry.action,
        object: &entry.object,
        detail: &Value::Null,
    };
    hash(&Entry { seq: entry.seq, deed: &deed, detail: &entry.detail, before: &entry.before })
}
