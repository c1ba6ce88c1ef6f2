//! The durable half of the embedded store: a folder of journal, segment and stream files that comes back
//! whole.
//!
//! ```text
//! append_journal ──► journal-0000000007.log          a row per batch, before its decisions leave
//! start_checkpoint ─► stream-<name>.log               bytes appended as they are
//!                  └► segment-3.seg: blobs, HEAD      a checkpoint is there when its head is
//! ```
//!
//! State is what the last head names plus the journal rows after it. After kill -9 at any moment, opening the
//! folder gives the old checkpoint or the new one, never a mixture, and every row whose append had returned.
//! Bytes that were durable and have changed are reported, never cut.
//!
//! Not here: what blobs, rows and heads mean, which key lives where, threads other than the checkpoint's
//! writer, and more than one process: the folder is locked.

mod checkpoint;
#[cfg(test)]
mod crash_tests;
mod error;
mod folder;
mod frame;
mod head;
mod journal;
mod recover;
mod segment;
mod stream;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use checkpoint::{BlobBatch, Checkpoint, CheckpointDone};
pub use error::FilesError;
pub use folder::Probe;
pub use recover::Recovered;
pub use segment::{BlobKey, Location};

use checkpoint::{Job, Target, Written};
use error::At;
use folder::{Folder, Lock};
use head::Head;
use journal::Journal;
use segment::{Segment, Segments};

/// When a journal row is on the disk itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum JournalSync {
    /// Before the append returns: survives a power cut, costs an fdatasync per batch.
    Always,
    /// When the system sees fit: survives kill -9; after a power cut the state may have to be rebuilt from
    /// the log.
    Never,
}

/// How the folder is written.
#[derive(Clone)]
pub struct FileOptions {
    /// When a journal row is on the disk itself.
    pub journal_sync: JournalSync,
    /// A checkpoint begins a new segment when the last one has this many bytes.
    pub segment_bytes: u64,
    /// Called between the steps of a write, on the thread that writes: tests kill the process or copy the
    /// folder there.
    pub probe: Option<Probe>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { journal_sync: JournalSync::Always, segment_bytes: 256 << 20, probe: None }
    }
}

/// The moments between the writes, in the order in which they come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FileStep {
    /// A journal row was appended.
    JournalWritten,
    /// A checkpoint was started: rows go to the next epoch's file.
    JournalSwitched,
    /// The checkpoint's stream appends are durable.
    StreamsAppended,
    /// Its blobs are durable.
    BlobsWritten,
    /// Its head is durable: from here on it is the checkpoint.
    HeadWritten,
    /// The journals before it are deleted.
    JournalsDropped,
    /// Dropped streams and dead segments are deleted, too.
    Done,
}

/// The open folder. One owner, one writer.
pub struct Files {
    folder: Folder,
    segment_bytes: u64,
    head: Option<Head>,
    segments: Segments,
    journal: Journal,
    writer: Option<JoinHandle<Result<Written, FilesError>>>,
    writer_died: bool,
    /// Let go of last, when the writer has been waited for.
    _lock: Lock,
}

impl Files {
    /// Opens the folder, creating it if need be, and brings it back to its last consistent state.
    ///
    /// # Errors
    /// `InUse`, `Newer`, `Damaged` (nothing has been changed), `Full` or `Io`.
    pub fn open(dir: &Path, options: FileOptions) -> Result<(Self, Recovered), FilesError> {
        let (folder, lock) = Folder::take(dir, options.probe.clone())?;
        let (state, recovered) = recover::recover(&folder, &options)?;
        let files = Self {
            folder,
            segment_bytes: options.segment_bytes,
            head: state.head,
            segments: state.segments,
            journal: state.journal,
            writer: None,
            writer_died: false,
            _lock: lock,
        };
        Ok((files, recovered))
    }

    /// Appends a row with one write call; when this has returned, the row survives kill -9.
    ///
    /// # Errors
    /// `Full` and `Io`: the row does not count and the same call may be made again. After a crash right then
    /// the row may be found nevertheless. `TooLarge`.
    pub fn append_journal(&mut self, row: &[u8]) -> Result<(), FilesError> {
        self.journal.append(row)
    }

    /// Reads a blob into `out`, replacing what is there.
    ///
    /// # Errors
    /// `Damaged` if its checksum differs or its segment is gone, `Io`.
    pub fn read(&self, at: Location, out: &mut Vec<u8>) -> Result<(), FilesError> {
        let path = self.folder.segment(at.segment);
        match self.segments.get(&at.segment) {
            Some(segment) => at.read(&segment.file, &path, out),
            None => Err(FilesError::damaged(&path, at.offset, "the segment has been dropped")),
        }
    }

