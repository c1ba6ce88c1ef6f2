//! The journal: rows appended between checkpoints, one file per epoch.
//!
//! Rows carry a sequence number that runs on over all files and restarts, so a row that vanished from the
//! middle is noticed even where every remaining frame is whole.
//!
//! What a bad frame means. Rows are written by one call each, and a returned call survives kill -9, because
//! the system holds the bytes. So kill -9 can only leave part of the very last row, at the end of the newest
//! file: an append that failed is cut off before anything else is written to that file or the next one is
//! begun. Hence:
//! - a bad frame with no whole row after it in its file, and no row in any later file, is a torn tail: it is
//!   cut;
//! - with a whole row after it, in its file or (the sequence then has a gap) in a later one, it is damage.
//!
//! A power cut does the same under `JournalSync::Always`. Under `Never` the disk may keep later pages and
//! lose earlier ones: that is reported as damage, and the state is rebuilt from the log.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::{At, FilesError};
use super::folder::Folder;
use super::frame::{self, Kind, MAX_PAYLOAD, Next, Scanner};
use super::{FileStep, JournalSync};

/// Bytes of the sequence number before the owner's bytes.
const SEQUENCE: usize = 8;

/// The newest journal file, open for appending.
pub(super) struct Journal {
    folder: Folder,
    sync: JournalSync,
    file: File,
    epoch: u64,
    /// Length of the whole rows in the file.
    end: u64,
    /// The file may be longer than `end`: an append failed.
    torn: bool,
    next_row: u64,
    frame: Vec<u8>,
}

impl Journal {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The sequence number that the next row will get.
    pub(super) fn next_row(&self) -> u64 {
        self.next_row
    }

    /// Creates the file of `epoch`, empty.
    pub(super) fn create(
        folder: Folder,
        sync: JournalSync,
        epoch: u64,
        next_row: u64,
    ) -> Result<Self, FilesError> {
        let path = folder.journal(epoch);
        let file = File::create(&path).at(&path)?;
        if sync == JournalSync::Always {
            folder.sync()?;
        }
        Ok(Self { folder, sync, file, epoch, end: 0, torn: false, next_row, frame: Vec::new() })
    }

    /// Goes on with what recovery found, cutting its torn tail.
    pub(super) fn resume(folder: Folder, sync: JournalSync, rows: &Rows) -> Result<Self, FilesError> {
        let Some(&(epoch, end)) = rows.ends.last() else {
            return Self::create(folder, sync, 1, rows.next_row);
        };
        let open = |epoch, end| {
            let path = folder.journal(epoch);
            let file = OpenOptions::new().write(true).open(&path).at(&path)?;
            file.set_len(end).at(&path)?;
            if sync == JournalSync::Always {
                // Rows that only the system held are acted upon from now on.
                file.sync_data().at(&path)?;
            }
            Ok(file)
        };
        for &(epoch, end) in &rows.ends[..rows.ends.len() - 1] {
            open(epoch, end)?;
        }
        let file = open(epoch, end)?;
        Ok(Self { folder, sync, file, epoch, end, torn: false, next_row: rows.next_row, frame: Vec::new() })
    }

    /// Appends a row with one write call.
    pub(super) fn append(&mut self, row: &[u8]) -> Result<(), FilesError> {
        let limit = MAX_PAYLOAD - SEQUENCE;
        if row.len() > limit {
            return Err(FilesError::TooLarge { what: "journal row", bytes: row.len(), limit });
        }
        let path = self.folder.journal(self.epoch);
        self.mend(&path)?;
        self.frame.clear();
        frame::begin(&mut self.frame);
        self.frame.extend_from_slice(&self.next_row.to_le_bytes());
        self.frame.extend_from_slice(row);
        frame::seal(&mut self.frame, Kind::Row);
        if let Err(error) = self.write() {
            self.torn = true;
            // At once, to give the space back; if it fails now, it is tried again before the next write.
            let _ = self.mend(&path);
            return Err(error).at(&path);
        }
        self.end += self.frame.len() as u64;
        self.next_row += 1;
        self.folder.reached(FileStep::JournalWritten);
        Ok(())
    }

    /// Begins the next epoch's file; until this has succeeded, rows go on into the old one.
    pub(super) fn switch(&mut self) -> Result<(), FilesError> {
        self.mend(&self.folder.journal(self.epoch))?;
        let next = Self::create(self.folder.clone(), self.sync, self.epoch + 1, self.next_row)?;
        *self = Self { frame: std::mem::take(&mut self.frame), ..next };
        Ok(())
    }

    fn write(&self) -> std::io::Result<()> {
        self.file.write_all_at(&self.frame, self.end)?;
        match self.sync {
            JournalSync::Always => self.file.sync_data(),
            JournalSync::Never => Ok(()),
        }
    }

    fn mend(&mut self, path: &Path) -> Result<(), FilesError> {
        if self.torn {
            self.file.set_len(self.end).at(path)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// What recovery read from the journals.
pub(super) struct Rows {
    pub rows: Vec<Vec<u8>>,
    /// Epoch and good length of each file.
    pub ends: Vec<(u64, u64)>,
    pub next_row: u64,
    /// Bytes after the good lengths.
    pub torn: u64,
}

/// Reads the journals of `epochs`, of which `first_row` is the first row; changes nothing.
pub(super) fn read(
    folder: &Folder,
    epochs: impl Iterator<Item = u64>,
    first_row: u64,
) -> Result<Rows, FilesError> {
    let mut rows = Rows { rows: Vec::new(), ends: Vec::new(), next_row: first_row, torn: 0 };
    for epoch in epochs {
        read_file(&folder.journal(epoch), epoch, &mut rows)?;
    }
    Ok(rows)
}

fn read_file(path: &Path, epoch: u64, rows: &mut Rows) -> Result<(), FilesError> {
    let file = File::open(path).at(path)?;
    let mut scanner = Scanner::new(&file).at(path)?;
    while let Next::Frame { kind, at, payload } = scanner.next().at(path)? {
        if kind != Kind::Row {
            return Err(FilesError::damaged(path, at, "a frame that is not a row"));
        }
        let found = frame::array(payload, 0).map(u64::from_le_bytes);
        if found != Some(rows.next_row) {
            let detail = format!("row {} expected, {found:?} found: rows are missing", rows.next_row);
            return Err(FilesError::damaged(path, at, detail));
        }
        rows.next_row += 1;
        rows.rows.push(payload[SEQUENCE..].to_vec());
    }
    let (end, file_len) = (scanner.at(), scanner.file_len());
    if end < file_len && frame::find(&file, end + 1, Kind::Row).at(path)?.is_some() {
        return Err(FilesError::damaged(path, end, "not a whole row, and rows follow it"));
    }
    rows.torn += file_len - end;
    rows.ends.push((epoch, end));
    Ok(())
}
