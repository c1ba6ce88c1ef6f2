//! The binary under test as a process: started, asked, told to end, killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that was told to end, or that cannot begin, does so within this time; how soon is not what is asserted.
pub const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A running `tripline`.
pub struct Process {
    child: Child,
    pub log: PathBuf,
    started: usize,
}

/// The binary that was built beside the tests.
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binary = here.parent().unwrap().parent().unwrap().join("tripline");
    assert!(binary.exists(), "{} is missing: cargo build --release --workspace", binary.display());
    binary
}

impl Process {
    /// Starts a command; its log is appended to `log`.
    pub fn start(args: &[&str], variables: &[(&str, &str)], log: &Path) -> Process {
        // Processes that wrote this log before, and this one.
        let started = 1 + std::fs::read_to_string(log).unwrap_or_default().matches("listening").count();
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(binary())
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Process { child, log: log.to_owned(), started }
    }

    /// How often "listening" stands in the log once this process listens.
    pub fn started(&self) -> usize {
        self.started
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < until, "not ended in {within:?}; its log ends:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Resident memory, bytes.
    pub fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.id())).unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Waits until it is so.
pub fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < end, "not in {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
