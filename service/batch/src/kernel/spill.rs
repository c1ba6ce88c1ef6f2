//! Spill: records of whole words, shared out over files, so that each share fits in memory.
//!
//! The files have no name and vanish with the process. Not a sort: a share is read whole.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes waiting for one file: hundreds of files are open at once.
const BUFFER: usize = 32 << 10;

/// Shares.
#[derive(Debug)]
pub(super) struct Spill {
    files: Vec<Option<BufWriter<File>>>,
    bytes: Vec<u8>,
}

impl Spill {
    /// So many empty shares, in a folder.
    pub fn new(folder: &Path, shares: usize) -> io::Result<Self> {
        let file = |_| Ok(Some(BufWriter::with_capacity(BUFFER, tempfile::tempfile_in(folder)?)));
        let files = (0..shares).map(file).collect::<io::Result<_>>()?;
        Ok(Self { files, bytes: Vec::new() })
    }

    /// Adds records to a share.
    pub fn push(&mut self, share: usize, words: &[u64]) -> io::Result<()> {
        let file = self.files.get_mut(share).and_then(Option::as_mut);
        let file = file.ok_or_else(|| io::Error::other("a share that was taken"))?;
        self.bytes.clear();
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        file.write_all(&self.bytes)
    }

    /// The records of a share, which is gone afterwards.
    pub fn take(&mut self, share: usize) -> io::Result<Vec<u64>> {
        match self.files.get_mut(share).and_then(Option::take) {
            Some(file) => read(file),
            None => Ok(Vec::new()),
        }
    }
}

fn read(file: BufWriter<File>) -> io::Result<Vec<u64>> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    let len = usize::try_from(file.seek(SeekFrom::End(0))?).unwrap_or(0);
    file.seek(SeekFrom::Start(0))?;
    let mut words = Vec::with_capacity(len / 8);
    let mut bytes = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let more = file.read(&mut bytes[kept..])?;
        if more == 0 {
            return Ok(words);
        }
        let whole = (kept + more) / 8 * 8;
        words.extend(bytes[..whole].chunks_exact(8).map(word));
        bytes.copy_within(whole..kept + more, 0);
        kept = kept + more - whole;
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
