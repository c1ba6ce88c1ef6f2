//! The text of a user's file, or what is wrong with the file.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use schemas::document::Section;

/// Largest file, bytes: a thousand times what a person writes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads a file.
///
/// # Errors
/// What was found there instead of a text, for a `Problem`.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    // Asked before opening: a FIFO would wait for a writer for ever.
    let meta = fs::metadata(path).map_err(|error| found(&error))?;
    if meta.is_dir() {
        return Err("a folder".to_owned());
    }
    if !meta.is_file() {
        return Err("neither a file nor a folder".to_owned());
    }
    let file = File::open(path).map_err(|error| found(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| found(&error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("a file of more than {} MiB", MAX_FILE_BYTES >> 20));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("a file that is not UTF-8 (byte {})", error.utf8_error().valid_up_to() + 1))
}

/// The file that a key names, with its text; `None` without the key, or when it is reported. `kind` is what it should be.
pub(super) fn named(
    section: &mut Section,
    key: &str,
    folder: &Path,
    kind: &str,
) -> Option<(PathBuf, String)> {
    let named: String = section.optional(key)?;
    let path = folder.join(&named);
    match read(&path) {
        Ok(text) => Some((path, text)),
        Err(found) => {
            let expected = format!("the path of {kind}, from the folder {}", folder.display());
            section.report(key, format!("\"{named}\", where there is {found}"), expected);
            None
        }
    }
}

fn found(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "a file that may not be read".to_owned(),
        _ => format!("a file that cannot be read: {error}"),
    }
}