    /// Says that no key's newest blob stands at `at` any more. To be called once for each location, when the
    /// checkpoint that replaced or forgot it is done, not before: the segment may go with the next one.
    pub fn superseded(&mut self, at: Location) {
        if let Some(segment) = self.segments.get_mut(&at.segment) {
            segment.alive = segment.alive.saturating_sub(at.size());
        }
    }

    /// Starts to write a checkpoint and returns at once. It holds the state as of all rows appended before
    /// this call; rows appended after it go to the next epoch's journal.
    ///
    /// # Errors
    /// `Busy` if the last one has not been polled as done, `TooLarge`, `StreamName`, `WriterDied`;
    /// `Full` or `Io` if the next journal cannot be begun. In each case nothing has changed.
    pub fn start_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), FilesError> {
        if self.writer.is_some() {
            return Err(FilesError::Busy);
        }
        if self.writer_died {
            return Err(FilesError::WriterDied);
        }
        checkpoint.check()?;
        self.journal.switch()?;
        self.folder.reached(FileStep::JournalSwitched);
        let job = self.job(checkpoint);
        let thread = std::thread::Builder::new().name("checkpoint".to_owned());
        let path = self.folder.journal(self.journal.epoch());
        let writer = thread.spawn(move || job.run());
        self.writer = Some(writer.at(&path)?);
        Ok(())
    }

    /// Whether a checkpoint is under way, or done and not yet polled.
    pub fn checkpoint_running(&self) -> bool {
        self.writer.is_some()
    }

    /// The checkpoint's outcome, once, when it has one; does not wait.
    /// After an error the last checkpoint stands, rows go on, and the next checkpoint may be tried.
    pub fn poll_checkpoint(&mut self) -> Option<Result<CheckpointDone, FilesError>> {
        let writer = self.writer.take_if(|writer| writer.is_finished())?;
        Some(self.finish(writer))
    }

    /// Waits for the checkpoint under way, if there is one; for shutdown.
    ///
    /// # Errors
    /// As [`Files::poll_checkpoint`].
    pub fn wait_checkpoint(&mut self) -> Result<Option<CheckpointDone>, FilesError> {
        self.writer.take().map(|writer| self.finish(writer)).transpose()
    }

    /// Bytes in segments, and how many of them are alive: for metrics.
    pub fn segment_bytes(&self) -> (u64, u64) {
        let total = self.segments.values().map(|segment| segment.len).sum();
        (total, self.segments.values().map(|segment| segment.alive).sum())
    }

    fn job(&self, checkpoint: Checkpoint) -> Job {
        let target = match self.segments.last_key_value() {
            None => Target { number: 1, offset: 0, file: None },
            Some((number, segment)) if segment.len >= self.segment_bytes => {
                Target { number: number + 1, offset: 0, file: None }
            }
            Some((number, segment)) => {
                Target { number: *number, offset: segment.len, file: Some(Arc::clone(&segment.file)) }
            }
        };
        let dead_segments = segment::dead(&self.segments, target.number);
        let stay = self.segments.iter().filter(|(number, _)| !dead_segments.contains(number));
        let old = self.head.as_ref();
        let head = Head {
            epoch: self.journal.epoch(),
            next_row: self.journal.next_row(),
            segments: stay.map(|(number, segment)| (*number, segment.len)).collect(),
            streams: old.map(|head| head.streams.clone()).unwrap_or_default(),
            owner: Vec::new(),
        };
        let old_journals = old.map_or(1, |head| head.epoch)..head.epoch;
        Job { folder: self.folder.clone(), checkpoint, target, head, old_journals, dead_segments }
    }

    fn finish(
        &mut self,
        writer: JoinHandle<Result<Written, FilesError>>,
    ) -> Result<CheckpointDone, FilesError> {
        let Ok(result) = writer.join() else {
            self.writer_died = true;
            return Err(FilesError::WriterDied);
        };
        let written = result?;
        for number in &written.dead_segments {
            self.segments.remove(number);
        }
        let new = || Segment { file: Arc::clone(&written.file), len: 0, alive: 0, forgotten: 0 };
        let segment = self.segments.entry(written.segment).or_insert_with(new);
        segment.len = written.len;
        segment.forgotten += written.forgotten;
        segment.alive += written.locations.iter().map(|(_, at)| at.size()).sum::<u64>();
        self.head = Some(Head { owner: Vec::new(), ..written.head });
        let sparse = segment::sparse(&self.segments);
        Ok(CheckpointDone { locations: written.locations, sparse, bytes: written.bytes })
    }
}

impl Drop for Files {
    /// Waits for the writer, so that the lock is not let go of while it writes.
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
