//! Writing a checkpoint: the order of writes that lets a kill at any moment leave the old one or the new one,
//! whole.
//!
//! ```text
//! streams, fsync -> blobs, fsync -> names, fsync -> HEAD, fsync -> delete journals -> streams, dead segments
//!                                                    ^ from here on it is the new one
//! ```
//!
//! This runs on the writer thread with its own copies of everything; only its success changes `Files`.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::FileStep;
use super::error::{At, FilesError};
use super::folder::Folder;
use super::frame::{self, HEADER, Kind, MAX_PAYLOAD};
use super::head::{Head, StreamEnd};
use super::segment::{BlobKey, KEY, Location};
use super::stream;

/// What the owner wants to be durable, all of it or nothing.
#[derive(Default)]
pub struct Checkpoint {
    /// The blobs that changed since the last checkpoint.
    pub blobs: BlobBatch,
    /// The owner's own record: fences, versions. Given back by recovery.
    pub head: Vec<u8>,
    /// Bytes to append to streams; a stream begins to exist with its first append.
    pub appends: Vec<(String, Vec<u8>)>,
    /// Streams to delete. One cannot be dropped and appended to in the same checkpoint.
    pub drop_streams: Vec<String>,
}

/// Blobs in one contiguous buffer, laid out as they will be on disk.
#[derive(Default)]
pub struct BlobBatch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    largest: usize,
}

struct Entry {
    key: BlobKey,
    kind: Kind,
    start: usize,
    len: usize,
}

impl BlobBatch {
    /// Adds a blob. A key comes at most once in a batch.
    pub fn push(&mut self, key: BlobKey, blob: &[u8]) {
        self.add(key, Kind::Blob, blob);
    }

    /// Adds the news that a key is gone: without it, recovery would bring back its last blob.
    pub fn forget(&mut self, key: BlobKey) {
        self.add(key, Kind::Forgotten, &[]);
    }

    /// How many were added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that the batch will take on disk.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn add(&mut self, key: BlobKey, kind: Kind, blob: &[u8]) {
        self.entries.push(Entry { key, kind, start: self.bytes.len(), len: blob.len() });
        self.largest = self.largest.max(blob.len());
        frame::begin(&mut self.bytes);
        self.bytes.extend_from_slice(&key.0.to_le_bytes());
        self.bytes.extend_from_slice(blob);
    }

    /// Fills in the checksums; here, since it is the writer thread that has the time.
    fn seal(&mut self) {
        for entry in &self.entries {
            frame::seal(&mut self.bytes[entry.start..][..HEADER + KEY + entry.len], entry.kind);
        }
    }

    fn locations(&self, segment: u32, offset: u64) -> Vec<(BlobKey, Location)> {
        let blobs = self.entries.iter().filter(|entry| entry.kind == Kind::Blob);
        let locate =
            |entry: &Entry| Location { segment, len: entry.len as u32, offset: offset + entry.start as u64 };
        blobs.map(|entry| (entry.key, locate(entry))).collect()
    }
}

impl Checkpoint {
    /// Refuses what could not be written, before anything is.
    pub(super) fn check(&self) -> Result<(), FilesError> {
        let limit = MAX_PAYLOAD - KEY;
        if self.blobs.largest > limit {
            return Err(FilesError::TooLarge { what: "blob", bytes: self.blobs.largest, limit });
        }
        for (name, _) in &self.appends {
            stream::check_name(name)?;
            if self.drop_streams.contains(name) {
                return Err(FilesError::StreamName { name: name.clone() });
            }
        }
        Ok(())
    }
}

/// A checkpoint that is durable.
#[derive(Debug)]
pub struct CheckpointDone {
    /// Where each blob of the batch now stands. The owner reports what these replace: `Files::superseded`.
    pub locations: Vec<(BlobKey, Location)>,
    /// Segments whose blobs are worth writing again: the owner marks the keys located there as changed.
    /// As of before the owner's reports on this checkpoint.
    pub sparse: Vec<u32>,
    /// Bytes written.
    pub bytes: u64,
}

/// The segment that a checkpoint goes to.
pub(super) struct Target {
    pub number: u32,
    /// Where to write: what is there already, an earlier attempt left.
    pub offset: u64,
    /// The open file, unless the segment is new.
    pub file: Option<Arc<File>>,
}

/// All that the writer thread needs.
pub(super) struct Job {
    pub folder: Folder,
    pub checkpoint: Checkpoint,
    pub target: Target,
    /// The head to be written; streams and the owner's bytes still as in the last one.
    pub head: Head,
    pub old_journals: Range<u64>,
    pub dead_segments: Vec<u32>,
}

/// Bytes between two syncs. One sync of a whole checkpoint would hold up the journal's for as long as it
/// takes.
const SYNC_BYTES: usize = 8 << 20;

fn write_synced(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    for (i, chunk) in bytes.chunks(SYNC_BYTES).enumerate() {
        file.write_all_at(chunk, offset + (i * SYNC_BYTES) as u64)?;
        file.sync_data()?;
    }
    Ok(())
}

