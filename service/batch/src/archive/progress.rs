//! How far a topic is archived, in time: all that it held at a time is in files, or there was nothing. File names say it in
//! offsets, but of a partition where nothing comes they say nothing.

use std::collections::BTreeMap;

use super::error::ArchiveError;
use super::store::ArchiveStore;

/// By partition the time, milliseconds, up to which all that the topic held is in files; `None`: not known yet.
pub type Progress = BTreeMap<i32, Option<i64>>;

fn path(topic: &str) -> String {
    format!("progress/{topic}.json")
}

impl ArchiveStore {
    /// How far a topic is archived; `None` where nobody has said so.
    ///
    /// # Errors
    /// When the store does not answer, or what it has is damaged.
    pub fn progress(&self, topic: &str) -> Result<Option<Progress>, ArchiveError> {
        let path = path(topic);
        let Some(bytes) = self.get(&path)? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| ArchiveError::Damaged { path, why: error.to_string() })
    }

    /// Says how far a topic is archived.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn say_progress(&self, topic: &str, progress: &Progress) -> Result<(), ArchiveError> {
        let text = serde_json::to_vec(progress).map_err(std::io::Error::other)?;
        self.replace(&path(topic), text.into())
    }
}
