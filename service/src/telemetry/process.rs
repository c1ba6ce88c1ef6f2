//! The process as the kernel sees it: memory and processor time. Linux only; elsewhere there is no answer.

use procfs::process::Process;

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessFigures {
    /// Memory in use, bytes.
    pub resident_bytes: u64,
    /// The most that was in use at any time, bytes.
    pub peak_bytes: u64,
    /// Processor time, user and system, seconds.
    pub cpu_seconds: f64,
}

/// The figures of this process.
pub fn figures() -> Option<ProcessFigures> {
    let process = Process::myself().ok()?;
    let (stat, statm) = (process.stat().ok()?, process.statm().ok()?);
    Some(ProcessFigures {
        peak_bytes: process.status().ok()?.vmhwm?.saturating_mul(1_024),
        resident_bytes: statm.resident.saturating_mul(procfs::page_size()),
        cpu_seconds: stat.utime.saturating_add(stat.stime) as f64 / procfs::ticks_per_second() as f64,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory_and_time() {
        let figures = super::figures().unwrap();
        assert!(figures.resident_bytes > 1 << 20 && figures.resident_bytes < 1 << 40, "{figures:?}");
        assert!((0.0..1e6).contains(&figures.cpu_seconds), "{figures:?}");
    }
}
