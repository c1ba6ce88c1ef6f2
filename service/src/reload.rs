//! Files that are read again while the service runs: the keys, the certificate.
//!
//! Their contents are compared, not their times: a secret that is mounted is a link that is turned, and a copy may keep
//! its time. What has changed is taken once it was seen twice the same, since one who writes two files, or a long one,
//! is not done at once. What is bad is said once, and what was there before goes on. Not for models, whose versions are
//! folders.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

use crate::config::text;

/// What was in the files, without keeping it: one of them is a private key.
type Print = [u8; 32];

/// What the files say, or which of them cannot be read, and why.
pub type Texts = Result<Vec<String>, String>;

/// Files that are looked at again and again.
#[derive(Debug, Clone)]
pub struct Watched {
    files: Vec<PathBuf>,
    taken: Print,
    seen: Print,
}

impl Watched {
    /// These files, of which the texts were read already.
    pub fn new(files: Vec<PathBuf>, texts: &[&str]) -> Self {
        let taken = print(texts.iter().map(|text| text.as_bytes()));
        Self { files, taken, seen: taken }
    }

    /// What the files say, when that is other than what was taken last and the same as at the look before.
    pub fn look(&mut self) -> Option<Texts> {
        let texts = self.texts();
        let now = match &texts {
            Ok(texts) => print(texts.iter().map(|text| text.as_bytes())),
            Err(error) => print([b"unreadable".as_slice(), error.as_bytes()].into_iter()),
        };
        let before = std::mem::replace(&mut self.seen, now);
        if now == self.taken || now != before {
            return None;
        }
        self.taken = now;
        Some(texts)
    }

    fn texts(&self) -> Texts {
        let read = |file: &PathBuf| text::read(file).map_err(|found| format!("{}: {found}", file.display()));
        self.files.iter().map(read).collect()
    }
}

fn print<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Print {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// Looks at the files for ever; `take` is handed what changed.
pub async fn keep(mut watched: Watched, every: Duration, mut take: impl FnMut(Texts) + Send) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        // A file on a disk that hangs must not hold up the page.
        let look = tokio::task::spawn_blocking(move || {
            let found = watched.look();
            (watched, found)
        });
        let Ok((back, found)) = look.await else { return };
        watched = back;
        if let Some(found) = found {
            take(found);
        }
    }
}

#[cfg(test)]
mod tests;
