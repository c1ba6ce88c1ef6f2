//! Opening a folder: find the last head, check what it names, read what came after it, then cut what was
//! torn.
//!
//! Nothing is changed before everything has been checked, so damage leaves the folder as it was found.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::sync::Arc;

use hashbrown::HashMap;

use super::error::{At, FilesError};
use super::folder::{Folder, Listing};
use super::head::Head;
use super::journal::{self, Journal, Rows};
use super::segment::{self, BlobKey, Location, Met, Scan, Segment, Segments};
use super::{FileOptions, stream};

const MISSING: &str =
    "named by the last checkpoint but missing: an older copy was restored or a file deleted";

/// What was found in the folder when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Where each key's newest blob stands, as of the last checkpoint.
    pub blobs: Vec<(BlobKey, Location)>,
    /// The owner's head of the last checkpoint; `None` if there was none.
    pub head: Option<Vec<u8>>,
    /// The streams as of the last checkpoint.
    pub streams: Vec<(String, Vec<u8>)>,
    /// The rows appended after the last checkpoint, in order.
    pub journal: Vec<Vec<u8>>,
    /// Bytes of an unfinished write that were cut.
    pub torn: u64,
}

/// What `Files` goes on with.
pub(super) struct State {
    pub head: Option<Head>,
    pub segments: Segments,
    pub journal: Journal,
}

/// Reads the folder and brings it back to its last consistent state.
pub(super) fn recover(folder: &Folder, options: &FileOptions) -> Result<(State, Recovered), FilesError> {
    let listing = folder.list()?;
    let found = find_head(folder, &listing)?;
    let mut recovered = Recovered::default();
    let (mut head, mut segments) = (None, Segments::new());
    if let Some((number, scan, found)) = found {
        let alive;
        (segments, alive) = read_segments(folder, number, scan, &found)?;
        recovered.blobs = alive;
        recovered.head = Some(found.head.owner.clone());
        recovered.torn += read_streams(folder, &found.head, &mut recovered.streams)?;
        head = Some(found.head);
    }
    let rows = read_journals(folder, &listing, head.as_ref())?;
    recovered.torn += rows.torn;
    recovered.torn += cut_segments(folder, &listing, &segments)?;
    cut_streams(folder, &listing, head.as_ref())?;
    let journal = Journal::resume(folder.clone(), options.journal_sync, &rows)?;
    let first = head.as_ref().map_or(1, |head| head.epoch);
    for epoch in listing.journals.range(..first) {
        let path = folder.journal(*epoch);
        std::fs::remove_file(&path).at(&path)?;
    }
    // Names that a killed process created or deleted are settled before anything relies on them.
    folder.sync()?;
    recovered.journal = rows.rows;
    Ok((State { head, segments, journal }, recovered))
}

/// The last head: in the highest segment that has one. Those above it are of an unfinished checkpoint.
fn find_head(
    folder: &Folder,
    listing: &Listing,
) -> Result<Option<(u32, Scan, segment::LastHead)>, FilesError> {
    for &number in listing.segments.iter().rev() {
        let mut scan = segment::scan(&folder.segment(number), number)?;
        if let Some(head) = scan.head.take() {
            return Ok(Some((number, scan, head)));
        }
    }
    Ok(None)
}

/// Reads the segments that the head names, checks their lengths, and keeps the newest blob of each key.
fn read_segments(
    folder: &Folder,
    last: u32,
    scan: Scan,
    found: &segment::LastHead,
) -> Result<(Segments, Vec<(BlobKey, Location)>), FilesError> {
    let mut segments = Segments::new();
    let mut newest: HashMap<BlobKey, Location> = HashMap::new();
    for (&number, &len) in found.head.segments.range(..last) {
        let path = folder.segment(number);
        if !path.exists() {
            return Err(FilesError::damaged(&path, 0, MISSING));
        }
        let scan = segment::scan(&path, number)?;
        if scan.end < len {
            let detail = format!("the last checkpoint had {len} bytes, but only so many are whole");
            return Err(FilesError::damaged(&path, scan.end, detail));
        }
        take(&mut segments, &mut newest, number, len, &scan.met, scan.file);
    }
    take(&mut segments, &mut newest, last, found.end, &scan.met[..found.met], scan.file);
    for location in newest.values() {
        if let Some(segment) = segments.get_mut(&location.segment) {
            segment.alive += location.size();
        }
    }
    Ok((segments, newest.into_iter().collect()))
}

