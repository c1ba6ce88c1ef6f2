//! Streams: named files of raw bytes that grow at checkpoints only.
//!
//! The head holds each one's length and running CRC-32, so a stream needs no frames of its own.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::{At, FilesError};
use super::head::StreamEnd;

/// Refuses names that could leave the folder or collide with another file of it.
pub(super) fn check_name(name: &str) -> Result<(), FilesError> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=200).contains(&name.len()) && name.bytes().all(valid) {
        return Ok(());
    }
    Err(FilesError::StreamName { name: name.to_owned() })
}

/// Appends `bytes` durably after `end`, cutting off what an earlier, failed attempt left there.
pub(super) fn append(path: &Path, end: StreamEnd, bytes: &[u8]) -> Result<StreamEnd, FilesError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).at(path)?;
    let found = file.metadata().at(path)?.len();
    if found < end.len {
        return Err(shorter(path, found, end.len));
    }
    if found > end.len {
        file.set_len(end.len).at(path)?;
    }
    if let Err(error) = file.write_all_at(bytes, end.len).and_then(|()| file.sync_data()) {
        // Gives the space back; if this fails, the next append or the next opening cuts it.
        let _ = file.set_len(end.len);
        return Err(error).at(path);
    }
    let mut crc = crc32fast::Hasher::new_with_initial_len(end.crc, end.len);
    crc.update(bytes);
    Ok(StreamEnd { len: end.len + bytes.len() as u64, crc: crc.finalize() })
}

/// Reads the stream up to `end` and checks it; answers its bytes and how many stand after `end`.
pub(super) fn read(path: &Path, end: StreamEnd) -> Result<(Vec<u8>, u64), FilesError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let detail =
                "named by the last checkpoint but missing: an older copy was restored or a file deleted";
            return Err(FilesError::damaged(path, 0, detail));
        }
        file => file.at(path)?,
    };
    let found = file.metadata().at(path)?.len();
    if found < end.len {
        return Err(shorter(path, found, end.len));
    }
    let mut bytes = vec![0; end.len as usize];
    file.read_exact_at(&mut bytes, 0).at(path)?;
    if crc32fast::hash(&bytes) != end.crc {
        return Err(FilesError::damaged(path, 0, format!("checksum of the first {} bytes differs", end.len)));
    }
    Ok((bytes, found - end.len))
}

fn shorter(path: &Path, found: u64, expected: u64) -> FilesError {
    FilesError::damaged(path, found, format!("ends here, but the last checkpoint had {expected} bytes"))
}
