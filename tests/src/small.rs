//! A small disk: what happens when it is full.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

/// A file system of 48 MiB, on a machine where one may be mounted.
pub struct Small(pub PathBuf);

impl Small {
    /// Mounts one at a folder, which is made.
    pub fn mount(folder: PathBuf) -> Option<Small> {
        std::fs::create_dir(&folder).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "small"]).arg(&folder).output();
        mount.is_ok_and(|done| done.status.success()).then_some(Small(folder))
    }

    /// Takes all the room that there is.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("junk")).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4_096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    /// Gives it back.
    pub fn clear(&self) {
        std::fs::remove_file(self.0.join("junk")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A server may have it open still.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