fn take(
    segments: &mut Segments,
    newest: &mut HashMap<BlobKey, Location>,
    number: u32,
    len: u64,
    met: &[Met],
    file: std::fs::File,
) {
    let mut forgotten = 0;
    for (key, location) in met {
        match location {
            Some(location) => _ = newest.insert(*key, *location),
            None => {
                forgotten += 1;
                newest.remove(key);
            }
        }
    }
    segments.insert(number, Segment { file: Arc::new(file), len, alive: 0, forgotten });
}

/// Reads the streams that the head names; answers how many bytes stand behind them.
fn read_streams(
    folder: &Folder,
    head: &Head,
    streams: &mut Vec<(String, Vec<u8>)>,
) -> Result<u64, FilesError> {
    let mut torn = 0;
    for (name, end) in &head.streams {
        let (bytes, behind) = stream::read(&folder.stream(name), *end)?;
        streams.push((name.clone(), bytes));
        torn += behind;
    }
    Ok(torn)
}

/// Reads the journals from the head's epoch on, which must be there without a gap.
fn read_journals(folder: &Folder, listing: &Listing, head: Option<&Head>) -> Result<Rows, FilesError> {
    let (first, first_row) = head.map_or((1, 0), |head| (head.epoch, head.next_row));
    let epochs: BTreeSet<u64> = listing.journals.range(first..).copied().collect();
    let untouched = listing.is_empty();
    let last = if untouched { 0 } else { epochs.last().copied().unwrap_or(first) };
    if let Some(missing) = (first..=last).find(|epoch| !epochs.contains(epoch)) {
        return Err(FilesError::damaged(&folder.journal(missing), 0, MISSING));
    }
    journal::read(folder, epochs.into_iter(), first_row)
}

/// Cuts the segments to the head's lengths and removes those that it does not name; answers the bytes of
/// unfinished checkpoints among that.
fn cut_segments(folder: &Folder, listing: &Listing, segments: &Segments) -> Result<u64, FilesError> {
    let mut torn = 0;
    let last = segments.last_key_value().map(|(number, _)| *number);
    if let Some((number, segment)) = segments.last_key_value() {
        let path = folder.segment(*number);
        let file = OpenOptions::new().write(true).open(&path).at(&path)?;
        torn += file.metadata().at(&path)?.len() - segment.len;
        file.set_len(segment.len).at(&path)?;
        // After kill -9 the head may be in the system's memory only; what follows relies on it.
        file.sync_all().at(&path)?;
    }
    for number in listing.segments.iter().filter(|number| !segments.contains_key(number)) {
        let path = folder.segment(*number);
        if last.is_none_or(|last| last < *number) {
            torn += std::fs::metadata(&path).at(&path)?.len();
        }
        std::fs::remove_file(&path).at(&path)?;
    }
    Ok(torn)
}

/// Cuts the streams to the head's lengths and removes those that it does not name.
fn cut_streams(folder: &Folder, listing: &Listing, head: Option<&Head>) -> Result<(), FilesError> {
    for name in &listing.streams {
        let path = folder.stream(name);
        match head.and_then(|head| head.streams.get(name)) {
            Some(end) => {
                let file = OpenOptions::new().write(true).open(&path).at(&path)?;
                if file.metadata().at(&path)?.len() > end.len {
                    file.set_len(end.len).at(&path)?;
                }
            }
            None => std::fs::remove_file(&path).at(&path)?,
        }
    }
    Ok(())
}
