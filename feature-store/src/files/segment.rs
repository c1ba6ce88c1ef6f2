//! Segments: append-only files of blobs, each checkpoint's followed by its head.
//!
//! ```text
//! segment-7.seg:  blob blob blob HEAD | blob forgotten blob HEAD | blob blo    (an unfinished checkpoint)
//! ```
//!
//! Of a key, the blob that stands last counts. What is superseded stays until nothing in its segment is
//! alive. Not here: which key lives where; the owner knows, Files only counts the bytes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::error::{At, FilesError};
use super::frame::{self, HEADER, Kind, Next, Scanner};
use super::head::Head;

/// Bytes of the key before a blob's own.
pub(super) const KEY: usize = 16;

/// What a blob is filed under; the store gives it no meaning.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(pub u128);

/// Where a blob stands: what the owner's index keeps for each key (16 bytes).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub(super) segment: u32,
    /// Bytes of the blob, without key and header.
    pub(super) len: u32,
    /// Where its frame starts.
    pub(super) offset: u64,
}

impl Location {
    /// The segment's number, as in [`CheckpointDone::sparse`](super::CheckpointDone::sparse).
    pub fn segment(self) -> u32 {
        self.segment
    }

    /// Length of the blob in bytes.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether the blob is empty.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Bytes that the blob takes on disk.
    pub(super) fn size(self) -> u64 {
        (HEADER + KEY) as u64 + u64::from(self.len)
    }

    /// Reads the blob into `out`, replacing what is there, and checks its checksum.
    pub(super) fn read(self, file: &File, path: &Path, out: &mut Vec<u8>) -> Result<(), FilesError> {
        out.clear();
        out.resize(self.size() as usize, 0);
        file.read_exact_at(out, self.offset).at(path)?;
        if frame::check(out) != Some(Kind::Blob) {
            out.clear();
            return Err(FilesError::damaged(path, self.offset, "the blob's checksum differs"));
        }
        out.drain(..HEADER + KEY);
        Ok(())
    }
}

/// A segment that belongs to the last checkpoint.
#[derive(Clone)]
pub(super) struct Segment {
    pub file: Arc<File>,
    /// Bytes up to the end of the last checkpoint in it.
    pub len: u64,
    /// Bytes of the blobs that no later one has superseded.
    pub alive: u64,
    /// Frames that say that a key is gone.
    pub forgotten: u64,
}

/// All segments of the last checkpoint; the last one is written to.
pub(super) type Segments = BTreeMap<u32, Segment>;

/// Segments that the next head need not name.
///
/// One with nothing alive may still say that a key is gone, and an older segment may hold that key: it has to
/// outlive all older ones. Entities are forgotten by age, so the oldest segments empty first and this seldom
/// waits.
pub(super) fn dead(segments: &Segments, target: u32) -> Vec<u32> {
    let mut older_stays = false;
    let mut dead = Vec::new();
    for (&number, segment) in segments {
        if number != target && segment.alive == 0 && (segment.forgotten == 0 || !older_stays) {
            dead.push(number);
        } else {
            older_stays = true;
        }
    }
    dead
}

/// Segments whose blobs are worth writing again: under half of the bytes alive, or the oldest when more is
/// kept only for its sake (see [`dead`]) than it has alive.
pub(super) fn sparse(segments: &Segments) -> Vec<u32> {
    let Some((&current, _)) = segments.last_key_value() else { return Vec::new() };
    let held: u64 =
        segments.values().skip(1).filter(|s| s.alive == 0 && s.forgotten > 0).map(|s| s.len).sum();
    let worth = |oldest: bool, s: &Segment| s.alive * 2 < s.len || (oldest && held > s.alive);
    let sealed = segments.iter().enumerate().filter(|(_, (number, _))| **number != current);
    sealed.filter(|(i, (_, s))| s.alive > 0 && worth(*i == 0, s)).map(|(_, (number, _))| *number).collect()
}

/// A frame that recovery met: `Some` location for a blob, `None` for a forgotten key.
pub(super) type Met = (BlobKey, Option<Location>);

/// One segment as recovery read it.
pub(super) struct Scan {
    pub file: File,
    /// Where the whole frames end.
    pub end: u64,
    /// Blobs and forgotten keys in order.
    pub met: Vec<Met>,
    /// The last head, if the segment has one.
    pub head: Option<LastHead>,
}

/// A head and where it stands.
pub(super) struct LastHead {
    /// Where its frame ends.
    pub end: u64,
    /// How many of `met` stand before it.
    pub met: usize,
    pub head: Head,
}

/// Reads a segment from start to end; changes nothing.
///
/// # Errors
/// `Damaged` if a bad frame is followed by a head: that one was written when all before it was durable.
/// Blobs after a bad frame, but no head, are an unfinished checkpoint, whose pages a power cut may keep in
/// any order.
pub(super) fn scan(path: &Path, number: u32) -> Result<Scan, FilesError> {
    let file = OpenOptions::new().read(true).write(true).open(path).at(path)?;
    let mut scanner = Scanner::new(&file).at(path)?;
    let (mut met, mut head) = (Vec::new(), None);
    while let Next::Frame { kind, at, payload } = scanner.next().at(path)? {
        let key = frame::array(payload, 0).map(u128::from_le_bytes).map(BlobKey);
        match (kind, key) {
            (Kind::Blob, Some(key)) => {
                let len = (payload.len() - KEY) as u32;
                met.push((key, Some(Location { segment: number, len, offset: at })));
            }
            (Kind::Forgotten, Some(key)) => met.push((key, None)),
            (Kind::Head, _) => {
                let end = at + (HEADER + payload.len()) as u64;
                let found = Head::decode(payload).filter(|head| head.segments.get(&number) == Some(&at));
                let found = found.ok_or_else(|| FilesError::damaged(path, at, "a head of another file"))?;
                head = Some(LastHead { end, met: met.len(), head: found });
            }
            _ => return Err(FilesError::damaged(path, at, "a frame that does not belong into a segment")),
        }
    }
    let (end, file_len) = (scanner.at(), scanner.file_len());
    if end < file_len && frame::find(&file, end + 1, Kind::Head).at(path)?.is_some() {
        return Err(FilesError::damaged(path, end, "not a whole frame, and a checkpoint's end follows it"));
    }
    Ok(Scan { file, end, met, head })
}
