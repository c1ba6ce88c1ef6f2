//! Notes, drafts of notes, and looks at what is masked.

use serde_json::json;
use sqlx::Row;

use crate::alert::Alert;
use crate::audit::Deed;
use crate::claim::{Seat, is_text};
use crate::error::QueueError;
use crate::store::{Queue, Write};

impl Queue {
    /// Adds a note, 1 to 4,000 characters; the draft is gone. Anybody may: it takes nothing from whoever holds the alert.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn note(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        text: &str,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        is_text("text", text)?;
        let mut write = self.write().await?;
        let row = write.seen(id, version).await?;
        write.add_note(seat, id, text, now_ms).await?;
        let alert = write.stand(id, &row.standing, now_ms).await?;
        let (at_ms, actor, object) = (now_ms, seat.name, id);
        write.audit(&[Deed { at_ms, actor, action: "note", object, detail: &json!({}) }]).await?;
        write.commit().await?;
        Ok(alert)
    }

    /// Writes down who looked at which alert's key unmasked, before it is told. The log has it masked: who reads it has not
    /// looked.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn reveal(
        &self,
        seat: Seat<'_>,
        alert_id: &str,
        (entity, masked): (&str, &str),
        now_ms: i64,
    ) -> Result<(), QueueError> {
        let detail = json!({ "entity": entity, "key": masked });
        self.write_audit(seat.name, "reveal", alert_id, &detail, now_ms).await
    }

    /// Writes down who took the list along, before it leaves.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn exported(
        &self,
        seat: Seat<'_>,
        detail: &serde_json::Value,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        self.write_audit(seat.name, "export", "alerts", detail, now_ms).await
    }
}

impl Write {
    /// Adds a note to an alert that is locked; the writer's draft is gone.
    pub(crate) async fn add_note(
        &mut self,
        seat: Seat<'_>,
        id: &str,
        text: &str,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        let last = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS seq FROM notes WHERE alert_id = $1").bind(id);
        let seq = last.fetch_one(self.connection()).await?.try_get::<i64, _>("seq")? + 1;
        sqlx::query("INSERT INTO notes (alert_id, seq, at, author, text) VALUES ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(seq)
            .bind(now_ms)
            .bind(seat.name)
            .bind(text)
            .execute(self.connection())
            .await?;
        self.draft(seat, id, "", now_ms).await
    }

    /// Keeps what somebody wrote and did not send; an empty text is none.
    pub(crate) async fn draft(
        &mut self,
        seat: Seat<'_>,
        id: &str,
        text: &str,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        if text.is_empty() {
            let gone = "DELETE FROM drafts WHERE alert_id = $1 AND author = $2";
            sqlx::query(gone).bind(id).bind(seat.name).execute(self.connection()).await?;
            return Ok(());
        }
        let kept = "INSERT INTO drafts (alert_id, author, text, at) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (alert_id, author) DO UPDATE SET text = excluded.text, at = excluded.at";
        sqlx::query(kept).bind(id).bind(seat.name).bind(text).bind(now_ms).execute(self.connection()).await?;
        Ok(())
    }
}
