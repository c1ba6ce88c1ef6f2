//! Turns: whose threads go first when there is more work than processors.
//!
//! The rule by which callers, the stream and the rest share the processors: threads that answer callers go before the
//! line, and the line goes before what nobody waits for: the index, the archive, the queue's readers. It is the
//! system's niceness: a step of five is three times the share while all of them want to run, and nobody is starved.
//! Callers' threads may be put first only by a process that may raise its priority (`CAP_SYS_NICE`, or systemd's
//! `LimitNICE=-5`); without that they are the line's equals, and the others still come later.

use std::io;
use std::thread::{Builder, JoinHandle};

use rustix::process::setpriority_process;
use tokio::runtime::{self, Runtime};

/// Whose a thread is. The line's is as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Somebody waits for its answer.
    First,
    /// Nobody does.
    Later,
}

impl Turn {
    const fn niceness(self) -> i32 {
        match self {
            Turn::First => -5,
            Turn::Later => 5,
        }
    }

    /// From now on this thread, and what it starts, has this turn.
    pub fn take(self) {
        // On Linux a thread has a niceness of its own, and "the process 0" is the calling thread.
        if let Err(error) = setpriority_process(None, self.niceness()) {
            tracing::debug!(turn = ?self, %error, "the thread's priority stays");
        }
    }

    /// A thread with this turn.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn spawn<T: Send + 'static>(
        self,
        name: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        Builder::new().name(name.to_owned()).spawn(move || {
            self.take();
            run()
        })
    }
}

/// The runtime of the doors, on threads that go first.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread().enable_all().on_thread_start(|| Turn::First.take()).build()
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_thread_has_its_own_turn_and_the_others_keep_theirs() {
        let before = getpriority_process(None).unwrap();
        let later = Turn::Later.spawn("later", || getpriority_process(None).unwrap()).unwrap();
        assert_eq!(later.join().unwrap(), 5.max(before));
        assert_eq!(getpriority_process(None).unwrap(), before);
        let first = Turn::First.spawn("first", || getpriority_process(None).unwrap()).unwrap();
        // Not everybody may.
        assert!([-5, before].contains(&first.join().unwrap()));
    }
}
