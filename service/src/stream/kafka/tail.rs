//! Reads the newest records of an output partition, for their headers.

use std::time::{Duration, Instant};

use feature_store::store::{Source, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::super::{Origin, Tail, TransportError, topic_word};
use super::{ANSWER_WITHIN, KafkaOptions};

/// A consumer outside of any group.
pub(super) struct TailReader(BaseConsumer);

impl TailReader {
    pub fn new(options: &KafkaOptions) -> Result<Self, TransportError> {
        let mut config = options.reader();
        config.set("enable.partition.eof", "true");
        config.create().map(Self).map_err(|error| TransportError::Fatal(format!("kafka: {error}")))
    }

    /// The newest `most` records of a partition.
    pub fn read(&self, topic: &str, partition: i32, most: usize) -> Result<Tail, TransportError> {
        let unavailable =
            |error: KafkaError| TransportError::Unavailable(format!("tail of {topic}: {error}"));
        let (first, next) = self.0.fetch_watermarks(topic, partition, ANSWER_WITHIN).map_err(unavailable)?;
        let from = (next - i64::try_from(most).unwrap_or(i64::MAX)).max(first);
        let mut tail = Tail { origins: Vec::new(), whole: from == first };
        if from >= next {
            return Ok(tail);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(unavailable)?;
        self.0.assign(&list).map_err(unavailable)?;
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.0.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    tail.origins.extend(origin(&message));
                    if message.offset() >= next - 1 {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => tracing::debug!(%error, topic, "reading a tail"),
                None if Instant::now() > until => {
                    let _ = self.0.unassign();
                    return Err(TransportError::Unavailable(format!("tail of {topic}: no answer in time")));
                }
                None => {}
            }
        }
        self.0.unassign().map_err(unavailable)?;
        Ok(tail)
    }
}

/// Which input a record answers; `None` where it has not our headers.
fn origin(message: &impl Message) -> Option<Origin> {
    let headers = message.headers()?;
    let text = |key: &str| {
        let found = headers.iter().find(|header| header.key == key)?;
        std::str::from_utf8(found.value?).ok()
    };
    let word = text("src-topic")?;
    let topic = [Topic::Payments, Topic::Labels].into_iter().find(|topic| topic_word(*topic) == word)?;
    let source = Source { topic, partition: text("src-partition")?.parse().ok()? };
    Some(Origin { source, offset: text("src-offset")?.parse().ok()? })
}