/// What the writer thread did.
pub(super) struct Written {
    pub segment: u32,
    pub file: Arc<File>,
    pub len: u64,
    pub forgotten: u64,
    pub locations: Vec<(BlobKey, Location)>,
    pub head: Head,
    pub dead_segments: Vec<u32>,
    pub bytes: u64,
}

impl Job {
    /// Writes the checkpoint. After an error the last one stands.
    pub(super) fn run(mut self) -> Result<Written, FilesError> {
        let path = self.folder.segment(self.target.number);
        let file = self.open_target(&path)?;
        let len = match self.write(&path, &file) {
            Ok(len) => len,
            Err(error) => {
                // Gives the space back and takes away a head that may have been written but not synced;
                // if this fails, `open_target` of the next attempt does it.
                let _ = file.set_len(self.target.offset).and_then(|()| file.sync_data());
                return Err(error);
            }
        };
        self.delete();
        let stream_bytes: usize = self.checkpoint.appends.iter().map(|(_, bytes)| bytes.len()).sum();
        let forgotten = self.checkpoint.blobs.entries.iter().filter(|e| e.kind == Kind::Forgotten).count();
        Ok(Written {
            segment: self.target.number,
            file,
            len,
            forgotten: forgotten as u64,
            locations: self.checkpoint.blobs.locations(self.target.number, self.target.offset),
            head: self.head,
            dead_segments: self.dead_segments,
            bytes: stream_bytes as u64 + len - self.target.offset,
        })
    }

    /// Opens the segment and cuts off what a failed attempt left, durably: it may hold a head that speaks of
    /// streams as that attempt left them, and they are about to be cut, too.
    fn open_target(&self, path: &Path) -> Result<Arc<File>, FilesError> {
        let file = match &self.target.file {
            Some(file) => Arc::clone(file),
            None => {
                let create = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
                Arc::new(create.open(path).at(path)?)
            }
        };
        let found = file.metadata().at(path)?.len();
        if found < self.target.offset {
            let detail = format!("ends here, but the last checkpoint had {} bytes", self.target.offset);
            return Err(FilesError::damaged(path, found, detail));
        }
        if found > self.target.offset {
            file.set_len(self.target.offset).and_then(|()| file.sync_all()).at(path)?;
        }
        Ok(file)
    }

    /// The steps up to the durable head; answers the segment's new length.
    fn write(&mut self, path: &Path, file: &File) -> Result<u64, FilesError> {
        self.append_streams()?;
        self.folder.reached(FileStep::StreamsAppended);
        let blobs = &mut self.checkpoint.blobs;
        blobs.seal();
        write_synced(file, &blobs.bytes, self.target.offset).at(path)?;
        self.folder.sync()?;
        self.folder.reached(FileStep::BlobsWritten);
        let at = self.target.offset + self.checkpoint.blobs.bytes.len() as u64;
        let frame = self.head_frame(at)?;
        file.write_all_at(&frame, at).and_then(|()| file.sync_data()).at(path)?;
        self.folder.reached(FileStep::HeadWritten);
        Ok(at + frame.len() as u64)
    }

    fn append_streams(&mut self) -> Result<(), FilesError> {
        for name in &self.checkpoint.drop_streams {
            self.head.streams.remove(name);
        }
        for (name, bytes) in &self.checkpoint.appends {
            let end = self.head.streams.get(name).copied().unwrap_or(StreamEnd::default());
            let end = stream::append(&self.folder.stream(name), end, bytes)?;
            self.head.streams.insert(name.clone(), end);
        }
        Ok(())
    }

    fn head_frame(&mut self, at: u64) -> Result<Vec<u8>, FilesError> {
        self.head.segments.insert(self.target.number, at);
        self.head.owner = std::mem::take(&mut self.checkpoint.head);
        let mut frame = Vec::new();
        frame::begin(&mut frame);
        self.head.encode(&mut frame);
        let bytes = frame.len() - HEADER;
        if bytes > MAX_PAYLOAD {
            return Err(FilesError::TooLarge { what: "head", bytes, limit: MAX_PAYLOAD });
        }
        frame::seal(&mut frame, Kind::Head);
        Ok(frame)
    }

    /// Deletes what the durable head no longer names. What cannot be deleted now goes when the store is next
    /// opened.
    fn delete(&self) {
        for epoch in self.old_journals.clone() {
            let _ = std::fs::remove_file(self.folder.journal(epoch));
        }
        self.folder.reached(FileStep::JournalsDropped);
        for name in self.checkpoint.drop_streams.iter().filter(|name| stream::check_name(name).is_ok()) {
            let _ = std::fs::remove_file(self.folder.stream(name));
        }
        for number in &self.dead_segments {
            let _ = std::fs::remove_file(self.folder.segment(*number));
        }
        self.folder.reached(FileStep::Done);
    }
}
