//! Faults: what a test can switch on while the service runs, to see its fallbacks. A process without the variable
//! `TRIPLINE_FAULT_FILE` has none.
//!
//! The file holds words such as `model=slow model=fail store=slow`; it is read ten times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longer than a test that asks for what was late gives features or a score, by far: it is late on any machine.
const SLOW: Duration = Duration::from_secs(1);

/// What is switched on.
#[derive(Debug, Default)]
pub struct Faults {
    model_slow: AtomicBool,
    model_fails: AtomicBool,
    store_slow: AtomicBool,
}

impl Faults {
    /// The faults that the environment asks for.
    pub fn of_environment() -> Arc<Self> {
        let faults = Arc::new(Self::default());
        if let Some(file) = std::env::var_os("TRIPLINE_FAULT_FILE") {
            let watched = Arc::clone(&faults);
            std::thread::spawn(move || {
                loop {
                    let text = std::fs::read_to_string(&file).unwrap_or_default();
                    let on = |word: &str| text.split_whitespace().any(|found| found == word);
                    watched.model_slow.store(on("model=slow"), Ordering::Relaxed);
                    watched.model_fails.store(on("model=fail"), Ordering::Relaxed);
                    watched.store_slow.store(on("store=slow"), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
        faults
    }

    pub(super) fn model(&self) -> Result<(), String> {
        if self.model_slow.load(Ordering::Relaxed) {
            std::thread::sleep(SLOW);
        }
        if self.model_fails.load(Ordering::Relaxed) { Err("made to fail".to_owned()) } else { Ok(()) }
    }

    pub(super) fn store(&self) {
        if self.store_slow.load(Ordering::Relaxed) {
            std::thread::sleep(SLOW);
        }
    }
}
