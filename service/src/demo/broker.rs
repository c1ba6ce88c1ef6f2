//! A broker inside the process, with the topics of a config.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use rdkafka::mocking::MockCluster;

/// Partitions of each topic.
pub const PARTITIONS: i32 = 4;

/// A running broker; it ends when this is dropped.
pub struct Broker {
    /// Where it is.
    pub bootstrap: String,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Starts a broker with these topics. The cluster may not change threads, so it lives in one of its own.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(topics: Vec<String>) -> anyhow::Result<Self> {
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let thread = std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
            let cluster = MockCluster::new(1).and_then(|cluster| {
                topics.iter().try_for_each(|topic| cluster.create_topic(topic, PARTITIONS, 1))?;
                Ok(cluster)
            });
            match cluster {
                Ok(cluster) => {
                    let _ = tell.send(Ok(cluster.bootstrap_servers()));
                    // An error: who would tell is gone.
                    let _ = ended.recv();
                }
                Err(error) => _ = tell.send(Err(error)),
            }
        });
        let thread = thread.context("the broker's thread")?;
        let bootstrap = told.recv().map_err(|_| anyhow!("the broker did not start"))??;
        Ok(Self { bootstrap, end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
