//! One frame on disk, and how to walk over many of them.
//!
//! ```text
//! magic u32 | kind u8 | len u32 | crc32 u32 of kind, len and payload | payload      (little endian)
//! ```
//!
//! Not here: what a payload means, and what a bad frame means for its file; see `segment` and `journal`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes before the payload.
pub(super) const HEADER: usize = 13;
/// The largest payload: bounds what a damaged length can make us allocate.
pub(super) const MAX_PAYLOAD: usize = 64 << 20;
/// "TRIP" would be met in text; these bytes are not UTF-8.
const MAGIC: [u8; 4] = [0xF7, b'T', 0x9C, b'L'];
/// How much is read at once: large enough to hide the call, small enough for the cache.
const CHUNK: usize = 1 << 20;

/// What a frame holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A journal row: sequence number u64, then the owner's bytes.
    Row = 1,
    /// A blob: key u128, then the owner's bytes.
    Blob = 2,
    /// A key that is gone: key u128.
    Forgotten = 3,
    /// The end of a checkpoint: see `head`.
    Head = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Row, Self::Blob, Self::Forgotten, Self::Head].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Starts a frame at the end of `buf`: room for the header, which [`seal`] fills in.
pub(super) fn begin(buf: &mut Vec<u8>) {
    buf.extend_from_slice(&[0; HEADER]);
}

/// Fills in the header of `frame`, which is room for a header and then a payload of at most [`MAX_PAYLOAD`].
pub(super) fn seal(frame: &mut [u8], kind: Kind) {
    let len = (frame.len() - HEADER) as u32;
    frame[..4].copy_from_slice(&MAGIC);
    frame[4] = kind as u8;
    frame[5..9].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(&frame[4..9], &frame[HEADER..]);
    frame[9..HEADER].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(kind_and_len: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind_and_len);
    hasher.update(payload);
    hasher.finalize()
}

/// Kind and payload length, if `header` is one.
fn parse_header(header: &[u8]) -> Option<(Kind, usize)> {
    let len = u32::from_le_bytes(array(header, 5)?) as usize;
    let kind = Kind::from_byte(*header.get(4)?)?;
    (header.starts_with(&MAGIC) && len <= MAX_PAYLOAD).then_some((kind, len))
}

/// The kind of `frame`, one whole frame and nothing else, if its checksum holds.
pub(super) fn check(frame: &[u8]) -> Option<Kind> {
    let (kind, len) = parse_header(frame)?;
    let crc = u32::from_le_bytes(array(frame, 9)?);
    (frame.len() == HEADER + len && checksum(&frame[4..9], &frame[HEADER..]) == crc).then_some(kind)
}

/// `N` bytes of `bytes` from `at`.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// What stands next in a file.
pub(super) enum Next<'a> {
    /// A frame whose checksum holds; `at` is where its header starts.
    Frame { kind: Kind, at: u64, payload: &'a [u8] },
    /// The file ends exactly after the last frame.
    End,
    /// Something that is not a whole frame.
    Bad,
}

/// Walks over a file's frames in big sequential reads.
pub(super) struct Scanner<'f> {
    file: &'f File,
    file_len: u64,
    /// Where in the file the next frame starts.
    at: u64,
    buf: Vec<u8>,
    start: usize,
    filled: usize,
}

impl<'f> Scanner<'f> {
    pub(super) fn new(file: &'f File) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        Ok(Self { file, file_len, at: 0, buf: Vec::new(), start: 0, filled: 0 })
    }

    /// Where the next frame starts; after [`Next::Bad`], where the bad one does.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn file_len(&self) -> u64 {
        self.file_len
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        if self.at == self.file_len {
            return Ok(Next::End);
        }
        if !self.fill(HEADER)? {
            return Ok(Next::Bad);
        }
        let Some((_, len)) = parse_header(&self.buf[self.start..self.start + HEADER]) else {
            return Ok(Next::Bad);
        };
        let size = HEADER + len;
        if !self.fill(size)? {
            return Ok(Next::Bad);
        }
        let frame = &self.buf[self.start..self.start + size];
        let Some(kind) = check(frame) else { return Ok(Next::Bad) };
        let at = self.at;
        self.at += size as u64;
        self.start += size;
        Ok(Next::Frame { kind, at, payload: &frame[HEADER..] })
    }

    /// Sees to it that `n` bytes from here are in the buffer; false if the file does not hold as many.
    fn fill(&mut self, n: usize) -> io::Result<bool> {
        if self.filled - self.start >= n {
            return Ok(true);
        }
        if self.file_len - self.at < n as u64 {
            return Ok(false);
        }
        self.buf.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        let chunk = (CHUNK as u64).min(self.file_len - self.at) as usize;
        self.buf.resize(self.buf.len().max(chunk).max(n), 0);
        while self.filled < n {
            let read = self.file.read_at(&mut self.buf[self.filled..], self.at + self.filled as u64)?;
            if read == 0 {
                return Ok(false);
            }
            self.filled += read;
        }
        Ok(true)
    }
}

/// Where the first whole frame of kind `wanted` at or after `from` starts: what tells damage from a torn
/// tail.
pub(super) fn find(file: &File, from: u64, wanted: Kind) -> io::Result<Option<u64>> {
    let file_len = file.metadata()?.len();
    let mut chunk = vec![0; (CHUNK as u64).min(file_len.saturating_sub(from)) as usize];
    let mut at = from;
    while at + HEADER as u64 <= file_len {
        let size = (CHUNK as u64).min(file_len - at) as usize;
        file.read_exact_at(&mut chunk[..size], at)?;
        let starts = chunk[..size].windows(MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == MAGIC);
        for (i, _) in starts {
            if is_frame(file, at + i as u64, file_len, wanted)? {
                return Ok(Some(at + i as u64));
            }
        }
        // The last three bytes may begin a magic number.
        at += (size - (MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}

fn is_frame(file: &File, at: u64, file_len: u64, wanted: Kind) -> io::Result<bool> {
    let mut frame = vec![0; HEADER];
    if file_len - at < HEADER as u64 {
        return Ok(false);
    }
    file.read_exact_at(&mut frame, at)?;
    let Some((kind, len)) = parse_header(&frame) else { return Ok(false) };
    if kind != wanted || file_len - at < (HEADER + len) as u64 {
        return Ok(false);
    }
    frame.resize(HEADER + len, 0);
    file.read_exact_at(&mut frame, at)?;
    Ok(check(&frame).is_some())
}
