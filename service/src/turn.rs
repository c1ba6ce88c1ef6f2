//! Turns: whose threads go first when there is more work than processors.
//!
//! The rule by which callers, the stream and the rest share the processors: threads that answer callers go before the
//! line, and the line goes before what nobody waits for: the archive, the queue's readers, reconciliation. It is the
//! system's niceness: a step of five is three times the share while all of them want to run, and nobody is starved. It
//! holds for our own threads: librdkafka's and the stores' have that of whoever starts them.
//! Callers' threads may be put first only by a process that may raise its priority (`CAP_SYS_NICE`, or systemd's
//! `LimitNICE=-5`); without that they are the line's equals, and the others still come later.

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

use rustix::process::{getpriority_process, setpriority_process};
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
    /// Steps from the process's own niceness.
    const fn step(self) -> i32 {
        match self {
            Turn::First => -5,
            Turn::Later => 5,
        }
    }

    /// From now on this thread, and what it starts, has this turn, if the process may.
    pub fn take(self) {
        // One that may not is said once, by `say_whether_callers_go_first`.
        let _ = self.set();
    }

    /// On Linux a thread has a niceness of its own, and "the process 0" is the calling thread.
    fn set(self) -> rustix::io::Result<()> {
        setpriority_process(None, (base() + self.step()).clamp(-20, 19))
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

/// The process's own niceness: that of the thread that asks first, which is the main one.
fn base() -> i32 {
    static BASE: OnceLock<i32> = OnceLock::new();
    *BASE.get_or_init(|| getpriority_process(None).unwrap_or(0))
}

/// Tries it on a thread that ends, and says in the log when it may not be: threads come before the log does.
pub fn say_whether_callers_go_first() {
    let tried = std::thread::spawn(|| Turn::First.set()).join();
    if let Ok(Err(error)) = tried {
        tracing::info!(
            %error,
            "threads that answer callers go with the others: CAP_SYS_NICE, or LimitNICE=-5, would put them first"
        );
    }
}

/// The runtime of the doors, on threads that go first.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    base();
    runtime::Builder::new_multi_thread().enable_all().on_thread_start(|| Turn::First.take()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_own_turn_and_the_others_keep_theirs() {
        let before = getpriority_process(None).unwrap();
        let later = Turn::Later.spawn("later", || getpriority_process(None).unwrap()).unwrap();
        assert_eq!(later.join().unwrap(), (base() + 5).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
        let first = Turn::First.spawn("first", || getpriority_process(None).unwrap()).unwrap();
        // Not everybody may.
        assert!([(base() - 5).max(-20), before].contains(&first.join().unwrap()));
    }
}
