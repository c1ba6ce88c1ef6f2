//! What the queue says, as problems of the HTTP door.

use std::time::Duration;

use queue::QueueError;

use crate::http::answer::{Code, Problem};
use crate::http::request::{at, time, wrong};

/// How long a question to the database may take: whoever asks is a person at a page.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// When to come again while it does not answer, seconds.
const RETRY_S: u32 = 2;

/// How long one of our own threads waits for an answer; a question that hangs is asked again.
const ANSWER_US_WITHIN: Duration = Duration::from_secs(10);

/// An answer of the database to one of ourselves: in time, or that it is not.
///
/// # Errors
/// See [`QueueError`]; `Uncertain` when it takes too long.
pub async fn bounded<T>(asked: impl Future<Output = Result<T, QueueError>>) -> Result<T, QueueError> {
    let answer = tokio::time::timeout(ANSWER_US_WITHIN, asked).await;
    answer.unwrap_or_else(|_| Err(QueueError::Uncertain("it took too long".to_owned())))
}

/// An answer of the database, or the problem that it is.
///
/// # Errors
/// See [`problem`]; 503 when it takes too long.
pub async fn within<T>(asked: impl Future<Output = Result<T, QueueError>>) -> Result<T, Problem> {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => answer.map_err(problem),
        Err(_) => Err(uncertain("it took too long")),
    }
}

/// The database did not say whether it did it.
fn uncertain(why: &str) -> Problem {
    Problem::of(Code::QueueUnavailable)
        .detail(format!(
            "The queue's database did not answer in time: {why}. Whether something was saved is not known. Look again."
        ))
        .retry_after(RETRY_S)
}

/// The database is away.
pub fn unavailable(why: &str) -> Problem {
    Problem::of(Code::QueueUnavailable)
        .detail(format!(
            "The queue's database does not answer: {why}. Nothing was saved; alerts wait in their topic."
        ))
        .retry_after(RETRY_S)
}

/// The problem that an error is to who asked.
pub fn problem(error: QueueError) -> Problem {
    match error {
        QueueError::NotFound => Problem::of(Code::NotFound),
        QueueError::Stale { version } => Problem::of(Code::Stale)
            .detail(format!("It is at version {version} now. Nothing was overwritten.")),
        QueueError::Held { holder, until_ms } => Problem::of(Code::Held)
            .detail(format!("{holder} holds it until {}.", time(until_ms)))
            .retry_after(RETRY_S),
        QueueError::NotNow(why) => Problem::of(Code::NotNow).detail(sentence(&why)).retry_after(RETRY_S),
        QueueError::UndoOver => Problem::of(Code::UndoOver).retry_after(RETRY_S),
        QueueError::SamePerson => Problem::of(Code::SamePerson).retry_after(RETRY_S),
        QueueError::Invalid { field: "cursor", expected } => wrong("cursor", &expected),
        QueueError::Invalid { field, expected } => at(&format!("/{field}"), &expected),
        QueueError::Unavailable(why) => {
            tracing::warn!(why, "the queue's database does not answer");
            unavailable(&why)
        }
        QueueError::Uncertain(why) => {
            tracing::warn!(why, "the queue's database broke off at the end of an action");
            uncertain(&why)
        }
        QueueError::Damaged(why) => {
            tracing::error!(why, "the queue's database holds what it should not");
            Problem::of(Code::Internal)
        }
    }
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
