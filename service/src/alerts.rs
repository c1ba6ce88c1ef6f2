//! The analysts' queue in the service: filled from the topics, worked over HTTP, emptied into topics.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use queue::{Change, Queue, Session, Token};
use tokio::sync::{broadcast, watch};

use crate::http::answer::Problem;

pub mod chargeback;
mod fault;
mod live;
mod page;
pub mod route;
pub mod sign_in;
mod told;

/// The queue as requests see it.
pub struct Desk {
    queue: ArcSwapOption<Queue>,
    changes: broadcast::Sender<Change>,
    standing: watch::Sender<Option<String>>,
}

impl Desk {
    /// The queue, once its database is open.
    ///
    /// # Errors
    /// 503.
    pub fn queue(&self) -> Result<Arc<Queue>, Problem> {
        self.queue.load_full().ok_or_else(|| fault::unavailable("it is being opened"))
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// 503 when the database does not say.
    pub async fn session(&self, token: &Token, now_ms: i64) -> Result<Option<Session>, Problem> {
        let queue = self.queue()?;
        fault::within(queue.session(token, now_ms)).await
    }

    /// Hears of alerts that change.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What is wrong with the database, if something is.
    pub fn standing(&self) -> watch::Receiver<Option<String>> {
        self.standing.subscribe()
    }
}
